//! What an operator may ask, and who is one.

pub mod confirm;
pub mod order;

use jwt_compact::Claims;
use serde::Deserialize;

use super::{
    claims::{self, Audience, MissingExp},
    config::Access,
    digest::Digest,
    jws::{self, TextClaim, Types, Unverified},
    refusal::Refusal,
    time::Timestamp,
};

/// The header that every request of an operator carries: a page of another site cannot send it without
/// being asked first, and nobody answers that.
pub const HEADER: &str = "edge-logout-operator";

/// Where a request of an operator comes from, as its headers tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Provenance<'a> {
    /// [`HEADER`].
    pub header: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
}

impl Provenance<'_> {
    /// Whether it comes from a page of `origin` (scheme and authority), or from no page.
    #[must_use]
    pub fn is_own(&self, origin: &str) -> bool {
        self.header == Some("1")
            && self.origin.is_none_or(|from| from == origin)
            && self
                .site
                .is_none_or(|site| ["same-origin", "none"].contains(&site))
    }
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Whoever has the key.
    Key,
    /// Somebody whom Cloudflare Access let in: the hash of who.
    Access(Digest),
}

impl Identity {
    /// What log and journal call them.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Key => "key".to_owned(),
            Self::Access(who) => who.short(),
        }
    }
}

#[derive(Deserialize)]
struct AccessClaims {
    #[serde(default)]
    iss: TextClaim,
    aud: Option<Audience>,
    #[serde(default)]
    sub: TextClaim,
    #[serde(default)]
    common_name: TextClaim,
}

/// Reads an assertion of Cloudflare Access (`Cf-Access-Jwt-Assertion`) and does every check that needs
/// no key. People have a `sub`; of service tokens it is empty, and `common_name` says which.
///
/// # Errors
/// The first [`Refusal`].
pub fn read_assertion(
    token: &str,
    access: &Access,
    now: Timestamp,
) -> Result<Unverified<Identity>, Refusal> {
    jws::read(token, access.team.id_token_alg, Types::IdToken, |claims| {
        check_assertion(&claims, access, now)
    })
}

fn check_assertion(
    assertion: &Claims<AccessClaims>,
    access: &Access,
    now: Timestamp,
) -> Result<Identity, Refusal> {
    let team = &access.team;
    let claims = &assertion.custom;
    if !matches!(&claims.iss, TextClaim::Text(iss) if *iss == team.issuer) {
        return Err(Refusal::Issuer);
    }
    let is_ours = match &claims.aud {
        Some(Audience::One(audience)) => *audience == access.audience,
        Some(Audience::Many(audiences)) => audiences.contains(&access.audience),
        None => false,
    };
    if !is_ours {
        return Err(Refusal::Audience);
    }
    claims::check_times(assertion, MissingExp::Refused, team.clock_skew, now)?;
    let names = [("sub", &claims.sub), ("common_name", &claims.common_name)];
    let who = names.into_iter().find_map(|(kind, name)| match name {
        TextClaim::Text(name) if !name.is_empty() => Some((kind, name)),
        _ => None,
    });
    let (kind, name) = who.ok_or(Refusal::SubjectMissing)?;
    let who = Digest::of("operator", &[&team.issuer, kind, name]);
    Ok(Identity::Access(who))
}

#[cfg(test)]
mod tests;
