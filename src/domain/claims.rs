//! The claims that logout tokens and ID tokens share, and the checks that both undergo
//! (Core section 3.1.3.7, by reference from Back-Channel Logout 1.0 section 2.6).

use std::time::Duration;

use jwt_compact::Claims;
use serde::Deserialize;

use super::{config::App, jws::TextClaim, limits, refusal::Refusal, time::Timestamp};

/// `aud`: one string or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// A list of audiences.
    Many(Vec<String>),
}

impl Audience {
    /// Whether the app is named, and otherwise only audiences that are trusted.
    fn is_for(&self, app: &App) -> bool {
        let audiences = match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Many(audiences) => audiences,
        };
        let trusted = &app.issuer.trusted_audiences;
        audiences.contains(&app.client_id)
            && audiences
                .iter()
                .all(|audience| *audience == app.client_id || trusted.contains(audience))
    }
}

/// Who speaks, to whom, about whom.
#[derive(Debug, Deserialize)]
pub struct Parties {
    #[serde(default)]
    iss: TextClaim,
    aud: Option<Audience>,
    #[serde(default)]
    azp: TextClaim,
    #[serde(default)]
    sub: TextClaim,
    #[serde(default)]
    sid: TextClaim,
}

impl Parties {
    /// Checks issuer, audience and authorised party of a token for `app`.
    ///
    /// # Errors
    /// [`Refusal::Issuer`], [`Refusal::Audience`] or [`Refusal::AuthorizedParty`].
    pub fn check(&self, app: &App) -> Result<(), Refusal> {
        if !matches!(&self.iss, TextClaim::Text(iss) if *iss == app.issuer.issuer) {
            return Err(Refusal::Issuer);
        }
        if !self.aud.as_ref().is_some_and(|aud| aud.is_for(app)) {
            return Err(Refusal::Audience);
        }
        match &self.azp {
            TextClaim::Absent => Ok(()),
            TextClaim::Text(azp) if *azp == app.client_id => Ok(()),
            _ => Err(Refusal::AuthorizedParty),
        }
    }

    /// `sub` and `sid`: non-empty strings where they occur.
    ///
    /// # Errors
    /// [`Refusal::SubjectMalformed`]: a `sid` of another type must never count as "no sid", which
    /// would widen a logout to the whole user.
    pub fn sub_and_sid(self) -> Result<(Option<String>, Option<String>), Refusal> {
        Ok((identifier(self.sub)?, identifier(self.sid)?))
    }
}

fn identifier(claim: TextClaim) -> Result<Option<String>, Refusal> {
    match claim {
        TextClaim::Absent => Ok(None),
        TextClaim::Text(text) if !text.is_empty() => Ok(Some(text)),
        _ => Err(Refusal::SubjectMalformed),
    }
}

/// What a token without `exp` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingExp {
    /// Refused.
    Refused,
    /// Taken if `iat` is at most [`limits::AGE_WITHOUT_EXP`] ago.
    TakenIfFresh,
}

/// The times of a token that is valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `iat`.
    pub issued_at: Timestamp,
    /// Until when it is taken, tolerance included.
    pub valid_until: Timestamp,
}

/// Checks `exp`, `nbf` and `iat` with the tolerance `skew`.
///
/// # Errors
/// [`Refusal::ExpirationMissing`], [`Refusal::Expired`], [`Refusal::NotYetValid`],
/// [`Refusal::IssuedAtMissing`], [`Refusal::IssuedInFuture`] or [`Refusal::IssuedTooLongAgo`].
pub fn check_times<C>(
    claims: &Claims<C>,
    missing_exp: MissingExp,
    skew: Duration,
    now: Timestamp,
) -> Result<Times, Refusal> {
    let latest = now.plus(skew);
    let expires = claims
        .expiration
        .map(|exp| Timestamp::from_seconds(exp.timestamp()).plus(skew));
    match expires {
        // "On or after" (RFC 7519 section 4.1.4).
        Some(expires) if now >= expires => return Err(Refusal::Expired),
        None if missing_exp == MissingExp::Refused => return Err(Refusal::ExpirationMissing),
        _ => {}
    }
    if claims
        .not_before
        .is_some_and(|nbf| Timestamp::from_seconds(nbf.timestamp()) > latest)
    {
        return Err(Refusal::NotYetValid);
    }
    let issued_at = claims.issued_at.ok_or(Refusal::IssuedAtMissing)?;
    let issued_at = Timestamp::from_seconds(issued_at.timestamp());
    if issued_at > latest {
        return Err(Refusal::IssuedInFuture);
    }
    let valid_until = expires.unwrap_or_else(|| issued_at.plus(limits::AGE_WITHOUT_EXP).plus(skew));
    if expires.is_none() && now > valid_until {
        return Err(Refusal::IssuedTooLongAgo);
    }
    Ok(Times {
        issued_at,
        valid_until,
    })
}
