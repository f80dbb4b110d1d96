//! The logout token (Back-Channel Logout 1.0 section 2.4) and its validation (section 2.6).
//!
//! The steps of section 2.6, each tagged where it is done:
//! (1) decrypt; (2) verify the signature; (3) check `alg`; (4) check `iss`, `aud`, `iat`, `exp`;
//! (5) `sub` or `sid`; (6) `events`; (7) no `nonce`; (8) `jti` not seen before; (9)-(11) compare
//! with the ID token. (2) is `app::verify`. (1) does not occur: a token of five segments is
//! refused as encrypted. (8)-(11) are optional: a repeat does no harm (see `session`), and real OPs send
//! a `sub` that differs from the ID token's.

use jwt_compact::Claims;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    claims::{self, MissingExp, Parties},
    config::App,
    jws::{self, Presence, TextClaim, Unverified},
    limits,
    refusal::Refusal,
    time::Timestamp,
};

/// What a logout token orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutClaims {
    /// Whose sessions end.
    pub target: Target,
    /// When it ordered it, by `iat`.
    pub logout: Logout,
}

/// When a logout was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Logout {
    /// The logout token's `iat`: sessions that began later are not meant.
    pub at: Timestamp,
    /// Until when the token is taken.
    pub valid_until: Timestamp,
}

impl Logout {
    /// Until when a logout that was received at `now` is remembered: as long as its token may be
    /// repeated, or a login may come that it covers; but no longer than any session lives.
    #[must_use]
    pub fn remembered_until(&self, now: Timestamp) -> Timestamp {
        let births = now.plus(limits::LOGIN_MAX_AGE).plus(limits::REBIRTH_WINDOW);
        let repeats = self
            .valid_until
            .min(now.plus(*limits::SESSION_LIFETIME_BOUNDS.end()));
        births.max(repeats).plus(limits::CLOCK_SKEW_MAX)
    }
}

/// Whom a logout ends (section 2.4: `sub`, `sid`, or both).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The sessions of this `sid`. A `sub` beside it never widens that.
    Session {
        /// `sid`.
        sid: String,
        /// `sub`, if the token has one.
        sub: Option<String>,
    },
    /// All sessions of this `sub`.
    Subject {
        /// `sub`.
        sub: String,
    },
}

#[derive(Deserialize)]
struct RawClaims {
    #[serde(flatten)]
    parties: Parties,
    #[serde(default)]
    jti: TextClaim,
    #[serde(default)]
    events: Value,
    #[serde(default)]
    nonce: Presence,
}

/// Whether `events` is an object with the logout event, whose value is an object too.
fn orders_logout(events: &Value) -> bool {
    events
        .get("http://schemas.openid.net/event/backchannel-logout")
        .is_some_and(Value::is_object)
}

/// Reads a logout token for `app` and does every check that needs no key.
///
/// # Errors
/// The first [`Refusal`], cheapest checks first.
pub fn read(token: &str, app: &App, now: Timestamp) -> Result<Unverified<LogoutClaims>, Refusal> {
    // (3)
    let (algorithm, types) = (app.issuer.logout_alg, app.issuer.logout_types);
    jws::read(token, algorithm, types, |claims| check(claims, app, now))
}

fn check(token: Claims<RawClaims>, app: &App, now: Timestamp) -> Result<LogoutClaims, Refusal> {
    let issuer = &app.issuer;
    let missing_exp = if issuer.allow_missing_exp {
        MissingExp::TakenIfFresh
    } else {
        MissingExp::Refused
    };
    // (4)
    token.custom.parties.check(app)?;
    let times = claims::check_times(&token, missing_exp, issuer.clock_skew, now)?;
    let raw = token.custom;
    // (6)
    if !orders_logout(&raw.events) {
        return Err(Refusal::Event);
    }
    // (7)
    if raw.nonce == Presence::Present {
        return Err(Refusal::Nonce);
    }
    // Section 2.4 requires it; nothing is kept of it.
    if !matches!(raw.jti, TextClaim::Text(jti) if !jti.is_empty()) {
        return Err(Refusal::TokenId);
    }
    // (5)
    let target = match raw.parties.sub_and_sid()? {
        (sub, Some(sid)) => Target::Session { sid, sub },
        (Some(sub), None) => Target::Subject { sub },
        (None, None) => return Err(Refusal::SubjectMissing),
    };
    Ok(LogoutClaims {
        target,
        logout: Logout {
            at: times.issued_at,
            valid_until: times.valid_until,
        },
    })
}
