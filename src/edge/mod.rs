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
mod promises;
mod proxy;
mod relay;
mod rows;
mod runtime;
mod store;
mod texts;
mod webcrypto;

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{Request, Response};
use worker::{Env, event};

use self::{
    bindings::Bindings,
    deadline::{Client, Context, Hold},
    http::Incoming,
};
use crate::{
    app::{
        apart,
        front::{Front, Unmatched},
        logout,
    },
    domain::{
        config::{App, HostRule},
        gate,
        route::{self, Place},
        url::RequestUrl,
    },
};

/// In place of dlmalloc: 18 KB less of the bundle, gzipped, and 2 to 3 % of a logout.
#[global_allocator]
static MEMORY: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Every request of every host comes in here, and once more with the app's answer if that must be looked at.
/// Gives what the client gets. Not by `#[event(fetch)]`: a deadline has to hold even if this instance dies, so the
/// answer is not its alone.
#[wasm_bindgen(js_name = fetch)]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn fetch(
    request: Request,
    method: String,
    url: String,
    arrived: f64,
    env: &Env,
    context: &Context,
    answer: Option<Promise>,
) -> Promise {
    let incoming = Incoming::new(request, method, url, runtime::time(arrived), answer);
    let bindings = Bindings::of(env);
    let answer = bindings.as_ref().and_then(|all| at_once(all, &incoming));
    if let Some(answer) = answer {
        return http::unless_telling(answer, &incoming.request, env.as_ref(), context, arrived);
    }
    let client = Rc::new(Client::new(context));
    let answered = client.answered();
    promises::spawn(async move {
        let answer = serve(&client, &incoming, bindings).await;
        let lost = |_| http::plain(500, "Internal error.\n").map(Some);
        if let Ok(Some(answer)) = answer.or_else(lost) {
            client.answer(answer);
        }
    });
    answered
}

/// The app's answer to a request that goes on at once, and has not been sent on yet.
fn at_once(bindings: &Bindings, incoming: &Incoming) -> Option<Promise> {
    if incoming.answer.is_some() {
        return None;
    }
    let target = RequestUrl::parse(&incoming.url)?;
    let Place::App(app, _) = route::locate(&bindings.config, target.host, target.path) else {
        return None;
    };
    let behind = proxy::Behind::of(bindings, incoming, &target, &app.origin, Some(app));
    if !gate::passes_at_once(app, &behind.request()) {
        return None;
    }
    // If it cannot be sent, that is told where others are.
    behind.send_on().ok()
}

/// Gives the answer, unless the client has it already.
async fn serve(
    client: &Rc<Client>,
    incoming: &Incoming,
    bindings: Option<Bindings>,
) -> worker::Result<Option<Response>> {
    let Some(bindings) = bindings.map(|all| all.with_client(client.clone())) else {
        // Never forwarded: what the gate would have decided is unknown. The log says why.
        return http::plain(500, "edge-logout is not configured correctly.\n").map(Some);
    };
    let Some(target) = RequestUrl::parse(&incoming.url) else {
        return http::plain(400, "Bad request.\n").map(Some);
    };
    let config = bindings.config.clone();
    let answer = match route::locate(&config, target.host, target.path) {
        Place::TokenEndpoint(app) => apart(relay::token(&bindings, app, incoming)).await,
        Place::Metadata(app) => apart(relay::metadata(&bindings, app, incoming, &target)).await,
        Place::Own(path) if operator::has(path) => {
            return apart(operator::serve(&bindings, client, &target, path, incoming)).await;
        }
        Place::Own(path) => apart(pages::own_path(&bindings, incoming, path)).await,
        Place::Nowhere => http::plain(404, "Not found.\n"),
        Place::Ambiguous => http::plain(400, "Ambiguous path.\n"),
        Place::BackChannel(app) => {
            return apart(back_channel::receive(&bindings, client, app, incoming)).await;
        }
        Place::Unmatched(rule) => apart(unmatched(&bindings, incoming, &target, rule)).await,
        Place::App(app, prefix) if app.is_called_back_at(target.path) => {
            // Whatever the client does, the answer of the app decides what its code was good for.
            let _hold = Hold::of(client);
            apart(pass(&bindings, incoming, &target, app, prefix)).await
        }
        Place::App(app, prefix) => pass(&bindings, incoming, &target, app, prefix).await,
    };
    answer.map(Some)
}

/// A request for none of the apps.
async fn unmatched(
    bindings: &Bindings,
    incoming: &Incoming,
    target: &RequestUrl<'_>,
    rule: &HostRule,
) -> worker::Result<Response> {
    let behind = proxy::Behind::of(bindings, incoming, target, &rule.origin, None);
    let unmatched = Unmatched {
        world: &bindings.world,
        config: &bindings.config,
        request: behind.request(),
    };
    let served = unmatched.serve(&behind).await;
    pages::deliver(bindings, served, &behind, None).await
}

async fn pass(
    bindings: &Bindings,
    incoming: &Incoming,
    target: &RequestUrl<'_>,
    app: &App,
    prefix: &str,
) -> worker::Result<Response> {
    let behind = proxy::Behind::of(bindings, incoming, target, &app.origin, Some(app));
    let front = Front {
        world: &bindings.world,
        sessions: &bindings.sessions(app),
        codes: &bindings.codes,
        config: &bindings.config,
        app,
        request: behind.request(),
    };
    let served = front.serve(&behind).await;
    pages::deliver(bindings, served, &behind, Some((app, prefix))).await
}

/// The cron trigger: tidies up after past logouts, where KV is all there is.
#[wasm_bindgen(js_name = scheduled)]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn scheduled(env: Env) -> Promise {
    promises::promise(async move {
        sweep(&env).await;
        Ok(JsValue::UNDEFINED)
    })
}

async fn sweep(env: &Env) {
    if let Some(bindings) = Bindings::of(env)
        && bindings.ledger.is_none()
        && let Some(app) = bindings.config.apps.first()
    {
        logout::sweep(&bindings.world, &bindings.kv_sessions(app)).await;
    }
}
