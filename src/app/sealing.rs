//! Making and opening seals, with the configured key.

use super::ports::{Keyed, Unavailable, World};
use crate::domain::{
    config::{App, SealKey},
    seal::{Contents, KeyName, Seal, associated_data},
};

/// The cookie value that holds `contents` under `name`.
///
/// # Errors
/// [`Unavailable`] if the runtime has no randomness or cannot encrypt.
pub async fn seal(
    world: &impl World,
    key: &SealKey,
    app: &App,
    name: &str,
    contents: &Contents,
) -> Result<String, Unavailable> {
    let key_name = KeyName {
        id: key.id.clone(),
        day: contents.sealed_at.days(),
    };
    let nonce = world.random()?;
    let keyed = Keyed {
        secret: &key.key,
        name: &key_name,
        nonce: &nonce,
        associated_data: &associated_data(&key_name, app, name),
    };
    let plaintext = contents
        .to_bytes()
        .ok_or(Unavailable("seal_not_encodable"))?;
    let ciphertext = world.encrypt(&keyed, &plaintext).await?;
    Ok(Seal {
        key: key_name,
        nonce,
        ciphertext,
    }
    .to_value())
}

/// What a seal holds; `None` if it was not made here for this app and cookie.
///
/// # Errors
/// [`Unavailable`] if the runtime cannot decrypt.
pub async fn open(
    world: &impl World,
    key: &SealKey,
    app: &App,
    name: &str,
    seal: &Seal,
) -> Result<Option<Contents>, Unavailable> {
    if seal.key.id != key.id || !seal.is_of_our_time(world.now()) {
        return Ok(None);
    }
    let keyed = Keyed {
        secret: &key.key,
        name: &seal.key,
        nonce: &seal.nonce,
        associated_data: &associated_data(&seal.key, app, name),
    };
    let plaintext = world.decrypt(&keyed, &seal.ciphertext).await?;
    Ok(plaintext.and_then(|bytes| Contents::from_bytes(&bytes)))
}
