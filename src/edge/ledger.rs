//! The ledger as Durable Objects: one per list.
//!
//! Commands go by `fetch`: classes made of wasm take no remote calls. A command stands in the path
//! and its answer in a header, because every body costs a stream and a promise on either side.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{DurableObject, Env, ObjectNamespace, Request, Response, State, durable_object};

use super::{
    bindings::Bindings,
    http, kv,
    rows::SqlRows,
    runtime::{self, Runtime},
};
use crate::{
    app::{
        budget::Budget,
        ledger::{Answer, Command, Object},
        ports::{self, Unavailable},
    },
    domain::{
        ledger::{self, List, Rows as _},
        limits,
    },
};

/// Stands before every command: where Worker and object are of different versions for a while, what
/// is not understood is an outage.
const PREFIX: &str = "https://ledger/1/";
const ANSWER: &str = "answer";

/// The namespace of the lists.
pub(super) struct Namespace(pub(super) ObjectNamespace);

#[wasm_bindgen]
extern "C" {
    type Stub;

    #[wasm_bindgen(method, catch)]
    async fn fetch(this: &Stub, url: &str) -> Result<JsValue, JsValue>;
}

fn encode(value: &impl Serialize) -> Option<String> {
    let bytes = postcard::to_allocvec(value).ok()?;
    Some(Base64UrlUnpadded::encode_string(&bytes))
}

fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    postcard::from_bytes(&bytes).ok()
}

impl ports::Ledger for Namespace {
    async fn ask(&self, list: List, command: Command) -> Result<Answer, Unavailable> {
        let failed = Unavailable("ledger_failed");
        let url = format!("{PREFIX}{}", encode(&command).ok_or(failed)?);
        let name = list.to_string();
        let ask = async || {
            let stub = self.0.get_by_name(&name).map_err(JsValue::from)?;
            stub.into_rpc::<Stub>().fetch(&url).await
        };
        let answer = match ask().await {
            // It was moved or restarted under the call; a new stub finds it. Every command may be
            // repeated, but not to one that has too much to do.
            Err(error) if is(&error, "retryable") && !is(&error, "overloaded") => ask().await,
            other => other,
        };
        let answer = answer.map_err(|error| {
            Unavailable(if is(&error, "overloaded") {
                "ledger_overloaded"
            } else {
                failed.0
            })
        })?;
        let answer = web_sys::Response::from(answer);
        match answer.status() {
            200 => http::header(&answer.headers(), ANSWER)
                .and_then(|text| decode(&text))
                .ok_or(ports::OTHER_ANSWER),
            400 => Err(ports::OTHER_ANSWER),
            _ => Err(failed),
        }
    }
}

fn is(error: &JsValue, property: &str) -> bool {
    js_sys::Reflect::get(error, &JsValue::from_str(property)).is_ok_and(|is| is.is_truthy())
}

type TheList<'a> = Object<'a, Runtime, kv::Namespace, Namespace, SqlRows>;

/// One list of the ledger.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    env: Env,
    rows: SqlRows,
}

impl Ledger {
    /// The list with what it needs; none if the ledger is not bound.
    fn list<'a>(&'a self, bindings: &'a Bindings) -> Option<TheList<'a>> {
        Some(Object {
            world: &bindings.world,
            kv: &bindings.kv,
            ledger: bindings.ledger.as_ref()?,
            rows: &self.rows,
            budget: Budget::of(bindings.config.kv_operations),
        })
    }
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        let rows = SqlRows::of(state.storage());
        Self { state, env, rows }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let command: Option<Command> = url.strip_prefix(PREFIX).and_then(decode);
        let Some(command) = command else {
            return Ok(Response::empty()?.with_status(400));
        };
        let bindings = Bindings::of(&self.env, None);
        let answer = match bindings.as_ref().and_then(|bindings| self.list(bindings)) {
            Some(list) => list.answer(&command).await.ok(),
            None => None,
        };
        let Some(answer) = answer.as_ref().and_then(encode) else {
            return Ok(Response::empty()?.with_status(503));
        };
        let response = Response::empty()?;
        response.headers().set(ANSWER, &answer)?;
        Ok(response)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.rows.alarm_went_off();
        let bindings = Bindings::of(&self.env, None);
        let next = match bindings.as_ref().map(|bindings| self.list(bindings)) {
            Some(Some(list)) => list.alarm().await,
            // Where sessions live in KV alone, lists from before only wait for their end.
            Some(None) => ledger::fade(&self.rows, runtime::now()),
            None => Err(Unavailable("configuration_wrong")),
        };
        match next {
            Ok(None) => {
                // Nothing came in between: the storage lets no event in while it is at work.
                self.state.storage().delete_all().await?;
                self.rows.are_gone();
            }
            Ok(Some(_)) => {}
            // The runtime calls an alarm that fails again, but only some times; what a list has to do
            // is not forgotten as long as it can be noted.
            Err(_) => {
                let later = runtime::now().plus(limits::LEDGER_REPAIR);
                self.rows
                    .set_alarm(later)
                    .map_err(|Unavailable(code)| worker::Error::RustError(code.to_owned()))?;
            }
        }
        Response::empty()
    }
}
