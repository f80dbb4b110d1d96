//! Logins: what an app's answer announces, and the session that it begins.

use super::{Front, Own, OwnKind, Reply};
use crate::{
    app::{
        audit::{Class, Event},
        ports::{Sessions, World, within},
        verify::{NotVerified, Verified, verify},
    },
    domain::{
        config::SessionSid,
        cookie::SetCookie,
        gate::{self, Credentials, Jar, Standing},
        id_token::{self, IdClaims},
        limits,
        session::{Birth, Session, SessionId, SidKey, SubjectKey},
    },
};

impl<W: World, S: Sessions> Front<'_, W, S> {
    /// The session that the announced login begins; none if it continues the present one.
    pub(super) async fn birth(
        &self,
        token: &str,
        jar: &Jar,
        standing: &Standing,
        reply: &impl Reply,
        lines: &[SetCookie],
    ) -> Result<Option<Session>, Own> {
        let (age, cache_status) = (reply.header("age"), reply.header("cf-cache-status"));
        let credentials = Credentials {
            status: reply.status(),
            age: age.as_deref(),
            cache_status: cache_status.as_deref(),
        };
        if !gate::may_announce(&credentials) {
            // With a new session cookie beside it, this may be a login that nobody would bind.
            if gate::renews_a_cookie(self.app, jar, standing, lines, self.world.now()) {
                return Err(Own::new(OwnKind::BadGateway, "announcement_not_counted"));
            }
            self.world
                .record(&Event::new("announcement_not_counted", &self.app.name));
            return Ok(None);
        }
        let claims = self.read_announcement(token).await?;
        let subject = SubjectKey::of(self.app, &claims.sub);
        let without_sid = SidKey::absent(self.app, &claims.sub);
        let sid = claims.sid.as_ref().map(|sid| SidKey::of(self.app, sid));
        // The same user, and the same `sid` if both have one.
        let continues = |live: &Session| {
            let has_other_sid = |sid| live.sid != without_sid && live.sid != sid;
            live.subject == subject && !sid.is_some_and(has_other_sid)
        };
        if standing.live().is_some_and(continues) {
            return Ok(None);
        }
        let sid = match sid {
            Some(sid) => sid,
            None if self.app.session_sid == SessionSid::Optional => without_sid,
            None => return Err(Own::new(OwnKind::BadGateway, "login_without_sid")),
        };
        let now = self.world.now();
        if !gate::renews_a_cookie(self.app, jar, standing, lines, now) {
            return Err(Own::new(OwnKind::BadGateway, "login_without_new_cookie"));
        }
        let session = Session {
            id: SessionId::from_random(self.world.random()?),
            subject,
            sid,
            login: claims.issued_at,
            registered_at: now,
            expires: now.plus(self.app.session_lifetime),
        };
        let birth = Birth {
            session,
            authenticated_at: claims.authenticated_at,
            has_sid: claims.sid.is_some(),
        };
        let registered = within(
            self.world,
            limits::GATE_DEADLINE,
            self.sessions.register(&birth),
        );
        match registered.await? {
            Ok(()) => {
                let event = Event::new("session_began", &self.app.name);
                self.world.record(&event.of(sid.0.short()));
                Ok(Some(session))
            }
            Err(refused) => Err(Own::new(OwnKind::SignedOut, refused.code())),
        }
    }

    /// The answer in place of one whose login does not count. The app may have attached that login
    /// to a cookie that the browser has already: nobody may go on with it.
    pub(super) async fn undelivered(
        &self,
        own: Own,
        jar: &Jar,
        standing: &Standing,
        lines: &[SetCookie],
    ) -> Own {
        let renews = gate::renews_a_cookie(self.app, jar, standing, lines, self.world.now());
        let set_cookies = match standing.live() {
            Some(live) if own.kind != OwnKind::Unavailable && !renews => {
                self.end_one(live, "session_replaced").await;
                jar.removals_of_all()
            }
            _ => jar.removals_of_unbound(),
        };
        Own { set_cookies, ..own }
    }

    async fn read_announcement(&self, token: &str) -> Result<Verified<IdClaims>, Own> {
        let now = self.world.now();
        let verified = match id_token::read(token, self.app, now) {
            Ok(token) => {
                let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
                verify(self.world, &self.app.issuer, token, now, deadline).await
            }
            Err(refusal) => Err(NotVerified::Refused(refusal)),
        };
        verified.map_err(|not| match not {
            NotVerified::Refused(refusal) => {
                // The reason goes into the log by itself: the answer only says "announcement".
                self.world
                    .record(&Event::new(refusal.code(), &self.app.name).class(Class::Refused));
                Own::new(OwnKind::BadGateway, "announcement_invalid")
            }
            NotVerified::Unavailable(unavailable) => unavailable.into(),
        })
    }
}
