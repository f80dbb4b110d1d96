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

const TABLE: &str = "CREATE TABLE IF NOT EXISTS code (record BLOB NOT NULL)";

impl AuthorizationCode {
    fn obey(&self, command: &Command) -> worker::Result<Option<Answer>> {
        let sql = self.state.storage().sql();
        sql.exec(TABLE, None)?;
        let rows: Vec<Vec<Value>> = sql
            .exec("SELECT record FROM code", None)?
            .raw()
            .collect::<worker::Result<_>>()?;
        let before: Option<Record> = match rows.first().map(Vec::as_slice) {
            None => None,
            Some([Value::Blob(record)]) => match postcard::from_bytes(record) {
                Ok(record) => Some(record),
                // A record that cannot be read is not one that is not there.
                Err(_) => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        let (after, answer) = authorization_code::obey(before, command, runtime::now());
        if after != before
            && let Some(record) = after
        {
            let Ok(bytes) = postcard::to_allocvec(&record) else {
                return Ok(None);
            };
            sql.exec("DELETE FROM code", None)?;
            sql.exec(
                "INSERT INTO code (record) VALUES (?)",
                vec![Value::Blob(bytes)],
            )?;
            objects::set_alarm(&self.state.storage(), record.until)?;
        }
        Ok(Some(answer))
    }
}

impl DurableObject for AuthorizationCode {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match objects::command::<Command>(&request) {
            Some(command) => objects::answer(self.obey(&command)?.as_ref()),
            None => objects::not_understood(),
        }
    }

    /// Its time is over.
    async fn alarm(&self) -> worker::Result<Response> {
        self.state.storage().delete_all().await?;
        Response::empty()
    }
}
