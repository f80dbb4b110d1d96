//! The ledger: what says, at once and everywhere, which sessions live.
//!
//! It consists of lists: one of the sessions of each user at an app, one of the sessions of each
//! `sid`. A list is kept in one place, so that what happens to it has one order. A session lives
//! while the list of its user has it and it has not ended there; the list of its `sid` is where a
//! logout of that `sid` finds it.
//!
//! Here are the transitions of one list, over its [`Table`]. What an end demands elsewhere (an entry
//! deleted from KV, another list told) is left in the list as [`Table::ended`] until it is done.

mod table;

use std::{cmp::Reverse, fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::table::{Change, Doomed, Ending, Received, Row, Scope, Table, any_session_is_over};
use super::{
    limits,
    logout_token::Logout,
    session::{self, Birth, BirthRefused, Marks, Session, SessionId, SidKey, SubjectKey},
    time::Timestamp,
};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum List {
    /// That of a user at an app.
    User(SubjectKey),
    /// That of a `sid` at an app. What stands for "no `sid`" has none.
    Sid(SidKey),
}

impl fmt::Display for List {
    /// Its name: `u:` or `s:`, and the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(SubjectKey(hash)) => write!(f, "u:{hash}"),
            Self::Sid(SidKey(hash)) => write!(f, "s:{hash}"),
        }
    }
}

impl List {
    /// The one of the two that a session is in besides this one.
    const fn other(self, session: &Session) -> Self {
        match self {
            Self::User(_) => Self::Sid(session.sid),
            Self::Sid(_) => Self::User(session.subject),
        }
    }
}

/// What keeps the table of one list. Nothing else happens to it while a transition runs.
pub trait Rows {
    /// The storage failed: what was done may last or not, and the transition must be repeated.
    type Error;

    /// Looks at the table.
    ///
    /// # Errors
    /// `Self::Error`.
    fn read<T>(&self, look: impl FnOnce(&Table) -> T) -> Result<T, Self::Error>;

    /// Makes a change, so that it lasts: all that is written before the next `await` together.
    ///
    /// # Errors
    /// `Self::Error`.
    fn write(&self, change: &Change) -> Result<(), Self::Error>;
}

/// Takes a new session into a list, unless a logout covers it. One that is there already is not
/// taken twice. In a list that is full, with [`limits::LEDGER_SESSIONS`], the earliest one ends for it.
///
/// # Errors
/// Those of the rows.
pub fn admit<R: Rows>(
    rows: &R,
    list: List,
    birth: &Birth,
) -> Result<Result<(), BirthRefused>, R::Error> {
    let now = birth.session.registered_at;
    let row = match rows.read(|table| new_row(table, list, birth))? {
        Ok(row) => row,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some(row) = row {
        if let Some(earliest) = rows.read(|table| table.surplus().map(|row| row.id))? {
            end_some(rows, &[earliest], now)?;
        }
        rows.write(&Change::Insert(row))?;
    }
    // Also for one that is there: that may be all that was done before.
    look_by(rows, birth.session.expires, now)?;
    Ok(Ok(()))
}

/// The row of a new session; none if it is there.
fn new_row(table: &Table, list: List, birth: &Birth) -> Result<Option<Row>, BirthRefused> {
    let session = &birth.session;
    if let Some(row) = table.rows.get(&session.id) {
        let lives = row.ended.is_none();
        return lives.then_some(None).ok_or(BirthRefused::LoggedOut);
    }
    let of_all = table.latest(Scope::All);
    let marks = match list {
        List::User(_) => Marks {
            subject: of_all,
            sid: table.latest(Scope::Sid(session.sid)),
        },
        List::Sid(_) => Marks {
            subject: None,
            sid: of_all,
        },
    };
    // Whether a session or a logout came first the list knows; no margin is needed.
    session::admit(birth, &marks, Duration::ZERO)?;
    Ok(Some(Row {
        id: session.id,
        other: list.other(session),
        login: session.login,
        expires: session.expires,
        seq: table.last_seq(),
        ended: None,
    }))
}

/// Whether a session lives.
///
/// # Errors
/// Those of the rows.
pub fn is_alive<R: Rows>(rows: &R, id: &SessionId) -> Result<bool, R::Error> {
    rows.read(|table| table.is_alive(id))
}

/// What a logout did to a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Sessions ended.
    pub ended: usize,
    /// Sessions of the scope that were left alone: they began later.
    pub later: usize,
}

/// Ends the sessions of a scope that began up to a logout and came before it. The same logout once
/// more ends only what it could have ended the first time.
///
/// # Errors
/// Those of the rows.
pub fn end<R: Rows>(
    rows: &R,
    scope: Scope,
    logout: &Logout,
    takes_users: bool,
    now: Timestamp,
) -> Result<Counts, R::Error> {
    let received = Received {
        scope,
        logout: logout.at,
        seq: rows.read(|table| table.place(scope, logout.at))?,
        until: logout.remembered_until(now),
    };
    rows.write(&Change::Receive(received))?;
    let doomed = Doomed::by(scope, logout, received.seq);
    let counts = rows.read(|table| table.counts(&doomed))?;
    if counts.ended > 0 {
        let ending = Ending {
            since: now,
            user_logout: takes_users.then_some(*logout),
        };
        rows.write(&Change::End(doomed, ending))?;
    }
    look_by(rows, now.plus(limits::LEDGER_RETRY_MIN), now)?;
    Ok(counts)
}

/// What a logout would end now, and the first [`limits::SESSIONS_LISTED`] of it. Changes nothing.
///
/// # Errors
/// Those of the rows.
pub fn survey<R: Rows>(
    rows: &R,
    scope: Scope,
    logout: &Logout,
) -> Result<(Counts, Vec<Row>), R::Error> {
    rows.read(|table| {
        let doomed = Doomed::by(scope, logout, table.place(scope, logout.at));
        let mut found: Vec<_> = table.doomed(&doomed).copied().collect();
        found.sort_unstable_by_key(|row| (Reverse(row.login), row.id));
        found.truncate(limits::SESSIONS_LISTED);
        (table.counts(&doomed), found)
    })
}

/// Ends single sessions; gives how many.
///
/// # Errors
/// Those of the rows.
pub fn end_some<R: Rows>(rows: &R, ids: &[SessionId], now: Timestamp) -> Result<usize, R::Error> {
    let ending = Ending {
        since: now,
        user_logout: None,
    };
    let mut ended = 0_usize;
    for id in ids {
        if rows.read(|table| table.is_alive(id))? {
            rows.write(&Change::EndOne(*id, ending))?;
            ended = ended.saturating_add(1);
        }
    }
    if ended > 0 {
        look_by(rows, now.plus(limits::LEDGER_RETRY_MIN), now)?;
    }
    Ok(ended)
}

/// When the list wants to be looked at again; never, if it is empty.
///
/// What an end demands is tried again after half the time that it has been waiting.
///
/// # Errors
/// Those of the rows.
pub fn next_look<R: Rows>(rows: &R, now: Timestamp) -> Result<Option<Timestamp>, R::Error> {
    rows.read(|table| {
        let retry = table.ended().next().and_then(|row| {
            let waited = now.since(row.ended?.since);
            let pause = waited.mul_f32(0.5);
            Some(now.plus(pause.clamp(limits::LEDGER_RETRY_MIN, limits::LEDGER_RETRY_MAX)))
        });
        retry.into_iter().chain(table.first_expiry()).min()
    })
}

/// What is left to do when the alarm goes off in a list that nobody asks any more: it lasts as long
/// as its rows do. Gives when it is to be looked at again; never, if it is empty.
///
/// # Errors
/// Those of the rows.
pub fn fade<R: Rows>(rows: &R, now: Timestamp) -> Result<Option<Timestamp>, R::Error> {
    rows.write(&Change::Expire(now))?;
    let next = next_look(rows, now)?;
    if let Some(next) = next {
        rows.write(&Change::Wake(next))?;
    }
    Ok(next)
}

/// Gives whether something that ends demand is left to do. If nothing is, the list need not be looked
/// at before something expires; an empty one is kept for a while, for who comes back.
///
/// # Errors
/// Those of the rows.
pub fn settle<R: Rows>(rows: &R, now: Timestamp) -> Result<bool, R::Error> {
    let (is_left, alarm, next) =
        rows.read(|table| (table.has_ended(), table.alarm, table.first_expiry()))?;
    // No alarm if it has been faster, and the list is gone.
    if !is_left && alarm.is_some() {
        let next = next.unwrap_or(now.plus(limits::LEDGER_EMPTY));
        // If the alarm stays as it is, it goes off in vain.
        let _ = rows.write(&Change::Wake(next));
    }
    Ok(is_left)
}

/// Sees to it that the list is looked at again by then. An earlier alarm that is set stays.
fn look_by<R: Rows>(rows: &R, at: Timestamp, now: Timestamp) -> Result<(), R::Error> {
    let due = rows.read(|table| {
        if let Some(alarm) = table.alarm {
            return (at < alarm).then_some(at);
        }
        // After a restart nobody remembers, and what waits must not wait longer, however often.
        let is_waiting = table.has_ended();
        let retry = is_waiting.then(|| now.plus(limits::LEDGER_RETRY_MIN));
        let others = retry.into_iter().chain(table.first_expiry());
        Some(others.fold(at, Timestamp::min))
    })?;
    due.map_or(Ok(()), |due| rows.write(&Change::Wake(due)))
}
