//! Cookies on the wire (RFC 6265bis): taken apart without changing what is not ours.

use std::iter;

use cookie::Cookie;

use super::{limits, time::Timestamp};

const BLANKS: [char; 2] = [' ', '\t'];

/// The pairs of a `Cookie` header in order; a piece without `=` has the empty name.
///
/// Pairs end at `;` alone (RFC 6265bis section 5.7.3), but servers differ: there is no character
/// outside of values (RFC 6265 section 4.1.1) after which none begins a new pair, and a client's
/// second `Cookie` header arrives folded into the first with a comma. So a pair that `is_protected`
/// says yes to begins after any of these, and ends at a comma.
#[must_use]
pub fn pairs(header: &str, is_protected: impl Fn(&str, &str) -> bool) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    for piece in between_semicolons(header) {
        let trimmed = piece.trim_matches(BLANKS);
        // One segment, as most are.
        if !has_separator(trimmed) {
            pairs.push(pair(trimmed));
            continue;
        }
        // Where the present pair begins, whether it is protected, and how far it was read.
        let (mut start, mut is_ours, mut end) = (0, false, 0);
        for segment in piece.split_inclusive(separates) {
            let before = piece.get(start..end).unwrap_or_default();
            end = end.saturating_add(segment.len());
            let after = piece.get(end..).unwrap_or_default();
            let (name, value) = beginning(segment.trim_end_matches(separates), after);
            let begins_ours = is_protected(name, value);
            if begins_ours || (is_ours && before.ends_with(',')) {
                pairs.push(pair(before.trim_end_matches(separates)));
                start = end.saturating_sub(segment.len());
                is_ours = begins_ours;
            }
        }
        pairs.push(pair(piece.get(start..).unwrap_or_default()));
    }
    pairs.retain(|(name, value)| !name.is_empty() || !value.is_empty());
    pairs
}

/// As `split(';')`: session cookies are long, and that looks at few bytes at a time.
fn between_semicolons(header: &str) -> impl Iterator<Item = &str> {
    let semicolons = memchr::memchr_iter(b';', header.as_bytes());
    let starts = iter::once(0).chain(semicolons.clone().map(|end| end.saturating_add(1)));
    iter::zip(starts, semicolons.chain([header.len()]))
        .filter_map(|(start, end)| header.get(start..end))
}

fn separates(c: char) -> bool {
    !c.is_ascii_graphic() || matches!(c, ',' | '"' | '\\')
}

/// Whether any character separates. It looks at all bytes whatever it finds, and so at many at a time.
fn has_separator(text: &str) -> bool {
    let found = |found, byte| found | separates(char::from(byte));
    text.bytes().fold(false, found)
}

/// The pair that begins with `token`, perhaps with blanks around its `=`.
fn beginning<'a>(token: &'a str, after: &'a str) -> (&'a str, &'a str) {
    match pair(token) {
        ("", name) if !name.is_empty() => {
            let value = after.trim_start_matches(BLANKS).strip_prefix('=');
            value.map_or(("", name), |value| (name, value.trim_start_matches(BLANKS)))
        }
        pair => pair,
    }
}

/// A first `=` is no name's end: what is forwarded without it would have a name.
fn pair(text: &str) -> (&str, &str) {
    let text = text.trim_end_matches(BLANKS);
    let text = text.trim_start_matches([' ', '\t', '=']);
    match text.split_once('=') {
        Some((name, value)) => (
            name.trim_end_matches(BLANKS),
            value.trim_start_matches(BLANKS),
        ),
        None => ("", text),
    }
}

/// Puts pairs together again as a `Cookie` header's value.
#[must_use]
pub fn join<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut header = String::new();
    for (name, value) in pairs {
        let separator = if header.is_empty() { "" } else { "; " };
        let equals = if name.is_empty() { "" } else { "=" };
        let parts = [separator, name, equals, value];
        header.reserve(parts.map(str::len).iter().sum());
        header.extend(parts);
    }
    (!header.is_empty()).then_some(header)
}

/// A `Set-Cookie` line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// Its value as written, quotes included.
    pub value: String,
    /// Everything from the first `;` on, as written.
    pub attributes: String,
    /// Whether scripts cannot see it.
    pub http_only: bool,
    /// Whether the line removes the cookie instead of setting it.
    pub removes: bool,
    /// The path it is valid for, if the line names one.
    path: Option<String>,
    /// The domain it is valid for, with all below it, if the line names one.
    pub domain: Option<String>,
}

impl SetCookie {
    /// Reads a line; `None` for one without a name, which concerns nobody here.
    #[must_use]
    pub fn parse(line: &str, now: Timestamp) -> Option<Self> {
        let read = Cookie::parse(line).ok()?;
        let removes = match read.max_age() {
            Some(age) => age.whole_seconds() <= 0,
            None => read
                .expires_datetime()
                .is_some_and(|at| Timestamp::from_seconds(at.unix_timestamp()) <= now),
        };
        let (_, attributes) = line.split_at(line.find(';').unwrap_or(line.len()));
        Some(Self {
            name: read.name().to_owned(),
            value: read.value().to_owned(),
            attributes: attributes.to_owned(),
            http_only: read.http_only().unwrap_or(false),
            removes,
            path: path(attributes).map(str::to_owned),
            domain: domain(attributes),
        })
    }

    /// The line with another name and value.
    #[must_use]
    pub fn line(&self, name: &str, value: &str) -> String {
        format!("{name}={value}{}", self.attributes)
    }

    /// Whether no browser would keep it (RFC 6265bis section 5.6).
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.name.len().saturating_add(self.value.len()) > limits::COOKIE_BYTES
    }

    /// Where the line sets or removes its cookie.
    #[must_use]
    pub fn place(&self, request_path: &str) -> Place {
        place(&self.attributes_at(request_path))
    }

    /// The attributes with which this cookie can be set again: with the path that a browser derives
    /// from `request_path` where the line names none (RFC 6265bis section 5.1.4).
    #[must_use]
    pub fn attributes_at(&self, request_path: &str) -> String {
        let named = without(
            &self.attributes,
            if self.path.is_none() { &["path"] } else { &[] },
        );
        match self.path {
            Some(_) => named,
            None => format!("{named}; Path={}", default_path(request_path)),
        }
    }
}

/// A domain, if one is named, and a path.
pub type Place = (String, String);

/// Attributes that say how long a cookie lives.
const LIFETIME: [&str; 2] = ["expires", "max-age"];

fn without(attributes: &str, dropped: &[&str]) -> String {
    let mut kept = String::new();
    for attribute in attributes.split(';') {
        let attribute = attribute.trim_matches(BLANKS);
        let name = attribute.split('=').next().unwrap_or_default();
        let name = name.trim_end_matches(BLANKS);
        let is_dropped = dropped
            .iter()
            .any(|dropped| name.eq_ignore_ascii_case(dropped));
        if !attribute.is_empty() && !is_dropped {
            kept.extend(["; ", attribute]);
        }
    }
    kept
}

/// Where a cookie with these attributes is stored: its domain, if it names one, and its path. Two
/// cookies of one name at different places are two cookies (RFC 6265bis section 5.7).
#[must_use]
pub fn place(attributes: &str) -> Place {
    let path = path(attributes).unwrap_or_default();
    (domain(attributes).unwrap_or_default(), path.to_owned())
}

fn domain(attributes: &str) -> Option<String> {
    let domain = last(attributes, "domain")?;
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    (!domain.is_empty()).then(|| domain.to_ascii_lowercase())
}

fn path(attributes: &str) -> Option<&str> {
    last(attributes, "path").filter(|path| path.starts_with('/'))
}

/// The value of the last attribute of that name: it counts, even if it is empty or missing (RFC
/// 6265bis section 5.7).
fn last<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.rsplit(';').find_map(|attribute| {
        let (its_name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let is_it = its_name.trim_matches(BLANKS).eq_ignore_ascii_case(name);
        is_it.then(|| value.trim_matches(BLANKS))
    })
}

/// The line that removes a cookie set with these attributes.
#[must_use]
pub fn removal(name: &str, attributes: &str) -> String {
    let attributes = without(attributes, &LIFETIME);
    format!("{name}={attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

fn default_path(request_path: &str) -> &str {
    match request_path.rsplit_once('/') {
        Some((directory, _)) if directory.starts_with('/') => directory,
        _ => "/",
    }
}

#[cfg(test)]
mod tests;
