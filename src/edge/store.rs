//! Where sessions live, as the bindings say.

use super::{kv, ledger, runtime::Runtime};
use crate::{
    app::{
        apart,
        kv_sessions::KvSessions,
        ledger::LedgerSessions,
        ports::{Ended, Sessions, Survey, Unavailable},
    },
    domain::{
        logout_token::Logout,
        session::{Birth, BirthRefused, Life, Scope, Session},
        time::Timestamp,
    },
};

/// The sessions of one app.
pub(super) enum Store<'a> {
    Kv(KvSessions<'a, Runtime, kv::Namespace>),
    Ledger(LedgerSessions<'a, Runtime, kv::Namespace, ledger::Namespace>),
}

impl Sessions for Store<'_> {
    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
        match self {
            Self::Kv(sessions) => apart(sessions.register(birth)).await,
            Self::Ledger(sessions) => apart(sessions.register(birth)).await,
        }
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        match self {
            Self::Kv(sessions) => apart(sessions.alive(session)).await,
            Self::Ledger(sessions) => apart(sessions.alive(session)).await,
        }
    }

    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        deadline: Timestamp,
    ) -> Result<Ended, Unavailable> {
        match self {
            Self::Kv(sessions) => apart(sessions.end(scope, logout, deadline)).await,
            Self::Ledger(sessions) => apart(sessions.end(scope, logout, deadline)).await,
        }
    }

    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable> {
        match self {
            Self::Kv(sessions) => apart(sessions.survey(scope, logout)).await,
            Self::Ledger(sessions) => apart(sessions.survey(scope, logout)).await,
        }
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        match self {
            Self::Kv(sessions) => apart(sessions.end_one(session)).await,
            Self::Ledger(sessions) => apart(sessions.end_one(session)).await,
        }
    }
}
