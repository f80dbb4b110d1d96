//! What a request to a login path brings from the OP: the authorization response, in its query or a
//! form (RFC 6749 section 4.1.2, OAuth 2.0 Form Post Response Mode).

use std::borrow::Cow;

use serde::Deserialize;

use super::{authorization_code::CodeKey, config::App, jws, refusal::Refusal};

/// The authorization code in a callback request, if it has one: by itself, or in the claims of
/// `response` (JARM section 2.3). Whether those are genuine is the app's business: what counts is who
/// redeems the code.
///
/// # Errors
/// [`Refusal::ResponseAmbiguous`] if some server could read another one.
pub fn code(app: &App, query: &str, form: Option<&[u8]>) -> Result<Option<CodeKey>, Refusal> {
    let code = only("code", query, form)?.map(Cow::into_owned);
    let response = only("response", query, form)?;
    let code = match (code, response.and_then(|response| code_in(&response))) {
        (Some(_), Some(_)) => return Err(Refusal::ResponseAmbiguous),
        (code, in_response) => code.or(in_response),
    };
    Ok(code
        .filter(|code| !code.is_empty())
        .map(|code| CodeKey::of(app, &code)))
}

/// The ID token in the form of a callback request, if it has one.
///
/// # Errors
/// [`Refusal::ResponseAmbiguous`] if some server could read another one, or one in the query.
pub fn id_token(query: &str, form: Option<&[u8]>) -> Result<Option<String>, Refusal> {
    if only("id_token", query, None)?.is_some() {
        return Err(Refusal::ResponseAmbiguous);
    }
    Ok(only("id_token", "", form)?.map(Cow::into_owned))
}

/// The value of a field that stands there once, under its own name.
fn only<'a>(
    name: &str,
    query: &'a str,
    form: Option<&'a [u8]>,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    let query = query.strip_prefix('?').unwrap_or(query).as_bytes();
    let texts = [query, form.unwrap_or_default()];
    let mut read = texts
        .into_iter()
        .flat_map(form_urlencoded::parse)
        .filter(|(field, _)| field == name);
    let value = read.next().map(|(_, value)| value);
    // For some servers a semicolon separates fields, too.
    let generously = texts
        .into_iter()
        .flat_map(|text| text.split(|byte| *byte == b';'))
        .flat_map(form_urlencoded::parse)
        .filter(|(field, _)| may_be(name, field));
    if generously.count() != usize::from(value.is_some()) {
        return Err(Refusal::ResponseAmbiguous);
    }
    Ok(value)
}

/// Servers ignore case (ASP.NET), blanks around a name, what follows `[`, and take `.` and ` ` for
/// `_` (PHP).
fn may_be(name: &str, field: &str) -> bool {
    let field = field.split(['[', '\0']).next().unwrap_or_default();
    let field = field.trim().replace(['.', ' '], "_");
    field.eq_ignore_ascii_case(name)
}

fn code_in(response: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        code: Option<String>,
    }
    jws::unverified_claims::<Claims>(response)?.code
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::app::testkit;

    #[test]
    fn a_code_is_found_wherever_an_op_puts_it() {
        let config = testkit::config();
        let app = testkit::app(&config, "SHOP");
        let expected = Ok(Some(CodeKey::of(&app, "a/b")));
        let claims = BASE64_URL_SAFE_NO_PAD.encode(br#"{"iss":"https://op.example","code":"a/b"}"#);
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
            "?response=x",
            "?response=a.b.c.d.e",
        ] {
            assert_eq!(code(&app, query, None), Ok(None), "{query}");
        }
        for (query, form) in [
            ("?code=a&code=b", None),
            ("?code=a&code=a", None),
            ("?Code=a", None),
            ("?state=s;code=a", None),
            ("?code=a&%20code=b", None),
            ("?code[]=a", None),
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
            ("", b"state=s;id_token=a"),
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
