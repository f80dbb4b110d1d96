//! The back channel: from an OP's request to ended sessions.

use super::{
    audit::{Class, Event},
    desk::held_back,
    kv_sessions::{KvSessions, Swept},
    ports::{Body, Ended, Kv, Sessions, Unavailable, World, read_in_time, within},
    verify::{NotVerified, Verified, verify},
};
use crate::domain::{
    config::App,
    digest::Digest,
    form,
    jws::Unverified,
    limits,
    logout_token::{self, Logout, LogoutClaims},
    refusal::Refusal,
    sender::Sender,
    session::Scope,
    time::Timestamp,
};

/// A request to the back-channel logout endpoint, as HTTP shows it.
#[derive(Debug)]
pub struct Delivery<'a, B> {
    /// The method, as sent.
    pub method: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// Who sends it.
    pub sender: Sender<'a>,
    /// The body.
    pub body: B,
}

/// The answer to the OP (Back-Channel Logout 1.0 section 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every matching session has ended: 200.
    Done,
    /// The request or the token is wrong: 400, or 405 for [`Refusal::Method`].
    Refused(Refusal),
    /// We, or the OP's keys, are not available: 503.
    Unavailable(Unavailable),
}

/// A logout that was ordered with a verified token.
#[derive(Clone, Debug)]
pub struct Order {
    scope: Scope,
    logout: Logout,
}

impl Order {
    fn of(app: &App, token: &Verified<LogoutClaims>) -> Self {
        Self {
            scope: Scope::of(app, &token.target),
            logout: token.logout,
        }
    }

    fn event<'a>(&self, code: &'a str, app: &'a App) -> Event<'a> {
        Event::new(code, Some(app)).of(self.scope.hash().short())
    }
}

/// A logout that could not be performed before the answer.
#[derive(Clone, Debug)]
pub enum Unfinished {
    /// Its token could not be verified, because the OP's keys were not to be had.
    Verification(Unverified<LogoutClaims>),
    /// It was verified, and the store failed.
    Ending(Order),
}

impl Unfinished {
    fn event<'a>(&self, code: &'a str, app: &'a App) -> Event<'a> {
        let event = match self {
            Self::Verification(_) => Event::new(code, Some(app)),
            Self::Ending(order) => order.event(code, app),
        };
        event.class(Class::LogoutPending)
    }
}

/// Receives a logout token for `app` and ends the sessions it names.
///
/// With something [`Unfinished`] the caller must see to it that [`finish`] runs after the answer:
/// most OPs send a token once.
pub async fn receive(
    world: &impl World,
    sessions: &impl Sessions,
    app: &App,
    delivery: Delivery<'_, impl Body>,
) -> (Answer, Option<Unfinished>) {
    let (sender, token) = match read(world, app, delivery).await {
        Ok(read) => read,
        Err(refusal) => return (refuse(world, app, refusal), None),
    };
    let sender = sender.key(app);
    if !may_verify(world, app, &sender).await {
        let code = "rate_limited";
        tell(
            world,
            app,
            &Event::new(code, Some(app)).class(Class::Refused),
        );
        return (Answer::Unavailable(Unavailable(code)), None);
    }
    let deadline = world.now().plus(limits::BACK_CHANNEL_DEADLINE);
    let unfinished = Unfinished::Verification(token);
    let performed = perform(world, sessions, app, unfinished, deadline).await;
    world.with_suspects(|suspects| match &performed {
        Ok(Performed::Refused(_)) => suspects.grant(sender, world.now().plus(limits::SUSPICION)),
        Err((_, Unfinished::Verification(_))) => {}
        Ok(Performed::Ended(..)) | Err((_, Unfinished::Ending(_))) => suspects.revoke(&sender),
    });
    match performed {
        Ok(Performed::Refused(refusal)) => (refuse(world, app, refusal), None),
        Ok(Performed::Ended(order, ended)) => {
            let code = if app.issuer.dry_run {
                DRY_RUN
            } else if ended.matched == 0 && !ended.deferred {
                "logout_matched_nothing"
            } else {
                "logout_done"
            };
            tell(world, app, &order.event(code, app).ended(ended));
            (Answer::Done, None)
        }
        Err((unavailable, unfinished)) => {
            tell(world, app, &unfinished.event(unavailable.0, app));
            let answer = Answer::Unavailable(unavailable);
            if held_back(unavailable) {
                return (answer, None);
            }
            let issuer = &app.issuer.issuer;
            let now = world.now();
            let is_kept = match &unfinished {
                Unfinished::Ending(_) => true,
                // Nobody knows yet whether these are genuine, so there is room for so many only.
                Unfinished::Verification(_) => {
                    world.with_key_cache(issuer, |cache| cache.may_retry(now))
                }
            };
            if !is_kept {
                tell(world, app, &unfinished.event("logout_given_up", app));
            }
            (answer, is_kept.then_some(unfinished))
        }
    }
}

/// Performs what [`receive`] could not, with pauses between the tries.
pub async fn finish(
    world: &impl World,
    sessions: &impl Sessions,
    app: &App,
    mut unfinished: Unfinished,
) {
    for pause in limits::FINISH_RETRIES {
        world.sleep(pause).await;
        let deadline = world.now().plus(limits::BACK_CHANNEL_DEADLINE);
        match perform(world, sessions, app, unfinished, deadline).await {
            Ok(Performed::Refused(refusal)) => {
                refuse(world, app, refusal);
                return;
            }
            Ok(Performed::Ended(order, ended)) => {
                let code = if app.issuer.dry_run {
                    DRY_RUN
                } else {
                    "logout_finished_late"
                };
                tell(world, app, &order.event(code, app).ended(ended));
                return;
            }
            Err((unavailable, still)) if held_back(unavailable) => {
                tell(world, app, &still.event(unavailable.0, app));
                return;
            }
            Err((_, still)) => unfinished = still,
        }
    }
    tell(world, app, &unfinished.event("logout_given_up", app));
}

/// The issuer's logouts are only reported.
const DRY_RUN: &str = "logout_dry_run";

/// Writes to the log, and notes it for the app's journal.
fn tell(world: &impl World, app: &App, event: &Event<'_>) {
    world.record(event);
    if world.has_journal() {
        let entry = event.entry(world.now());
        world.with_notes(|notes| notes.untold.note(app.id, entry));
    }
}

/// What came of a logout.
enum Performed {
    Refused(Refusal),
    Ended(Order, Ended),
}

/// Verifies the token, unless that has been done, and ends the sessions.
async fn perform(
    world: &impl World,
    sessions: &impl Sessions,
    app: &App,
    unfinished: Unfinished,
    deadline: Timestamp,
) -> Result<Performed, (Unavailable, Unfinished)> {
    let order = match unfinished {
        Unfinished::Ending(order) => order,
        Unfinished::Verification(token) => {
            match verify(world, &app.issuer, &token, world.now(), deadline).await {
                Ok(token) => Order::of(app, &token),
                Err(NotVerified::Refused(refusal)) => return Ok(Performed::Refused(refusal)),
                Err(NotVerified::Unavailable(unavailable)) => {
                    return Err((unavailable, Unfinished::Verification(token)));
                }
            }
        }
    };
    let work = async {
        let Order { scope, logout } = &order;
        if !app.issuer.dry_run {
            return sessions.end(scope, logout, deadline).await;
        }
        let survey = sessions.survey(scope, logout).await?;
        Ok(Ended {
            matched: survey.matched,
            later: survey.later,
            ..Ended::default()
        })
    };
    match within(world, deadline.since(world.now()), work).await {
        Ok(ended) => Ok(Performed::Ended(order, ended)),
        Err(unavailable) => Err((unavailable, Unfinished::Ending(order))),
    }
}

fn refuse(world: &impl World, app: &App, refusal: Refusal) -> Answer {
    let event = Event::new(refusal.code(), Some(app)).class(Class::Refused);
    tell(world, app, &event);
    Answer::Refused(refusal)
}

/// Tidies up after past logouts: what a cron trigger does.
pub async fn sweep(world: &impl World, sessions: &KvSessions<'_, impl World, impl Kv>) {
    let event = match within(world, limits::SWEEP_DEADLINE, sessions.sweep()).await {
        Ok(swept) if swept == Swept::default() => return,
        Ok(swept) => Event::new("sweep_done", None).swept(swept),
        Err(Unavailable(code)) => Event::new(code, None),
    };
    world.record(&event);
}

/// Cheap checks: nothing is fetched for a token that fails any of them. Gives who sends it, too.
async fn read<'a>(
    world: &impl World,
    app: &App,
    delivery: Delivery<'a, impl Body>,
) -> Result<(Sender<'a>, Unverified<LogoutClaims>), Refusal> {
    form::check_head(
        delivery.method,
        delivery.content_type,
        delivery.content_encoding,
    )?;
    let body = read_in_time(world, delivery.body, limits::LOGOUT_BODY_BYTES).await?;
    let token = logout_token::read(&form::logout_token(&body)?, app, world.now())?;
    Ok((delivery.sender, token))
}

/// Whether a token of this sender may be verified. Only a sender whose last token was not genuine
/// is ever held back: an OP logs out thousands at once, and most OPs send a token once.
async fn may_verify(world: &impl World, app: &App, sender: &Digest) -> bool {
    let now = world.now();
    if !world.with_suspects(|suspects| suspects.hold(sender, now)) {
        return true;
    }
    let room = within(world, limits::RATE_LIMIT, world.has_room(sender)).await;
    room.unwrap_or_else(|Unavailable(code)| {
        world.record(&Event::new(code, Some(app)));
        true
    })
}

#[cfg(test)]
mod tests;
