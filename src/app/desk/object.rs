//! One desk: answers commands, and performs what has been released.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Answer, Command};
use crate::{
    app::{
        audit::Event,
        ports::{Ended, Unavailable, World, within},
    },
    domain::{
        desk::{
            Shelf,
            breaker::{self, Held},
            epoch, journal,
        },
        limits,
        time::Timestamp,
    },
};

/// A desk, and what it needs of the world.
pub struct Object<'a, W, S, P> {
    /// For the clock and the log.
    pub world: &'a W,
    /// What it keeps.
    pub shelf: &'a S,
    /// Where released logouts are performed.
    pub performer: &'a P,
    /// Released logouts that this run may perform.
    pub batch: usize,
}

/// Performs logouts that were held.
pub trait Performer {
    /// Ends the sessions of a logout that was ordered. One of an app that is not there any more ends
    /// none.
    ///
    /// # Errors
    /// [`Unavailable`]: it must be repeated.
    async fn perform(&self, held: &Held, deadline: Timestamp) -> Result<Ended, Unavailable>;
}

/// What became of a release so far. The desk goes on by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Logouts performed.
    pub released: usize,
    /// Sessions that they ended.
    pub ended: usize,
    /// Whether there is more to perform.
    pub is_left: bool,
}

impl<W, S, P> Object<'_, W, S, P>
where
    W: World,
    S: Shelf<Error = Unavailable>,
    P: Performer,
{
    /// Answers a command.
    ///
    /// # Errors
    /// [`Unavailable`]: the command must be repeated.
    pub async fn answer(&self, command: &Command) -> Result<Answer, Unavailable> {
        let (kept, now) = (self.shelf, self.world.now());
        Ok(match command {
            Command::EndedBefore => Answer::EndedBefore(epoch::ended_before(kept)?),
            Command::EndBefore(before) => {
                Answer::EndedBefore(Some(epoch::end_before(kept, *before)?))
            }
            Command::Note(entries) => {
                journal::note(kept, entries)?;
                Answer::Done
            }
            Command::Journal => Answer::Journal(journal::read(kept)?),
            Command::Judge {
                breaker,
                ordered,
                sessions,
            } => Answer::Judged(breaker::judge(kept, *breaker, ordered, *sessions, now)?),
            Command::Standing => Answer::Standing(breaker::standing(kept)?),
            Command::Release => {
                breaker::release(kept, now)?;
                Answer::Released(self.perform_some(limits::OPERATOR_WORK).await?)
            }
            Command::Discard => Answer::Discarded(breaker::discard(kept)?),
        })
    }

    /// What is to be done when the alarm goes off.
    ///
    /// # Errors
    /// [`Unavailable`] if the shelf fails.
    pub async fn alarm(&self) -> Result<(), Unavailable> {
        let performed = self.perform_some(limits::SWEEP_DEADLINE).await?;
        let pause = if performed.released > 0 {
            limits::LEDGER_RETRY_MIN
        } else {
            limits::LEDGER_REPAIR
        };
        if performed.is_left {
            self.shelf.wake(self.world.now().plus(pause))?;
        }
        Ok(())
    }

    /// Performs released logouts, as many as one run may. One that fails waits for the next run.
    async fn perform_some(&self, span: Duration) -> Result<Released, Unavailable> {
        let mut outcome = Released::default();
        let deadline = self.world.now().plus(span);
        for (name, held) in breaker::released(self.shelf, self.batch)? {
            let left = deadline.since(self.world.now());
            let work = self.performer.perform(&held, deadline);
            let event = match within(self.world, left, work).await {
                Ok(ended) => {
                    breaker::performed(self.shelf, &name)?;
                    outcome.released = outcome.released.saturating_add(1);
                    outcome.ended = outcome.ended.saturating_add(ended.matched);
                    Event::new("logout_released", None).ended(ended)
                }
                Err(Unavailable(code)) => {
                    breaker::postponed(self.shelf, &name, &held)?;
                    Event::new(code, None).class(journal::Class::LogoutPending)
                }
            };
            self.world
                .record(&event.of(held.ordered.scope.hash().short()));
            if self.world.now() >= deadline {
                break;
            }
        }
        outcome.is_left = !breaker::released(self.shelf, 1)?.is_empty();
        Ok(outcome)
    }
}
