//! The ledger as Durable Objects: one per list.

use worker::{DurableObject, Env, ObjectNamespace, Request, Response, State, durable_object};

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
        ledger::{self, List, Rows as _},
        limits,
    },
};

/// The namespace of the lists.
pub(super) struct Namespace(pub(super) ObjectNamespace);

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
        let Some(command) = objects::command::<Command>(&request) else {
            return objects::not_understood();
        };
        let bindings = Bindings::of(&self.env, None);
        let answer = match bindings.as_ref().and_then(|bindings| self.list(bindings)) {
            Some(list) => list.answer(&command).await.ok(),
            None => None,
        };
        objects::answer(answer.as_ref())
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
