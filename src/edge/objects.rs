//! Durable Objects, and how they are spoken to.
//!
//! Commands go by `fetch`: classes made of wasm take no remote calls. A command stands in the path
//! and its answer in a header, because every body costs a stream and a promise on either side.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use js_sys::{Array, Date, Promise};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{Request, Response};
use worker::{SqlStorageValue as Value, Storage};

use super::promises::{self, outcome};
use crate::domain::time::Timestamp;

/// Stands before every command: where Worker and object are of different versions for a while, what
/// is not understood is an outage.
const PREFIX: &str = "https://object/1/";

#[wasm_bindgen]
extern "C" {
    /// Objects of one class.
    pub(super) type Namespace;

    /// What an object has stored in `SQLite`.
    #[derive(Clone)]
    pub(super) type Sql;
}

#[wasm_bindgen(raw_module = "./objects.js")]
extern "C" {
    #[wasm_bindgen(js_name = ask, catch)]
    fn say(namespace: &Namespace, name: &str, url: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = answer)]
    fn respond(text: Option<&str>, status: u16) -> Response;

    #[wasm_bindgen(catch)]
    fn lines(sql: &Sql, statement: &str) -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    fn run(sql: &Sql, statement: &str, values: Vec<JsValue>) -> Result<Array, JsValue>;
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
    namespace: &Namespace,
    name: &str,
    command: &impl Serialize,
) -> Result<A, Unanswered> {
    let url = format!("{PREFIX}{}", encode(command).ok_or(Unanswered::Failed)?);
    let answer = match outcome(say(namespace, name, &url)).await {
        // It was moved or restarted under the call; a new stub finds it. Every command may be
        // repeated, but not to one that has too much to do.
        Err(error) if is(&error, "retryable") && !is(&error, "overloaded") => {
            outcome(say(namespace, name, &url)).await
        }
        other => other,
    };
    let answer = answer.map_err(|error| {
        if is(&error, "overloaded") {
            Unanswered::Overloaded
        } else {
            Unanswered::Failed
        }
    })?;
    match (answer.as_string(), answer.as_f64()) {
        (Some(text), _) => decode(&text).ok_or(Unanswered::NotUnderstood),
        (None, Some(200.0 | 400.0)) => Err(Unanswered::NotUnderstood),
        _ => Err(Unanswered::Failed),
    }
}

fn is(error: &JsValue, property: &str) -> bool {
    js_sys::Reflect::get(error, &JsValue::from_str(property)).is_ok_and(|is| is.is_truthy())
}

/// The command in a request to an object, if it is understood.
pub(super) fn command<C: DeserializeOwned>(request: &Request) -> Option<C> {
    request.url().strip_prefix(PREFIX).and_then(decode)
}

/// The object's answer to a command that it did not understand.
pub(super) fn not_understood() -> Response {
    respond(None, 400)
}

/// The object's answer; none if it failed.
pub(super) fn answer(answer: Option<&impl Serialize>) -> Response {
    respond(answer.and_then(encode).as_deref(), 503)
}

/// An answer that comes.
pub(super) fn later(answer: impl Future<Output = Response> + 'static) -> Promise {
    promises::promise(async { Ok(answer.await.into()) })
}

/// What an alarm comes to: one that failed is called again, some times.
pub(super) fn alarm(work: impl Future<Output = worker::Result<()>> + 'static) -> Promise {
    promises::promise(async {
        work.await?;
        Ok(JsValue::UNDEFINED)
    })
}

impl Sql {
    pub(super) fn of(storage: &Storage) -> Self {
        storage.sql().as_ref().clone().unchecked_into()
    }

    /// Runs a statement that gives one text in each row: a line. However many there are, they cross the border
    /// together.
    pub(super) fn lines(&self, statement: &str) -> worker::Result<String> {
        Ok(lines(self, statement)?)
    }

    /// Runs a statement. Statements run at once, and what is written before the next `await` is stored
    /// together.
    pub(super) fn run(
        &self,
        statement: &str,
        values: Vec<Value>,
    ) -> worker::Result<Vec<Vec<Value>>> {
        let values = values.into_iter().map(JsValue::from).collect();
        let rows = run(self, statement, values)?;
        let read = |row: JsValue| Array::from(&row).iter().map(Value::try_from).collect();
        rows.iter().map(read).collect()
    }
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

/// Has the object forget everything, its alarm too.
pub(super) async fn delete_all(storage: &Storage) -> Result<(), JsValue> {
    outcome(storage.as_raw().delete_all()).await.map(drop)
}

fn encode(value: &impl Serialize) -> Option<String> {
    let bytes = postcard::to_allocvec(value).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(&bytes))
}

fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    postcard::from_bytes(&bytes).ok()
}
