//! The breaker of an issuer: where its logouts would end more than they may in a while, they are
//! held until an operator has looked. What has been let through is a sum over the last seconds, kept
//! in one place, so that logouts that come at the same time are counted right.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Shelf;
use crate::domain::{
    config::Breaker, digest::Digest, limits, logout_token::Logout, session::Scope, time::Timestamp,
};

/// A logout that was ordered and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// At which app: its [`crate::domain::config::App::id`].
    pub app: Digest,
    /// Whose sessions it ends.
    pub scope: Scope,
    /// When it was ordered.
    pub logout: Logout,
}

impl Ordered {
    /// The same for a repeat of the same logout, and for nothing else.
    fn name(&self) -> Digest {
        let (kind, sid, of_sub, widens) = match &self.scope {
            Scope::Subject(subject) => ("subject", None, Some((subject, None)), false),
            Scope::Sid { sid, sub, widens } => {
                let sub = sub.as_ref().map(|sub| (&sub.subject, sub.without_sid));
                ("sid", Some(sid), sub, *widens)
            }
        };
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let parts = [
            Some(self.app.to_string()),
            Some(kind.to_owned()),
            text(sid.map(|sid| sid.0)),
            text(of_sub.map(|(subject, _)| subject.0)),
            text(of_sub.and_then(|(_, without_sid)| Some(without_sid?.0))),
            widens.then(String::new),
            Some(self.logout.at.millis().to_string()),
        ];
        // What is not there is told from what is empty.
        let parts =
            parts.map(|part| part.map_or_else(|| "-".to_owned(), |part| format!("+{part}")));
        Digest::of("ordered", &parts.each_ref().map(String::as_str))
    }
}

/// A logout that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The logout.
    pub ordered: Ordered,
    /// When it came, by our clock.
    pub came: Timestamp,
}

impl Held {
    /// The logout as it is performed where it ends what began up to `spread` after it, if that was there
    /// before it came: what began since then is not meant, however late it is released.
    #[must_use]
    pub fn logout_within(&self, spread: Duration) -> Logout {
        let Logout { at, valid_until } = self.ordered.logout;
        let reach = at.plus(spread).min(self.came).max(at);
        Logout {
            at: reach.minus(spread),
            valid_until,
        }
    }
}

/// What becomes of a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is performed.
    Admitted,
    /// It waits for an operator.
    Held,
    /// Too many wait already: it is neither performed nor kept.
    Full,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Since when it holds logouts, if it does.
    pub tripped_at: Option<Timestamp>,
    /// How many it holds, those included that are being performed now.
    pub held: usize,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    tripped_at: Option<Timestamp>,
    /// How often it has tripped.
    trips: u32,
    /// The logouts of trips up to this one have been released.
    released: u32,
    /// How many logouts of the last trip have been kept.
    kept: usize,
    admitted: Vec<Admitted>,
}

#[derive(Serialize, Deserialize)]
struct Admitted {
    /// Of the logout's name so much that no two in one window are the same by chance.
    name: [u8; 8],
    at: Timestamp,
    sessions: usize,
}

const STATE: &str = "breaker";
const KEPT: &str = "held/";

fn state<S: Shelf>(shelf: &S) -> Result<State, S::Error> {
    Ok(shelf.get(STATE)?.unwrap_or_default())
}

/// Decides about a logout that would end so many sessions. A repeat of one that was admitted is
/// admitted and not counted again, and so is one that ends nothing.
///
/// # Errors
/// Those of the shelf.
pub fn judge<S: Shelf>(
    shelf: &S,
    breaker: Breaker,
    ordered: &Ordered,
    sessions: usize,
    now: Timestamp,
) -> Result<Verdict, S::Error> {
    let mut state = state(shelf)?;
    let digest = ordered.name();
    let name = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    state
        .admitted
        .retain(|admitted| now.since(admitted.at) < breaker.span);
    let is_repeat = state.admitted.iter().any(|admitted| admitted.name == name);
    if is_repeat || sessions == 0 {
        return Ok(Verdict::Admitted);
    }
    if state.tripped_at.is_none() {
        let sum = state.admitted.iter().map(|admitted| admitted.sessions);
        let sum = sum.fold(sessions, usize::saturating_add);
        if sum <= breaker.sessions {
            let at = now;
            state.admitted.push(Admitted { name, at, sessions });
            shelf.put(STATE, &state)?;
            return Ok(Verdict::Admitted);
        }
        state.tripped_at = Some(now);
        state.trips = state.trips.saturating_add(1);
        state.kept = 0;
        shelf.put(STATE, &state)?;
    }
    let key = format!("{KEPT}{:010}/{digest}", state.trips);
    if shelf.get::<Held>(&key)?.is_none() {
        if state.kept >= limits::HELD {
            return Ok(Verdict::Full);
        }
        let (ordered, came) = (*ordered, now);
        shelf.put(&key, &Held { ordered, came })?;
        state.kept = state.kept.saturating_add(1);
        shelf.put(STATE, &state)?;
    }
    Ok(Verdict::Held)
}

/// How the breaker stands.
///
/// # Errors
/// Those of the shelf.
pub fn standing<S: Shelf>(shelf: &S) -> Result<Standing, S::Error> {
    Ok(Standing {
        tripped_at: state(shelf)?.tripped_at,
        held: shelf.count(KEPT)?,
    })
}

/// Closes the breaker. What it held may be performed now: see [`released`]; and the desk wakes up to
/// do so, should whoever released it not come to it.
///
/// # Errors
/// Those of the shelf.
pub fn release<S: Shelf>(shelf: &S, now: Timestamp) -> Result<(), S::Error> {
    close(shelf)?;
    if shelf.count(KEPT)? > 0 {
        shelf.wake(now.plus(limits::LEDGER_REPAIR))?;
    }
    Ok(())
}

fn close<S: Shelf>(shelf: &S) -> Result<(), S::Error> {
    let trips = state(shelf)?.trips;
    shelf.put(
        STATE,
        &State {
            trips,
            released: trips,
            ..State::default()
        },
    )
}

/// Closes the breaker, and forgets what it held; gives how many logouts that were.
///
/// # Errors
/// Those of the shelf.
pub fn discard<S: Shelf>(shelf: &S) -> Result<usize, S::Error> {
    close(shelf)?;
    shelf.clear(KEPT)
}

/// Logouts that were released and have not been performed, the first `limit`, with the names by which
/// they are [`performed`].
///
/// # Errors
/// Those of the shelf.
pub fn released<S: Shelf>(shelf: &S, limit: usize) -> Result<Vec<(String, Held)>, S::Error> {
    let end = format!("{KEPT}{:010}/", state(shelf)?.released.saturating_add(1));
    let mut held = shelf.first(KEPT, limit)?;
    held.retain(|(name, _)| *name < end);
    Ok(held)
}

/// A released logout could not be performed: the others come before it.
///
/// # Errors
/// Those of the shelf.
pub fn postponed<S: Shelf>(shelf: &S, name: &str, held: &Held) -> Result<(), S::Error> {
    // The sign comes after all that names have.
    let Some((trip, rest)) = name
        .rsplit_once('/')
        .filter(|(_, rest)| !rest.starts_with('~'))
    else {
        return Ok(());
    };
    shelf.put(&format!("{trip}/~{rest}"), held)?;
    shelf.remove(name)
}

/// A released logout has been performed.
///
/// # Errors
/// Those of the shelf.
pub fn performed<S: Shelf>(shelf: &S, name: &str) -> Result<(), S::Error> {
    shelf.remove(name)
}

#[cfg(test)]
mod tests;
