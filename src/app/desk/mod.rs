//! Desks: what is said to them, and what is done with their answers.

mod object;
mod supervised;

use serde::{Deserialize, Serialize};

pub use self::{
    object::{Object, Performer, Released},
    supervised::{Supervised, held_back},
};
use super::ports::{Unavailable, World, within};
use crate::domain::{
    config::{App, Breaker},
    desk::{
        Desk,
        breaker::{Ordered, Standing, Verdict},
        journal::Entry,
    },
    limits,
    time::Timestamp,
};

/// Said to a desk. Repeating any of them does no harm, but that a journal counts twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Up to when has an operator ended the sessions?
    EndedBefore,
    /// An operator ends those with a login up to then.
    EndBefore(Timestamp),
    /// Put these into the journal.
    Note(Vec<Entry>),
    /// What does the journal hold?
    Journal,
    /// May a logout be performed?
    Judge {
        /// The issuer's breaker.
        breaker: Breaker,
        /// The logout.
        ordered: Ordered,
        /// How many sessions it would end.
        sessions: usize,
    },
    /// How does the breaker stand?
    Standing,
    /// Close the breaker, and perform what it holds.
    Release,
    /// Close the breaker, and forget what it holds.
    Discard,
}

/// The answer of a desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Note`].
    Done,
    /// To [`Command::EndedBefore`] and [`Command::EndBefore`].
    EndedBefore(Option<Timestamp>),
    /// To [`Command::Journal`]: the latest first.
    Journal(Vec<Entry>),
    /// To [`Command::Judge`].
    Judged(Verdict),
    /// To [`Command::Standing`].
    Standing(Standing),
    /// To [`Command::Release`].
    Released(Released),
    /// To [`Command::Discard`]: how many.
    Discarded(usize),
}

/// The desks.
pub trait Desks {
    /// Says something to a desk.
    ///
    /// # Errors
    /// [`Unavailable`]: it may have been done or not, and can be repeated.
    async fn ask(&self, desk: Desk, command: Command) -> Result<Answer, Unavailable>;
}

/// Worker and desk are of different versions.
pub const OTHER_ANSWER: Unavailable = Unavailable("desk_not_understood");

/// Tells the desk of an app what this isolate has noted of it: at most once a second, and never while
/// a client waits. What cannot be told is forgotten.
pub async fn tell(world: &impl World, desks: &impl Desks, app: &App) {
    let turn = world.with_notes(|notes| notes.untold.take_turn(&app.id, world.now()));
    let Some(turn) = turn else {
        return;
    };
    let pause = turn.since(world.now());
    if !pause.is_zero() {
        world.sleep(pause).await;
    }
    loop {
        let entries = world.with_notes(|notes| notes.untold.take(&app.id));
        if entries.is_empty() {
            return;
        }
        let told = desks.ask(Desk::of(app), Command::Note(entries));
        if within(world, limits::JOURNAL_PAUSE, told).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
