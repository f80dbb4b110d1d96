//! Logins: what an app's answer announces, and the session that it begins.

use super::{Front, Own, OwnKind, Reply, announcement::Announced, answer::Answer};
use crate::{
    app::{
        audit::{Class, Event, SESSION_BEGAN},
        ports::{Codes, Sessions, World, within},
        verify::{NotVerified, verify},
    },
    domain::{
        config::{Announce, SessionSid},
        cookie::SetCookie,
        digest::Digest,
        gate::{self, Credentials, Exchange},
        id_token::{self, IdClaims},
        jws::Unverified,
        limits,
        refusal::Refusal,
        session::{Attested, Birth, Session, SessionId},
        session_header,
    },
};

/// An announcement, read.
enum Read {
    /// An ID token whose signature nobody has verified yet.
    IdToken(Unverified<IdClaims>),
    /// A login that the relay has seen, or that the app's secret vouches for.
    Attested(Attested),
}

impl<W: World, S: Sessions, C: Codes> Front<'_, W, S, C> {
    /// The session that the announcement names: one that it begins, or the present one. None if it
    /// does not count.
    pub(super) async fn login<R: Reply>(
        &self,
        announced: Result<Announced, Refusal>,
        answer: &Answer<'_, R>,
        lines: &[SetCookie],
    ) -> Result<Option<Session>, Own> {
        let (exchange, reply) = (&answer.exchange, answer.reply);
        let (age, cache_status) = (reply.header("age"), reply.header("cf-cache-status"));
        // What an answer sets to whom a login has come is that login's, whatever it says of itself.
        let is_callback = answer.callback.is_some();
        let credentials = Credentials {
            status: reply.status(),
            age: age.as_deref(),
            cache_status: cache_status.as_deref(),
        };
        if !is_callback && !gate::may_announce(&credentials) {
            // With a new session cookie beside it, this may be a login that nobody would bind.
            if exchange.renews_a_cookie(lines) {
                return Err(Own::new(OwnKind::BadGateway, "announcement_not_counted"));
            }
            self.world
                .record(&Event::new("announcement_not_counted", Some(self.app)));
            return Ok(None);
        }
        let read = announced.and_then(|announced| self.read(&announced));
        let read = read.map_err(|refusal| self.refused(refusal))?;
        // An announcement of whom the request went out as says nothing new, so it needs no proof:
        // without it the answer's cookies would be that session's too. So the token may have expired
        // since the app stored it.
        let live = exchange.standing.live();
        if let Some(live) = live.filter(|live| self.continues(live, &read)) {
            return Ok(Some(*live));
        }
        // On the day of the roll-out an app may repeat the announcements of logins from before.
        if exchange.jar.has_unsealed() && !exchange.renews_a_cookie(lines) {
            self.world
                .record(&Event::new("announcement_not_counted", Some(self.app)));
            return Ok(None);
        }
        let login = self.prove(read).await?;
        let sid = match login.sid {
            Some(sid) => sid,
            None if self.app.session_sid == SessionSid::Optional => login.without_sid,
            None => return Err(Own::new(OwnKind::BadGateway, "login_without_sid")),
        };
        let now = self.world.now();
        let session = Session {
            id: SessionId::from_random(self.world.random()?),
            subject: login.subject,
            sid,
            login: login.issued_at,
            registered_at: now,
            expires: now.plus(self.app.session_lifetime),
        };
        if !exchange.can_be_bound(lines, &session) {
            // The app has not let the user in.
            if is_callback && reply.status() >= 400 {
                return Ok(None);
            }
            return Err(Own::new(OwnKind::BadGateway, "login_without_new_cookie"));
        }
        let birth = Birth {
            session,
            authenticated_at: login.authenticated_at,
            has_sid: login.sid.is_some(),
        };
        let registered = within(
            self.world,
            limits::GATE_DEADLINE,
            self.sessions.register(&birth),
        );
        match registered.await? {
            Ok(()) => {
                let event = Event::new(SESSION_BEGAN, Some(self.app));
                self.world.record(&event.of(sid.0.short()));
                Ok(Some(session))
            }
            Err(refused) => Err(Own::new(OwnKind::SignedOut, refused.code())),
        }
    }

    /// Whether it is the same user, and the same `sid` if both have one.
    fn continues(&self, live: &Session, read: &Read) -> bool {
        match read {
            Read::IdToken(token) => token.claimed().are_of(self.app, live),
            Read::Attested(login) => login.is_of(live),
        }
    }

    /// The answer in place of one whose login does not count. The app may have attached that login
    /// to a cookie that the browser has already: nobody may go on with it.
    pub(super) async fn undelivered(
        &self,
        own: Own,
        exchange: &Exchange<'_>,
        lines: &[SetCookie],
    ) -> Own {
        let set_cookies = match exchange.standing.live() {
            // It has been dealt with.
            _ if !own.set_cookies.is_empty() => return own,
            Some(live) if own.kind != OwnKind::Unavailable && !exchange.renews_a_cookie(lines) => {
                self.end_one(live, "session_replaced").await;
                exchange.jar.removals_of_all()
            }
            _ => exchange.jar.removals_of_unbound(),
        };
        Own { set_cookies, ..own }
    }

    fn read(&self, announced: &Announced) -> Result<Read, Refusal> {
        match (announced, &self.app.announce) {
            (Announced::IdToken(token), _) => {
                id_token::read(token, self.app, self.world.now()).map(Read::IdToken)
            }
            (Announced::Session { header, key: sent }, Announce::Session { key }) => {
                if !Digest::of("announce-key", &[sent]).is_secretly(key) {
                    return Err(Refusal::SessionHeaderKey);
                }
                let login = session_header::read(header, self.request.arrived)?;
                Ok(Read::Attested(Attested::of(self.app, &login)))
            }
            (Announced::Attested(login), _) => Ok(Read::Attested(*login)),
            (Announced::Session { .. }, _) => Err(Refusal::SessionHeaderKey),
        }
    }

    async fn prove(&self, read: Read) -> Result<Attested, Own> {
        let token = match read {
            Read::Attested(login) => return Ok(login),
            Read::IdToken(token) => token.try_map(IdClaims::into_login),
        };
        let now = self.world.now();
        let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
        let token = token.map_err(|refusal| self.refused(refusal))?;
        match verify(self.world, &self.app.issuer, &token, now, deadline).await {
            Ok(login) => Ok(Attested::of(self.app, &login)),
            Err(NotVerified::Refused(refusal)) => Err(self.refused(refusal)),
            Err(NotVerified::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    fn refused(&self, refusal: Refusal) -> Own {
        // The reason goes into the log by itself: the answer only says "announcement".
        self.world
            .record(&Event::new(refusal.code(), Some(self.app)).class(Class::Refused));
        Own::new(OwnKind::BadGateway, "announcement_invalid")
    }
}
