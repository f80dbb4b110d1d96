//! The issuer's key set (RFC 7517) and the discovery document that leads to it.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    let metadata = object(body)?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    let (Some(its_issuer), Some(jwks_uri)) = (text("issuer"), text("jwks_uri")) else {
        return Err(BadDocument::Malformed);
    };
    if its_issuer != issuer {
        return Err(BadDocument::OtherIssuer);
    }
    HttpUrl::parse(jwks_uri, schemes).map_err(|_| BadDocument::KeySetUrl)
}

/// A map, because derived structs would take arrays for objects.
fn object(body: &[u8]) -> Result<Map<String, Value>, BadDocument> {
    serde_json::from_slice(body).map_err(|_| BadDocument::Malformed)
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
        let mut document = object(body)?;
        let Some(Value::Array(keys)) = document.remove("keys") else {
            return Err(BadDocument::Malformed);
        };
        let keys: Vec<_> = keys.into_iter().filter_map(read_key).map(Rc::new).collect();
        if keys.is_empty() {
            return Err(BadDocument::NoUsableKey);
        }
        Ok(Self(keys))
    }

    /// The keys to try for a token, at most [`limits::KEYS_TRIED`]: those of its `kid`, or, if it
    /// names none, all that fit.
    #[must_use]
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

fn read_key(key: Value) -> Option<PublicKey> {
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
    let jwk: Jwk = key.is_object().then(|| serde_json::from_value(key))?.ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa(bytes: usize) -> Value {
        let mut modulus = vec![0xff; bytes];
        modulus[bytes - 1] = 1;
        json!({ "kty": "RSA", "n": Base64UrlUnpadded::encode_string(&modulus), "e": "AQAB" })
    }

    fn with(mut key: Value, members: &Value) -> Value {
        for (name, value) in members.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn usable(key: &Value) -> bool {
        KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).is_ok()
    }

    #[test]
    fn keys_that_verify_signatures_are_usable() {
        for members in [
            json!({}),
            json!({ "kid": "k", "use": "sig", "alg": "RS256", "key_ops": ["verify"] }),
            json!({ "x5c": ["ignored"], "unknown": 1 }),
        ] {
            assert!(usable(&with(rsa(256), &members)), "{members}");
        }
        assert!(usable(&rsa(1024)));
    }

    #[test]
    fn other_keys_are_skipped() {
        for key in [
            rsa(128),
            rsa(255),
            rsa(1025),
            with(rsa(256), &json!({ "use": "enc" })),
            with(rsa(256), &json!({ "key_ops": ["sign"] })),
            with(rsa(256), &json!({ "e": "AAAA" })),
            with(rsa(256), &json!({ "e": "AQ" })),
            with(rsa(256), &json!({ "e": "Ag" })),
            with(rsa(256), &json!({ "n": "not base64url!" })),
            with(rsa(256), &json!({ "kid": 5 })),
            with(rsa(256), &json!({ "kty": "oct" })),
            json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }),
            json!(["RSA"]),
            json!(null),
        ] {
            assert!(!usable(&key), "{key}");
            let beside = json!({ "keys": [key, rsa(256)] }).to_string();
            assert!(KeySet::parse(beside.as_bytes()).is_ok(), "never fatal");
        }
    }

    #[test]
    fn a_document_that_is_no_key_set_is_bad() {
        for (body, problem) in [
            ("", BadDocument::Malformed),
            ("<html>", BadDocument::Malformed),
            ("[]", BadDocument::Malformed),
            ("[[]]", BadDocument::Malformed),
            (r#"{"keys":{}}"#, BadDocument::Malformed),
            (r#"{"keys":[]}"#, BadDocument::NoUsableKey),
        ] {
            assert_eq!(
                KeySet::parse(body.as_bytes()).unwrap_err(),
                problem,
                "{body}"
            );
        }
    }

    #[test]
    fn candidates_have_the_kid_and_fit_the_algorithm() {
        let set = json!({ "keys": [
            with(rsa(256), &json!({ "kid": "a" })),
            with(rsa(257), &json!({ "kid": "a" })),
            with(rsa(256), &json!({ "kid": "b", "alg": "RS512" })),
            with(rsa(258), &json!({ "kid": "c" })),
            rsa(259), rsa(260), rsa(261),
        ]});
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        let count = |kid| set.candidates(kid, Algorithm::Rs256).len();
        assert_eq!(count(Some("a")), 2);
        assert_eq!(count(Some("b")), 0, "reserved for another algorithm");
        assert_eq!(count(Some("d")), 0);
        assert_eq!(count(None), limits::KEYS_TRIED);
    }

    #[test]
    fn metadata_is_the_issuers_own() {
        let read = |body: Value| {
            key_set_url(
                body.to_string().as_bytes(),
                "https://op.example",
                Schemes::Https,
            )
        };
        let metadata =
            |issuer: &str, jwks_uri: &str| json!({ "issuer": issuer, "jwks_uri": jwks_uri });
        assert!(read(metadata("https://op.example", "https://op.example/jwks")).is_ok());
        for (body, problem) in [
            (
                metadata("https://op.example/", "https://op.example/jwks"),
                BadDocument::OtherIssuer,
            ),
            (
                metadata("https://op.example", "http://op.example/jwks"),
                BadDocument::KeySetUrl,
            ),
            (
                metadata("https://op.example", "file:///etc"),
                BadDocument::KeySetUrl,
            ),
            (
                json!({ "issuer": "https://op.example" }),
                BadDocument::Malformed,
            ),
            (
                json!(["https://op.example", "https://op.example/jwks"]),
                BadDocument::Malformed,
            ),
        ] {
            assert_eq!(read(body.clone()), Err(problem), "{body}");
        }
    }
}
