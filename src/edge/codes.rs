//! What is known of authorization codes, as Durable Objects: one per code, for a minute.

use worker::{
    DurableObject, Env, ObjectNamespace, Request, Response, SqlStorageValue as Value, State,
    durable_object,
};

use super::{
    objects::{self, Unanswered},
    runtime,
};
use crate::{
    app::ports::{self, Unavailable},
    domain::authorization_code::{self, Answer, CodeKey, Command, Record},
};

/// The namespace of the records; none where it is not bound.
pub(super) struct Namespace(pub(super) Option<ObjectNamespace>);

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
#[durable_object(alarm)]
pub struct AuthorizationCode {
    state: State,
}

const HAS_TABLE: &str = "SELECT name FROM sqlite_master WHERE name = 'code'";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS code (record BLOB NOT NULL)";

impl AuthorizationCode {
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
        let sql = self.state.storage().sql();
        let bytes = postcard::to_allocvec(record).map_err(broken)?;
        sql.exec(TABLE, None)?;
        sql.exec("DELETE FROM code", None)?;
        sql.exec(
            "INSERT INTO code (record) VALUES (?)",
            vec![Value::Blob(bytes)],
        )?;
        objects::set_alarm(&self.state.storage(), record.until)?;
        Ok(())
    }

    fn query(&self, sql: &str) -> worker::Result<Vec<Vec<Value>>> {
        self.state.storage().sql().exec(sql, None)?.raw().collect()
    }

    fn obey(&self, command: &Command) -> worker::Result<Answer> {
        let before = self.read()?;
        let (after, answer) = authorization_code::obey(before, command, runtime::now());
        if let Some(record) = after.filter(|_| after != before) {
            self.write(&record)?;
        }
        Ok(answer)
    }
}

fn broken<E>(_: E) -> worker::Error {
    worker::Error::RustError("codes_failed".to_owned())
}

impl DurableObject for AuthorizationCode {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match objects::command::<Command>(&request) {
            Some(command) => objects::answer(self.obey(&command).ok().as_ref()),
            None => objects::not_understood(),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        match self.read()? {
            // The code came again when the time of its first record was over.
            Some(record) if runtime::now() < record.until => {
                objects::set_alarm(&self.state.storage(), record.until)?;
            }
            _ => self.state.storage().delete_all().await?,
        }
        Response::empty()
    }
}
