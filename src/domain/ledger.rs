//! The ledger: what says, at once and everywhere, which sessions live.
//!
//! It consists of lists: one of the sessions of each user at an app, one of the sessions of each
//! `sid`. A list is kept in one place, so that what happens to it has one order. A session lives
//! while the list of its user has it and it has not ended there; the list of its `sid` is where a
//! logout of that `sid` finds it.
//!
//! Here are the transitions of one list, over its [`Rows`]. What an end demands elsewhere (an entry
//! deleted from KV, another list told) is left in the list as [`Rows::ended`] until it is done.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    limits,
    logout_token::Logout,
    session::{self, Birth, BirthRefused, Mark, Marks, Session, SessionId, SidKey, SubjectKey},
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
        let waits = self.ended.filter(|ended| ended.user_logout.is_some());
        self.expires <= now && waits.is_none_or(|ended| ended.since <= any_session_is_over(now))
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
    fn by(scope: Scope, logout: &Logout, place: i64) -> Self {
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

/// The rows of one list. Nothing else happens to it while a transition runs.
pub trait Rows {
    /// The storage failed: what was done may last or not, and the transition must be repeated.
    type Error;

    /// The row of a session.
    ///
    /// # Errors
    /// `Self::Error`, as of all methods.
    fn find(&self, id: &SessionId) -> Result<Option<Row>, Self::Error>;

    /// Adds a row.
    ///
    /// # Errors
    /// `Self::Error`.
    fn insert(&self, row: &Row) -> Result<(), Self::Error>;

    /// Ends the rows that are doomed and have not ended.
    ///
    /// # Errors
    /// `Self::Error`.
    fn end(&self, doomed: &Doomed, ending: &Ending) -> Result<Counts, Self::Error>;

    /// Ends a row, if it is there and has not ended; gives whether it did.
    ///
    /// # Errors
    /// `Self::Error`.
    fn end_one(&self, id: &SessionId, ending: &Ending) -> Result<bool, Self::Error>;

    /// The rows that are doomed and have not ended: how many, and of those with the latest logins
    /// the first so many.
    ///
    /// # Errors
    /// `Self::Error`.
    fn doomed(&self, doomed: &Doomed, limit: usize) -> Result<(usize, Vec<Row>), Self::Error>;

    /// How many of a scope have not ended.
    ///
    /// # Errors
    /// `Self::Error`.
    fn count_live(&self, scope: &Scope) -> Result<usize, Self::Error>;

    /// Rows that have ended, the first so many.
    ///
    /// # Errors
    /// `Self::Error`.
    fn ended(&self, limit: usize) -> Result<Vec<Row>, Self::Error>;

    /// Removes the row of a session.
    ///
    /// # Errors
    /// `Self::Error`.
    fn remove(&self, id: &SessionId) -> Result<(), Self::Error>;

    /// The place that a logout has, or would have: after all that the list and its rows remember. Rows
    /// may remember more logouts than the list does.
    ///
    /// # Errors
    /// `Self::Error`.
    fn place(&self, scope: &Scope, logout: Timestamp) -> Result<i64, Self::Error>;

    /// The latest logout of a scope, by the OP's clock.
    ///
    /// # Errors
    /// `Self::Error`.
    fn latest(&self, scope: &Scope) -> Result<Option<Mark>, Self::Error>;

    /// The place of the last logout that was received and is remembered, or 0.
    ///
    /// # Errors
    /// `Self::Error`.
    fn last_seq(&self) -> Result<i64, Self::Error>;

    /// Takes a logout in, and remembers it until then at least: gives its [`Rows::place`].
    ///
    /// # Errors
    /// `Self::Error`.
    fn receive(&self, of: &Scope, logout: Timestamp, until: Timestamp) -> Result<i64, Self::Error>;

    /// Removes rows and logouts whose time is over: see [`Row::is_over`].
    ///
    /// # Errors
    /// `Self::Error`.
    fn expire(&self, now: Timestamp) -> Result<(), Self::Error>;

    /// When the first of them expires, of rows that wait for that.
    ///
    /// # Errors
    /// `Self::Error`.
    fn first_expiry(&self) -> Result<Option<Timestamp>, Self::Error>;

    /// For when the list's alarm is set, as far as is known.
    fn alarm(&self) -> Option<Timestamp>;

    /// Sets the alarm, together with all that the transition has written.
    ///
    /// # Errors
    /// `Self::Error`.
    fn set_alarm(&self, at: Timestamp) -> Result<(), Self::Error>;
}

/// Takes a new session into a list, unless a logout covers it. One that is there already is not
/// taken twice.
///
/// # Errors
/// Those of the rows.
pub fn admit<R: Rows>(
    rows: &R,
    list: List,
    birth: &Birth,
) -> Result<Result<(), BirthRefused>, R::Error> {
    let session = &birth.session;
    if let Some(row) = rows.find(&session.id)? {
        let lives = row.ended.is_none();
        return Ok(lives.then_some(()).ok_or(BirthRefused::LoggedOut));
    }
    let of_all = rows.latest(&Scope::All)?;
    let marks = match list {
        List::User(_) => Marks {
            subject: of_all,
            sid: rows.latest(&Scope::Sid(session.sid))?,
        },
        List::Sid(_) => Marks {
            subject: None,
            sid: of_all,
        },
    };
    // Whether a session or a logout came first the list knows; no margin is needed.
    if let Err(refused) = session::admit(birth, &marks, Duration::ZERO) {
        return Ok(Err(refused));
    }
    rows.insert(&Row {
        id: session.id,
        other: list.other(session),
        login: session.login,
        expires: session.expires,
        seq: rows.last_seq()?,
        ended: None,
    })?;
    look_by(rows, session.expires, session.registered_at)?;
    Ok(Ok(()))
}

/// Whether a session lives.
///
/// # Errors
/// Those of the rows.
pub fn is_alive<R: Rows>(rows: &R, id: &SessionId) -> Result<bool, R::Error> {
    Ok(rows.find(id)?.is_some_and(|row| row.ended.is_none()))
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
    let place = rows.receive(&scope, logout.at, logout.remembered_until(now))?;
    let doomed = Doomed::by(scope, logout, place);
    let ending = Ending {
        since: now,
        user_logout: takes_users.then_some(*logout),
    };
    let counts = rows.end(&doomed, &ending)?;
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
    let doomed = Doomed::by(scope, logout, rows.place(&scope, logout.at)?);
    let (ended, found) = rows.doomed(&doomed, limits::SESSIONS_LISTED)?;
    let later = rows.count_live(&scope)?.saturating_sub(ended);
    Ok((Counts { ended, later }, found))
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
        ended = ended.saturating_add(rows.end_one(id, &ending)?.into());
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
    let retry = rows.ended(1)?.first().and_then(|row| {
        let waited = now.since(row.ended?.since);
        let pause = waited.mul_f32(0.5);
        Some(now.plus(pause.clamp(limits::LEDGER_RETRY_MIN, limits::LEDGER_RETRY_MAX)))
    });
    let expiry = rows.first_expiry()?;
    Ok(retry.into_iter().chain(expiry).min())
}

/// What is left to do when the alarm goes off in a list that nobody asks any more: it lasts as long
/// as its rows do. Gives when it is to be looked at again; never, if it is empty.
///
/// # Errors
/// Those of the rows.
pub fn fade<R: Rows>(rows: &R, now: Timestamp) -> Result<Option<Timestamp>, R::Error> {
    rows.expire(now)?;
    let next = next_look(rows, now)?;
    if let Some(next) = next {
        rows.set_alarm(next)?;
    }
    Ok(next)
}

/// Gives whether something that ends demand is left to do. If nothing is, the list need not be looked
/// at before something expires; an empty one is kept for a while, for who comes back.
///
/// # Errors
/// Those of the rows.
pub fn settle<R: Rows>(rows: &R, now: Timestamp) -> Result<bool, R::Error> {
    if !rows.ended(1)?.is_empty() {
        return Ok(true);
    }
    // None if the alarm has been faster, and the list is gone.
    if rows.alarm().is_some() {
        let next = rows.first_expiry()?;
        // If the alarm stays as it is, it goes off in vain.
        let _ = rows.set_alarm(next.unwrap_or(now.plus(limits::LEDGER_EMPTY)));
    }
    Ok(false)
}

/// Sees to it that the list is looked at again by then. An earlier alarm that is set stays.
fn look_by<R: Rows>(rows: &R, at: Timestamp, now: Timestamp) -> Result<(), R::Error> {
    match rows.alarm() {
        Some(alarm) if alarm <= at => Ok(()),
        Some(_) => rows.set_alarm(at),
        // After a restart nobody remembers, and what waits must not wait longer, however often.
        None => {
            let is_waiting = !rows.ended(1)?.is_empty();
            let retry = is_waiting.then(|| now.plus(limits::LEDGER_RETRY_MIN));
            let others = retry.into_iter().chain(rows.first_expiry()?);
            rows.set_alarm(others.fold(at, Timestamp::min))
        }
    }
}
