//! An OP of the tests' own: its key, and the tokens that it signs.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_compact::{
    Algorithm as _,
    alg::{Rsa, RsaPrivateKey},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use super::ISSUER;
use crate::domain::time::Timestamp;

/// The key of the OP.
pub struct Signer(RsaPrivateKey);

impl Signer {
    pub fn new() -> Self {
        let jwk: JsonWebKey<'_> =
            serde_json::from_str(include_str!("../../../tests/vectors/rs256.jwk.json")).unwrap();
        Self(RsaPrivateKey::try_from(&jwk).unwrap())
    }

    pub fn sign(&self, header: &str, claims: &str) -> String {
        let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signature = Rsa::rs256().sign(&self.0, signed.as_bytes());
        let signature = jwt_compact::AlgorithmSignature::as_bytes(&signature).into_owned();
        format!("{signed}.{}", encode(&signature))
    }

    pub fn id_token(&self, client: &str, sub: &str, sid: Option<&str>, iat: Timestamp) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": client, "sub": sub,
            "iat": iat.seconds(), "exp": iat.seconds() + 3600,
        });
        if let Some(sid) = sid {
            claims["sid"] = json!(sid);
        }
        self.sign(r#"{"alg":"RS256","kid":"op-1"}"#, &claims.to_string())
    }

    pub fn logout_token(&self, client: &str, target: &Value, iat: Timestamp) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": client, "jti": "j", "iat": iat.seconds(),
            "exp": iat.seconds() + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in target.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.sign(r#"{"alg":"RS256","kid":"op-1"}"#, &claims.to_string())
    }
}

/// The key set that the OP publishes.
pub fn key_set() -> String {
    let jwk: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/rs256.jwk.json")).unwrap();
    json!({ "keys": [{ "kty": "RSA", "kid": "op-1", "n": jwk["n"], "e": jwk["e"] }] }).to_string()
}

/// A key set with another key of the same `kid`.
pub fn other_key_set() -> String {
    let mut modulus = [0xff; 256];
    modulus[128] = 1;
    let n = BASE64_URL_SAFE_NO_PAD.encode(modulus);
    json!({ "keys": [{ "kty": "RSA", "kid": "op-1", "n": n, "e": "AQAB" }] }).to_string()
}
