//! The back channel's request as HTTP shows it (Back-Channel Logout 1.0 section 2.5).

use super::{limits, refusal::Refusal};

/// Checks what can be checked before the body is read.
///
/// Only the media type counts: some HTTP clients name ISO-8859-1 as the charset, and a token is
/// ASCII in any.
///
/// # Errors
/// [`Refusal::Method`], [`Refusal::ContentType`] or [`Refusal::ContentEncoding`].
pub fn check_head(
    method: &str,
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<(), Refusal> {
    if method != "POST" {
        return Err(Refusal::Method);
    }
    let media_type = content_type.unwrap_or_default().split(';').next();
    if !media_type
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Refusal::ContentType);
    }
    if content_encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::ContentEncoding);
    }
    Ok(())
}

/// Whether a form's `charset`, if it names one, leaves ASCII as it is.
#[must_use]
pub fn is_ascii_compatible(content_type: &str) -> bool {
    const KNOWN: [&str; 4] = ["utf-8", "us-ascii", "iso-8859-1", "windows-1252"];
    content_type.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(value))
    })
}

/// The one `logout_token` of the form; other fields are ignored.
///
/// # Errors
/// [`Refusal::FormMalformed`], [`Refusal::TokenMissing`], [`Refusal::TokenRepeated`] or [`Refusal::TokenTooLarge`].
pub fn logout_token(body: &[u8]) -> Result<String, Refusal> {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let is_escape = |piece: &[u8]| is_hex(piece.first()) && is_hex(piece.get(1));
    let token = match str::from_utf8(body) {
        // Nothing to decode: to look at each byte for it is a quarter of all that is done with a token that is refused.
        Ok(text) if memchr::memchr2(b'%', b'+', body).is_none() => {
            let fields = text.split('&');
            only_token(fields.map(|field| field.split_once('=').unwrap_or((field, ""))))?.to_owned()
        }
        _ if !body.split(|byte| *byte == b'%').skip(1).all(is_escape) => {
            return Err(Refusal::FormMalformed);
        }
        _ => only_token(form_urlencoded::parse(body))?.into_owned(),
    };
    if token.len() > limits::TOKEN_BYTES {
        return Err(Refusal::TokenTooLarge);
    }
    if token.is_empty() {
        return Err(Refusal::TokenMissing);
    }
    Ok(token)
}

fn only_token<T: AsRef<str>>(fields: impl Iterator<Item = (T, T)>) -> Result<T, Refusal> {
    let mut tokens = fields.filter(|(name, _)| name.as_ref() == "logout_token");
    let (_, token) = tokens.next().ok_or(Refusal::TokenMissing)?;
    match tokens.next() {
        None => Ok(token),
        Some(_) => Err(Refusal::TokenRepeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_decides_and_its_parameters_do_not() {
        for right in [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset=ISO-8859-1",
            "Application/X-WWW-Form-Urlencoded;charset=utf-8",
        ] {
            assert_eq!(check_head("POST", Some(right), None), Ok(()), "{right}");
        }
        for wrong in [None, Some("application/json"), Some("multipart/form-data")] {
            assert_eq!(check_head("POST", wrong, None), Err(Refusal::ContentType));
        }
    }

    #[test]
    fn only_a_plain_post_is_taken() {
        let form = Some("application/x-www-form-urlencoded");
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "post", "QUERY"] {
            assert_eq!(check_head(method, form, None), Err(Refusal::Method));
        }
        assert_eq!(
            check_head("POST", form, Some("gzip")),
            Err(Refusal::ContentEncoding)
        );
    }

    #[test]
    fn the_token_occurs_exactly_once() {
        assert_eq!(
            logout_token(b"x=1&logout_token=a.b.c&y=%ff&z=100%25").as_deref(),
            Ok("a.b.c")
        );
        assert_eq!(
            logout_token(b"logout%5Ftoken=a%2Eb.c").as_deref(),
            Ok("a.b.c")
        );
        for (body, refusal) in [
            (&b""[..], Refusal::TokenMissing),
            (b"logout_token=", Refusal::TokenMissing),
            (b"Logout_Token=a.b.c", Refusal::TokenMissing),
            (b"logout_token=a.b.c&x=%zz", Refusal::FormMalformed),
            (b"logout_token=a.b.c%", Refusal::FormMalformed),
            (b"logout_token=a.b.c%2", Refusal::FormMalformed),
            (
                b"logout_token=a.b.c&logout_token=a.b.c",
                Refusal::TokenRepeated,
            ),
        ] {
            assert_eq!(logout_token(body), Err(refusal));
        }
        // A field that must be decoded makes no difference to one that need not.
        for body in [
            &b"logout_token=a.b.c"[..],
            b"x&&=&logout_token=a.b=c&",
            b"logout_token",
            b"logout_token&logout_token=a",
            b"logout_token=\xc3\xa9",
            b"logout_token=\xff",
            b"logout_token =a",
        ] {
            let longer = [body, b"&x=%20"].concat();
            assert_eq!(logout_token(body), logout_token(&longer));
        }
        let long = format!("logout_token={}", "a".repeat(limits::TOKEN_BYTES + 1));
        assert_eq!(logout_token(long.as_bytes()), Err(Refusal::TokenTooLarge));
    }
}
