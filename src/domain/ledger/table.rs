//! What a list holds, in memory, and how that changes. Storage keeps the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counts, List};
use crate::domain::{
    limits,
    logout_token::Logout,
    session::{Mark, SessionId, SidKey},
    time::Timestamp,
};

/// A session in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Which.
    pub id: SessionId,
    /// The other list of the two.
    pub other: List,
    /// Its login time.
    pub login: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// How many logouts the list had received before it.
    pub seq: i64,
    /// Whether it has ended. The row goes when what that demands has been done.
    pub ended: Option<Ending>,
}

impl Row {
    /// Whether it has nothing more to say. What the list of a user is still to be told concerns other
    /// sessions too, and stays as long as any of them may live.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now
            && self
                .user_logout()
                .is_none_or(|ended| ended.since <= any_session_is_over(now))
    }

    /// The end that its user's list is to be told as a logout.
    fn user_logout(&self) -> Option<Ending> {
        self.ended.filter(|ended| ended.user_logout.is_some())
    }
}

/// Sessions that began up to then have ended by themselves.
#[must_use]
pub fn any_session_is_over(now: Timestamp) -> Timestamp {
    now.minus(*limits::SESSION_LIFETIME_BOUNDS.end())
}

/// The end of a session, and what it demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Since when.
    pub since: Timestamp,
    /// In the list of a `sid` that stands for its users: the logout that their lists are told.
    pub user_logout: Option<Logout>,
}

/// Whom a logout ends in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everyone in it.
    All,
    /// In the list of a user: those of this `sid`, or of none.
    Sid(SidKey),
}

impl Scope {
    /// Whether a row is meant.
    #[must_use]
    pub fn has(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Sid(sid) => row.other == List::Sid(*sid),
        }
    }
}

/// Rows that a logout ends.
#[derive(Clone, Copy, Debug)]
pub struct Doomed {
    /// Whom it means.
    pub scope: Scope,
    /// Of those, the ones with a login up to then,
    pub login_up_to: Timestamp,
    /// which came before this logout.
    pub before: i64,
}

impl Doomed {
    /// Those of a logout: once more it ends only what it could have ended the first time.
    pub(super) fn by(scope: Scope, logout: &Logout, place: i64) -> Self {
        Self {
            scope,
            login_up_to: logout.at.plus(limits::OP_CLOCK_SPREAD),
            before: place,
        }
    }

    /// Whether a row is ended.
    #[must_use]
    pub fn has(&self, row: &Row) -> bool {
        self.scope.has(row) && row.login <= self.login_up_to && row.seq < self.before
    }
}

/// A logout that a list has received: sessions that come later are not what it meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Whom it ended.
    pub scope: Scope,
    /// The logout token's `iat`.
    pub logout: Timestamp,
    /// Its place in the order of the list's logouts.
    pub seq: i64,
    /// Until when it is remembered.
    pub until: Timestamp,
}

impl Received {
    fn is(&self, scope: Scope, logout: Timestamp) -> bool {
        (self.scope, self.logout) == (scope, logout)
    }
}

/// All that a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    /// Its sessions.
    pub rows: BTreeMap<SessionId, Row>,
    /// The logouts that it has received and remembers: few.
    pub received: Vec<Received>,
    /// For when its alarm is set, as far as is known.
    pub alarm: Option<Timestamp>,
}

/// A change of a list.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// A session comes in.
    Insert(Row),
    /// The rows that are doomed, and have not ended, end.
    End(Doomed, Ending),
    /// The row of a session ends, if it has not.
    EndOne(SessionId, Ending),
    /// The row of a session goes.
    Remove(SessionId),
    /// A logout is remembered. One that is, is at least as long as this one says.
    Receive(Received),
    /// Rows and logouts whose time is over go: see [`Row::is_over`].
    Expire(Timestamp),
    /// The alarm is set.
    Wake(Timestamp),
}

impl Table {
    /// Whether a session is there, and has not ended.
    #[must_use]
    pub fn is_alive(&self, id: &SessionId) -> bool {
        self.rows.get(id).is_some_and(|row| row.ended.is_none())
    }

    fn live(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| row.ended.is_none())
    }

    /// The rows that are doomed and have not ended.
    pub fn doomed(&self, doomed: &Doomed) -> impl Iterator<Item = &Row> {
        self.live().filter(|row| doomed.has(row))
    }

    /// How many are doomed, and how many of the scope are not.
    #[must_use]
    pub fn counts(&self, doomed: &Doomed) -> Counts {
        let ended = self.doomed(doomed).count();
        let all = self.live().filter(|row| doomed.scope.has(row)).count();
        Counts {
            ended,
            later: all.saturating_sub(ended),
        }
    }

    /// In a list that is full: of the sessions that have not ended, that with the earliest login.
    #[must_use]
    pub fn surplus(&self) -> Option<&Row> {
        let is_full = self.live().count() >= limits::LEDGER_SESSIONS;
        self.live().filter(|_| is_full).min_by_key(|row| row.login)
    }

    /// Rows that have ended.
    pub fn ended(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| row.ended.is_some())
    }

    /// Whether an end demands something that has not been done.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended().next().is_some()
    }

    /// The place that a logout has, or would have: after all that the list and its rows remember. Rows
    /// may remember more logouts than the list does.
    #[must_use]
    pub fn place(&self, scope: Scope, logout: Timestamp) -> i64 {
        if let Some(earlier) = self.received.iter().find(|known| known.is(scope, logout)) {
            return earlier.seq;
        }
        let of_rows = self.rows.values().map(|row| row.seq);
        let last = of_rows.fold(self.last_seq(), i64::max);
        last.saturating_add(1)
    }

    /// The latest logout of a scope, by the OP's clock.
    #[must_use]
    pub fn latest(&self, scope: Scope) -> Option<Mark> {
        let of_scope = |received: &&Received| received.scope == scope;
        let logouts = self.received.iter().filter(of_scope);
        logouts.map(|received| Mark(received.logout)).max()
    }

    /// The place of the last logout that was received and is remembered, or 0.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        let logouts = self.received.iter();
        logouts.map(|received| received.seq).max().unwrap_or(0)
    }

    /// When the first row or logout expires, of those that wait for that.
    #[must_use]
    pub fn first_expiry(&self) -> Option<Timestamp> {
        let rows = self.rows.values().filter(|row| row.user_logout().is_none());
        let logouts = self.received.iter().map(|received| received.until);
        rows.map(|row| row.expires).chain(logouts).min()
    }

    /// Makes a change.
    pub fn apply(&mut self, change: &Change) {
        match *change {
            Change::Insert(row) => drop(self.rows.insert(row.id, row)),
            Change::End(doomed, ending) => {
                let rows = self.rows.values_mut();
                rows.filter(|row| row.ended.is_none() && doomed.has(row))
                    .for_each(|row| row.ended = Some(ending));
            }
            Change::EndOne(id, ending) => {
                if let Some(row) = self.rows.get_mut(&id) {
                    row.ended.get_or_insert(ending);
                }
            }
            Change::Remove(id) => drop(self.rows.remove(&id)),
            Change::Receive(received) => {
                let mut known = self.received.iter_mut();
                match known.find(|known| known.is(received.scope, received.logout)) {
                    Some(known) => known.until = known.until.max(received.until),
                    None => self.received.push(received),
                }
            }
            Change::Expire(now) => {
                self.rows.retain(|_, row| !row.is_over(now));
                self.received.retain(|received| now < received.until);
            }
            Change::Wake(at) => self.alarm = Some(at),
        }
    }
}
