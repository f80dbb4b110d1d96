//! The little of URLs that is needed here, without the IDNA tables of a URL library: configured
//! addresses are checked as they stand, request URLs come normalised from the runtime.

use std::fmt;

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
    /// Takes apart a URL that the runtime normalised; `None` if it is none.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let rest = rest.split('#').next()?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
