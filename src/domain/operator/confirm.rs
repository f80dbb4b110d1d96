//! Confirmations: an operator is told what an order would do, and gives it once more.
//!
//! ```text
//! base64url( expiry in milliseconds (8) | digest (32) )
//! ```
//!
//! Nothing is stored. The digest is keyed, and over who orders what up to when.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Identity, order::Order};
use crate::domain::{config::SealKeys, digest::Digest, limits, time::Timestamp};

/// A fresh confirmation of `order` by `by`, and until when it is taken.
#[must_use]
pub fn issue(keys: &SealKeys, by: &Identity, order: &Order, now: Timestamp) -> (String, Timestamp) {
    let expires = now.plus(limits::CONFIRMATION);
    let digest = digest(keys, by, order, expires, now);
    let expiry = expires.millis().to_be_bytes();
    let token = [expiry.as_slice(), digest.as_bytes()].concat();
    (BASE64_URL_SAFE_NO_PAD.encode(&token), expires)
}

/// Whether `token` confirms that very order by that very operator, now.
#[must_use]
pub fn holds(keys: &SealKeys, by: &Identity, order: &Order, token: &str, now: Timestamp) -> bool {
    let Ok(token) = BASE64_URL_SAFE_NO_PAD.decode(token) else {
        return false;
    };
    let Some((expiry, presented)) = token.split_first_chunk() else {
        return false;
    };
    let Ok(presented) = presented.try_into() else {
        return false;
    };
    let expires = Timestamp::from_millis(i64::from_be_bytes(*expiry));
    let expected = digest(keys, by, order, expires, now);
    expected.is_secretly(&Digest::from_bytes(presented)) && now < expires
}

/// Over a digest, so that what is hashed with the key has one length.
fn digest(
    keys: &SealKeys,
    by: &Identity,
    order: &Order,
    expires: Timestamp,
    now: Timestamp,
) -> Digest {
    let by = match by {
        Identity::Key => "key".to_owned(),
        Identity::Access(who) => format!("access {who}"),
    };
    let expiry = expires.millis().to_string();
    let said = Digest::of("operator-order", &[&by, &order.to_text(), &expiry]);
    let key = BASE64_URL_SAFE_NO_PAD.encode(keys.sealing(now).key);
    Digest::of("operator-confirmation", &[&key, &said.to_string()])
}
