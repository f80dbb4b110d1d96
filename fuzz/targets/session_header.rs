//! `edge-logout-session`: what is accepted says who, and what says who is accepted.

#![no_main]

use arbitrary::Arbitrary;
use edge_logout_fuzz::{
    NOW,
    domain::{session_header, time::Timestamp},
};
use libfuzzer_sys::fuzz_target;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Fields(&'a str, Option<&'a str>, Option<i64>, Option<u8>, &'a str),
}

const MORE: [&str; 8] = [
    ", x=1",
    ", role",
    ", sid=1",
    ", iat=\"1\"",
    ", sub=(\"a\")",
    ", sub=\"b\"",
    ";x=1",
    ",",
];

/// An item of a dictionary as text, and whether it is one.
fn text(fields: &Dictionary, name: &str) -> Option<String> {
    match fields.get(name)? {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::String(text) => Some(text.as_str().to_owned()),
            BareItem::DisplayString(text) => Some(text.clone()),
            _ => panic!("{name} is no text"),
        },
        ListEntry::InnerList(_) => panic!("{name} is a list"),
    }
}

fn check_text(header: &str) {
    let Ok(login) = session_header::read(header, NOW) else {
        return;
    };
    let fields: Dictionary = Parser::new(header).parse().expect("it is a dictionary");
    assert!(!login.sub.is_empty() && login.sid.as_deref() != Some(""));
    assert_eq!(Some(login.sub), text(&fields, "sub"));
    assert_eq!(login.sid, text(&fields, "sid"));
    assert!(login.issued_at <= NOW && login.authenticated_at.is_none());
    assert!(
        fields
            .keys()
            .all(|name| ["sub", "sid", "iat"].contains(&name.as_str()))
    );
}

/// RFC 9651 section 4.1.6 and 4.1.11, by hand.
fn written(text: &str) -> String {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        let escaped = text.bytes().map(|b| match b {
            b'%' | b'"' | ..b' ' | 127.. => format!("%{b:02x}"),
            _ => char::from(b).to_string(),
        });
        format!("%\"{}\"", escaped.collect::<String>())
    }
}

fn check_fields(sub: &str, sid: Option<&str>, iat: Option<i64>) -> String {
    let sid_text = sid.map(|sid| format!(", sid={}", written(sid)));
    let iat_text = iat.map(|iat| format!(", iat={iat}"));
    let header = format!(
        "sub={}{}{}",
        written(sub),
        sid_text.unwrap_or_default(),
        iat_text.unwrap_or_default()
    );
    // Integers have fifteen digits at most (section 3.3.1).
    let is_right = !sub.is_empty()
        && sid != Some("")
        && iat.is_none_or(|iat| iat.unsigned_abs() < 1_000_000_000_000_000);
    match session_header::read(&header, NOW) {
        Ok(login) => {
            assert!(is_right, "{header}");
            assert_eq!((login.sub.as_str(), login.sid.as_deref()), (sub, sid));
            let issued_at = iat.map_or(NOW, Timestamp::from_seconds).min(NOW);
            assert_eq!(login.issued_at, issued_at);
        }
        Err(_) => assert!(!is_right, "{header}"),
    }
    header
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Text(header) => check_text(header),
        Input::Fields(sub, sid, iat, known, more) => {
            let header = check_fields(sub, sid, iat);
            let known = known.map_or("", |index| MORE[usize::from(index) % MORE.len()]);
            check_text(&(header + known + more));
        }
    }
});
