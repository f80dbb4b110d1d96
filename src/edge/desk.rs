//! Desks as Durable Objects: one for each app and issuer.

use std::{cell::Cell, rc::Rc};

use js_sys::Promise;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Request;
use worker::{Env, SqlStorageValue as Value, State, Storage, worker_sys::DurableObjectState};

use super::{
    bindings::Bindings,
    objects::{self, Sql, Unanswered},
    runtime::{self, Runtime},
};
use crate::{
    app::{
        desk::{Answer, Command, Desks, OTHER_ANSWER, Object, Performer},
        ports::{Ended, Sessions as _, Unavailable},
    },
    domain::{
        desk::{Desk as Name, Shelf, breaker::Held},
        limits,
        seal::Authority,
        time::Timestamp,
    },
};

/// The namespace of the desks.
pub(super) struct Namespace(pub(super) objects::Namespace);

impl Desks for Namespace {
    async fn ask(&self, desk: Name, command: Command) -> Result<Answer> {
        let answer = objects::ask(&self.0, &desk.to_string(), &command).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Overloaded => Unavailable("desk_overloaded"),
            Unanswered::NotUnderstood => OTHER_ANSWER,
            Unanswered::Failed => Unavailable("desk_failed"),
        })
    }
}

/// One desk.
#[wasm_bindgen]
pub struct Desk(Rc<Stored>);

struct Stored {
    shelf: SqlShelf,
    env: Env,
}

#[wasm_bindgen]
impl Desk {
    /// What the runtime makes when the desk is asked, or its alarm goes off.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let shelf = SqlShelf::of(State::from(state).storage());
        Self(Rc::new(Stored { shelf, env }))
    }

    /// Obeys a command: gives the answer, or one that comes.
    pub fn fetch(&self, request: &Request) -> JsValue {
        let desk = self.0.clone();
        match objects::command::<Command>(request) {
            None => objects::not_understood().into(),
            Some(command) => objects::later(async move {
                let answer = desk.at_work(async |desk| desk.answer(&command).await);
                objects::answer(answer.await.as_ref().ok())
            })
            .into(),
        }
    }

    /// Does what is due.
    pub fn alarm(&self) -> Promise {
        let desk = self.0.clone();
        objects::alarm(async move {
            let work = desk.at_work(async |desk| desk.alarm().await);
            if work.await.is_err() {
                // The runtime calls an alarm that fails again, but only some times.
                let later = runtime::now().plus(limits::LEDGER_REPAIR);
                desk.shelf
                    .wake(later)
                    .map_err(|Unavailable(code)| worker::Error::RustError(code.to_owned()))?;
            }
            Ok(())
        })
    }
}

impl Stored {
    async fn at_work<T>(
        &self,
        work: impl AsyncFnOnce(&Object<'_, Runtime, SqlShelf, Bindings>) -> Result<T>,
    ) -> Result<T> {
        let bindings = Bindings::of(&self.env).ok_or(Unavailable("configuration_wrong"))?;
        let operations = bindings.config.kv_operations;
        let object = Object {
            world: &bindings.world,
            shelf: &self.shelf,
            performer: &bindings,
            batch: operations.checked_div(limits::HELD_COST).unwrap_or(1),
        };
        work(&object).await
    }
}

impl Performer for Bindings {
    async fn perform(&self, held: &Held, deadline: Timestamp) -> Result<Ended> {
        let mut apps = self.config.apps.iter();
        match apps.find(|app| app.id == held.ordered.app) {
            Some(app) => {
                let logout = match self.config.authority {
                    Authority::Ledger => held.logout_within(limits::OP_CLOCK_SPREAD),
                    Authority::Kv => held.ordered.logout,
                };
                let sessions = self.store(app);
                sessions.end(&held.ordered.scope, &logout, deadline).await
            }
            None => Ok(Ended::default()),
        }
    }
}

/// What a desk keeps, in `SQLite`.
struct SqlShelf {
    storage: Storage,
    sql: Sql,
    /// A desk that nobody has written to has no table: asking makes none.
    has_table: Cell<bool>,
}

const FAILED: Unavailable = Unavailable("desk_storage_failed");
const TABLE: &str = "CREATE TABLE IF NOT EXISTS shelf
    (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";

/// Names are ASCII: what begins with one is between it and it followed by the last ASCII character.
const BEGINS: &str = "name >= ? AND name < ? || char(127)";

type Result<T> = std::result::Result<T, Unavailable>;

impl SqlShelf {
    fn of(storage: Storage) -> Self {
        let shelf = Self {
            sql: Sql::of(&storage),
            storage,
            has_table: Cell::new(true),
        };
        let tables = "SELECT name FROM sqlite_master WHERE name = 'shelf'";
        // If even that fails, so will what follows.
        let is_known_empty = shelf
            .query(tables, Vec::new())
            .is_ok_and(|all| all.is_empty());
        shelf.has_table.set(!is_known_empty);
        shelf
    }

    fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>> {
        if !self.has_table.get() {
            return Ok(Vec::new());
        }
        self.sql.run(sql, values).map_err(|_| FAILED)
    }
}

fn text(name: &str) -> Value {
    Value::String(name.to_owned())
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    match value {
        Value::Blob(bytes) => postcard::from_bytes(bytes).map_err(|_| FAILED),
        _ => Err(FAILED),
    }
}

impl Shelf for SqlShelf {
    type Error = Unavailable;

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let sql = "SELECT value FROM shelf WHERE name = ?";
        let rows = self.query(sql, vec![text(name)])?;
        let value = rows.first().and_then(|row| row.first());
        value.map(read).transpose()
    }

    fn put<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let bytes = postcard::to_allocvec(value).map_err(|_| FAILED)?;
        if !self.has_table.replace(true) {
            self.query(TABLE, Vec::new())?;
        }
        let sql = "INSERT OR REPLACE INTO shelf (name, value) VALUES (?, ?)";
        let values = vec![text(name), Value::Blob(bytes)];
        self.query(sql, values).map(drop)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let sql = "DELETE FROM shelf WHERE name = ?";
        self.query(sql, vec![text(name)]).map(drop)
    }

    fn first<T: DeserializeOwned>(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>> {
        let sql =
            format!("SELECT name, value FROM shelf WHERE {BEGINS} ORDER BY name LIMIT {limit}");
        let rows = self.query(&sql, vec![text(beginning), text(beginning)])?;
        let read = |row: &Vec<Value>| match row.as_slice() {
            [Value::String(name), value] => Ok((name.clone(), read(value)?)),
            _ => Err(FAILED),
        };
        rows.iter().map(read).collect()
    }

    fn count(&self, beginning: &str) -> Result<usize> {
        let sql = format!("SELECT count(*) FROM shelf WHERE {BEGINS}");
        let rows = self.query(&sql, vec![text(beginning), text(beginning)])?;
        match rows.first().and_then(|row| row.first()) {
            None => Ok(0),
            Some(Value::Integer(count)) => usize::try_from(*count).map_err(|_| FAILED),
            Some(_) => Err(FAILED),
        }
    }

    fn clear(&self, beginning: &str) -> Result<usize> {
        let count = self.count(beginning)?;
        let sql = format!("DELETE FROM shelf WHERE {BEGINS}");
        self.query(&sql, vec![text(beginning), text(beginning)])?;
        Ok(count)
    }

    fn wake(&self, at: Timestamp) -> Result<()> {
        objects::set_alarm(&self.storage, at).map_err(|_| FAILED)
    }
}
