//! The sessions of an app, and what desks have to say about them.

use futures_util::future::join;

use super::{Answer, Command, Desks, OTHER_ANSWER};
use crate::{
    app::{
        audit::Event,
        ports::{Ended, Sessions, Survey, Unavailable, World, within},
    },
    domain::{
        config::App,
        desk::{
            Desk,
            breaker::{Ordered, Verdict},
        },
        limits,
        logout_token::Logout,
        session::{Birth, BirthRefused, EndedBy, Life, Scope, Session},
        time::Timestamp,
    },
};

/// Sessions, of which an operator may have ended all up to a moment, and which an issuer may not end
/// in any number.
pub struct Supervised<'a, W, S, D> {
    /// For the clock, the log, and what is known of desks.
    pub world: &'a W,
    /// The app.
    pub app: &'a App,
    /// Its sessions.
    pub sessions: S,
    /// None if there are none: then nobody is asked.
    pub desks: Option<&'a D>,
}

/// A breaker holds the logout.
const HELD: Unavailable = Unavailable("logout_held");
/// A breaker holds too many.
const FULL: Unavailable = Unavailable("logout_not_held");

/// Whether a breaker is why a logout was not performed: trying again changes nothing.
#[must_use]
pub fn held_back(unavailable: Unavailable) -> bool {
    [HELD, FULL].contains(&unavailable)
}

impl<W: World, S: Sessions, D: Desks> Supervised<'_, W, S, D> {
    /// Up to when an operator has ended the app's sessions, as far as may be believed.
    async fn ended_before(&self) -> Result<Option<Timestamp>, Unavailable> {
        let Some(desks) = self.desks else {
            return Ok(None);
        };
        let (app, now) = (&self.app.id, self.world.now());
        let believed = self
            .world
            .with_notes(|notes| notes.epochs.believed(app, now));
        if let Some(believed) = believed {
            return Ok(believed);
        }
        let asked = desks.ask(Desk::of(self.app), Command::EndedBefore);
        let answer = match within(self.world, limits::EPOCH_ASKED, asked).await {
            Ok(Answer::EndedBefore(ended_before)) => Ok(ended_before),
            Ok(_) => Err(OTHER_ANSWER),
            Err(unavailable) => Err(unavailable),
        };
        match answer {
            Ok(ended_before) => {
                self.world
                    .with_notes(|notes| notes.epochs.heard(*app, ended_before, now));
                Ok(ended_before)
            }
            Err(unavailable) => {
                let now = self.world.now();
                let last_resort = self
                    .world
                    .with_notes(|notes| notes.epochs.last_resort(app, now));
                let Some(known) = last_resort else {
                    return Err(unavailable);
                };
                self.world
                    .record(&Event::new(unavailable.0, Some(self.app)));
                Ok(known)
            }
        }
    }

    /// Whether an operator has ended a session. The clock of the OP may be ahead of ours, or what it
    /// says forged: what was there before the order began before it.
    async fn has_ended(&self, session: &Session) -> Result<bool, Unavailable> {
        let ended_before = self.ended_before().await?;
        let began = session.login.min(session.registered_at);
        Ok(ended_before.is_some_and(|before| began <= before))
    }

    /// Whether the issuer's breaker, if it has one, lets a logout through. Where that cannot be found
    /// out in time it does: no logout is lost by a breaker.
    async fn judge(&self, scope: &Scope, logout: &Logout) -> Result<(), Unavailable> {
        let issuer = &self.app.issuer;
        let (Some(desks), Some(breaker)) = (self.desks, issuer.breaker) else {
            return Ok(());
        };
        let asked = async {
            let command = Command::Judge {
                breaker,
                ordered: Ordered {
                    app: self.app.id,
                    scope: *scope,
                    logout: *logout,
                },
                sessions: self.sessions.survey(scope, logout).await?.matched,
            };
            match desks.ask(Desk::of_issuer(issuer), command).await? {
                Answer::Judged(verdict) => Ok(verdict),
                _ => Err(OTHER_ANSWER),
            }
        };
        match within(self.world, limits::BREAKER, asked).await {
            Ok(Verdict::Admitted) => Ok(()),
            Ok(Verdict::Held) => Err(HELD),
            Ok(Verdict::Full) => Err(FULL),
            Err(Unavailable(code)) => {
                let event = Event::new(code, Some(self.app));
                self.world.record(&event.of(scope.hash().short()));
                Ok(())
            }
        }
    }
}

impl<W: World, S: Sessions, D: Desks> Sessions for Supervised<'_, W, S, D> {
    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
        if self.has_ended(&birth.session).await? {
            return Ok(Err(BirthRefused::LoggedOut));
        }
        self.sessions.register(birth).await
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        let (life, has_ended) = join(self.sessions.alive(session), self.has_ended(session)).await;
        match life? {
            Life::Alive if has_ended? => Ok(Life::Ended(EndedBy::Operator)),
            life => Ok(life),
        }
    }

    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        deadline: Timestamp,
    ) -> Result<Ended, Unavailable> {
        self.judge(scope, logout).await?;
        self.sessions.end(scope, logout, deadline).await
    }

    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable> {
        self.sessions.survey(scope, logout).await
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        self.sessions.end_one(session).await
    }
}
