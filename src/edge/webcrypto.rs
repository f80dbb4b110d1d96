//! Signatures by the runtime's own `WebCrypto`: native code, a third of the time that wasm takes for
//! RSA. Imported keys are kept as long as the isolate lives.

use std::{cell::RefCell, collections::HashMap};

use js_sys::{JSON, Promise};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::CryptoKey;

use super::promises::outcome;
use crate::app::apart;
use crate::domain::{jwks::PublicKey, jws::Algorithm};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        data: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<Promise, JsValue>;

    // workerd verifies inside the call, so slices of wasm memory are safe arguments.
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    fn verify(
        algorithm: &JsValue,
        key: &CryptoKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<Promise, JsValue>;
}

/// A key that the runtime has taken in, and the dictionary of its algorithm.
#[derive(Clone)]
struct Imported {
    key: CryptoKey,
    parameters: JsValue,
}

thread_local! {
    static IMPORTED: RefCell<HashMap<Algorithm, HashMap<PublicKey, Imported>>> = RefCell::default();
}

/// Imported keys kept of each algorithm; more than issuers publish.
const KEPT_KEYS: usize = 128;

/// Whether `signature` over `signed` is `key`'s.
pub(super) async fn verifies(
    algorithm: Algorithm,
    key: &PublicKey,
    signed: &[u8],
    signature: &[u8],
) -> Result<bool, JsValue> {
    let known = IMPORTED.with_borrow(|all| all.get(&algorithm)?.get(key).cloned());
    let Imported { key, parameters } = match known {
        Some(known) => known,
        None => apart(import(algorithm, key)).await?,
    };
    let verified = verify(&parameters, &key, signature, signed);
    Ok(outcome(verified).await?.is_truthy())
}

/// One dictionary for importing and for verifying: each takes the members it knows.
const fn parameters(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        Algorithm::Rs384 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-384"}"#,
        Algorithm::Rs512 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-512"}"#,
        Algorithm::Ps256 => r#"{"name":"RSA-PSS","hash":"SHA-256","saltLength":32}"#,
        Algorithm::Ps384 => r#"{"name":"RSA-PSS","hash":"SHA-384","saltLength":48}"#,
        Algorithm::Ps512 => r#"{"name":"RSA-PSS","hash":"SHA-512","saltLength":64}"#,
        Algorithm::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        Algorithm::Es384 => r#"{"name":"ECDSA","namedCurve":"P-384","hash":"SHA-384"}"#,
        Algorithm::Es512 => r#"{"name":"ECDSA","namedCurve":"P-521","hash":"SHA-512"}"#,
        Algorithm::EdDsa => r#"{"name":"Ed25519"}"#,
    }
}

async fn import(algorithm: Algorithm, key: &PublicKey) -> Result<Imported, JsValue> {
    let parameters = JSON::parse(parameters(algorithm))?;
    let jwk = JSON::parse(&key.to_minimal_jwk())?;
    let usages = JSON::parse(r#"["verify"]"#)?;
    let handle = import_key("jwk", &jwk, &parameters, false, &usages);
    let imported = Imported {
        key: outcome(handle).await?.unchecked_into(),
        parameters,
    };
    IMPORTED.with_borrow_mut(|all| {
        let keys = all.entry(algorithm).or_default();
        if keys.len() >= KEPT_KEYS {
            keys.clear();
        }
        keys.insert(key.clone(), imported.clone());
    });
    Ok(imported)
}
