//! The header `edge-logout-session`, with which an app that cannot reach the ID token says who
//! logged in: an RFC 9651 dictionary of strings, `sub="...", sid="..."`, and perhaps the `iat` of the
//! ID token as an integer or date.

use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{id_token::Login, refusal::Refusal, time::Timestamp};

/// Reads the header; the login time is that of `request` where the header names none.
///
/// # Errors
/// [`Refusal::SessionHeader`] if it is anything else.
pub fn read(header: &str, request: Timestamp) -> Result<Login, Refusal> {
    let fields: Dictionary = Parser::new(header)
        .parse()
        .map_err(|_| Refusal::SessionHeader)?;
    let field = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(ListEntry::Item(item)) => Ok(Some(&item.bare_item)),
        Some(ListEntry::InnerList(_)) => Err(Refusal::SessionHeader),
    };
    let text = |name| match field(name)? {
        None => Ok(None),
        Some(BareItem::String(text)) if !text.as_str().is_empty() => {
            Ok(Some(text.as_str().to_owned()))
        }
        Some(BareItem::DisplayString(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::SessionHeader),
    };
    let issued_at = match field("iat")? {
        None => request,
        Some(BareItem::Integer(seconds)) => Timestamp::from_seconds((*seconds).into()),
        Some(BareItem::Date(date)) => Timestamp::from_seconds(date.unix_seconds().into()),
        Some(_) => return Err(Refusal::SessionHeader),
    };
    let is_known = |name: &str| ["sub", "sid", "iat"].contains(&name);
    if fields.keys().any(|name| !is_known(name.as_str())) {
        return Err(Refusal::SessionHeader);
    }
    Ok(Login {
        sub: text("sub")?.ok_or(Refusal::SessionHeader)?,
        sid: text("sid")?,
        // Nobody logs in later than the answer that says so.
        issued_at: issued_at.min(request),
        authenticated_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn says_who_logged_in_and_when() {
        let earlier = Timestamp::from_seconds(1_799_999_990);
        for (header, sub, sid, issued_at) in [
            (r#"sub="a", sid="s""#, "a", Some("s"), NOW),
            (r#"sid="s\\\"", sub="a b""#, "a b", Some("s\\\""), NOW),
            (r#"sub="a";x=1"#, "a", None, NOW),
            (r#"sub=%"J%c3%a9r""#, "Jér", None, NOW),
            (r#"sub="a", iat=1799999990"#, "a", None, earlier),
            (r#"sub="a", iat=@1799999990"#, "a", None, earlier),
            (r#"sub="a", iat=1900000000"#, "a", None, NOW),
            (r#"sub="a", sub="b""#, "b", None, NOW),
        ] {
            let login = read(header, NOW).unwrap();
            assert_eq!(
                (login.sub.as_str(), login.sid.as_deref(), login.issued_at),
                (sub, sid, issued_at),
                "{header}"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        for header in [
            "",
            "sub",
            "sub=a",
            "sub=1",
            "sub=\"\"",
            "sid=\"s\"",
            "sub=(\"a\")",
            "sub=\"a\",",
            "sub=\"a",
            "sub=\"a\", sid=1",
            "sub=\"a\", sid=\"\"",
            "sub=\"a\", iat=\"1\"",
            "sub=\"a\", role=\"admin\"",
            "sub=\"\u{e9}\"",
            "sub='a'",
            "{\"sub\":\"a\"}",
        ] {
            assert_eq!(read(header, NOW), Err(Refusal::SessionHeader), "{header}");
        }
    }
}
