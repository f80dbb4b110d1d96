//! The Workers runtime behind the ports. No decision about tokens or sessions is made here.

mod back_channel;
mod bindings;
mod http;
mod kv;
mod pages;
mod proxy;
mod runtime;
mod webcrypto;

use std::rc::Rc;

use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

use self::bindings::Bindings;
use crate::{
    app::{
        front::{Front, Unmatched},
        logout,
    },
    domain::{
        route::{self, Place},
        url::RequestUrl,
    },
};

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Every request of every host comes in here.
#[event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    let Some(bindings) = Bindings::of(&env) else {
        // Never forwarded: what the gate would have decided is unknown. The log says why.
        return http::plain(500, "edge-logout is not configured correctly.\n");
    };
    let bindings = Rc::new(bindings);
    let url = request.url();
    let Some(target) = RequestUrl::parse(&url) else {
        return http::plain(400, "Bad request.\n");
    };
    let seen = proxy::Seen::of(&request);
    let behind = |origin, announcement| proxy::Behind {
        request: &request,
        target: &target,
        origin,
        announcement,
        env: &bindings.env,
    };
    match route::locate(&bindings.config, target.host, target.path) {
        Place::Own(path) => pages::own_path(&bindings, &request, path).await,
        Place::Nowhere => http::plain(404, "Not found.\n"),
        Place::Ambiguous => http::plain(400, "Ambiguous path.\n"),
        Place::BackChannel(app) => back_channel::receive(&bindings, &context, app, request).await,
        Place::Unmatched(rule) => {
            let unmatched = Unmatched {
                world: &bindings.world,
                config: &bindings.config,
                request: seen.as_request(&target),
            };
            let behind = behind(&rule.origin, None);
            let served = unmatched.serve(&behind).await;
            pages::deliver(&bindings, &seen, served, &behind, None).await
        }
        Place::App(app, prefix) => {
            let front = Front {
                world: &bindings.world,
                sessions: &bindings.sessions(app),
                config: &bindings.config,
                app,
                request: seen.as_request(&target),
            };
            let behind = behind(&app.origin, app.announcement_header());
            let served = front.serve(&behind).await;
            pages::deliver(&bindings, &seen, served, &behind, Some((app, prefix))).await
        }
    }
}

/// The cron trigger: tidies up after past logouts.
#[event(scheduled)]
async fn scheduled(_: ScheduledEvent, env: Env, _: ScheduleContext) {
    if let Some(bindings) = Bindings::of(&env)
        && let Some(app) = bindings.config.apps.first()
    {
        logout::sweep(&bindings.world, &bindings.sessions(app)).await;
    }
}
