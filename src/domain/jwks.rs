//! The issuer's key set (RFC 7517).

use std::rc::Rc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{jws::Algorithm, limits};

/// Why an answer of the OP is not usable. It never replaces a usable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDocument {
    /// Not JSON of the expected shape.
    Malformed,
    /// Metadata of another issuer (Discovery section 4.3).
    OtherIssuer,
    /// A `jwks_uri` that is not a URL we may fetch.
    KeySetUrl,
    /// A `token_endpoint` that is not a URL we may ask.
    TokenEndpoint,
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
            Self::TokenEndpoint => "token_endpoint_not_allowed",
            Self::NoUsableKey => "jwks_without_usable_key",
        }
    }
}

/// A map, because derived structs would take arrays for objects.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, BadDocument> {
    let without_mark = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(without_mark).map_err(|_| BadDocument::Malformed)
}

/// A public key that can verify signatures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    key_id: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

/// The numbers of a key, base64url as published, of an acceptable size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Material {
    /// An RSA key.
    Rsa {
        /// Modulus.
        n: String,
        /// Exponent.
        e: String,
    },
    /// A point that should be on a curve of NIST's; whether it is the runtime finds out.
    Ec {
        /// Its curve.
        curve: Curve,
        /// First coordinate.
        x: String,
        /// Second coordinate.
        y: String,
    },
    /// An Ed25519 key.
    Ed25519 {
        /// The key.
        x: String,
    },
}

/// A curve of NIST's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl Curve {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate (RFC 7518 section 6.2.1.2).
    const fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl PublicKey {
    /// The numbers of the key.
    #[must_use]
    pub const fn material(&self) -> &Material {
        &self.material
    }

    /// Whether the key is meant for `algorithm`: of its type and curve, and not reserved for
    /// another (RFC 8725 section 3.1).
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let of_its_type = match &self.material {
            Material::Rsa { .. } => matches!(
                algorithm,
                A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512
            ),
            Material::Ec { curve, .. } => match curve {
                Curve::P256 => algorithm == A::Es256,
                Curve::P384 => algorithm == A::Es384,
                Curve::P521 => algorithm == A::Es512,
            },
            Material::Ed25519 { .. } => algorithm == A::EdDsa,
        };
        of_its_type
            && self.algorithm.as_ref().is_none_or(|alg| {
                // RFC 9864 names the curve.
                alg == algorithm.name() || (algorithm == A::EdDsa && alg == "Ed25519")
            })
    }

    /// A JWK that holds the numbers and nothing else: runtimes refuse keys for members that have
    /// been judged here already.
    #[must_use]
    pub fn to_minimal_jwk(&self) -> String {
        match &self.material {
            Material::Rsa { n, e } => json!({ "kty": "RSA", "n": n, "e": e }),
            Material::Ec { curve, x, y } => {
                json!({ "kty": "EC", "crv": curve.name(), "x": x, "y": y })
            }
            Material::Ed25519 { x } => json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        }
        .to_string()
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
        crv: Option<String>,
        n: Option<String>,
        e: Option<String>,
        x: Option<String>,
        y: Option<String>,
    }
    let jwk: Jwk = key.is_object().then(|| serde_json::from_value(key))?.ok()?;
    let for_signatures = jwk.usage.is_none_or(|usage| usage == "sig")
        && jwk
            .key_ops
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !for_signatures {
        return None;
    }
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", None) => rsa(jwk.n?, jwk.e?)?,
        ("EC", Some(name)) => {
            let curve = [Curve::P256, Curve::P384, Curve::P521]
                .into_iter()
                .find(|curve| curve.name() == name)?;
            Material::Ec {
                curve,
                x: bytes_of(jwk.x?, curve.coordinate())?,
                y: bytes_of(jwk.y?, curve.coordinate())?,
            }
        }
        ("OKP", Some("Ed25519")) => Material::Ed25519 {
            x: bytes_of(jwk.x?, 32)?,
        },
        _ => return None,
    };
    Some(PublicKey {
        key_id: jwk.kid,
        algorithm: jwk.alg,
        material,
    })
}

fn rsa(n: String, e: String) -> Option<Material> {
    let (n, e) = (trim_padding(n), trim_padding(e));
    let bits = bit_length(&BASE64_URL_SAFE_NO_PAD.decode(&n).ok()?);
    let exponent = BASE64_URL_SAFE_NO_PAD.decode(&e).ok()?;
    let is_odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    let acceptable =
        limits::RSA_MODULUS_BITS.contains(&bits) && is_odd && bit_length(&exponent) > 1;
    acceptable.then_some(Material::Rsa { n, e })
}

/// `text`, if it is the base64url of that many bytes.
fn bytes_of(text: String, length: usize) -> Option<String> {
    let text = trim_padding(text);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).ok()?;
    (bytes.len() == length).then_some(text)
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

    fn rsa(bytes: usize) -> Value {
        let mut modulus = vec![0xff; bytes];
        modulus[bytes - 1] = 1;
        json!({ "kty": "RSA", "n": BASE64_URL_SAFE_NO_PAD.encode(&modulus), "e": "AQAB" })
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
    fn each_kind_of_key_fits_its_algorithms() {
        let bytes = |length| BASE64_URL_SAFE_NO_PAD.encode(vec![1; length]);
        let ec = |curve: &str, length| json!({ "kty": "EC", "crv": curve, "x": bytes(length), "y": bytes(length) });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": bytes(32) });
        for (key, fitting) in [
            (
                rsa(256),
                &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..],
            ),
            (with(rsa(256), &json!({ "alg": "PS384" })), &["PS384"]),
            (ec("P-256", 32), &["ES256"]),
            (ec("P-384", 48), &["ES384"]),
            (ec("P-521", 66), &["ES512"]),
            (with(ec("P-256", 32), &json!({ "alg": "ES384" })), &[]),
            (ed.clone(), &["EdDSA"]),
            (with(ed.clone(), &json!({ "alg": "Ed25519" })), &["EdDSA"]),
            (with(ed, &json!({ "alg": "Ed448" })), &[]),
        ] {
            let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            let fits = |alg: &Algorithm| !set.candidates(None, *alg).is_empty();
            let found: Vec<_> = Algorithm::ALL.iter().filter(|alg| fits(alg)).collect();
            let found: Vec<_> = found.into_iter().map(|alg| alg.name()).collect();
            assert_eq!(found, fitting, "{key}");
        }
        for key in [ec("P-256", 31), ec("P-256", 33), ec("secp256k1", 32)] {
            assert!(!usable(&key), "{key}");
        }
        assert!(!usable(
            &json!({ "kty": "OKP", "crv": "Ed25519", "x": bytes(31) })
        ));
        assert!(!usable(
            &json!({ "kty": "OKP", "crv": "X25519", "x": bytes(32) })
        ));
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
}
