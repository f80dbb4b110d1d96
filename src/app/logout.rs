//! The back channel: from an OP's request to ended sessions.

use super::{
    audit::{Class, Event},
    ports::{Body, Sessions, Unavailable, World, within},
    verify::{NotVerified, Verified, verify},
};
use crate::domain::{
    config::App,
    form, limits,
    logout_token::{self, LogoutClaims},
    refusal::Refusal,
    session::{Scope, SidKey, SubjectKey},
    time::Timestamp,
};

/// A request to the back-channel logout endpoint, as HTTP shows it.
#[derive(Debug)]
pub struct Delivery<B> {
    /// The method, as sent.
    pub method: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
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
    logout: Timestamp,
}

impl Order {
    fn of(app: &App, token: &Verified<LogoutClaims>) -> Self {
        Self {
            scope: Scope::of(app, &token.target),
            logout: token.issued_at,
        }
    }

    fn hash(&self) -> String {
        match &self.scope {
            Scope::Sid(SidKey(hash), _) | Scope::Subject(SubjectKey(hash)) => hash.short(),
        }
    }
}

/// Receives a logout token for `app` and ends the sessions it names.
///
/// With an [`Order`] comes a logout that has been verified and not been performed: most OPs send
/// a token once, so the caller must see to it that [`finish`] runs after the answer.
pub async fn receive(
    world: &impl World,
    sessions: &impl Sessions,
    app: &App,
    delivery: Delivery<impl Body>,
) -> (Answer, Option<Order>) {
    let arrived = world.now();
    let deadline = arrived.plus(limits::BACK_CHANNEL_DEADLINE);
    let order = match read_order(world, app, delivery, arrived, deadline).await {
        Ok(order) => order,
        Err(NotVerified::Refused(refusal)) => {
            world.record(&Event::new(refusal.code(), &app.name).class(Class::Refused));
            return (Answer::Refused(refusal), None);
        }
        Err(NotVerified::Unavailable(unavailable)) => {
            world.record(&Event::new(unavailable.0, &app.name).class(Class::LogoutPending));
            return (Answer::Unavailable(unavailable), None);
        }
    };
    let work = sessions.end(&order.scope, order.logout);
    match within(world, deadline.since(world.now()), work).await {
        Ok(ended) => {
            let code = if ended.matched == 0 {
                "logout_matched_nothing"
            } else {
                "logout_done"
            };
            let event = Event::new(code, &app.name).of(order.hash());
            world.record(&event.ended(ended));
            (Answer::Done, None)
        }
        Err(unavailable) => {
            world.record(
                &Event::new(unavailable.0, &app.name)
                    .class(Class::LogoutPending)
                    .of(order.hash()),
            );
            (Answer::Unavailable(unavailable), Some(order))
        }
    }
}

/// Performs an order that [`receive`] could not, with pauses between the tries.
pub async fn finish(world: &impl World, sessions: &impl Sessions, app: &App, order: Order) {
    for pause in limits::FINISH_RETRIES {
        world.sleep(pause).await;
        let work = sessions.end(&order.scope, order.logout);
        if let Ok(ended) = within(world, limits::BACK_CHANNEL_DEADLINE, work).await {
            let event = Event::new("logout_finished_late", &app.name).of(order.hash());
            world.record(&event.ended(ended));
            return;
        }
    }
    world.record(
        &Event::new("logout_given_up", &app.name)
            .class(Class::LogoutPending)
            .of(order.hash()),
    );
}

/// Cheap checks first: nothing is fetched for a token that fails any of them.
async fn read_order(
    world: &impl World,
    app: &App,
    delivery: Delivery<impl Body>,
    arrived: Timestamp,
    deadline: Timestamp,
) -> Result<Order, NotVerified> {
    form::check_head(
        &delivery.method,
        delivery.content_type.as_deref(),
        delivery.content_encoding.as_deref(),
    )?;
    let body = delivery.body.read(limits::LOGOUT_BODY_BYTES).await?;
    let token = logout_token::read(&form::logout_token(&body)?, app, world.now())?;
    let token = verify(world, &app.issuer, token, arrived, deadline).await?;
    Ok(Order::of(app, &token))
}

#[cfg(test)]
mod tests;
