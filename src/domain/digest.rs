//! The hashes that stand for identifiers in storage, seals and logs.

use std::{fmt, ops::Deref};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// SHA-256 over length-prefixed parts.
///
/// Identifiers come from the OP: they may be long, hold any separator, or be `..`. Hashed they
/// have one length and one alphabet, and two lists of parts never run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `parts` in order; `kind` keeps digests of different things apart.
    #[must_use]
    pub fn of(kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(&kind).chain(parts) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// The digest that these bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is_secretly(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Reads what `Display` wrote; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (read == bytes.len()).then_some(Self(bytes))
    }

    /// Base64url without padding.
    #[must_use]
    pub fn letters(&self) -> Letters<43> {
        Letters::of(&self.0)
    }

    /// The first characters, enough to follow one identifier through the log.
    #[must_use]
    pub fn short(&self) -> String {
        self.letters().get(..12).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letters())
    }
}

/// So many letters of base64url, not allocated: keys of storage are made of them.
#[derive(Clone, Copy, Debug)]
pub struct Letters<const COUNT: usize>([u8; COUNT]);

impl<const COUNT: usize> Letters<COUNT> {
    pub(super) fn of<const BYTES: usize>(bytes: &[u8; BYTES]) -> Self {
        const { assert!(COUNT == (BYTES * 8).div_ceil(6)) };
        let mut letters = [0; COUNT];
        // There is room.
        let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut letters);
        Self(letters)
    }
}

impl<const COUNT: usize> Deref for Letters<COUNT> {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_run_together() {
        assert_ne!(
            Digest::of("sid", &["a", "bc"]),
            Digest::of("sid", &["ab", "c"])
        );
        assert_ne!(Digest::of("sid", &["a"]), Digest::of("sub", &["a"]));
        assert_ne!(Digest::of("sid", &["a", ""]), Digest::of("sid", &["a"]));
    }

    #[test]
    fn the_stored_form_is_fixed() {
        let digest = Digest::of("sid", &["https://op.example", "client", "s/1"]);
        assert_eq!(
            digest.to_string(),
            "LfDSqAxQ_2ejuuuBosOnKk33WdnyGlYxohrVeLimAw8"
        );
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("short"), None);
    }
}
