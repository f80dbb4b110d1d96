//! The issuer's key set (RFC 7517) and the discovery document that leads to it.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    jws::Algorithm,
    limits,
    url::{HttpUrl, Schemes},
};

/// Why an answer of the OP is not usable. It never replaces a usable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDocument {
    /// Not JSON of the expected shape.
    Malformed,
    /// Metadata of another issuer (Discovery section 4.3).
    OtherIssuer,
    /// A `jwks_uri` that is not a URL we may fetch.
    KeySetUrl,
    /// A key set without one key that we can use.
    NoUsableKey,
}

impl BadDocument {
    /// The stable code for logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "op_document_malformed",
            Self::OtherIssuer => "metadata_of_other_issuer",
            Self::KeySetUrl => "jwks_uri_not_allowed",
            Self::NoUsableKey => "jwks_without_usable_key",
        }
    }
}

/// The `jwks_uri` of the metadata document `body`, which must be `issuer`'s own.
///
/// # Errors
/// [`BadDocument`] if the document is not JSON, of another issuer, or names no URL allowed.
pub fn key_set_url(body: &[u8], issuer: &str, schemes: Schemes) -> Result<HttpUrl, BadDocument> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let metadata: Metadata = serde_json::from_slice(body).map_err(|_| BadDocument::Malformed)?;
    if metadata.issuer != issuer {
        return Err(BadDocument::OtherIssuer);
    }
    HttpUrl::parse(&metadata.jwks_uri, schemes).map_err(|_| BadDocument::KeySetUrl)
}

/// A public key that can verify signatures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    key_id: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

/// The numbers of a key, base64url as published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Material {
    /// An RSA key of an acceptable size.
    Rsa {
        /// Modulus.
        n: String,
        /// Exponent.
        e: String,
    },
}

impl PublicKey {
    /// The numbers of the key.
    #[must_use]
    pub const fn material(&self) -> &Material {
        &self.material
    }

    /// Whether the key is meant for `algorithm`: of its type, and not reserved for another.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let Material::Rsa { .. } = self.material;
        self.algorithm
            .as_ref()
            .is_none_or(|alg| alg == algorithm.name())
    }

    /// A JWK that holds the numbers and nothing else: runtimes refuse keys for members that have
    /// been judged here already.
    #[must_use]
    pub fn to_minimal_jwk(&self) -> String {
        let Material::Rsa { n, e } = &self.material;
        serde_json::json!({ "kty": "RSA", "n": n, "e": e }).to_string()
    }
}

/// The usable keys of an issuer; never empty.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<Rc<PublicKey>>);

impl KeySet {
    /// Reads a key set; keys that are malformed, of unknown kinds, not for signatures or of a
    /// refused size are skipped (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`BadDocument::Malformed`] or [`BadDocument::NoUsableKey`].
    pub fn parse(body: &[u8]) -> Result<Self, BadDocument> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let document: Document<'_> =
            serde_json::from_slice(body).map_err(|_| BadDocument::Malformed)?;
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(|key| read_key(key.get()))
            .map(Rc::new)
            .collect();
        if keys.is_empty() {
            return Err(BadDocument::NoUsableKey);
        }
        Ok(Self(keys))
    }

    /// The keys to try for a token, at most [`limits::KEYS_TRIED`]: those of its `kid`, or, if it
    /// names none, all that fit.
    pub fn candidates(&self, key_id: Option<&str>, algorithm: Algorithm) -> Vec<Rc<PublicKey>> {
        self.0
            .iter()
            .filter(|key| key_id.is_none() || key.key_id.as_deref() == key_id)
            .filter(|key| key.fits(algorithm))
            .take(limits::KEYS_TRIED)
            .cloned()
            .collect()
    }
}

fn read_key(text: &str) -> Option<PublicKey> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        kid: Option<String>,
        alg: Option<String>,
        #[serde(rename = "use")]
        usage: Option<String>,
        key_ops: Option<Vec<String>>,
        n: Option<String>,
        e: Option<String>,
    }
    // A `Value` first: a derived struct would take an array for an object.
    let value: Value = serde_json::from_str(text).ok()?;
    let jwk: Jwk = value
        .is_object()
        .then(|| serde_json::from_value(value))?
        .ok()?;
    let for_signatures = jwk.usage.is_none_or(|usage| usage == "sig")
        && jwk
            .key_ops
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if jwk.kty != "RSA" || !for_signatures {
        return None;
    }
    let (n, e) = (trim_padding(jwk.n?), trim_padding(jwk.e?));
    let bits = bit_length(&Base64UrlUnpadded::decode_vec(&n).ok()?);
    if !limits::RSA_MODULUS_BITS.contains(&bits) {
        return None;
    }
    let exponent = Base64UrlUnpadded::decode_vec(&e).ok()?;
    if exponent.last().is_none_or(|byte| byte % 2 == 0) || bit_length(&exponent) < 2 {
        return None;
    }
    Some(PublicKey {
        key_id: jwk.kid,
        algorithm: jwk.alg,
        material: Material::Rsa { n, e },
    })
}

/// Some OPs pad; the minimal JWK does not.
fn trim_padding(mut text: String) -> String {
    text.truncate(text.trim_end_matches('=').len());
    text
}

fn bit_length(number: &[u8]) -> usize {
    let significant = number
        .iter()
        .position(|byte| *byte != 0)
        .and_then(|first| number.get(first..))
        .unwrap_or_default();
    let leading = significant.first().map_or(0, |byte| byte.leading_zeros());
    significant
        .len()
        .saturating_mul(8)
        .saturating_sub(usize::try_from(leading).unwrap_or_default())
}
