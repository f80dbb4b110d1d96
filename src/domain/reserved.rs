//! Headers of requests that only we, or the app itself, may set: a client's are taken out.

use super::config::{App, Config, Origin};

/// With what the names of our own begin.
const OURS: &str = "edge-logout-";

/// A header's name, or the beginning of names, lower case. Servers that hand headers on as variables read
/// `_`, and some every other sign, as `-`: so do we.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved<'a> {
    /// A whole name.
    Name(&'a str),
    /// All names that begin so.
    Beginning(&'a str),
}

impl<'a> Reserved<'a> {
    /// Those of requests that go to `origin`; for `app`, if they are for one.
    pub fn at(origin: &Origin, app: Option<&'a App>) -> impl Iterator<Item = Self> {
        // It might be reflected. A client's credentials are its own, and names that begin as ours do are
        // all reserved.
        let announcement = app
            .and_then(App::announcement_header)
            .filter(|name| *name != "authorization" && !name.starts_with(OURS));
        // An app at another address finds its public one there.
        let is_elsewhere = matches!(origin, Origin::Url(_));
        [
            Some(Self::Beginning(OURS)),
            announcement.map(Self::Name),
            is_elsewhere.then_some(Self::Beginning("x-forwarded-")),
            is_elsewhere.then_some(Self::Name("forwarded")),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether `name`, lower case, is meant.
    #[must_use]
    pub fn means(self, name: &str) -> bool {
        let (own, is_long_enough) = match self {
            Self::Name(own) => (own, name.len() == own.len()),
            Self::Beginning(own) => (own, name.len() >= own.len()),
        };
        let reads = |(own, byte): (u8, u8)| {
            own == byte || !own.is_ascii_alphanumeric() && !byte.is_ascii_alphanumeric()
        };
        is_long_enough && own.bytes().zip(name.bytes()).all(reads)
    }

    /// A regular expression of JavaScript's for the same.
    fn pattern(self) -> String {
        let (own, rest) = match self {
            Self::Name(own) => (own, ""),
            Self::Beginning(own) => (own, ".*"),
        };
        let mut pattern = String::new();
        for sign in own.chars() {
            match sign {
                'a'..='z' | '0'..='9' => pattern.push(sign),
                _ => pattern.push_str(r"[^a-z0-9\n]"),
            }
        }
        pattern.push_str(rest);
        pattern
    }
}

/// A regular expression of JavaScript's: which names, each a line, are reserved in requests to some place of
/// this configuration.
#[must_use]
pub fn pattern(config: &Config) -> String {
    let of_apps = config
        .apps
        .iter()
        .flat_map(|app| Reserved::at(&app.origin, Some(app)));
    let of_hosts = config
        .hosts
        .iter()
        .flat_map(|rule| Reserved::at(&rule.origin, None));
    let mut patterns = Vec::new();
    for pattern in of_apps.chain(of_hosts).map(Reserved::pattern) {
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    format!("^(?:{})$", patterns.join("|"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::app::testkit;

    #[test]
    fn a_name_is_meant_in_every_spelling_and_no_other() {
        let (name, beginning) = (Reserved::Name("x-id"), Reserved::Beginning("x-id-"));
        for spelling in ["x-id", "x_id", "x.id", "x~id", "x!id"] {
            assert!(name.means(spelling), "{spelling}");
            assert!(!beginning.means(spelling), "{spelling}");
            for rest in ["", "a", "-", "_token"] {
                let longer = format!("{spelling}|{rest}");
                assert!(beginning.means(&longer), "{longer}");
                assert!(!name.means(&longer), "{longer}");
            }
        }
        for other in ["", "x", "x-i", "x-ie", "xaid", "x--id", "ax-id", "y-id"] {
            assert!(!name.means(other), "{other}");
            assert!(!beginning.means(other), "{other}");
        }
    }

    /// Which of some names a client may not send to an app with these fields.
    fn reserved(shop: &Value) -> Vec<&'static str> {
        let config = testkit::config_with(&json!({}), shop);
        let app = testkit::app(&config, "SHOP");
        let is_reserved = |name: &&str| {
            Reserved::at(&app.origin, Some(&app)).any(|reserved| reserved.means(name))
        };
        let names = [
            "edge_logout_key",
            "x-token",
            "x-forwarded-user",
            "forwarded",
            "authorization",
            "cookie",
        ];
        names.into_iter().filter(is_reserved).collect()
    }

    #[test]
    fn what_is_reserved_depends_on_the_app() {
        assert_eq!(reserved(&json!({})), ["edge_logout_key"]);
        let elsewhere = json!({ "origin": "https://app.internal" });
        assert_eq!(
            reserved(&elsewhere),
            ["edge_logout_key", "x-forwarded-user", "forwarded"]
        );
        let announcing = |name| json!({ "announce": { "from": "header", "name": name } });
        assert_eq!(
            reserved(&announcing("X-Token")),
            ["edge_logout_key", "x-token"]
        );
        assert_eq!(
            reserved(&announcing("Authorization")),
            ["edge_logout_key"],
            "a client's credentials are its own"
        );
    }

    #[test]
    fn the_pattern_is_of_all_places_together() {
        let config = testkit::config_with(
            &json!({}),
            &json!({ "origin": "https://app.internal", "announce": { "from": "header", "name": "x-token" } }),
        );
        let dash = r"[^a-z0-9\n]";
        let expected = [
            format!("edge{dash}logout{dash}.*"),
            format!("x{dash}token"),
            format!("x{dash}forwarded{dash}.*"),
            "forwarded".to_owned(),
        ];
        assert_eq!(pattern(&config), format!("^(?:{})$", expected.join("|")));
    }
}
