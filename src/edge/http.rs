//! Requests and answers in the runtime's own types: the `worker` crate's would rebuild them.

use std::{array, cell::OnceCell};

use js_sys::{ArrayBuffer, JsString, Promise, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Request, RequestInit, Response};

use super::{deadline::Context, promises::outcome, texts::text};
use crate::{
    app::ports::Body,
    domain::{refusal::Refusal, time::Timestamp},
};

#[wasm_bindgen]
extern "C" {
    /// Asks for the answer to a request.
    #[wasm_bindgen(js_name = fetch, catch)]
    pub(super) fn send(request: &Request) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = fetch, catch)]
    fn send_to(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(raw_module = "./http.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestHead)]
    fn request_head(request: &Request) -> Option<JsString>;

    type List;

    #[wasm_bindgen(js_name = namesOf)]
    fn names_of(lines: &str) -> List;

    #[wasm_bindgen(js_name = valuesOf)]
    fn values_of(request: &Request, names: &List) -> String;

    #[wasm_bindgen(js_name = answerHead)]
    fn answer_head(answer: &Response) -> Option<JsString>;

    #[wasm_bindgen(js_name = lookFor)]
    fn look_for(reserved: &str, telling: &str);

    #[wasm_bindgen(js_name = requestWith, catch)]
    fn request_with(
        request: &Request,
        url: Option<&str>,
        changes: &str,
    ) -> Result<Request, JsValue>;

    #[wasm_bindgen(js_name = answerWith, catch)]
    fn answer_with(answer: &Response, changes: &str) -> Result<Response, JsValue>;

    /// What an answer of our own says.
    pub(super) type Ready;

    #[wasm_bindgen(catch)]
    fn ready(status: u16, body: Option<&str>, changes: &str) -> Result<Ready, JsValue>;

    #[wasm_bindgen(js_name = ready, catch)]
    fn ready_file(
        status: u16,
        body: Option<&ReadableStream>,
        changes: &str,
    ) -> Result<Ready, JsValue>;

    /// Of what is known to be a status and headers: it never throws.
    #[wasm_bindgen(js_name = ready)]
    fn ready_once(status: u16, body: Option<&str>, changes: &str) -> Ready;

    #[wasm_bindgen(catch)]
    fn respond(ready: &Ready) -> Result<Response, JsValue>;
}

#[wasm_bindgen(raw_module = "./serve.js")]
extern "C" {
    /// The answer that comes, or if that is telling, or none, what the module says to it when it is called again
    /// with all of these.
    #[wasm_bindgen(js_name = unlessTelling)]
    pub(super) fn unless_telling(
        answer: Promise,
        request: &Request,
        env: &JsValue,
        context: &Context,
        arrived: f64,
    ) -> Promise;
}

/// The answer to a request to that URL.
pub(super) async fn fetch_url(url: &str, init: &RequestInit) -> Result<Response, JsValue> {
    Ok(outcome(send_to(url, init)).await?.unchecked_into())
}

/// Has requests looked at for headers whose names match that pattern of JavaScript's, and answers for headers of
/// these names.
pub(super) fn listen(reserved: &str, telling: &[&str]) {
    look_for(reserved, &telling.join("\n"));
}

/// Names of headers.
pub(super) struct Names<const N: usize>(List);

impl<const N: usize> Names<N> {
    pub(super) fn of(names: [&str; N]) -> Self {
        Self(names_of(&names.join("\n")))
    }
}

/// A request.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) arrived: Timestamp,
    /// The app's answer, if the request has been sent on before.
    pub(super) answer: Option<Promise>,
    gate_head: OnceCell<GateHead>,
}

impl Incoming {
    pub(super) const fn new(
        request: Request,
        method: String,
        url: String,
        arrived: Timestamp,
        answer: Option<Promise>,
    ) -> Self {
        Self {
            request,
            method,
            url,
            arrived,
            answer,
            gate_head: OnceCell::new(),
        }
    }

    /// Whether it asks for a page or a file.
    pub(super) fn is_get(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        header(&self.request.headers(), name)
    }

    /// The values of its headers of these names, in one crossing.
    pub(super) fn values<const N: usize>(&self, names: &Names<N>) -> Values<N> {
        Values(values_of(&self.request, &names.0))
    }

    /// What the gate looks at: see [`listen`].
    pub(super) fn gate_head(&self) -> &GateHead {
        let look = || GateHead(request_head(&self.request).map(|head| Lines::of(text(&head))));
        self.gate_head.get_or_init(look)
    }

    /// Its body.
    pub(super) fn body(&self) -> Content<'_> {
        Content::of(&self.request, self.header("content-length").as_deref())
    }
}

/// A text, line by line.
struct Lines {
    text: String,
    ends: Vec<usize>,
}

impl Lines {
    fn of(text: String) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        Self {
            ends: ends.chain([text.len()]).collect(),
            text,
        }
    }

    fn line(&self, number: usize) -> Option<&str> {
        let before = number
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |end| end.saturating_add(1));
        self.text.get(start..*self.ends.get(number)?)
    }
}

/// What the gate looks at: the cookies of a request, and the names of headers that were looked for.
pub(super) struct GateHead(Option<Lines>);

impl GateHead {
    /// The `Cookie` header, empty if there is none.
    pub(super) fn cookies(&self) -> &str {
        let lines = self.0.as_ref();
        lines.and_then(|lines| lines.line(0)).unwrap_or_default()
    }

    /// Names of headers, lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let lines = self.0.iter();
        lines.flat_map(|lines| (1..lines.ends.len()).filter_map(|name| lines.line(name)))
    }
}

/// Values of headers.
pub(super) struct Values<const N: usize>(String);

impl<const N: usize> Values<N> {
    /// In the order of the names.
    pub(super) fn all(&self) -> [Option<&str>; N] {
        let mut values = self.0.split('\n');
        array::from_fn(|_| values.next().filter(|value| *value != "\0"))
    }
}

/// Header fields of an answer: names, lower case, and values by turns.
pub(super) struct Head(Lines);

impl Head {
    /// `None` of an answer without any of the headers that are looked for.
    pub(super) fn of_answer(answer: &Response) -> Option<Self> {
        Some(Self(Lines::of(text(&answer_head(answer)?))))
    }

    /// Names and values.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let line = |number| self.0.line(number);
        let names = (0..self.0.ends.len()).step_by(2);
        names.filter_map(move |name| Some((line(name)?, line(name.saturating_add(1))?)))
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers();
        headers.find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// Changes to headers, in the order in which they are made: three lines each.
#[derive(Default)]
pub(super) struct HeaderChanges(String);

impl HeaderChanges {
    pub(super) const fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a header out, wherever it stands.
    pub(super) fn remove(&mut self, name: &str) {
        self.push("remove", name, "");
    }

    /// Puts one in, beside others of that name.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.push("add", name, value);
    }

    /// Puts one in, in place of others of that name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.push("set", name, value);
    }

    fn push(&mut self, what: &str, name: &str, value: &str) {
        let parts = [what, "\n", name, "\n", value, "\n"];
        self.0.reserve(parts.map(str::len).iter().sum());
        self.0.extend(parts);
    }

    /// The request with these changes, for another URL if there is one.
    pub(super) fn to_request(
        &self,
        request: &Request,
        url: Option<&str>,
    ) -> Result<Request, JsValue> {
        request_with(request, url, &self.0)
    }

    /// The answer with these changes.
    pub(super) fn to_answer(&self, answer: &Response) -> Result<Response, JsValue> {
        answer_with(answer, &self.0)
    }
}

type Headers<'a> = [(&'a str, &'a str)];

fn added(headers: &Headers<'_>) -> String {
    let mut changes = HeaderChanges::default();
    for (name, value) in headers {
        changes.add(name, value);
    }
    changes.0
}

/// An answer of our own.
pub(super) fn answer(
    status: u16,
    body: Option<&str>,
    headers: &Headers<'_>,
) -> worker::Result<Response> {
    ready(status, body, &added(headers))?.respond()
}

impl Ready {
    /// For an answer that always says the same.
    pub(super) fn of(status: u16, body: Option<&'static str>, headers: &Headers<'static>) -> Self {
        ready_once(status, body, &added(headers))
    }

    /// An answer that says it.
    pub(super) fn respond(&self) -> worker::Result<Response> {
        Ok(respond(self)?)
    }
}

/// A file of ours, of its own type.
pub(super) fn file(file: &Response, headers: &Headers<'_>) -> worker::Result<Response> {
    let kind = header(&file.headers(), "content-type");
    let mut headers = headers.to_vec();
    headers.extend(kind.as_deref().map(|kind| ("Content-Type", kind)));
    ready_file(200, file.body().as_ref(), &added(&headers))?.respond()
}

/// Of whatever changes with time.
pub(super) const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
/// Of JSON.
pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");
/// Of a short text.
pub(super) const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

/// An answer with a short text, never stored.
pub(super) fn plain(status: u16, text: &str) -> worker::Result<Response> {
    answer(status, Some(text), &[TEXT, NO_STORE])
}

/// The answer to another method than GET or HEAD.
pub(super) fn get_only() -> worker::Result<Response> {
    let allow = ("Allow", "GET, HEAD");
    answer(405, Some("Method not allowed.\n"), &[TEXT, NO_STORE, allow])
}

/// A header's value.
pub(super) fn header(headers: &web_sys::Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// Why a body was not read to its end.
#[derive(Clone, Copy)]
pub(super) enum Unread {
    TooLarge,
    Broken,
}

/// The body of a request.
pub(super) struct Content<'a> {
    request: &'a Request,
    /// As it is told.
    length: Option<usize>,
}

impl<'a> Content<'a> {
    /// That of a request with this `Content-Length`, if it has one.
    pub(super) fn of(request: &'a Request, length: Option<&str>) -> Self {
        Self {
            request,
            length: length.and_then(|length| length.parse().ok()),
        }
    }
}

impl Body for Content<'_> {
    /// One whose length is told comes in one piece.
    async fn read(self, limit: usize) -> Result<Vec<u8>, Refusal> {
        // One that is too large is begun all the same: a client that is refused before it has sent anything
        // sees its connection break, and no answer.
        if self.length.is_none_or(|length| length > limit) {
            return read_all(self.request.body(), limit).await.map_err(refused);
        }
        let body: ArrayBuffer = outcome(self.request.array_buffer())
            .await
            .map_err(|_| Refusal::BodyUnreadable)?
            .unchecked_into();
        let body = Uint8Array::new(&body).to_vec();
        if body.len() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(body)
    }
}

fn refused(unread: Unread) -> Refusal {
    match unread {
        Unread::TooLarge => Refusal::BodyTooLarge,
        Unread::Broken => Refusal::BodyUnreadable,
    }
}

/// Reads a body whole, and stops as soon as more than `limit` bytes have come.
pub(super) async fn read_all(
    body: Option<ReadableStream>,
    limit: usize,
) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let Some(body) = body else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader =
        body.get_reader().dyn_into().map_err(|_| Unread::Broken)?;
    loop {
        let chunk = outcome(Ok(reader.read()))
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
