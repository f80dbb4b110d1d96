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

use futures_channel::oneshot;
use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Request, Response};
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, worker_sys};

use self::{bindings::Bindings, deadline::Client, http::Incoming};
use crate::{
    app::{
        front::{Front, Unmatched},
        logout,
    },
    domain::{
        config::App,
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
pub fn fetch(request: Request, env: Env, context: worker_sys::Context, answer: Function) {
    let client = Rc::new(Client::new(answer));
    spawn_local(async move {
        let context = Context::new(context);
        let answer = serve(&client, request, &env, &context).await;
        if let Ok(answer) = answer.or_else(|_| http::plain(500, "Internal error.\n")) {
            client.answer(answer);
        }
    });
}

async fn serve(
    client: &Rc<Client>,
    request: Request,
    env: &Env,
    context: &Context,
) -> worker::Result<Response> {
    let Some(bindings) = Bindings::of(env, Some(client.clone())) else {
        // Never forwarded: what the gate would have decided is unknown. The log says why.
        return http::plain(500, "edge-logout is not configured correctly.\n");
    };
    let incoming = Incoming::of(request);
    let Some(target) = RequestUrl::parse(incoming.head.url()) else {
        return http::plain(400, "Bad request.\n");
    };
    let config = bindings.config.clone();
    match route::locate(&config, target.host, target.path) {
        Place::TokenEndpoint(app) => relay::token(&bindings, app, &incoming).await,
        Place::Metadata(app) => relay::metadata(&bindings, app, &incoming, &target).await,
        Place::Own(path) if operator::has(path) => {
            operator::serve(&bindings, context, &target, path, &incoming).await
        }
        Place::Own(path) => pages::own_path(&bindings, &incoming, path).await,
        Place::Nowhere => http::plain(404, "Not found.\n"),
        Place::Ambiguous => http::plain(400, "Ambiguous path.\n"),
        Place::BackChannel(app) => back_channel::receive(&bindings, context, app, &incoming).await,
        Place::Unmatched(rule) => {
            let unmatched = Unmatched {
                world: &bindings.world,
                config: &bindings.config,
                request: incoming.for_the_gate(&target),
            };
            let behind = proxy::Behind::of(&bindings, &incoming, &target, &rule.origin, None);
            let served = unmatched.serve(&behind).await;
            pages::deliver(&bindings, served, &behind, None).await
        }
        Place::App(app, prefix) if app.is_called_back_at(target.path) => {
            let (app, prefix) = (app.clone(), prefix.to_owned());
            let incoming = incoming.clone();
            let (answered, answer) = oneshot::channel();
            // Whatever the client does, the answer of the app decides what its code was good for.
            context.wait_until(async move {
                if let Some(target) = RequestUrl::parse(incoming.head.url()) {
                    let _ = answered.send(gate(&bindings, &incoming, &target, &app, &prefix).await);
                }
            });
            let lost = |_| http::plain(500, "Internal error.\n");
            answer.await.unwrap_or_else(lost)
        }
        Place::App(app, prefix) => gate(&bindings, &incoming, &target, app, prefix).await,
    }
}

async fn gate(
    bindings: &Bindings,
    incoming: &Incoming,
    target: &RequestUrl<'_>,
    app: &App,
    prefix: &str,
) -> worker::Result<Response> {
    let front = Front {
        world: &bindings.world,
        sessions: &bindings.sessions(app),
        codes: &bindings.codes,
        config: &bindings.config,
        app,
        request: incoming.for_the_gate(target),
    };
    let announcement = app.announcement_header();
    let behind = proxy::Behind::of(bindings, incoming, target, &app.origin, announcement);
    let served = front.serve(&behind).await;
    pages::deliver(bindings, served, &behind, Some((app, prefix))).await
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
