//! The ID token with which an app announces a login (Core sections 2 and 3.1.3.7).

use jwt_compact::Claims;
use serde::Deserialize;

use super::{
    claims::{self, MissingExp, Parties},
    config::App,
    jws::{self, Presence, Types, Unverified},
    refusal::Refusal,
    session::{Session, SidKey, SubjectKey},
    time::Timestamp,
};

/// Who logged in, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `sub`.
    pub sub: String,
    /// `sid`, without which a logout of one session cannot be told from others'.
    pub sid: Option<String>,
    /// `iat`: the login time of the session that this login begins.
    pub issued_at: Timestamp,
    /// `auth_time`, if the OP says it; some always send 0, which says nothing.
    pub authenticated_at: Option<Timestamp>,
}

/// What an ID token says, whether or not it is still fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdClaims {
    /// `sub`.
    pub sub: String,
    /// `sid`, if it has one.
    pub sid: Option<String>,
    /// `iat`, or why its times are wrong.
    issued_at: Result<Timestamp, Refusal>,
    authenticated_at: Option<Timestamp>,
}

impl IdClaims {
    /// Whether they name the user of a session, and its `sid` if both have one.
    #[must_use]
    pub fn are_of(&self, app: &App, session: &Session) -> bool {
        let has_other_sid = |sid: &String| {
            session.sid != SidKey::absent(app, &self.sub) && session.sid != SidKey::of(app, sid)
        };
        session.subject == SubjectKey::of(app, &self.sub)
            && !self.sid.as_ref().is_some_and(has_other_sid)
    }

    /// The login that a fresh ID token attests.
    ///
    /// # Errors
    /// What is wrong with its times.
    pub fn into_login(self) -> Result<Login, Refusal> {
        Ok(Login {
            sub: self.sub,
            sid: self.sid,
            issued_at: self.issued_at?,
            authenticated_at: self.authenticated_at,
        })
    }
}

#[derive(Deserialize)]
struct RawClaims {
    #[serde(flatten)]
    parties: Parties,
    #[serde(default)]
    events: Presence,
    auth_time: Option<f64>,
}

/// Reads an ID token for `app` and does every check that needs no key; the outcome of those of its
/// times is kept for [`IdClaims::into_login`].
///
/// # Errors
/// The first [`Refusal`], cheapest checks first.
pub fn read(token: &str, app: &App, now: Timestamp) -> Result<Unverified<IdClaims>, Refusal> {
    jws::read(token, app.issuer.id_token_alg, Types::IdToken, |claims| {
        check(claims, app, now)
    })
}

fn check(token: Claims<RawClaims>, app: &App, now: Timestamp) -> Result<IdClaims, Refusal> {
    // Kinds of token exclude each other (RFC 8725 section 3.12).
    if token.custom.events == Presence::Present {
        return Err(Refusal::NotAnIdToken);
    }
    token.custom.parties.check(app)?;
    let times = claims::check_times(&token, MissingExp::Refused, app.issuer.clock_skew, now);
    let raw = token.custom;
    let authenticated_at = raw.auth_time.and_then(Timestamp::from_numeric_date);
    let (sub, sid) = raw.parties.sub_and_sid()?;
    Ok(IdClaims {
        sub: sub.ok_or(Refusal::SubjectMissing)?,
        sid,
        issued_at: times.map(|times| times.issued_at),
        authenticated_at,
    })
}
