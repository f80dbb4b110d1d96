//! Signatures: the step from a token that says something to one that proves it.

use std::ops::Deref;

use super::{
    keys,
    ports::{Unavailable, World},
};
use crate::domain::{
    config::{App, Issuer},
    id_token::{self, IdClaims},
    jws::Unverified,
    key_cache::Wanted,
    limits,
    refusal::Refusal,
    session::Attested,
    time::Timestamp,
};

/// Claims whose signature has been verified with a key of their issuer. Only [`verify`] makes
/// one: to hold it is the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C>(C);

impl<C> Deref for Verified<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Verified<C> {
    /// The claims alone.
    #[must_use]
    pub fn into_inner(self) -> C {
        self.0
    }
}

/// Why a token was not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotVerified {
    /// The token is wrong.
    Refused(Refusal),
    /// The keys cannot be had now: nothing is known about the token.
    Unavailable(Unavailable),
}

impl From<Refusal> for NotVerified {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unavailable> for NotVerified {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// The login that a fresh ID token for `app` attests.
///
/// # Errors
/// [`NotVerified`].
pub async fn login(
    world: &impl World,
    app: &App,
    token: &str,
    now: Timestamp,
    deadline: Timestamp,
) -> Result<Attested, NotVerified> {
    let token = id_token::read(token, app, now)?.try_map(IdClaims::into_login)?;
    let login = verify(world, &app.issuer, &token, now, deadline).await?;
    Ok(Attested::of(app, &login))
}

/// Verifies the signature of a token of `issuer` that arrived at `arrived` (Back-Channel Logout
/// 1.0 section 2.6 step 2; Core section 3.1.3.7 step 6).
///
/// # Errors
/// [`NotVerified`].
pub async fn verify<C: Clone>(
    world: &impl World,
    issuer: &Issuer,
    token: &Unverified<C>,
    arrived: Timestamp,
    deadline: Timestamp,
) -> Result<Verified<C>, NotVerified> {
    let mut wanted = Wanted {
        key_id: token.key_id(),
        algorithm: token.algorithm(),
        arrived,
        newer_than: None,
    };
    loop {
        let found = keys::find(world, issuer, &wanted, deadline).await?;
        if found.keys.is_empty() {
            return Err(Refusal::KeyUnknown.into());
        }
        for key in &found.keys {
            if world
                .verifies(token.algorithm(), key, token.signed(), token.signature())
                .await
            {
                return Ok(Verified(token.claimed().clone()));
            }
        }
        // It may be of a key that is newer than the set: a token without a `kid` cannot say so,
        // and some OPs give a new key the old one's.
        let moment = if wanted.key_id.is_some() {
            arrived.minus(limits::KEY_REUSE_CHECK)
        } else {
            arrived
        };
        if found.is_newer_than(moment) {
            return Err(Refusal::Signature.into());
        }
        wanted.newer_than = Some(moment);
    }
}
