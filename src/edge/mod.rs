//! The Workers runtime behind the ports. No decision about tokens or sessions is made here.

mod back_channel;
mod bindings;
mod codes;
mod deadline;
mod desk;
mod http;
mod kv;
mod ledger;
mod objects;
mod operator;
mod pages;
mod proxy;
mod relay;
mod rows;
mod runtime;
mod store;
mod webcrypto;

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, worker_sys};

use self::{bindings::Bindings, deadline::Deadline};
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

/// Every request of every host comes in here. Not by `#[event(fetch)]`: a deadline has to hold even
/// if this instance dies, so the answer is not its alone.
#[wasm_bindgen(js_name = fetch)]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn fetch(request: web_sys::Request, env: Env, context: worker_sys::Context) -> Promise {
    let deadline = Deadline::new();
    let client = deadline.clone();
    let work = async move {
        let answer = serve(request, env, Context::new(context), deadline).await;
        let answer = answer.or_else(|_| http::plain(500, "Internal error.\n"));
        answer.map(JsValue::from).map_err(JsValue::from)
    };
    client.over(&future_to_promise(work))
}

async fn serve(
    request: web_sys::Request,
    env: Env,
    context: Context,
    deadline: Deadline,
) -> worker::Result<web_sys::Response> {
    let Some(bindings) = Bindings::of(&env, Some(deadline)) else {
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
        world: &bindings.world,
    };
    match route::locate(&bindings.config, target.host, target.path) {
        Place::TokenEndpoint(app) => relay::token(&bindings, app, &request).await,
        Place::Metadata(app) => relay::metadata(&bindings, app, &request, &target).await,
        Place::Own(path) if operator::has(path) => {
            operator::serve(&bindings, &context, &target, path, request).await
        }
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
                codes: &bindings.codes,
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

/// The cron trigger: tidies up after past logouts, where KV is all there is.
#[event(scheduled)]
async fn scheduled(_: ScheduledEvent, env: Env, _: ScheduleContext) {
    if let Some(bindings) = Bindings::of(&env, None)
        && bindings.ledger.is_none()
        && let Some(app) = bindings.config.apps.first()
    {
        logout::sweep(&bindings.world, &bindings.kv_sessions(app)).await;
    }
}
