//! Which app a request is for.

use std::{fmt, rc::Rc};

use super::{
    config::{App, Config},
    url,
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
        (url::is_authority(host) && is_plain_path(prefix)).then(|| Self {
            host: host.to_ascii_lowercase(),
            prefix: prefix.to_owned(),
        })
    }

    fn covers(&self, host: &str, path: &str) -> bool {
        self.host == host
            && (self.prefix == "/"
                || path
                    .strip_prefix(&self.prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
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
    /// A path of the Worker itself, given without `/.edge-logout`.
    Own(&'a str),
    /// An app, and the prefix by which it was found.
    App(&'a Rc<App>, &'a str),
    /// Nowhere: never forwarded.
    Nowhere,
}

/// Finds the place of `path` on `host`: whole segments, longest prefix.
#[must_use]
pub fn locate<'a>(config: &'a Config, host: &str, path: &'a str) -> Place<'a> {
    if let Some(own) = own_path(path) {
        return Place::Own(own);
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
        .filter(|(_, route)| route.covers(host, path))
        .max_by_key(|(_, route)| route.prefix.len())
        .map_or(Place::Nowhere, |(app, route)| {
            Place::App(app, &route.prefix)
        })
}

/// Whether a cookie name is protected by an app on `host` other than `app`.
#[must_use]
pub fn is_protected_by_another(config: &Config, app: &App, host: &str, name: &str) -> bool {
    config.apps.iter().any(|other| {
        other.id != app.id
            && other.session_cookies.contain(name)
            && other.routes.iter().any(|route| route.host == host)
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
