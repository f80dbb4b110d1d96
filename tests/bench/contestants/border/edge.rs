//! The product's edge, as far as it is needed, and in place of the gate what the gate calls.

#[path = "../../../../src/edge/deadline.rs"]
mod deadline;
#[path = "../../../../src/edge/http.rs"]
mod http;
#[path = "../../../../src/edge/kv.rs"]
mod kv;
#[path = "../../../../src/edge/promises.rs"]
mod promises;

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use js_sys::Reflect;
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{Request, Response};
use worker::Result;

use self::{
    deadline::{Client, Hold},
    http::{Head, HeaderChanges, Incoming, JSON, NO_STORE, Ready},
};
use crate::{
    app::ports::{Body as _, Kv as _},
    domain::limits,
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn log(line: &str);
}

const REFUSED: &str =
    r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#;

thread_local! {
    static REFUSAL: Ready = Ready::of(400, Some(REFUSED), &[JSON, NO_STORE]);
}

/// What every answer is looked at for.
#[wasm_bindgen]
pub fn prepare() {
    http::listen(&[
        "set-cookie",
        "clear-site-data",
        "edge-logout-id-token",
        "edge-logout-session",
        "edge-logout-key",
    ]);
}

#[wasm_bindgen(js_name = fetch)]
pub fn serve(request: Request, env: JsValue, client: Client) {
    promises::spawn(async move {
        let incoming = Incoming::of(request);
        let answer = if incoming.is_get() {
            page(&incoming, &env, &client).await
        } else {
            refuse(&incoming, &client).await
        };
        if let Ok(answer) = answer {
            client.answer(answer);
        }
    });
}

async fn page(incoming: &Incoming, env: &JsValue, client: &Client) -> Result<Response> {
    let answer = if incoming.head.header("x-plan").is_some() {
        let kv: kv::Namespace = Reflect::get(env, &"SESSIONS".into())?.unchecked_into();
        let key = |folder| format!("{folder}/{}", "h".repeat(43));
        let keys = ["session", "mark/sid", "mark/sub"].map(key);
        within(client, limits::GATE_DEADLINE, kv.get_many(&keys)).await;
        let mut changes = HeaderChanges::default();
        changes.set("cookie", incoming.head.header("cookie").unwrap_or_default());
        http::fetch(&changes.to_request(&incoming.request, None)?).await?
    } else {
        http::fetch(&incoming.request).await?
    };
    drop(Head::of_answer(&answer));
    Ok(answer)
}

async fn refuse(incoming: &Incoming, client: &Client) -> Result<Response> {
    let _hold = Hold::of(client);
    within(
        client,
        limits::BODY_DEADLINE,
        incoming.read(limits::LOGOUT_BODY_BYTES),
    )
    .await;
    log(r#"{"code":"token_malformed","class":"refused","app":"SHOP"}"#);
    REFUSAL.with(Ready::respond)
}

/// One timer for what is waited for.
async fn within<T>(client: &Client, span: Duration, work: impl Future<Output = T>) {
    let Either::Left(_) = select(pin!(work), pin!(client.sleep(span))).await else {
        unreachable!("what is behind the bench's Workers answers");
    };
}
