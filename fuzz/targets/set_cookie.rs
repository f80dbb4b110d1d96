//! `Set-Cookie` lines, against what a browser makes of them (RFC 6265bis section 5.6).

#![no_main]

use arbitrary::Arbitrary;
use cookie::Cookie;
use edge_logout_fuzz::{
    NOW,
    domain::cookie::{self as ours, SetCookie},
    fits_a_header,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pair: &'a str,
    attributes: Vec<(u8, Option<Value<'a>>)>,
    path: &'a str,
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Known(u8),
    Text(&'a str),
}

const ATTRIBUTES: [&str; 12] = [
    "Path",
    "path ",
    "Domain",
    "HttpOnly",
    "secure",
    "Max-Age",
    "Expires",
    "SameSite",
    "Partitioned",
    "\u{a0}Path",
    "",
    "=",
];
const VALUES: [&str; 12] = [
    "/",
    "/a",
    "a",
    "",
    "app.example",
    ".App.Example",
    "0",
    "-1",
    "60",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 2100 00:00:00 GMT",
    "Lax",
];

/// What a browser stores, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    name: String,
    value: String,
    http_only: bool,
    domain: String,
    path: String,
    max_age: Option<String>,
}

fn blank(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn stored(line: &str, request_path: &str) -> Option<Stored> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let default = match request_path.rfind('/') {
        Some(end) if end > 0 && request_path.starts_with('/') => &request_path[..end],
        _ => "/",
    };
    let mut stored = Stored {
        name: blank(name).to_owned(),
        value: blank(value).to_owned(),
        http_only: false,
        domain: String::new(),
        path: default.to_owned(),
        max_age: None,
    };
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = blank(value);
        match blank(name).to_ascii_lowercase().as_str() {
            "httponly" => stored.http_only = true,
            "domain" => {
                let domain = value.strip_prefix('.').unwrap_or(value);
                stored.domain = domain.to_ascii_lowercase();
            }
            "path" => {
                stored.path = if value.starts_with('/') {
                    value
                } else {
                    default
                }
                .to_owned()
            }
            "max-age" => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                    stored.max_age = Some(value.to_owned());
                }
            }
            _ => {}
        }
    }
    Some(stored).filter(|stored| !stored.name.is_empty())
}

fuzz_target!(|input: Input<'_>| {
    let mut line = input.pair.to_owned();
    for (name, value) in &input.attributes {
        line += ";";
        line += ATTRIBUTES[usize::from(*name) % ATTRIBUTES.len()];
        match value {
            None => {}
            Some(Value::Known(index)) => {
                line += "=";
                line += VALUES[usize::from(*index) % VALUES.len()];
            }
            Some(Value::Text(text)) => {
                line += "=";
                line += text;
            }
        }
    }
    let path = format!("/{}", input.path.replace(['?', '#', ';'], ""));
    // A browser refuses other controls; paths come from the runtime, encoded.
    if !fits_a_header(&line)
        || line.contains(|c: char| c.is_control() && c != '\t')
        || !path.bytes().all(|b| b.is_ascii_graphic())
    {
        return;
    }
    check(&line, &path);
});

fn check(line: &str, path: &str) {
    // Other blanks around a name are part of it: no name that an app would use.
    let browser = stored(line, path).filter(|browser| browser.name == browser.name.trim());
    let read = SetCookie::parse(line, NOW);
    assert_eq!(read.is_some(), Cookie::parse(line).is_ok());
    let (Some(browser), Some(read)) = (browser, read) else {
        return;
    };
    assert_eq!(read.name, browser.name);
    assert_eq!(read.value, browser.value.trim());
    assert_eq!(read.http_only, browser.http_only, "{line}");
    let place = (browser.domain.clone(), browser.path.clone());
    assert_eq!(read.place(path), place, "{line}");

    // The same line with another name and value.
    let line = read.line("sid", "sealed");
    let again = SetCookie::parse(&line, NOW).expect("it has a name");
    assert_eq!(
        (again.name.as_str(), again.value.as_str()),
        ("sid", "sealed")
    );
    assert_eq!(again.attributes, read.attributes);
    assert_eq!(
        (again.http_only, again.removes, &again.domain),
        (read.http_only, read.removes, &read.domain)
    );
    assert_eq!(again.place(path), place);
    let renamed = stored(&line, path).expect("it has a name");
    assert_eq!(
        (
            renamed.http_only,
            renamed.domain,
            renamed.path,
            renamed.max_age
        ),
        (
            browser.http_only,
            browser.domain,
            browser.path,
            browser.max_age
        )
    );

    // What sets it again from anywhere, and what removes it.
    let attributes = read.attributes_at(path);
    let set_again = stored(&format!("a=b{attributes}"), "/elsewhere/x").expect("it has a name");
    assert_eq!((set_again.domain, set_again.path), place, "{attributes}");
    assert_eq!(ours::place(&attributes), place);
    for (attributes, path) in [(&attributes, "/elsewhere/x"), (&read.attributes, path)] {
        let removal = ours::removal("a", attributes);
        let removed = SetCookie::parse(&removal, NOW).expect("it has a name");
        assert!(removed.removes && removed.value.is_empty(), "{removal}");
        assert_eq!(removed.place(path), place, "{removal}");
        let removed = stored(&removal, path).expect("it has a name");
        assert_eq!((removed.domain, removed.path), place, "{removal}");
        assert_eq!(removed.max_age.as_deref(), Some("0"), "{removal}");
    }
}
