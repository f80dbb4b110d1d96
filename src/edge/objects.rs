//! What is said to a Durable Object, and what it answers.
//!
//! Commands go by `fetch`: classes made of wasm take no remote calls. A command stands in the path
//! and its answer in a header, because every body costs a stream and a promise on either side.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{ObjectNamespace, Request, Response};

use super::http;
use crate::app::ports::Unavailable;

const ANSWER: &str = "answer";

#[wasm_bindgen]
extern "C" {
    type Stub;

    #[wasm_bindgen(method, catch)]
    async fn fetch(this: &Stub, url: &str) -> Result<JsValue, JsValue>;
}

/// What an outage of a class is called.
pub(super) struct Codes {
    pub(super) failed: Unavailable,
    pub(super) overloaded: Unavailable,
    /// Worker and object are of different versions.
    pub(super) other_answer: Unavailable,
}

/// Says something to the object of that name.
pub(super) async fn ask<A: DeserializeOwned>(
    namespace: &ObjectNamespace,
    name: &str,
    prefix: &str,
    command: &impl Serialize,
    codes: &Codes,
) -> Result<A, Unavailable> {
    let url = format!("{prefix}{}", encode(command).ok_or(codes.failed)?);
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
            codes.overloaded
        } else {
            codes.failed
        }
    })?;
    let answer = web_sys::Response::from(answer);
    match answer.status() {
        200 => http::header(&answer.headers(), ANSWER)
            .and_then(|text| decode(&text))
            .ok_or(codes.other_answer),
        400 => Err(codes.other_answer),
        _ => Err(codes.failed),
    }
}

/// The command that a request to an object is; `None` if it is not understood.
pub(super) fn command<C: DeserializeOwned>(request: &Request, prefix: &str) -> Option<C> {
    let url = request.inner().url();
    url.strip_prefix(prefix).and_then(decode)
}

pub(super) fn not_understood() -> worker::Result<Response> {
    Ok(Response::empty()?.with_status(400))
}

/// An object's answer; none if it has failed.
pub(super) fn respond(answer: Option<&impl Serialize>) -> worker::Result<Response> {
    let Some(answer) = answer.and_then(encode) else {
        return Ok(Response::empty()?.with_status(503));
    };
    let response = Response::empty()?;
    response.headers().set(ANSWER, &answer)?;
    Ok(response)
}

fn encode(value: &impl Serialize) -> Option<String> {
    let bytes = postcard::to_allocvec(value).ok()?;
    Some(Base64UrlUnpadded::encode_string(&bytes))
}

fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    postcard::from_bytes(&bytes).ok()
}

fn is(error: &JsValue, property: &str) -> bool {
    js_sys::Reflect::get(error, &JsValue::from_str(property)).is_ok_and(|is| is.is_truthy())
}
