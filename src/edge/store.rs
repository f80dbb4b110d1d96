//! Where sessions live, as the bindings say.

use futures_util::FutureExt as _;

use super::{kv, ledger, runtime::Runtime};
use crate::{
    app::{
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
            Self::Kv(sessions) => sessions.register(birth).boxed_local().await,
            Self::Ledger(sessions) => sessions.register(birth).boxed_local().await,
        }
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        match self {
            Self::Kv(sessions) => sessions.alive(session).boxed_local().await,
            Self::Ledger(sessions) => sessions.alive(session).boxed_local().await,
        }
    }

    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        deadline: Timestamp,
    ) -> Result<Ended, Unavailable> {
        match self {
            Self::Kv(sessions) => sessions.end(scope, logout, deadline).boxed_local().await,
            Self::Ledger(sessions) => sessions.end(scope, logout, deadline).boxed_local().await,
        }
    }

    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable> {
        match self {
            Self::Kv(sessions) => sessions.survey(scope, logout).boxed_local().await,
            Self::Ledger(sessions) => sessions.survey(scope, logout).boxed_local().await,
        }
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        match self {
            Self::Kv(sessions) => sessions.end_one(session).boxed_local().await,
            Self::Ledger(sessions) => sessions.end_one(session).boxed_local().await,
        }
    }
}
