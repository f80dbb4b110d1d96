//! The breaker of an issuer: where its logouts would end more than they may in a while, they are
//! held until an operator has looked. What has been let through is a sum over the last seconds, kept
//! in one place, so that logouts that come at the same time are counted right.

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
    /// The same for a repeat of the same logout.
    fn name(&self) -> Digest {
        let of = self.scope.hash().to_string();
        let at = self.logout.at.millis().to_string();
        Digest::of("ordered", &[&self.app.to_string(), &of, &at])
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
const HELD: &str = "held/";

fn state<S: Shelf>(shelf: &S) -> Result<State, S::Error> {
    Ok(shelf.get(STATE)?.unwrap_or_default())
}

/// Decides about a logout that would end so many sessions. A repeat of one that was admitted is
/// admitted and not counted again.
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
    if state.admitted.iter().any(|admitted| admitted.name == name) {
        return Ok(Verdict::Admitted);
    }
    if state.tripped_at.is_none() {
        let sum = state.admitted.iter().map(|admitted| admitted.sessions);
        let sum = sum.fold(sessions, usize::saturating_add);
        if sum <= breaker.sessions {
            if sessions > 0 {
                let at = now;
                state.admitted.push(Admitted { name, at, sessions });
                shelf.put(STATE, &state)?;
            }
            return Ok(Verdict::Admitted);
        }
        state.tripped_at = Some(now);
        state.trips = state.trips.saturating_add(1);
        shelf.put(STATE, &state)?;
    }
    let key = format!("{HELD}{:010}/{digest}", state.trips);
    if shelf.get::<Ordered>(&key)?.is_none() {
        if shelf.count(HELD)? >= limits::HELD {
            return Ok(Verdict::Full);
        }
        shelf.put(&key, ordered)?;
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
        held: shelf.count(HELD)?,
    })
}

/// Closes the breaker. What it held may be performed now: see [`released`]; and the desk wakes up to
/// do so, should whoever released it not come to it.
///
/// # Errors
/// Those of the shelf.
pub fn release<S: Shelf>(shelf: &S, now: Timestamp) -> Result<(), S::Error> {
    close(shelf)?;
    if shelf.count(HELD)? > 0 {
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
    shelf.clear(HELD)
}

/// Logouts that were released and have not been performed, the first `limit`, with the names by which
/// they are [`performed`].
///
/// # Errors
/// Those of the shelf.
pub fn released<S: Shelf>(shelf: &S, limit: usize) -> Result<Vec<(String, Ordered)>, S::Error> {
    let end = format!("{HELD}{:010}/", state(shelf)?.released.saturating_add(1));
    let mut held = shelf.first(HELD, limit)?;
    held.retain(|(name, _)| *name < end);
    Ok(held)
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
