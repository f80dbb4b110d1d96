//! Sessions by the ledger: at once and everywhere.
//!
//! The list of the user says whether a session lives; KV holds one entry per session, as a record.

mod object;
mod protocol;
mod survey;

use std::time::Duration;

use futures_util::future::{OptionFuture, join3};

pub use self::{
    object::Object,
    protocol::{Answer, Command, Elsewhere, Listed, Order, Outcome, Surveyed},
};
use super::{
    entry,
    ports::{Ended, Kv, Ledger, Sessions, Survey, Unavailable, World},
};
use crate::domain::{
    ledger::{self, List},
    logout_token::Logout,
    session::{Birth, BirthRefused, EndedBy, Life, Scope, Session},
    time::Timestamp,
};

/// The sessions of one app.
pub struct LedgerSessions<'a, W, K, L> {
    /// For the clock and the leases.
    pub world: &'a W,
    /// Where the entries are.
    pub kv: &'a K,
    /// Who says what lives.
    pub ledger: &'a L,
    /// The app's `session_lifetime`.
    pub lifetime: Duration,
    /// The app's `ledger_lease_seconds`.
    pub lease: Duration,
}

impl<W: World, K: Kv, L: Ledger> Sessions for LedgerSessions<'_, W, K, L> {
    /// The entry comes first, so that none is left behind; then the list of the user; the list of
    /// the `sid` last: what a logout of the `sid` finds there, the list of its user has.
    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
        let session = &birth.session;
        entry::write(self.kv, session, self.world.now()).await?;
        let of_user = List::User(session.subject);
        let admitted = self.ledger.admit(of_user, birth).await?;
        if admitted.is_err() {
            // Nobody has its cookies: what stays would only be untidy.
            let _ = self.kv.delete(&entry::key(session.sid, &session.id)).await;
            return Ok(admitted);
        }
        if !birth.has_sid {
            return Ok(Ok(()));
        }
        let admitted = self.ledger.admit(List::Sid(session.sid), birth).await?;
        if admitted.is_err() {
            let _ = self.end_one(session).await;
        }
        Ok(admitted)
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        let now = self.world.now();
        if session.is_over(self.lifetime, now) {
            return Ok(Life::Ended(EndedBy::Lifetime));
        }
        let is_leased = self
            .world
            .with_leases(|leases| leases.hold(&session.id, now));
        if is_leased {
            return Ok(Life::Alive);
        }
        let list = List::User(session.subject);
        if !self.ledger.alive(list, session.id).await? {
            return Ok(Life::Ended(EndedBy::Deletion));
        }
        if !self.lease.is_zero() {
            let until = now.plus(self.lease);
            self.world
                .with_leases(|leases| leases.grant(session.id, until));
        }
        Ok(Life::Alive)
    }

    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        _: Timestamp,
    ) -> Result<Ended, Unavailable> {
        let order = |scope| Order {
            scope,
            logout: *logout,
            takes_users: false,
            subject: None,
        };
        let of_user = |subject, scope| self.ledger.end(List::User(subject), order(scope));
        let (sid, sub, widens) = match *scope {
            Scope::Subject(subject) => {
                let outcome = of_user(subject, ledger::Scope::All).await?;
                return Ok(ended_of_user(&outcome));
            }
            Scope::Sid { sid, sub, widens } => (sid, sub, widens),
        };
        let of_sid = Order {
            takes_users: widens,
            subject: sub.map(|sub| sub.subject),
            ..order(ledger::Scope::All)
        };
        let without_sid = sub.and_then(|sub| {
            let scope = ledger::Scope::Sid(sub.without_sid?);
            Some(of_user(sub.subject, scope))
        });
        let of_token = sub.filter(|_| widens);
        let of_token = of_token.map(|sub| of_user(sub.subject, ledger::Scope::All));
        let (of_sid, without_sid, of_token) = join3(
            self.ledger.end(List::Sid(sid), of_sid),
            OptionFuture::from(without_sid),
            OptionFuture::from(of_token),
        )
        .await;
        let of_sid = of_sid?;
        let mut ended = Ended {
            matched: of_sid.elsewhere.ended,
            later: of_sid.here.later,
            of_other_subject: of_sid.elsewhere.of_other_subject,
            ..Ended::default()
        };
        for outcome in without_sid.into_iter().chain(of_token) {
            ended = ended.and(ended_of_user(&outcome?));
        }
        // The list goes on by itself, but they have not all ended yet.
        if of_sid.is_left {
            return Err(Unavailable("ledger_unconfirmed"));
        }
        Ok(ended)
    }

    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable> {
        survey::survey(self.ledger, scope, logout).await
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        self.world.with_leases(|leases| leases.revoke(&session.id));
        let list = List::User(session.subject);
        self.ledger.end_some(list, vec![session.id]).await?;
        Ok(())
    }
}

/// In the list of a user, what is left to do is tidying up.
const fn ended_of_user(outcome: &Outcome) -> Ended {
    Ended {
        matched: outcome.here.ended,
        later: outcome.here.later,
        of_other_subject: 0,
        unreadable: 0,
        deferred: outcome.is_left,
    }
}

#[cfg(test)]
mod tests;
