//! Small things around `Request` and `Response`.

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, ReadableStream, ReadableStreamDefaultReader, Response, ResponseInit};
use worker::Result;

#[wasm_bindgen]
extern "C" {
    /// The runtime's `fetch`, in its own types: the `worker` crate's would rebuild the answer.
    #[wasm_bindgen(js_name = fetch, catch)]
    pub(super) async fn fetch(request: &web_sys::Request) -> std::result::Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = fetch, catch)]
    pub(super) async fn fetch_url(
        url: &str,
        init: &web_sys::RequestInit,
    ) -> std::result::Result<JsValue, JsValue>;
}

/// An answer with a short text, never stored.
pub(super) fn plain(status: u16, text: &str) -> Result<Response> {
    let response = Response::new_with_opt_str_and_init(Some(text), &init(status))?;
    let headers = response.headers();
    headers.set("Content-Type", "text/plain; charset=utf-8")?;
    headers.set("Cache-Control", "no-store")?;
    Ok(response)
}

/// An answer in JSON, never stored.
pub(super) fn json(status: u16, body: &str) -> Result<Response> {
    let response = Response::new_with_opt_str_and_init(Some(body), &init(status))?;
    let headers = response.headers();
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    Ok(response)
}

/// The answer to another method than GET or HEAD.
pub(super) fn get_only() -> Result<Response> {
    let response = plain(405, "Method not allowed.\n")?;
    response.headers().set("Allow", "GET, HEAD")?;
    Ok(response)
}

/// The names of headers, lower case.
pub(super) fn names(headers: &Headers) -> Vec<String> {
    let names = headers.keys().into_iter().flatten();
    names.filter_map(|name| name.as_string()).collect()
}

pub(super) fn init(status: u16) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(status);
    init
}

/// A header's value.
pub(super) fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// Why a stream was not read to its end.
pub(super) enum Unread {
    TooLarge,
    Broken,
}

/// Reads a body whole, and stops as soon as more than `limit` bytes have come.
pub(super) async fn read_all(
    body: Option<ReadableStream>,
    limit: usize,
) -> std::result::Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let Some(body) = body else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader =
        body.get_reader().dyn_into().map_err(|_| Unread::Broken)?;
    loop {
        let chunk = JsFuture::from(reader.read())
            .await
            .map_err(|_| Unread::Broken)?;
        let get = |name: &str| js_sys::Reflect::get(&chunk, &JsValue::from_str(name));
        if get("done").map_err(|_| Unread::Broken)?.is_truthy() {
            return Ok(bytes);
        }
        let value: Uint8Array = get("value")
            .map_err(|_| Unread::Broken)?
            .dyn_into()
            .map_err(|_| Unread::Broken)?;
        let length = usize::try_from(value.length()).unwrap_or(usize::MAX);
        if bytes.len().saturating_add(length) > limit {
            // What follows is not wanted; whether the sender hears of it does not matter.
            let _ = reader.cancel();
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&value.to_vec());
    }
}
