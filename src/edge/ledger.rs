//! The ledger as Durable Objects: one per list.

use std::rc::Rc;

use futures_util::FutureExt as _;
use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Request;
use worker::{Env, State, Storage, worker_sys::DurableObjectState};

use super::{
    bindings::Bindings,
    kv,
    objects::{self, Unanswered},
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
        ledger::{self, List},
        limits,
    },
};

/// The namespace of the lists.
pub(super) struct Namespace(pub(super) objects::Namespace);

impl ports::Ledger for Namespace {
    async fn ask(&self, list: List, command: Command) -> Result<Answer, Unavailable> {
        let answer = objects::ask(&self.0, &list.to_string(), &command).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Overloaded => Unavailable("ledger_overloaded"),
            Unanswered::NotUnderstood => ports::OTHER_ANSWER,
            Unanswered::Failed => Unavailable("ledger_failed"),
        })
    }
}

type TheList<'a> = Object<'a, Runtime, kv::Namespace, Namespace, SqlRows>;

/// One list of the ledger.
#[wasm_bindgen]
pub struct Ledger(Rc<Stored>);

struct Stored {
    storage: Storage,
    env: Env,
    rows: SqlRows,
}

#[wasm_bindgen]
impl Ledger {
    /// What the runtime makes when the list is asked, or its alarm goes off.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        Self(Rc::new(Stored {
            storage: state.storage(),
            env,
            rows: SqlRows::of(state.storage()),
        }))
    }

    /// Obeys a command: gives the answer, or one that comes.
    pub fn fetch(&self, request: &Request) -> JsValue {
        let list = self.0.clone();
        match objects::command::<Command>(request) {
            None => objects::not_understood().into(),
            // What every request of a session asks: nothing is waited for.
            Some(command @ Command::Alive(_)) => {
                let answer = list.answer(&command).now_or_never().flatten();
                objects::answer(answer.as_ref()).into()
            }
            Some(command) => objects::later(async move {
                let answer = list.answer(&command).await;
                objects::answer(answer.as_ref())
            })
            .into(),
        }
    }

    /// Does what is due.
    pub fn alarm(&self) -> Promise {
        let list = self.0.clone();
        objects::alarm(async move { list.alarm().await })
    }
}

impl Stored {
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

    async fn answer(&self, command: &Command) -> Option<Answer> {
        let bindings = Bindings::of(&self.env)?;
        self.list(&bindings)?.answer(command).await.ok()
    }

    async fn alarm(&self) -> worker::Result<()> {
        self.rows.alarm_went_off();
        let bindings = Bindings::of(&self.env);
        let next = match bindings.as_ref().map(|bindings| self.list(bindings)) {
            Some(Some(list)) => list.alarm().await,
            // Where sessions live in KV alone, lists from before only wait for their end.
            Some(None) => ledger::fade(&self.rows, runtime::now()),
            None => Err(Unavailable("configuration_wrong")),
        };
        match next {
            Ok(None) => {
                // Nothing came in between: the storage lets no event in while it is at work.
                let gone = objects::delete_all(&self.storage).await;
                self.rows.forget();
                gone?;
            }
            Ok(Some(_)) => {}
            // The runtime calls an alarm that fails again, but only some times; what a list has to do
            // is not forgotten as long as it can be noted: also if its rows cannot be read.
            Err(_) => {
                let later = runtime::now().plus(limits::LEDGER_REPAIR);
                objects::set_alarm(&self.storage, later)?;
                self.rows.forget();
            }
        }
        Ok(())
    }
}
