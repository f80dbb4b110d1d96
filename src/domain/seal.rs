//! Sealed cookies: what stands in a browser's cookie in place of the app's own value.
//!
//! ```text
//! el1 . <key id> . <day> . base64url( nonce (12) | AES-256-GCM( contents ) | tag (16) )
//! ```
//!
//! The key of a seal is derived per day, which keeps random nonces far from their budget. The
//! associated data bind it to the text before the last dot, the app and the cookie's name: a seal
//! moved to another app or cookie does not open.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use super::{config::App, limits, session::Session, time::Timestamp};

const VERSION: &str = "el1";

/// Names the key of a seal: one of the configured keys, on one day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// The configured key's id.
    pub id: String,
    /// Days since the epoch.
    pub day: i64,
}

/// A sealed value, as it stands in a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The key it was made with.
    pub key: KeyName,
    /// Makes the encryption unique.
    pub nonce: [u8; 12],
    /// Encrypted contents and tag.
    pub ciphertext: Vec<u8>,
}

impl Seal {
    /// Whether a cookie value claims to be a seal, right or wrong.
    #[must_use]
    pub fn is_claimed_by(value: &str) -> bool {
        value.starts_with("el1.")
    }

    /// Reads a cookie value; `None` if it is no seal of this version.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let (version, id, day, sealed) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        let sealed = Base64UrlUnpadded::decode_vec(sealed).ok()?;
        let (nonce, ciphertext) = sealed.split_first_chunk::<12>()?;
        Some(Self {
            key: KeyName {
                id: id.to_owned(),
                day: day.parse().ok()?,
            },
            nonce: *nonce,
            ciphertext: ciphertext.to_vec(),
        })
    }

    /// Whether its day is one on which a seal that still matters can have been made. Others are
    /// not worth a key derivation.
    #[must_use]
    pub fn is_of_our_time(&self, now: Timestamp) -> bool {
        let oldest = now.minus(*limits::SESSION_LIFETIME_BOUNDS.end()).days();
        let newest = now.plus(limits::CLOCK_SKEW).days();
        (oldest..=newest).contains(&self.key.day)
    }

    /// The cookie value.
    #[must_use]
    pub fn to_value(&self) -> String {
        let sealed = [self.nonce.as_slice(), &self.ciphertext].concat();
        format!(
            "{}.{}",
            header(&self.key),
            Base64UrlUnpadded::encode_string(&sealed)
        )
    }
}

fn header(key: &KeyName) -> String {
    format!("{VERSION}.{}.{}", key.id, key.day)
}

/// What a seal is bound to besides its key.
#[must_use]
pub fn associated_data(key: &KeyName, app: &App, cookie_name: &str) -> Vec<u8> {
    let mut data = app.id.as_bytes().to_vec();
    data.extend_from_slice(header(key).as_bytes());
    data.push(b' ');
    data.extend_from_slice(cookie_name.as_bytes());
    data
}

/// What the key of one day is derived with: the `info` of HKDF-SHA-256 without salt.
#[must_use]
pub fn derivation_info(key: &KeyName) -> String {
    format!("edge-logout seal {}", header(key))
}

/// What a seal holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Who says whether the session lives. A seal of another authority is refused.
    pub authority: Authority,
    /// Whose cookie it is.
    pub binding: Binding,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// What it takes to remove the cookie ([`super::cookie::SetCookie::attributes_for_removal`]).
    pub attributes: String,
    /// The app's own value.
    pub value: String,
}

/// Who says whether a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The KV namespace alone.
    Kv,
}

/// Whose cookie a sealed cookie is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// Nobody's: no login has bound it.
    Unbound {
        /// When this value was first seen.
        since: Timestamp,
    },
    /// A session's: it dies with it.
    Session(Session),
}

impl Contents {
    /// The bytes to encrypt: the fields in order, in postcard's wire format.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(self).ok()
    }

    /// Reads decrypted bytes; `None` if they are of another make.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((contents, [])) => Some(contents),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
