//! Compact JWS: what a token says before anybody has checked its signature.

use jwt_compact::{Claims, UntrustedToken};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{limits, refusal::Refusal};

/// A signature algorithm (RFC 7518 section 3.1) that may be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name; case matters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Rs256].into_iter().find(|alg| alg.name() == name)
    }
}

/// A token whose claims were read and checked, and whose signature nobody has verified yet.
///
/// The claims stay inside until [`Unverified::into_claims`], which only the code that verified
/// the signature calls (`app::verify`).
#[derive(Clone, Debug)]
pub struct Unverified<C> {
    claims: C,
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: String,
    signature: Vec<u8>,
}

impl<C> Unverified<C> {
    /// The algorithm to verify with: the configured one, which the header repeats.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The header's `kid`: compared with those of the key set, and used for nothing else.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The bytes that were signed: the token up to its last dot.
    #[must_use]
    pub const fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The claims, once the signature has been verified.
    #[must_use]
    pub fn into_claims(self) -> C {
        self.claims
    }

    /// The same token with its claims reduced to what is needed from them.
    ///
    /// # Errors
    /// What `check` refuses.
    pub fn try_map<D>(
        self,
        check: impl FnOnce(C) -> Result<D, Refusal>,
    ) -> Result<Unverified<D>, Refusal> {
        Ok(Unverified {
            claims: check(self.claims)?,
            algorithm: self.algorithm,
            key_id: self.key_id,
            signed: self.signed,
            signature: self.signature,
        })
    }
}

/// Header members that would change what the token means; none is understood here.
#[derive(Deserialize)]
struct OtherMembers {
    #[serde(default)]
    crit: Presence,
    #[serde(default)]
    b64: Presence,
    #[serde(default)]
    zip: Presence,
}

/// Whether a member occurs at all, `null` included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// The member does not occur.
    #[default]
    Absent,
    /// The member occurs, whatever its value.
    Present,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self::Present)
    }
}

/// A claim that should be a string.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum TextClaim {
    /// A string, perhaps empty.
    Text(String),
    /// Anything else, `null` included.
    Other(IgnoredAny),
    /// The claim does not occur.
    #[default]
    #[serde(skip)]
    Absent,
}

/// Reads a compact JWS: structure, `alg`, `typ`, critical members, `kid`, then the claims.
///
/// `types` are the values of `typ` that are taken, lower case and without `application/`;
/// a token without `typ` is taken too, because most OPs send none.
///
/// # Errors
/// [`Refusal::TokenTooLarge`] up to [`Refusal::ClaimsMalformed`], in the order of the checks.
pub fn read<C: DeserializeOwned>(
    token: &str,
    algorithm: Algorithm,
    types: &[&str],
) -> Result<Unverified<Claims<C>>, Refusal> {
    if token.len() > limits::TOKEN_BYTES {
        return Err(Refusal::TokenTooLarge);
    }
    let parsed: UntrustedToken<'_, OtherMembers> =
        UntrustedToken::try_from(token).map_err(|_| Refusal::TokenMalformed)?;
    if parsed.algorithm() != algorithm.name() {
        return Err(Refusal::Algorithm);
    }
    let header = parsed.header();
    let other = &header.other_fields;
    if [other.crit, other.b64, other.zip].contains(&Presence::Present) {
        return Err(Refusal::CriticalHeader);
    }
    if !header.token_type.as_deref().is_none_or(|typ| {
        let typ = typ.to_ascii_lowercase();
        types.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    }) {
        return Err(Refusal::Type);
    }
    let key_id = header.key_id.clone();
    if key_id
        .as_ref()
        .is_some_and(|kid| kid.len() > limits::KEY_ID_BYTES)
    {
        return Err(Refusal::KeyId);
    }
    let claims = parsed
        .deserialize_claims_unchecked()
        .map_err(|_| Refusal::ClaimsMalformed)?;
    let (signed, _) = token.rsplit_once('.').ok_or(Refusal::TokenMalformed)?;
    Ok(Unverified {
        claims,
        algorithm,
        key_id,
        signed: signed.to_owned(),
        signature: parsed.signature_bytes().to_vec(),
    })
}
