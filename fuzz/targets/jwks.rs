//! Key sets and metadata: what is accepted is within the limits, and stands in the document.

#![no_main]

use arbitrary::Arbitrary;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use edge_logout_fuzz::domain::{
    jwks::{BadDocument, KeySet},
    jws::Algorithm,
    limits,
    metadata::Metadata,
    url::{HttpUrl, Schemes},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use url::Url;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a [u8]),
    Keys(Vec<Key<'a>>),
    Metadata(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Key<'a> {
    kind: u8,
    curve: Option<u8>,
    members: Vec<(u8, &'a str)>,
    /// Of each number: how many bytes, and the first and last of them.
    numbers: [(u16, u8, u8); 2],
    padding: u8,
}

impl Key<'_> {
    fn json(&self) -> Value {
        let pick = |list: &[&'static str], index: u8| list[usize::from(index) % list.len()];
        let mut key = json!({ "kty": pick(&["RSA", "EC", "OKP", "oct"], self.kind) });
        if let Some(curve) = self.curve {
            key["crv"] = json!(pick(
                &["P-256", "P-384", "P-521", "Ed25519", "X25519"],
                curve
            ));
        }
        for (name, value) in &self.members {
            match pick(&["kid", "alg", "use", "key_ops", "d"], *name) {
                "key_ops" => key["key_ops"] = json!([value]),
                name => key[name] = json!(value),
            }
        }
        let names = if key["kty"] == "RSA" {
            ["n", "e"]
        } else {
            ["x", "y"]
        };
        for (name, (length, first, last)) in names.into_iter().zip(self.numbers) {
            let mut bytes = vec![0xa5; usize::from(length % 1100)];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Some(byte) = bytes.last_mut() {
                *byte = last;
            }
            let padding = "=".repeat(usize::from(self.padding % 3));
            key[name] = json!(BASE64_URL_SAFE_NO_PAD.encode(&bytes) + &padding);
        }
        key
    }
}

fn bits(bytes: &[u8]) -> usize {
    let text: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    text.trim_start_matches('0').len()
}

fn check_keys(body: &[u8]) {
    let Ok(set) = KeySet::parse(body) else { return };
    let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let document: Value = serde_json::from_slice(json).expect("it is JSON");
    let keys = document["keys"].as_array().expect("a list");
    assert!(!keys.is_empty());
    let kids = keys.iter().map(|key| key["kid"].as_str()).chain([None]);
    for (kid, algorithm) in kids.flat_map(|kid| Algorithm::ALL.map(|alg| (kid, alg))) {
        let candidates = set.candidates(kid, algorithm);
        assert!(candidates.len() <= limits::KEYS_TRIED);
        for candidate in candidates {
            let minimal = candidate.to_minimal_jwk();
            let minimal: Value = serde_json::from_str(&minimal).expect("it is JSON");
            let minimal = minimal.as_object().expect("an object");
            // Others may hold the same numbers and not be fit.
            let is_its_own = |key: &&Value| {
                minimal.iter().all(|(name, value)| {
                    let text = key[name].as_str().unwrap_or_default();
                    Some(text.trim_end_matches('=')) == value.as_str()
                }) && (kid.is_none() || key["kid"].as_str() == kid)
            };
            let mut its_own = keys.iter().filter(is_its_own);
            assert!(its_own.any(|key| is_fit(key, algorithm)), "{minimal:?}");
        }
    }
}

fn is_fit(key: &Value, algorithm: Algorithm) -> bool {
    let verifies = |ops: &Value| {
        ops.as_array()
            .is_some_and(|ops| ops.contains(&json!("verify")))
    };
    let is_of = |alg: &Value| {
        alg == algorithm.name() || (algorithm == Algorithm::EdDsa && alg == "Ed25519")
    };
    let number = |name: &str| {
        let text = key[name].as_str().unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .unwrap_or_default()
    };
    let is_ec = |curve: &str, bytes| {
        let right = number("x").len() == bytes && number("y").len() == bytes;
        key["kty"] == "EC" && key["crv"] == curve && right
    };
    let of_its_kind = match algorithm.name() {
        "ES256" => is_ec("P-256", 32),
        "ES384" => is_ec("P-384", 48),
        "ES512" => is_ec("P-521", 66),
        "EdDSA" => key["kty"] == "OKP" && key["crv"] == "Ed25519" && number("x").len() == 32,
        _ => {
            let exponent = number("e");
            key["kty"] == "RSA"
                && key["crv"].is_null()
                && limits::RSA_MODULUS_BITS.contains(&bits(&number("n")))
                && bits(&exponent) > 1
                && exponent.last().is_some_and(|byte| byte & 1 == 1)
        }
    };
    of_its_kind
        && (key["use"].is_null() || key["use"] == "sig")
        && (key["key_ops"].is_null() || verifies(&key["key_ops"]))
        && (key["alg"].is_null() || is_of(&key["alg"]))
}

fn key_set_url(body: &[u8], issuer: &str, schemes: Schemes) -> Result<HttpUrl, BadDocument> {
    Metadata::parse(body, issuer)?.key_set_url(schemes)
}

/// A `jwks_uri` that is taken leads where a URL library says.
fn check_address(jwks_uri: &str) {
    let issuer = "https://op.example";
    let body = json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string();
    let Ok(read) = key_set_url(body.as_bytes(), issuer, Schemes::Https) else {
        return;
    };
    assert_eq!(read.as_str(), jwks_uri);
    // Addresses of no meaning are left to the fetch.
    if let Ok(url) = Url::parse(jwks_uri) {
        assert!(url.scheme() == "https" && url.has_host() && url.fragment().is_none());
        assert!(url.username().is_empty() && url.password().is_none());
        let authority = &jwks_uri["https://".len()..];
        let authority = authority.split(['/', '?']).next().expect("an authority");
        if url.domain().is_some() {
            let host = authority.split(':').next().expect("a host");
            assert_eq!(url.domain(), Some(host.to_ascii_lowercase().as_str()));
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Text(body) => {
            check_keys(body);
            let _ = key_set_url(body, "https://op.example", Schemes::HttpToo);
        }
        Input::Keys(keys) => {
            let keys: Vec<_> = keys.iter().map(Key::json).collect();
            check_keys(json!({ "keys": keys }).to_string().as_bytes());
        }
        Input::Metadata(jwks_uri) => {
            check_address(jwks_uri);
            check_address(&format!("https://{jwks_uri}"));
        }
    }
});
