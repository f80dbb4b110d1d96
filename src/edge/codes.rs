//! What is known of authorization codes, as Durable Objects: one per code, for a minute.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Request;
use worker::{Env, SqlStorageValue as Value, State, Storage, worker_sys::DurableObjectState};

use super::{
    objects::{self, Sql, Unanswered},
    runtime,
};
use crate::{
    app::ports::{self, Unavailable},
    domain::authorization_code::{self, Answer, CodeKey, Command, Record},
};

/// The namespace of the records; none where it is not bound.
pub(super) struct Namespace(pub(super) Option<objects::Namespace>);

impl ports::Codes for Namespace {
    async fn tell(&self, code: &CodeKey, command: &Command) -> Result<Answer, Unavailable> {
        const FAILED: Unavailable = Unavailable("codes_failed");
        let namespace = self.0.as_ref().ok_or(FAILED)?;
        let name = code.hash().to_string();
        let answer = objects::ask(namespace, &name, command).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::NotUnderstood => ports::OTHER_ANSWER,
            Unanswered::Overloaded | Unanswered::Failed => FAILED,
        })
    }
}

/// The record of one authorization code.
#[wasm_bindgen]
pub struct AuthorizationCode(Rc<Stored>);

struct Stored {
    storage: Storage,
    sql: Sql,
}

const HAS_TABLE: &str = "SELECT name FROM sqlite_master WHERE name = 'code'";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS code (record BLOB NOT NULL)";

#[wasm_bindgen]
impl AuthorizationCode {
    /// What the runtime makes when the record is asked, or its alarm goes off.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, _: Env) -> Self {
        let storage = State::from(state).storage();
        let sql = Sql::of(&storage);
        Self(Rc::new(Stored { storage, sql }))
    }

    /// Obeys a command.
    pub fn fetch(&self, request: &Request) -> JsValue {
        let answer = match objects::command::<Command>(request) {
            Some(command) => objects::answer(self.0.obey(&command).ok().as_ref()),
            None => objects::not_understood(),
        };
        answer.into()
    }

    /// Does what is due.
    pub fn alarm(&self) -> Promise {
        let record = self.0.clone();
        objects::alarm(async move { record.fade().await })
    }
}

impl Stored {
    /// None if there is no record. One that cannot be read is not one that is not there.
    fn read(&self) -> worker::Result<Option<Record>> {
        // Asking makes no table: nobody would remove it.
        if self.query(HAS_TABLE)?.is_empty() {
            return Ok(None);
        }
        match self
            .query("SELECT record FROM code")?
            .first()
            .map(Vec::as_slice)
        {
            None => Ok(None),
            Some([Value::Blob(record)]) => postcard::from_bytes(record).map(Some).map_err(broken),
            Some(_) => Err(broken(())),
        }
    }

    fn write(&self, record: &Record) -> worker::Result<()> {
        let bytes = postcard::to_allocvec(record).map_err(broken)?;
        self.query(TABLE)?;
        self.query("DELETE FROM code")?;
        let values = vec![Value::Blob(bytes)];
        self.sql
            .run("INSERT INTO code (record) VALUES (?)", values)?;
        objects::set_alarm(&self.storage, record.until)?;
        Ok(())
    }

    fn query(&self, sql: &str) -> worker::Result<Vec<Vec<Value>>> {
        self.sql.run(sql, Vec::new())
    }

    fn obey(&self, command: &Command) -> worker::Result<Answer> {
        let before = self.read()?;
        let (after, answer) = authorization_code::obey(before, command, runtime::now());
        if let Some(record) = after.filter(|_| after != before) {
            self.write(&record)?;
        }
        Ok(answer)
    }

    async fn fade(&self) -> worker::Result<()> {
        match self.read()? {
            // The code came again when the time of its first record was over.
            Some(record) if runtime::now() < record.until => {
                objects::set_alarm(&self.storage, record.until)?;
            }
            _ => objects::delete_all(&self.storage).await?,
        }
        Ok(())
    }
}

fn broken<E>(_: E) -> worker::Error {
    worker::Error::RustError("codes_failed".to_owned())
}
