//! Durable Objects, and how they are spoken to.
//!
//! Commands go by `fetch`: classes made of wasm take no remote calls. A command stands in the path
//! and its answer in a header, because every body costs a stream and a promise on either side.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use js_sys::Date;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{ObjectNamespace, Request, Response, Storage};

use super::http;
use crate::domain::time::Timestamp;

/// Stands before every command: where Worker and object are of different versions for a while, what
/// is not understood is an outage.
const PREFIX: &str = "https://object/1/";
const ANSWER: &str = "answer";

#[wasm_bindgen]
extern "C" {
    type Stub;

    #[wasm_bindgen(method, catch)]
    async fn fetch(this: &Stub, url: &str) -> Result<JsValue, JsValue>;
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The object has too much to do.
    Overloaded,
    /// Worker and object are of different versions.
    NotUnderstood,
    Failed,
}

/// Says something to the object of that name. It may have been done or not if there is no answer.
pub(super) async fn ask<A: DeserializeOwned>(
    namespace: &ObjectNamespace,
    name: &str,
    command: &impl Serialize,
) -> Result<A, Unanswered> {
    let url = format!("{PREFIX}{}", encode(command).ok_or(Unanswered::Failed)?);
    let ask = async || {
        let stub = namespace.get_by_name(name).map_err(JsValue::from)?;
        stub.into_rpc::<Stub>().fetch(&url).await
    };
    let answer = match ask().await {
        // It was moved or restarted under the call; a new stub finds it. Every command may be
        // repeated, but not to one that has too much to do.
        Err(error) if is(&error, "retryable") && !is(&error, "overloaded") => ask().await,
        other => other,
    };
    let answer = answer.map_err(|error| {
        if is(&error, "overloaded") {
            Unanswered::Overloaded
        } else {
            Unanswered::Failed
        }
    })?;
    let answer = web_sys::Response::from(answer);
    match answer.status() {
        200 => http::header(&answer.headers(), ANSWER)
            .and_then(|text| decode(&text))
            .ok_or(Unanswered::NotUnderstood),
        400 => Err(Unanswered::NotUnderstood),
        _ => Err(Unanswered::Failed),
    }
}

fn is(error: &JsValue, property: &str) -> bool {
    js_sys::Reflect::get(error, &JsValue::from_str(property)).is_ok_and(|is| is.is_truthy())
}

/// The command in a request to an object, if it is understood.
pub(super) fn command<C: DeserializeOwned>(request: &Request) -> Option<C> {
    request.inner().url().strip_prefix(PREFIX).and_then(decode)
}

/// The object's answer to a command that it did not understand.
pub(super) fn not_understood() -> worker::Result<Response> {
    Ok(Response::empty()?.with_status(400))
}

/// The object's answer; none if it failed.
pub(super) fn answer(answer: Option<&impl Serialize>) -> worker::Result<Response> {
    let Some(answer) = answer.and_then(encode) else {
        return Ok(Response::empty()?.with_status(503));
    };
    let response = Response::empty()?;
    response.headers().set(ANSWER, &answer)?;
    Ok(response)
}

/// Has the object woken at that moment.
pub(super) fn set_alarm(storage: &Storage, at: Timestamp) -> Result<(), JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let date = Date::new(&JsValue::from_f64(at.millis() as f64));
    // Not waited for: it is stored with what was written before, and an answer is held back until
    // that is done.
    let _ = storage
        .as_raw()
        .set_alarm(date, JsValue::NULL.unchecked_into())?;
    Ok(())
}

fn encode(value: &impl Serialize) -> Option<String> {
    let bytes = postcard::to_allocvec(value).ok()?;
    Some(Base64UrlUnpadded::encode_string(&bytes))
}

fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    postcard::from_bytes(&bytes).ok()
}
