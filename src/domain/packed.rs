//! Texts that are the hex or base64 of something, stored as that: session ids and encrypted
//! cookies mostly are, and sealed cookies must stay small.

use std::borrow::Cow;

use base16ct::lower as hex;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
enum Packed<'a> {
    Text(Cow<'a, str>),
    Hex(Vec<u8>),
    Base64(Vec<u8>),
    Base64Unpadded(Vec<u8>),
    Base64Url(Vec<u8>),
    Base64UrlUnpadded(Vec<u8>),
}

/// Writes a text, packed if that can be undone to the letter.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    pack(text).serialize(serializer)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Packed::deserialize(deserializer).map(unpack)
}

fn pack(text: &str) -> Packed<'_> {
    // The decoders take canonical encodings only, so that decoding loses nothing.
    if let Ok(bytes) = hex::decode_vec(text) {
        Packed::Hex(bytes)
    } else if let Ok(bytes) = BASE64_STANDARD_NO_PAD.decode(text) {
        Packed::Base64Unpadded(bytes)
    } else if let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(text) {
        Packed::Base64UrlUnpadded(bytes)
    } else if let Ok(bytes) = BASE64_STANDARD.decode(text) {
        Packed::Base64(bytes)
    } else if let Ok(bytes) = BASE64_URL_SAFE.decode(text) {
        Packed::Base64Url(bytes)
    } else {
        Packed::Text(text.into())
    }
}

fn unpack(packed: Packed<'_>) -> String {
    match packed {
        Packed::Text(text) => text.into_owned(),
        Packed::Hex(bytes) => hex::encode_string(&bytes),
        Packed::Base64(bytes) => BASE64_STANDARD.encode(&bytes),
        Packed::Base64Unpadded(bytes) => BASE64_STANDARD_NO_PAD.encode(&bytes),
        Packed::Base64Url(bytes) => BASE64_URL_SAFE.encode(&bytes),
        Packed::Base64UrlUnpadded(bytes) => BASE64_URL_SAFE_NO_PAD.encode(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_to_the_letter() {
        for (text, packed) in [
            ("", 2),
            ("0f00", 4),
            ("0F00", 5),
            ("abc", 4),
            ("YWJj", 5),
            ("YWI=", 4),
            ("YW+/", 5),
            ("YW-_", 5),
            ("YW-_YQ==", 6),
            ("YWJ=", 6),
            ("s%3Aabc.def", 13),
            ("\"v\"", 5),
            ("J\u{e9}r", 6),
        ] {
            let bytes = postcard::to_allocvec(&pack(text)).unwrap();
            assert_eq!(bytes.len(), packed, "{text}");
            let read: Packed<'_> = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(unpack(read), text);
        }
    }
}
