//! Sessions found and ended, and held logouts released or forgotten, because an operator says so.

use std::{rc::Rc, slice};

use serde_json::{Value, json};

use super::{Backends, Failure, Office};
use crate::{
    app::{
        audit::Event,
        desk::{Answer, Command, Desks, OTHER_ANSWER},
        ports::{Ended, Sessions, Survey, Unavailable, World, within},
    },
    domain::{
        config::App,
        desk::Desk,
        limits,
        logout_token::Logout,
        operator::{
            Identity, confirm,
            order::{Given, Order, Whom},
        },
        session::{Session, SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};

impl<W: World, B: Backends, D: Desks> Office<'_, W, B, D> {
    /// The sessions of somebody.
    pub(super) async fn search(
        &self,
        by: &Identity,
        app: &Rc<App>,
        whom: Whom,
    ) -> Result<Value, Failure> {
        let of = whom.scope().hash().short();
        let event = Event::new("operator_searched", Some(app)).of(of);
        self.audit(event, by, slice::from_ref(app));
        let survey = self.survey(app, whom).await?;
        let session = |session: &Session| {
            let (SubjectKey(subject), SidKey(sid)) = (session.subject, session.sid);
            json!({
                "id": session.id.to_string(),
                "subject": subject.to_string(),
                "sid": sid.to_string(),
                "login": session.login,
                "expires": session.expires,
            })
        };
        let sessions: Vec<_> = survey.sessions.iter().map(session).collect();
        Ok(json!({ "count": survey.matched, "sessions": sessions }))
    }

    /// Says what an order would do, or, confirmed, does it.
    pub(super) async fn order(&self, by: &Identity, given: Given) -> Result<Value, Failure> {
        let Given {
            order,
            confirmation,
        } = given;
        let (keys, now) = (&self.config.seal_keys, self.world.now());
        let of = match &order {
            Order::End(_, whom) => Some(whom.scope().hash().short()),
            _ => None,
        };
        let apps = order.apps(&self.apps);
        let audit = |code: &'static str, ended: Option<usize>| {
            let app = match apps.as_slice() {
                [app] => Some(&**app),
                _ => None,
            };
            let mut event = Event::new(code, app);
            event.of.clone_from(&of);
            event.ended = ended.map(|matched| Ended {
                matched,
                ..Ended::default()
            });
            self.audit(event, by, &apps);
        };
        let Some(confirmation) = confirmation else {
            let would_end = self
                .would_end(&order)
                .await
                .inspect_err(|Unavailable(code)| {
                    audit(code, None);
                })?;
            let (confirm, expires) = confirm::issue(keys, by, &order, now);
            audit("operator_asked", None);
            return Ok(json!({ "confirm": confirm, "expires": expires, "would_end": would_end }));
        };
        if !confirm::holds(keys, by, &order, &confirmation, now) {
            audit("operator_not_confirmed", None);
            return Err(Failure::NotConfirmed);
        }
        // In time for the line that says what has become of it.
        let work = within(
            self.world,
            limits::OPERATOR_ORDER,
            self.carry_out(&order, now),
        );
        match work.await {
            Ok((code, ended, answer)) => {
                audit(code, ended);
                Ok(answer)
            }
            Err(unavailable) => {
                audit(unavailable.0, None);
                Err(unavailable.into())
            }
        }
    }

    /// How many sessions an order would end; none if nobody counts them.
    async fn would_end(&self, order: &Order) -> Result<Option<usize>, Unavailable> {
        match order {
            Order::End(app, whom) => {
                let survey = self.survey(app, *whom).await?;
                Ok(match whom {
                    Whom::Session(_, id) => Some(named(&survey, id).into_iter().count()),
                    Whom::Subject(_) | Whom::Sid(_) => Some(survey.matched),
                })
            }
            // Said before anybody confirms in vain.
            Order::Before(..) | Order::Release(_) | Order::Discard(_) if self.desks.is_none() => {
                Err(Unavailable("desk_not_bound"))
            }
            Order::Before(..) | Order::Release(_) | Order::Discard(_) => Ok(None),
        }
    }

    /// Carries out an order: its code, how many sessions it ended if that is known, and the answer.
    async fn carry_out(
        &self,
        order: &Order,
        now: Timestamp,
    ) -> Result<(&'static str, Option<usize>, Value), Unavailable> {
        match order {
            Order::End(app, whom) => {
                let ended = self.end(app, *whom, now).await?;
                Ok(("operator_ended", Some(ended), json!({ "ended": ended })))
            }
            Order::Before(apps, before) => {
                for app in apps {
                    let command = Command::EndBefore(*before);
                    let Answer::EndedBefore(ended_before) =
                        self.ask(Desk::of(app), command).await?
                    else {
                        return Err(OTHER_ANSWER);
                    };
                    self.world
                        .with_notes(|notes| notes.epochs.heard(app.id, ended_before, now));
                }
                Ok(("operator_ended_before", None, json!({ "ended": null })))
            }
            Order::Release(issuer) => {
                let desk = Desk::of_issuer(issuer);
                let Answer::Released(released) = self.ask(desk, Command::Release).await? else {
                    return Err(OTHER_ANSWER);
                };
                let ended = released.ended;
                Ok((
                    "operator_released",
                    Some(ended),
                    json!({
                        "released": released.released,
                        "ended": ended,
                        "left": released.is_left,
                    }),
                ))
            }
            Order::Discard(issuer) => {
                let desk = Desk::of_issuer(issuer);
                let Answer::Discarded(discarded) = self.ask(desk, Command::Discard).await? else {
                    return Err(OTHER_ANSWER);
                };
                Ok((
                    "operator_discarded",
                    None,
                    json!({ "discarded": discarded }),
                ))
            }
        }
    }

    async fn end(&self, app: &App, whom: Whom, now: Timestamp) -> Result<usize, Unavailable> {
        let sessions = self.backends.sessions(app);
        if let Whom::Session(_, id) = whom {
            let survey = self.survey(app, whom).await?;
            return match named(&survey, &id) {
                Some(session) => sessions.end_one(session).await.map(|()| 1),
                None => Ok(0),
            };
        }
        let logout = Logout {
            at: now,
            valid_until: now,
        };
        let deadline = now.plus(limits::OPERATOR_WORK);
        let mut ended = sessions
            .end(&whom.scope(), &logout, deadline)
            .await?
            .matched;
        // Where the clock of the OP is ahead, some began after that.
        let left = self.survey(app, whom).await?.sessions.into_iter();
        for session in left.filter(|session| session.login > now) {
            sessions.end_one(&session).await?;
            ended = ended.saturating_add(1);
        }
        Ok(ended)
    }

    /// All sessions of somebody: also those that began a moment ago by the clock of an OP that is
    /// ahead.
    async fn survey(&self, app: &App, whom: Whom) -> Result<Survey, Unavailable> {
        let at = self.world.now().plus(limits::CLOCK_SKEW_MAX);
        let logout = Logout {
            at,
            valid_until: at,
        };
        let sessions = self.backends.sessions(app);
        sessions.survey(&whom.scope(), &logout).await
    }
}

/// The session of that name, if it is one of those that are listed.
fn named<'a>(survey: &'a Survey, id: &SessionId) -> Option<&'a Session> {
    survey.sessions.iter().find(|session| session.id == *id)
}
