//! The body of a back-channel request, against a decoder written out here.

#![no_main]

use edge_logout_fuzz::domain::{form, limits};
use libfuzzer_sys::fuzz_target;

/// `None` if a percent sign begins nothing.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => *byte,
        });
    }
    Some(decoded)
}

fn expected(body: &[u8]) -> Option<String> {
    let mut tokens = Vec::new();
    for field in body.split(|byte| *byte == b'&') {
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next()?)?;
        let value = decode(halves.next().unwrap_or_default())?;
        if name == b"logout_token" {
            tokens.push(String::from_utf8_lossy(&value).into_owned());
        }
    }
    let [token] = tokens.as_slice() else {
        return None;
    };
    let fits = (1..=limits::TOKEN_BYTES).contains(&token.len());
    fits.then(|| token.clone())
}

fuzz_target!(|body: &[u8]| {
    let token = form::logout_token(body).ok();
    assert_eq!(token, expected(body));
    if let Some(token) = token {
        let again = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", &token)
            .append_pair("other", &token)
            .finish();
        assert_eq!(form::logout_token(again.as_bytes()), Ok(token));
    }
});
