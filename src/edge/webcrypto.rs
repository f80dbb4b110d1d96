//! Signatures and seals by the runtime's own `WebCrypto`: native code, a third of the time that
//! wasm takes for RSA. Imported keys are kept as long as the isolate lives.

use std::{cell::RefCell, collections::HashMap, hash::Hash, thread::LocalKey};

use js_sys::{JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::CryptoKey;

use crate::{
    app::ports::Keyed,
    domain::{
        jwks::PublicKey,
        jws::Algorithm,
        seal::{KeyName, derivation_info},
    },
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    async fn import_key(
        format: &str,
        data: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = deriveKey, catch)]
    async fn derive_key(
        algorithm: &JsValue,
        base: &CryptoKey,
        derived: &JsValue,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<JsValue, JsValue>;

    // workerd verifies inside the call, so slices of wasm memory are safe arguments.
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    async fn verify(
        algorithm: &JsValue,
        key: &CryptoKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = encrypt, catch)]
    async fn subtle_encrypt(
        algorithm: &JsValue,
        key: &CryptoKey,
        data: &Uint8Array,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = decrypt, catch)]
    async fn subtle_decrypt(
        algorithm: &JsValue,
        key: &CryptoKey,
        data: &Uint8Array,
    ) -> Result<JsValue, JsValue>;
}

thread_local! {
    static PUBLIC_KEYS: RefCell<HashMap<(Algorithm, PublicKey), CryptoKey>> = RefCell::default();
    static SEAL_KEYS: RefCell<HashMap<KeyName, CryptoKey>> = RefCell::default();
}

/// Imported keys kept of each kind; more than issuers publish and days matter.
const KEPT_KEYS: usize = 128;

fn kept<K: Hash + Eq>(
    cache: &'static LocalKey<RefCell<HashMap<K, CryptoKey>>>,
    key: &K,
) -> Option<CryptoKey> {
    cache.with_borrow(|keys| keys.get(key).cloned())
}

fn keep<K: Hash + Eq>(
    cache: &'static LocalKey<RefCell<HashMap<K, CryptoKey>>>,
    key: K,
    imported: &CryptoKey,
) {
    cache.with_borrow_mut(|keys| {
        if keys.len() >= KEPT_KEYS {
            keys.clear();
        }
        keys.insert(key, imported.clone());
    });
}

/// Whether `signature` over `signed` is `key`'s.
pub(super) async fn verifies(
    algorithm: Algorithm,
    key: &PublicKey,
    signed: &[u8],
    signature: &[u8],
) -> Result<bool, JsValue> {
    let parameters = JSON::parse(parameters(algorithm))?;
    let key = public_key(algorithm, key, &parameters).await?;
    Ok(verify(&parameters, &key, signature, signed)
        .await?
        .is_truthy())
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

async fn public_key(
    algorithm: Algorithm,
    key: &PublicKey,
    parameters: &JsValue,
) -> Result<CryptoKey, JsValue> {
    let name = (algorithm, key.clone());
    if let Some(imported) = kept(&PUBLIC_KEYS, &name) {
        return Ok(imported);
    }
    let jwk = JSON::parse(&key.to_minimal_jwk())?;
    let usages = JSON::parse(r#"["verify"]"#)?;
    let imported = import_key("jwk", &jwk, parameters, false, &usages)
        .await?
        .unchecked_into();
    keep(&PUBLIC_KEYS, name, &imported);
    Ok(imported)
}

/// AES-256-GCM: ciphertext and tag.
pub(super) async fn encrypt(keyed: &Keyed<'_>, plaintext: &[u8]) -> Result<Vec<u8>, JsValue> {
    let key = seal_key(keyed).await?;
    let ciphertext = subtle_encrypt(&aes_gcm(keyed)?, &key, &Uint8Array::from(plaintext)).await?;
    Ok(Uint8Array::new(&ciphertext).to_vec())
}

/// The inverse of [`encrypt`]; `None` if the tag does not fit, which is all that `decrypt` itself
/// can find wrong. A key that cannot be derived is an error.
pub(super) async fn decrypt(
    keyed: &Keyed<'_>,
    ciphertext: &[u8],
) -> Result<Option<Vec<u8>>, JsValue> {
    let key = seal_key(keyed).await?;
    let plaintext = subtle_decrypt(&aes_gcm(keyed)?, &key, &Uint8Array::from(ciphertext)).await;
    Ok(plaintext.ok().map(|bytes| Uint8Array::new(&bytes).to_vec()))
}

fn aes_gcm(keyed: &Keyed<'_>) -> Result<JsValue, JsValue> {
    object(&[
        ("name", &JsValue::from_str("AES-GCM")),
        ("iv", &Uint8Array::from(keyed.nonce.as_slice())),
        ("additionalData", &Uint8Array::from(keyed.associated_data)),
    ])
}

/// The key of one day, derived by HKDF-SHA-256.
async fn seal_key(keyed: &Keyed<'_>) -> Result<CryptoKey, JsValue> {
    if let Some(derived) = kept(&SEAL_KEYS, keyed.name) {
        return Ok(derived);
    }
    let secret = Uint8Array::from(keyed.secret.as_slice());
    let hkdf = JsValue::from_str("HKDF");
    let usages = JSON::parse(r#"["deriveKey"]"#)?;
    let base = import_key("raw", &secret, &hkdf, false, &usages)
        .await?
        .unchecked_into();
    let info = derivation_info(keyed.name);
    let derivation = object(&[
        ("name", &hkdf),
        ("hash", &JsValue::from_str("SHA-256")),
        ("salt", &Uint8Array::new_with_length(0)),
        ("info", &Uint8Array::from(info.as_bytes())),
    ])?;
    let aes = JSON::parse(r#"{"name":"AES-GCM","length":256}"#)?;
    let usages = JSON::parse(r#"["encrypt","decrypt"]"#)?;
    let derived = derive_key(&derivation, &base, &aes, false, &usages)
        .await?
        .unchecked_into();
    keep(&SEAL_KEYS, keyed.name.clone(), &derived);
    Ok(derived)
}

fn object(members: &[(&str, &JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object.into())
}
