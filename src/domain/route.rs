//! Which app a request is for.

use std::{fmt, rc::Rc};

use super::{
    config::{Announce, App, Config, HostRule},
    limits, url,
};

/// A host and a path prefix of whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Host, lower case, with a port that is not the scheme's own.
    pub host: String,
    /// `/`, or `/segment...` without a slash at the end.
    pub prefix: String,
}

impl Route {
    /// Reads `host[:port]/prefix`; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, prefix) = text.split_at(text.find('/')?);
        // A scheme's own port never shows in a request's URL: such a route would match nothing.
        let own_port = host.ends_with(":80") || host.ends_with(":443");
        (url::is_authority(host) && !own_port && is_plain_path(prefix)).then(|| Self {
            host: host.to_ascii_lowercase(),
            prefix: prefix.to_owned(),
        })
    }

    /// The host without its port, as a cookie's domain names it.
    #[must_use]
    pub fn host_name(&self) -> &str {
        url::without_port(&self.host)
    }
}

/// Whether some server takes `path` for one at `prefix` or below it, although it is not.
#[must_use]
pub fn may_be_read_as(prefix: &str, path: &str) -> bool {
    let is_there = |reading: &str| {
        let begins = reading.get(..prefix.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(prefix))
            && covers(begins.unwrap_or_default(), reading)
    };
    let readings = readings(path).unwrap_or_default();
    is_there(path) || readings.iter().any(|reading| is_there(reading))
}

/// Whether `path` is `prefix` or below it, by whole segments.
#[must_use]
pub fn covers(prefix: &str, path: &str) -> bool {
    prefix == "/"
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.prefix)
    }
}

/// Where a request belongs.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The back-channel logout endpoint of an app.
    BackChannel(&'a Rc<App>),
    /// Where an app's back end redeems codes, instead of at its OP.
    TokenEndpoint(&'a Rc<App>),
    /// The OP's metadata with that token endpoint.
    Metadata(&'a Rc<App>),
    /// A path of the Worker itself, given without `/.edge-logout`.
    Own(&'a str),
    /// An app, and the prefix by which it was found.
    App(&'a Rc<App>, &'a str),
    /// No app, on a host whose other requests pass.
    Unmatched(&'a HostRule),
    /// Nowhere: never forwarded.
    Nowhere,
    /// One place as it stands, and another if a server decodes it: never forwarded.
    Ambiguous,
}

/// Finds the place of `path` on `host`: whole segments, longest prefix.
#[must_use]
pub fn locate<'a>(config: &'a Config, host: &str, path: &'a str) -> Place<'a> {
    let place = locate_as_it_stands(config, host, path);
    let Some(readings) = readings(path) else {
        return Place::Ambiguous;
    };
    let is_same = |reading: &String| match (&place, locate_as_it_stands(config, host, reading)) {
        (Place::App(app, _), Place::App(other, _)) => app.id == other.id,
        (place, other) => std::mem::discriminant(place) == std::mem::discriminant(&other),
    };
    if readings.iter().all(is_same) {
        place
    } else {
        Place::Ambiguous
    }
}

fn locate_as_it_stands<'a>(config: &'a Config, host: &str, path: &'a str) -> Place<'a> {
    if let Some(own) = own_path(path) {
        return relay(config, host, own).unwrap_or(Place::Own(own));
    }
    let back_channel = config
        .apps
        .iter()
        .find(|app| app.logout_path == path && app.routes.iter().any(|route| route.host == host));
    if let Some(app) = back_channel {
        return Place::BackChannel(app);
    }
    config
        .apps
        .iter()
        .flat_map(|app| app.routes.iter().map(move |route| (app, route)))
        .filter(|(_, route)| route.host == host && covers(&route.prefix, path))
        .max_by_key(|(_, route)| route.prefix.len())
        .map(|(app, route)| Place::App(app, &route.prefix))
        .or_else(|| {
            let mut rules = config.hosts.iter();
            rules.find(|rule| rule.host == host).map(Place::Unmatched)
        })
        .unwrap_or(Place::Nowhere)
}

/// What stands in for the OP at `/relay/<name of an app>`.
fn relay<'a>(config: &'a Config, host: &str, own: &str) -> Option<Place<'a>> {
    let (name, path) = own.strip_prefix("/relay/")?.split_once('/')?;
    let is_it = |app: &&Rc<App>| {
        app.name == name
            && app.announce == Announce::Relay
            && app.routes.iter().any(|route| route.host == host)
    };
    let app = config.apps.iter().find(is_it)?;
    match path {
        TOKEN => Some(Place::TokenEndpoint(app)),
        METADATA => Some(Place::Metadata(app)),
        _ => None,
    }
}

const TOKEN: &str = "token";
/// Where a client looks that takes what stands before it for the issuer (Discovery section 4).
const METADATA: &str = ".well-known/openid-configuration";

/// The path of the relay's token endpoint for an app.
#[must_use]
pub fn token_endpoint(app: &App) -> String {
    format!("/.edge-logout/relay/{}/{TOKEN}", app.name)
}

/// The path of the metadata with that token endpoint.
#[must_use]
pub fn metadata(app: &App) -> String {
    format!("/.edge-logout/relay/{}/{METADATA}", app.name)
}

/// What servers make of `path`: each takes some of these steps and leaves out others. `None` if it
/// can be read in too many ways.
fn readings(path: &str) -> Option<Vec<String>> {
    let is_doubtful = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    if !path.contains(['%', ';', '\\']) && !path.as_bytes().windows(2).any(is_doubtful) {
        return Some(Vec::new());
    }
    let decoded: fn(&str) -> String = |path| url::percent_decode(path).into_owned();
    let slashes = |path: &str| path.replace('\\', "/");
    let decodings = [decoded; limits::PATH_DECODINGS];
    let steps =
        decodings
            .into_iter()
            .chain([slashes, without_parameters, merged, resolved, merged]);
    let mut readings = vec![path.to_owned()];
    for step in steps {
        let more: Vec<_> = readings.iter().map(|reading| step(reading)).collect();
        for reading in more {
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        if readings.len() > limits::PATH_READINGS {
            return None;
        }
    }
    Some(readings)
}

fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next());
    segments.flatten().collect::<Vec<_>>().join("/")
}

/// Without empty segments. Whether the path ends with a slash makes no difference to the places.
fn merged(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// Without dot segments.
fn resolved(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether a cookie name is protected by an app on `host` other than `app`.
#[must_use]
pub fn is_protected_by_another(config: &Config, app: &App, host: &str, name: &str) -> bool {
    config.apps.iter().any(|other| {
        other.id != app.id
            && other.session_cookies.contain(name)
            && other.is_at(url::without_port(host))
    })
}

/// The rest of a path below `/.edge-logout`.
#[must_use]
pub fn own_path(path: &str) -> Option<&str> {
    path.strip_prefix("/.edge-logout")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path is `/`, or segments of unreserved characters that no decoding can change.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|segments| {
            segments.split('/').all(|segment| {
                !matches!(segment, "" | "." | "..")
                    && segment
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
            })
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::testkit::{config, config_with};

    #[test]
    fn whole_segments_of_a_known_host_belong_to_an_app() {
        let config = config();
        let name = |host, path| match locate(&config, host, path) {
            Place::App(app, _) => app.name.clone(),
            Place::BackChannel(app) => format!("logout of {}", app.name),
            Place::TokenEndpoint(app) => format!("token endpoint of {}", app.name),
            Place::Metadata(app) => format!("metadata of {}", app.name),
            Place::Own(rest) => format!("own {rest}"),
            Place::Unmatched(rule) => format!("rest of {}", rule.host),
            Place::Nowhere => "nowhere".to_owned(),
            Place::Ambiguous => "ambiguous".to_owned(),
        };
        for (host, path, expected) in [
            ("app.example", "/shop", "SHOP"),
            ("app.example", "/shop/", "SHOP"),
            ("app.example", "/shop/a/b", "SHOP"),
            ("app.example", "/shop/bclogout", "logout of SHOP"),
            ("app.example", "/shop/bclogout/", "SHOP"),
            ("app.example", "/wiki/bclogout", "logout of WIKI"),
            ("app.example", "/.edge-logout/x", "own /x"),
            ("app.example", "/.edge-logoutx", "nowhere"),
            ("app.example", "/shopping", "nowhere"),
            ("app.example", "/Shop", "nowhere"),
            ("app.example", "/", "nowhere"),
            ("app.example", "/shop//a%2Fb;c/%2e/~", "SHOP"),
            ("app.example", "/shop/%E4%ff%", "SHOP"),
            ("app.example", "//shop", "ambiguous"),
            ("app.example", "/%73hop", "ambiguous"),
            ("app.example", "/%2573hop", "ambiguous"),
            ("app.example", "/x/..%2fshop/a", "ambiguous"),
            ("app.example", "/x/..\\shop/a", "ambiguous"),
            ("app.example", "/x%5c..%5cshop", "ambiguous"),
            ("app.example", "/x/..;/shop", "ambiguous"),
            ("app.example", "/shop;a=b/c", "ambiguous"),
            ("app.example", "/shop/..%2fwiki/", "ambiguous"),
            ("app.example", "/shop/%2e%2e/x", "ambiguous"),
            ("app.example", "/shop/%62clogout", "ambiguous"),
            ("app.example", "/shop/bclogout;x", "ambiguous"),
            ("app.example", "/%2eedge-logout/x", "ambiguous"),
            // A server need not decode as often, or resolve dot segments at all.
            ("app.example", "/shop/..%2fwiki/..%252fshop", "ambiguous"),
            ("app.example", "/%73hop/..%2f", "ambiguous"),
            ("app.example", "/wiki%5c..", "ambiguous"),
            ("app.example", "/x;y//z", "nowhere"),
            ("evil.example", "/%73hop", "nowhere"),
            ("app.example:8443", "/shop", "nowhere"),
            ("evil.example", "/shop", "nowhere"),
            ("evil.example", "/shop/bclogout", "nowhere"),
        ] {
            assert_eq!(name(host, path), expected, "{host}{path}");
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_an_app_may_have_several() {
        let routes = json!({ "routes": ["app.example/", "other.example/x", "app.example/wiki/x"] });
        let config = config_with(&json!({}), &routes);
        for (host, path, expected) in [
            ("app.example", "/", "SHOP"),
            ("app.example", "/wikis", "SHOP"),
            ("app.example", "/wiki", "WIKI"),
            ("app.example", "/wiki/xy", "WIKI"),
            ("app.example", "/wiki/x/y", "SHOP"),
            ("app.example", "/a//b", "SHOP"),
            ("other.example", "/x/", "SHOP"),
        ] {
            let Place::App(app, _) = locate(&config, host, path) else {
                panic!("{host}{path}");
            };
            assert_eq!(app.name, expected, "{host}{path}");
        }
        for path in [
            "/%77iki",
            "//wiki",
            "/a/../wiki",
            "/wiki/%78",
            "/wiki;a",
            "/wiki/..%2f",
        ] {
            assert_eq!(
                locate(&config, "app.example", path),
                Place::Ambiguous,
                "{path}"
            );
        }
        assert_eq!(locate(&config, "other.example", "/y"), Place::Nowhere);
    }

    #[test]
    fn routes_are_plain() {
        for right in [
            "a.example/",
            "a.example/x",
            "a.example:8443/x/y-z_1.~",
            "[::1]:80a/",
        ] {
            assert_eq!(
                Route::parse(right).is_some(),
                !right.contains("80a"),
                "{right}"
            );
        }
        for wrong in [
            "a.example",
            "/x",
            "https://a.example/",
            "a.example/x/",
            "a.example//x",
            "a.example/*",
            "a.example/../x",
            "a.example/%2e",
            "*.example/",
            "a.example/x;y",
            "a.example:80/",
        ] {
            assert_eq!(Route::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_is_protected_on_its_apps_hosts() {
        let config = config();
        let [shop, wiki] = config.apps.as_slice() else {
            panic!("two apps");
        };
        let protected = |app, host, name| is_protected_by_another(&config, app, host, name);
        assert!(protected(shop, "app.example", "wiki.sid"));
        assert!(!protected(wiki, "app.example", "wiki.sid"));
        assert!(!protected(shop, "other.example", "wiki.sid"));
        assert!(!protected(shop, "app.example", "wiki"));
    }
}
