//! Logins that nobody announces: the OP sends the user back with a code that the app redeems at the
//! relay, or with the ID token itself.

use super::{Front, Origin, Own, OwnKind};
use crate::{
    app::{
        audit::{Class, Event},
        ports::{Codes, Sessions, World, in_time},
        verify::{self, NotVerified},
    },
    domain::{
        authorization_code::{CallbackId, CodeKey},
        callback,
        config::Announce,
        limits,
        refusal::Refusal,
        route::{self, Place},
        session::Attested,
    },
};

/// What a request to a login path brings along.
#[derive(Debug)]
pub(super) enum Callback {
    /// A code, which the app redeems while the request waits for its answer.
    Code(CodeKey, CallbackId),
    /// An ID token, verified.
    IdToken(Attested),
}

impl<W: World, S: Sessions, C: Codes> Front<'_, W, S, C> {
    /// What the request brings, if it is one with which the OP sends a user back.
    pub(super) async fn callback<O: Origin>(&self, origin: &O) -> Result<Option<Callback>, Own> {
        let is_seen = !self.app.announce.is_made_by_the_app();
        if !is_seen || !self.app.logs_in_at(self.request.path) {
            return Ok(None);
        }
        let refused = |refusal: Refusal| Own::new(OwnKind::BadRequest, refusal.code());
        let form = match self.request.method {
            "POST" => origin.form().await.map_err(refused)?,
            _ => None,
        };
        let (query, form) = (self.request.query, form.as_deref());
        if self.app.announce == Announce::FormPost {
            return match callback::id_token(query, form).map_err(refused)? {
                Some(token) => self.posted(&token).await,
                None => Ok(None),
            };
        }
        Ok(
            match callback::code(self.app, query, form).map_err(refused)? {
                Some(code) => Some(Callback::Code(code, CallbackId(self.world.random()?))),
                None => None,
            },
        )
    }

    /// The login of a posted ID token; none if it does not verify: what the app makes of it is no
    /// login then.
    async fn posted(&self, token: &str) -> Result<Option<Callback>, Own> {
        let now = self.world.now();
        let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
        match verify::login(self.world, self.app, token, now, deadline).await {
            Ok(login) => Ok(Some(Callback::IdToken(login))),
            Err(NotVerified::Unavailable(unavailable)) => Err(unavailable.into()),
            Err(NotVerified::Refused(refusal)) => {
                let event = Event::new(refusal.code(), Some(self.app));
                self.world.record(&event.class(Class::Refused));
                Ok(None)
            }
        }
    }

    /// Lets a callback request pass if it is the first with its code. A code is good for one login:
    /// with two requests nobody could say whose it is.
    pub(super) async fn open(&self, code: &CodeKey, id: CallbackId) -> Result<(), Own> {
        let opened = self.codes.open(code, id);
        if in_time(self.world, limits::GATE_DEADLINE, opened).await? {
            return Ok(());
        }
        let start = match route::locate(self.config, self.request.host, self.request.path) {
            Place::App(_, prefix) => prefix,
            _ => "/",
        };
        Err(Own {
            location: Some(start.to_owned()),
            ..Own::new(OwnKind::SeeOther, "callback_repeated")
        })
    }

    /// The login for which the app has redeemed the code, if it has. From now on it cannot.
    pub(super) async fn close(
        &self,
        code: &CodeKey,
        id: CallbackId,
    ) -> Result<Option<Attested>, Own> {
        let closed = self.codes.close(code, id);
        Ok(in_time(self.world, limits::GATE_DEADLINE, closed).await?)
    }
}
