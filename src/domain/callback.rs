//! What a request to a login path brings from the OP: the authorization response, in its query or a
//! form (RFC 6749 section 4.1.2, OAuth 2.0 Form Post Response Mode).

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;

use super::{authorization_code::CodeKey, config::App, refusal::Refusal};

/// The authorization code in a callback request, if it has one: by itself, or in the claims of
/// `response` (JARM section 2.3). Whether those are genuine is the app's business: what counts is who
/// redeems the code.
///
/// # Errors
/// [`Refusal::ResponseAmbiguous`] if there are several.
pub fn code(app: &App, query: &str, form: Option<&[u8]>) -> Result<Option<CodeKey>, Refusal> {
    let mut codes = fields(query, form).filter_map(|(name, value)| match name.as_ref() {
        "code" => Some(value.into_owned()),
        "response" => code_in(&value),
        _ => None,
    });
    let code = codes.next().filter(|code| !code.is_empty());
    match codes.next() {
        None => Ok(code.map(|code| CodeKey::of(app, &code))),
        Some(_) => Err(Refusal::ResponseAmbiguous),
    }
}

/// The ID token in the form of a callback request, if it has one.
///
/// # Errors
/// [`Refusal::ResponseAmbiguous`] if some server could read another one: it stands there several
/// times, in the query, or under a name that only some servers take for `id_token`.
pub fn id_token(query: &str, form: Option<&[u8]>) -> Result<Option<String>, Refusal> {
    let mut tokens = fields("", form).filter(|(name, _)| may_be_id_token(name));
    let token = tokens.next();
    let is_ambiguous = tokens.next().is_some()
        || token.as_ref().is_some_and(|(name, _)| name != "id_token")
        || fields(query, None).any(|(name, _)| may_be_id_token(&name));
    if is_ambiguous {
        return Err(Refusal::ResponseAmbiguous);
    }
    Ok(token.map(|(_, value)| value.into_owned()))
}

fn fields<'a>(
    query: &'a str,
    form: Option<&'a [u8]>,
) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
    let query = query.strip_prefix('?').unwrap_or(query);
    form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form.unwrap_or_default()))
}

/// Servers ignore case (ASP.NET), blanks around a name, what follows `[`, and take `.` and ` ` for
/// `_` (PHP).
fn may_be_id_token(name: &str) -> bool {
    let name = name.split(['[', '\0']).next().unwrap_or_default();
    let name = name.trim().replace(['.', ' ', '+'], "_");
    name.eq_ignore_ascii_case("id_token")
}

fn code_in(response: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        code: Option<String>,
    }
    let payload = response.split('.').nth(1)?;
    let payload = Base64UrlUnpadded::decode_vec(payload).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok()?.code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testkit;

    #[test]
    fn a_code_is_found_wherever_an_op_puts_it() {
        let config = testkit::config();
        let app = testkit::app(&config, "SHOP");
        let expected = Ok(Some(CodeKey::of(&app, "a/b")));
        let claims =
            Base64UrlUnpadded::encode_string(br#"{"iss":"https://op.example","code":"a/b"}"#);
        let jarm = format!("e30.{claims}.c2ln");
        assert_eq!(code(&app, "?state=s&code=a%2Fb", None), expected);
        assert_eq!(code(&app, "", Some(b"code=a%2Fb&state=s")), expected);
        assert_eq!(code(&app, &format!("?response={jarm}"), None), expected);
        let form = format!("response={jarm}");
        assert_eq!(code(&app, "", Some(form.as_bytes())), expected);
        for query in [
            "",
            "?error=access_denied&state=s",
            "?code=",
            "?Code=x",
            "?response=x",
            "?response=a.b.c.d.e",
        ] {
            assert_eq!(code(&app, query, None), Ok(None), "{query}");
        }
        for (query, form) in [
            ("?code=a&code=b", None),
            ("?code=a&code=a", None),
            ("?code=a", Some(&b"code=a"[..])),
            ("?code=a&response=e30.eyJjb2RlIjoiYSJ9.x", None),
        ] {
            let several = Err(Refusal::ResponseAmbiguous);
            assert_eq!(code(&app, query, form), several, "{query}");
        }
    }

    #[test]
    fn an_id_token_is_one_that_every_server_reads() {
        assert_eq!(
            id_token("?x=1", Some(b"id_token=a.b.c&state=s")),
            Ok(Some("a.b.c".to_owned()))
        );
        assert_eq!(id_token("", Some(b"error=x")), Ok(None));
        assert_eq!(id_token("?state=s", None), Ok(None));
        for (query, form) in [
            ("", &b"id_token=a&id_token=b"[..]),
            ("?id_token=b", b"id_token=a"),
            ("?id_token=b", b""),
            ("?ID_token=b", b"id_token=a"),
            ("", b"ID_TOKEN=a"),
            ("", b"id.token=a"),
            ("", b"id_token[]=a"),
            ("", b"+id_token=a"),
            ("", b"id_token=a&id%20token=b"),
        ] {
            let form_text = String::from_utf8_lossy(form);
            let ambiguous = Err(Refusal::ResponseAmbiguous);
            assert_eq!(
                id_token(query, Some(form)),
                ambiguous,
                "{query} {form_text}"
            );
        }
    }
}
