//! Signatures and seals by the runtime's own `WebCrypto`: native code, a third of the time that
//! wasm takes for RSA. Imported keys are kept as long as the isolate lives.

use std::{cell::RefCell, collections::HashMap, hash::Hash};

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

type Kept<K> = RefCell<HashMap<K, CryptoKey>>;

thread_local! {
    static PUBLIC_KEYS: Kept<(Algorithm, PublicKey)> = RefCell::default();
    static SEAL_KEYS: Kept<KeyName> = RefCell::default();
}

/// Imported keys kept of each kind; more than issuers publish and days matter.
const KEPT_KEYS: usize = 128;

fn kept<K: Hash + Eq>(cache: &Kept<K>, key: &K) -> Option<CryptoKey> {
    cache.borrow().get(key).cloned()
}

fn keep<K: Hash + Eq>(cache: &Kept<K>, key: K, imported: &CryptoKey) {
    let mut cache = cache.borrow_mut();
    if cache.len() >= KEPT_KEYS {
        cache.clear();
    }
    cache.insert(key, imported.clone());
}

/// Whether `signature` over `signed` is `key`'s.
pub(super) async fn verifies(
    algorithm: Algorithm,
    key: &PublicKey,
    signed: &[u8],
    signature: &[u8],
) -> Result<bool, JsValue> {
    let Algorithm::Rs256 = algorithm;
    let parameters = JSON::parse(r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#)?;
    let name = (algorithm, key.clone());
    let imported = match PUBLIC_KEYS.with(|cache| kept(cache, &name)) {
        Some(imported) => imported,
        None => {
            let jwk = JSON::parse(&key.to_minimal_jwk())?;
            let usages = JSON::parse(r#"["verify"]"#)?;
            let imported = import_key("jwk", &jwk, &parameters, false, &usages)
                .await?
                .unchecked_into();
            PUBLIC_KEYS.with(|cache| keep(cache, name, &imported));
            imported
        }
    };
    Ok(verify(&parameters, &imported, signature, signed)
        .await?
        .is_truthy())
}

/// AES-256-GCM: ciphertext and tag.
pub(super) async fn encrypt(keyed: &Keyed<'_>, plaintext: &[u8]) -> Result<Vec<u8>, JsValue> {
    let key = seal_key(keyed).await?;
    let ciphertext = subtle_encrypt(&aes_gcm(keyed)?, &key, &Uint8Array::from(plaintext)).await?;
    Ok(Uint8Array::new(&ciphertext).to_vec())
}

/// The inverse of [`encrypt`].
pub(super) async fn decrypt(keyed: &Keyed<'_>, ciphertext: &[u8]) -> Result<Vec<u8>, JsValue> {
    let key = seal_key(keyed).await?;
    let plaintext = subtle_decrypt(&aes_gcm(keyed)?, &key, &Uint8Array::from(ciphertext)).await?;
    Ok(Uint8Array::new(&plaintext).to_vec())
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
    if let Some(derived) = SEAL_KEYS.with(|cache| kept(cache, keyed.name)) {
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
    SEAL_KEYS.with(|cache| keep(cache, keyed.name.clone(), &derived));
    Ok(derived)
}

fn object(members: &[(&str, &JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object.into())
}
