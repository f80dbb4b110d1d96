//! The little of URLs that is needed here, without the IDNA tables of a URL library: configured
//! addresses are checked as they stand. Of request URLs only scheme and host come normalised: paths
//! may hold anything.

use std::{borrow::Cow, fmt};

use super::config::App;

/// An absolute `http` or `https` URL with a host, printable ASCII, no user, no fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl(String);

/// What is wrong with a text that should be an [`HttpUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlProblem {
    /// Not `https://...`, nor `http://...` where that is allowed.
    Scheme,
    /// No host, or a host with characters that none has.
    Host,
    /// A space, a control, a non-ASCII character, a user, or a fragment.
    Character,
}

impl fmt::Display for UrlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "must be an https:// URL (http:// only with allow_insecure_http)",
            Self::Host => "needs a host name",
            Self::Character => "may hold neither spaces, user names, fragments nor non-ASCII",
        })
    }
}

/// Whether plain `http` is acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// Only `https`.
    Https,
    /// `http` too: development, or an origin on a private path.
    HttpToo,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlProblem`] says what is wrong.
    pub fn parse(text: &str, schemes: Schemes) -> Result<Self, UrlProblem> {
        let rest = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => rest,
            (None, Some(rest)) if schemes == Schemes::HttpToo => rest,
            _ => return Err(UrlProblem::Scheme),
        };
        if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['#', '\\']) {
            return Err(UrlProblem::Character);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlProblem::Character);
        }
        if !is_authority(authority) {
            return Err(UrlProblem::Host);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is anything but `/` after the host.
    #[must_use]
    pub fn is_bare_origin(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split_once(['/', '?'])
            .is_none_or(|(_, path)| path.is_empty())
    }
}

/// Whether `text` is a lower- or upper-case host name or address with an optional port.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host_characters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is_right = match bracketed {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => !host.is_empty() && host.bytes().all(host_characters),
    };
    host_is_right && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// Whether `text` is a non-empty run of letters, digits, `-` and `_`.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether `text` is printable ASCII without a backslash, as a `Location` may hold.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

/// An authority without its port.
#[must_use]
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The text with its percent-encoding undone; what is not UTF-8 then stands for nothing we know.
#[must_use]
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

/// A request's URL, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestUrl<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, lower case, with the port if it is not the scheme's own.
    pub host: &'a str,
    /// Path, beginning with `/`, percent-encoding as sent.
    pub path: &'a str,
    /// `?` and the query, or nothing.
    pub query: &'a str,
}

impl<'a> RequestUrl<'a> {
    /// Takes apart a request's URL; `None` if it is none.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let rest = rest.strip_prefix("//")?.split('#').next()?;
        let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self {
            scheme,
            host,
            path,
            query,
        })
    }
}

/// Path and query without the session ids in them, which are as good as cookies that nobody
/// sealed: path parameters named like one of the app's session cookies, and whatever has the names
/// that servlets and PHP use. `None` if there is none.
#[must_use]
pub fn without_session_ids(app: &App, path: &str, query: &str) -> Option<(String, String)> {
    const USUAL: [&str; 2] = ["jsessionid", "phpsessid"];
    let is_usual = |field: &str| {
        let name = percent_decode(name(field));
        // As PHP reads it.
        let name = name.trim_start_matches([' ', '+']);
        let name = name.split(['\0', '[']).next().unwrap_or_default();
        USUAL.iter().any(|usual| name.eq_ignore_ascii_case(usual))
    };
    let is_id = |field: &str| is_usual(field) || app.session_cookies.may_mean(name(field));
    let has_parameter = path.contains(';')
        && path
            .split('/')
            .any(|segment| segment.split(';').skip(1).any(is_id));
    let has_field = fields(query).any(is_usual);
    (has_parameter || has_field).then(|| {
        let segments = path.split('/').map(|segment| {
            let mut parts = segment.split(';');
            let named = parts.next().into_iter();
            let kept: Vec<_> = named.chain(parts.filter(|field| !is_id(field))).collect();
            kept.join(";")
        });
        let kept: Vec<_> = fields(query).filter(|field| !is_usual(field)).collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        let path = segments.collect::<Vec<_>>().join("/");
        (path, format!("{mark}{}", kept.join("&")))
    })
}

fn name(field: &str) -> &str {
    field.split('=').next().unwrap_or_default()
}

fn fields(query: &str) -> impl Iterator<Item = &str> {
    query
        .strip_prefix('?')
        .into_iter()
        .flat_map(|query| query.split('&'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testkit;

    #[test]
    fn reads_what_an_address_may_be() {
        for (text, schemes) in [
            ("https://op.example", Schemes::Https),
            ("https://op.example:8443/realms/a?x=1", Schemes::Https),
            ("https://[2001:db8::1]:444/", Schemes::Https),
            ("http://127.0.0.1:4000", Schemes::HttpToo),
        ] {
            assert!(HttpUrl::parse(text, schemes).is_ok(), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_others() {
        for (text, problem) in [
            ("http://op.example", UrlProblem::Scheme),
            ("ftp://op.example", UrlProblem::Scheme),
            ("op.example", UrlProblem::Scheme),
            ("https://", UrlProblem::Host),
            ("https:///path", UrlProblem::Host),
            ("https://op.example:0/", UrlProblem::Host),
            ("https://op.example:99999/", UrlProblem::Host),
            ("https://op%2eexample/", UrlProblem::Host),
            ("https://user@op.example/", UrlProblem::Character),
            ("https://op.example/#f", UrlProblem::Character),
            ("https://op.example/a b", UrlProblem::Character),
            ("https://öp.example/", UrlProblem::Character),
            ("https://op.example\\@evil.example/", UrlProblem::Character),
        ] {
            assert_eq!(HttpUrl::parse(text, Schemes::Https), Err(problem), "{text}");
        }
    }

    #[test]
    fn session_ids_are_taken_out_of_urls() {
        let config = testkit::config();
        let app = testkit::app(&config, "SHOP");
        for (path, query, clean) in [
            ("/a;jsessionid=1", "", Some(("/a", ""))),
            ("/a;JSESSIONID=1;v=2/b;x", "?q", Some(("/a;v=2/b;x", "?q"))),
            ("/a;v=2;%6aSessionId=1", "", Some(("/a;v=2", ""))),
            ("/a;shop.sid=1;shop_part7", "", Some(("/a", ""))),
            ("/a", "?PHPSESSID=1", Some(("/a", ""))),
            ("/a", "?b=1&phpsessid=1&&c", Some(("/a", "?b=1&&c"))),
            ("/a", "?%20+PHPSESSID%00x=1&PHPSESSID[]=2", Some(("/a", ""))),
            ("/a", "?shop.sid=1", None),
            ("/a;v=jsessionid", "?a=PHPSESSID=1&b", None),
            ("/jsessionid=1", "?", None),
        ] {
            let expected = clean.map(|(path, query)| (path.to_owned(), query.to_owned()));
            assert_eq!(
                without_session_ids(&app, path, query),
                expected,
                "{path}{query}"
            );
        }
    }

    #[test]
    fn takes_a_request_url_apart() {
        let url = RequestUrl::parse("http://localhost:8787/a/b?c=/d?e").unwrap();
        assert_eq!(
            (url.scheme, url.host, url.path, url.query),
            ("http", "localhost:8787", "/a/b", "?c=/d?e")
        );
        let bare = RequestUrl::parse("https://app.example").unwrap();
        assert_eq!((bare.host, bare.path, bare.query), ("app.example", "/", ""));
    }
}
