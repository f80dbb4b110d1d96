//! Logins that nobody announces: the OP sends the user back with a code that the app redeems at the
//! relay, or with the ID token itself.

use super::{Front, Origin, Own, OwnKind};
use crate::{
    app::{
        apart,
        audit::{Class, Event},
        ports::{Codes, Sessions, World, within},
        verify::{self, NotVerified},
    },
    domain::{
        authorization_code::{CallbackId, CodeKey},
        callback,
        config::Announce,
        jar::{Jar, Standing},
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
    /// An ID token that did not verify. What the app makes of it is no login.
    Refused,
}

impl<W: World, S: Sessions, C: Codes> Front<'_, W, S, C> {
    /// What the request brings, if it is one with which the OP sends a user back.
    pub(super) async fn callback<O: Origin>(&self, origin: &O) -> Result<Option<Callback>, Own> {
        let path = self.request.path;
        if self.app.is_called_back_at(path) {
            return apart(self.brought(origin)).await;
        }
        if self.app.may_be_called_back_at(path) {
            Err(refused(Refusal::ResponseAmbiguous))
        } else {
            Ok(None)
        }
    }

    async fn brought<O: Origin>(&self, origin: &O) -> Result<Option<Callback>, Own> {
        let query = self.request.query;
        let form = origin.form().await;
        if self.app.announce == Announce::FormPost {
            // A token in anything but a form would not be seen.
            let form = form.map_err(refused)?;
            let token = callback::id_token(query, form.as_deref()).map_err(refused)?;
            return match token {
                Some(token) => self.posted(&token).await.map(Some),
                None => Ok(None),
            };
        }
        let form = match form {
            Ok(form) => form,
            // Without a form there is no code, and one that is not seen is not redeemed.
            Err(Refusal::ContentType | Refusal::ContentEncoding) => None,
            Err(refusal) => return Err(refused(refusal)),
        };
        let code = callback::code(self.app, query, form.as_deref()).map_err(refused)?;
        // Whoever only looks does not log in.
        match code.filter(|_| matches!(self.request.method, "GET" | "POST")) {
            Some(code) => Ok(Some(Callback::Code(code, CallbackId(self.world.random()?)))),
            None => Ok(None),
        }
    }

    async fn posted(&self, token: &str) -> Result<Callback, Own> {
        let now = self.world.now();
        let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
        match verify::login(self.world, self.app, token, now, deadline).await {
            Ok(login) => Ok(Callback::IdToken(login)),
            Err(NotVerified::Unavailable(unavailable)) => Err(unavailable.into()),
            Err(NotVerified::Refused(refusal)) => {
                let event = Event::new(refusal.code(), Some(self.app));
                self.world.record(&event.class(Class::Refused));
                Ok(Callback::Refused)
            }
        }
    }

    /// Refuses a login on top of a session of somebody else. Whose the cookies of the answer would be
    /// nobody could say: an app that does not take the login may set anew those of the session.
    pub(super) async fn check_user(
        &self,
        login: &Attested,
        standing: &Standing,
        jar: &Jar,
    ) -> Result<(), Own> {
        let Some(live) = standing.live().filter(|live| live.subject != login.subject) else {
            return Ok(());
        };
        self.end_one(live, "session_replaced").await;
        Err(Own {
            set_cookies: jar.removals_of_all(),
            ..Own::new(OwnKind::SignedOut, "login_as_another_user")
        })
    }

    /// Lets a callback request pass if it is the first with its code. A code is good for one login:
    /// with two requests nobody could say whose it is.
    pub(super) async fn open(&self, code: &CodeKey, id: CallbackId) -> Result<(), Own> {
        let opened = self.codes.open(code, id);
        if within(self.world, limits::GATE_DEADLINE, opened).await? {
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
        Ok(within(self.world, limits::GATE_DEADLINE, closed).await?)
    }
}

const fn refused(refusal: Refusal) -> Own {
    Own::new(OwnKind::BadRequest, refusal.code())
}
