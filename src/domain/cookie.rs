//! Cookies on the wire (RFC 6265bis): taken apart without changing what is not ours.

use std::fmt::Write as _;

use cookie::Cookie;

use super::time::Timestamp;

/// The pairs of a `Cookie` header in order; a piece without `=` has the empty name.
pub fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header
        .split(';')
        .map(|piece| piece.trim_matches([' ', '\t']))
        .filter(|piece| !piece.is_empty())
        .map(|piece| match piece.split_once('=') {
            Some((name, value)) => (name.trim_end_matches([' ', '\t']), value),
            None => ("", piece),
        })
}

/// Puts pairs together again as a `Cookie` header's value.
#[must_use]
pub fn join<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut header = String::new();
    for (name, value) in pairs {
        let separator = if header.is_empty() { "" } else { "; " };
        let equals = if name.is_empty() { "" } else { "=" };
        let _ = write!(header, "{separator}{name}{equals}{value}");
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
            path: read
                .path()
                .map(str::to_owned)
                .filter(|path| path.starts_with('/')),
        })
    }

    /// The line with another value.
    #[must_use]
    pub fn with_value(&self, value: &str) -> String {
        format!("{}={value}{}", self.name, self.attributes)
    }

    /// Where the line sets or removes its cookie.
    #[must_use]
    pub fn place(&self, request_path: &str) -> (String, String) {
        place(&self.attributes_for_removal(request_path))
    }

    /// The attributes with which this cookie can be removed later: all but its lifetime, and with
    /// the path that a browser derives from `request_path` where the line names none
    /// (RFC 6265bis section 5.1.4).
    #[must_use]
    pub fn attributes_for_removal(&self, request_path: &str) -> String {
        let mut kept = String::new();
        for attribute in self.attributes.split(';').map(str::trim) {
            let name = attribute.split('=').next().unwrap_or_default().trim_end();
            let is_dropped = ["", "expires", "max-age"]
                .iter()
                .any(|dropped| name.eq_ignore_ascii_case(dropped))
                || (name.eq_ignore_ascii_case("path") && self.path.is_none());
            if !is_dropped {
                let _ = write!(kept, "; {attribute}");
            }
        }
        if self.path.is_none() {
            let _ = write!(kept, "; Path={}", default_path(request_path));
        }
        kept
    }
}

/// Where a cookie with these attributes is stored: its domain, if it names one, and its path. Two
/// cookies of one name at different places are two cookies (RFC 6265bis section 5.7).
#[must_use]
pub fn place(attributes: &str) -> (String, String) {
    let line = format!("x={attributes}");
    let read = Cookie::parse(line.as_str()).ok();
    let domain = read.as_ref().and_then(Cookie::domain).unwrap_or_default();
    let path = read.as_ref().and_then(Cookie::path).unwrap_or_default();
    (domain.to_ascii_lowercase(), path.to_owned())
}

/// The line that removes a cookie set with these attributes.
#[must_use]
pub fn removal(name: &str, attributes: &str) -> String {
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
