//! Compact JWS: what a token says before anybody has checked its signature.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_compact::Claims;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{limits, refusal::Refusal};

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1) that may be configured.
/// `none` and the symmetric ones are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt as long.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt as long.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt as long.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519; Ed448 is not supported.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name; case matters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }
}

/// A token whose claims were read and checked, and whose signature nobody has verified yet.
///
/// What it claims is known by [`Unverified::claimed`]; that it is true, by the code that verified the
/// signature (`app::verify`).
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

    /// What the token claims, unproven: to be compared with what is known, and nothing else.
    #[must_use]
    pub const fn claimed(&self) -> &C {
        &self.claims
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

/// The header members that matter (RFC 7515 section 4.1). Keys and certificates in a header are not
/// among them: whatever they hold, nothing of it is used, and nothing is refused for it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    // What would change the meaning of the token; none is understood here.
    #[serde(default)]
    crit: Presence,
    #[serde(default)]
    b64: Presence,
    #[serde(default)]
    zip: Presence,
    #[serde(default)]
    cty: Presence,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        // A derived struct would take an array for an object.
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        is_object.then(|| serde_json::from_slice(bytes).ok())?
    }

    fn is_critical(&self) -> bool {
        [self.crit, self.b64, self.zip, self.cty].contains(&Presence::Present)
    }
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

/// The values of `typ` that are taken (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Of ID tokens: `JWT`, or none.
    IdToken,
    /// Of logout tokens: `logout+jwt` or `JWT`, or none, because most OPs send none.
    LogoutToken,
    /// Of logout tokens of an OP that always sends it: `logout+jwt` alone.
    LogoutTokenExplicit,
}

impl Types {
    fn take(self, typ: Option<&str>) -> bool {
        let Some(typ) = typ.map(str::to_ascii_lowercase) else {
            return self != Self::LogoutTokenExplicit;
        };
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "logout+jwt" => self != Self::IdToken,
            "jwt" => self != Self::LogoutTokenExplicit,
            _ => false,
        }
    }
}

/// What a token says whose signature is for somebody else to verify: the claims of a compact JWS, if
/// it is one.
#[must_use]
pub fn unverified_claims<C: DeserializeOwned>(token: &str) -> Option<C> {
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?)
        .ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Reads a compact JWS: structure, critical members, `alg`, `typ`, `kid`, then what `check` makes of the claims. The
/// signature is decoded last: most refused tokens are refused before.
///
/// # Errors
/// [`Refusal::TokenTooLarge`] to [`Refusal::ClaimsMalformed`], and what `check` refuses; of several the first that is
/// found in that order.
pub fn read<C: DeserializeOwned, D>(
    token: &str,
    algorithm: Algorithm,
    types: Types,
    check: impl FnOnce(Claims<C>) -> Result<D, Refusal>,
) -> Result<Unverified<D>, Refusal> {
    if token.len() > limits::TOKEN_BYTES {
        return Err(Refusal::TokenTooLarge);
    }
    let malformed = Refusal::TokenMalformed;
    let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(malformed)?;
    if payload.contains('.') {
        // Five segments are a JWE (RFC 7516 section 3.1).
        let is_encrypted = payload.matches('.').count() == 2;
        return Err(if is_encrypted {
            Refusal::Encrypted
        } else {
            malformed
        });
    }
    let decode = |segment: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(segment)
            .map_err(|_| malformed)
    };
    let header = Header::read(&decode(header)?).ok_or(malformed)?;
    if header.is_critical() {
        return Err(Refusal::CriticalHeader);
    }
    if header.alg != algorithm.name() {
        return Err(Refusal::Algorithm);
    }
    if !types.take(header.typ.as_deref()) {
        return Err(Refusal::Type);
    }
    let is_too_long = |kid: &String| kid.len() > limits::KEY_ID_BYTES;
    if header.kid.as_ref().is_some_and(is_too_long) {
        return Err(Refusal::KeyId);
    }
    let claims = serde_json::from_slice(&decode(payload)?).map_err(|_| Refusal::ClaimsMalformed)?;
    Ok(Unverified {
        claims: check(claims)?,
        algorithm,
        key_id: header.kid,
        signed: signed.to_owned(),
        signature: decode(signature)?,
    })
}
