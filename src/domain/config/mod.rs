//! The configuration, parsed into types that cannot be wrong.
//!
//! One structured variable per issuer (`ISSUER_<name>`) and per app (`APP_<name>`), and the secret
//! `SEAL_KEYS`; `HOST_<name>` and `LIMITS` if need be. Parsing reports every problem at once, each with
//! the name of its field.

mod app;
mod fields;
mod operator;
mod read;
mod seal_keys;

use std::{fmt, iter, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::read::parse;
use super::{
    digest::Digest,
    jws::{Algorithm, Types},
    route::{self, Route},
    seal::Authority,
    time::Timestamp,
    url::{self, HttpUrl, Schemes},
};

/// Everything an operator configures.
#[derive(Debug)]
pub struct Config {
    /// The protected apps, in the order of their names.
    pub apps: Vec<Rc<App>>,
    /// What becomes of requests that are for no app, on hosts that have apps.
    pub hosts: Vec<HostRule>,
    /// The keys that seal cookies.
    pub seal_keys: SealKeys,
    /// Who says whether sessions live.
    pub authority: Authority,
    /// KV operations that one request or cron run may spend on tidying up.
    pub kv_operations: usize,
    /// Who may use the operator's pages; nobody if there is none.
    pub operator: Option<Operator>,
}

impl Config {
    /// Whether an app's logins are learned by standing in for its OP's token endpoint.
    #[must_use]
    pub fn relays(&self) -> bool {
        self.apps.iter().any(|app| app.announce == Announce::Relay)
    }

    /// The issuers of the apps that have a breaker, each once.
    pub fn breakers(&self) -> impl Iterator<Item = &Rc<Issuer>> {
        let issuers = self.apps.iter().enumerate().filter(|(position, app)| {
            let mut earlier = self.apps.iter().take(*position);
            !earlier.any(|other| other.issuer == app.issuer)
        });
        let issuers = issuers.map(|(_, app)| &app.issuer);
        issuers.filter(|issuer| issuer.breaker.is_some())
    }

    /// The service bindings that requests go to.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let of_apps = self.apps.iter().map(|app| &app.origin);
        let of_hosts = self.hosts.iter().map(|host| &host.origin);
        iter::chain(of_apps, of_hosts).filter_map(|origin| match origin {
            Origin::Service(name) => Some(name.as_str()),
            Origin::Itself | Origin::Url(_) => None,
        })
    }
}

/// An `OpenID` Provider that the apps trust.
#[derive(Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The part of the variable's name after `ISSUER_`.
    pub name: String,
    /// The issuer identifier, compared byte by byte with `iss`.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Its token endpoint, if it is not to be learned from the metadata.
    pub token_endpoint: Option<HttpUrl>,
    /// Whether `http` is acceptable in the addresses of this issuer (development).
    pub schemes: Schemes,
    /// The one algorithm of its logout tokens.
    pub logout_alg: Algorithm,
    /// The one algorithm of its ID tokens.
    pub id_token_alg: Algorithm,
    /// Which `typ` its logout tokens carry.
    pub logout_types: Types,
    /// Whether its logout tokens may lack `exp`; they must be fresh by `iat` then.
    pub allow_missing_exp: bool,
    /// What a `sid` in its logout tokens stands for.
    pub sid_scope: SidScope,
    /// Audiences that may stand beside ours.
    pub trusted_audiences: Vec<String>,
    /// Tolerated difference between its clock and ours.
    pub clock_skew: Duration,
    /// Whether its logouts are only reported, and end nothing.
    pub dry_run: bool,
    /// How much its logouts may end before an operator is asked.
    pub breaker: Option<Breaker>,
}

/// What an issuer's logouts may end in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// So many sessions
    pub sessions: usize,
    /// in any span of this length.
    pub span: Duration,
}

/// Who may use the operator's pages: whoever has the key, or comes by way of Cloudflare Access.
#[derive(Debug, PartialEq, Eq)]
pub struct Operator {
    /// The digest of the secret `OPERATOR_KEY`.
    pub key: Option<Digest>,
    /// The Access application in front of them.
    pub access: Option<Access>,
}

/// An application of Cloudflare Access.
#[derive(Debug, PartialEq, Eq)]
pub struct Access {
    /// The team, in the role of an issuer.
    pub team: Issuer,
    /// The application's audience tag.
    pub audience: String,
}

/// What a `sid` in a logout token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidScope {
    /// The sessions of that `sid`.
    Sid,
    /// All sessions of their users, and of the token's `sub`: for an OP whose "log out everywhere"
    /// names one session only.
    Sub,
}

/// What becomes of a login whose ID token has no `sid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionSid {
    /// It is refused: a logout of one session could not be told from others'.
    Required,
    /// It is accepted, and ended by every logout of its user.
    Optional,
}

/// Where an issuer's keys are.
#[derive(Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A metadata document that names the `jwks_uri` (Discovery section 4).
    Discovery(HttpUrl),
    /// A fixed `jwks_uri`.
    KeySet(HttpUrl),
}

/// One protected relying party.
#[derive(Debug, PartialEq, Eq)]
pub struct App {
    /// The part of the variable's name after `APP_`.
    pub name: String,
    /// Stands for name, issuer and client in seals: a seal of another app never opens.
    pub id: Digest,
    /// The OP it uses.
    pub issuer: Rc<Issuer>,
    /// Its client identifier there: the audience of its tokens.
    pub client_id: String,
    /// Where it lives.
    pub routes: Vec<Route>,
    /// Path of its back-channel logout endpoint, on the hosts of its routes.
    pub logout_path: String,
    /// Where requests go.
    pub origin: Origin,
    /// Whether its logins need a `sid`.
    pub session_sid: SessionSid,
    /// The cookies that carry its login.
    pub session_cookies: CookieNames,
    /// Cookies that are left as they are although they are `HttpOnly`.
    pub never: CookieNames,
    /// Until when session cookies are accepted that are not sealed: the day of the roll-out.
    pub accept_unsealed_until: Timestamp,
    /// How the app says who logged in.
    pub announce: Announce,
    /// Paths, by whole segments, to which the OP sends users back: known where the login is learned
    /// from that request, or announced one page later.
    pub login_paths: Vec<String>,
    /// What becomes of requests whose session has ended.
    pub on_ended: OnEnded,
    /// Paths, by whole segments, that never see a session: static files.
    pub anonymous_paths: Vec<String>,
    /// How long a session may live, whatever else happens.
    pub session_lifetime: Duration,
    /// How long an isolate believes the ledger that a session lives.
    pub ledger_lease: Duration,
}

impl App {
    /// Whether it is on that host, whatever the port: cookies do not know ports.
    #[must_use]
    pub fn is_at(&self, host_name: &str) -> bool {
        self.routes
            .iter()
            .any(|route| route.host_name() == host_name)
    }

    /// The header in which it announces logins, if it is one.
    #[must_use]
    pub fn announcement_header(&self) -> Option<&str> {
        match &self.announce {
            Announce::IdToken(Source::Header { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Whether the OP sends users back to `path`, where the app logs them in.
    #[must_use]
    pub fn logs_in_at(&self, path: &str) -> bool {
        self.login_paths
            .iter()
            .any(|prefix| route::covers(prefix, path))
    }

    /// Whether a request to `path` may bring a login from the OP, which nobody announces.
    #[must_use]
    pub fn is_called_back_at(&self, path: &str) -> bool {
        !self.announce.is_made_by_the_app() && self.logs_in_at(path)
    }

    /// Whether some server takes `path` for one at which that is so.
    #[must_use]
    pub fn may_be_called_back_at(&self, path: &str) -> bool {
        !self.announce.is_made_by_the_app() && self.may_log_in_at(path)
    }

    /// Whether a cookie set at `path` may wait for an announcement on the next page.
    #[must_use]
    pub fn announces_late_at(&self, path: &str) -> bool {
        self.announce.is_made_by_the_app() && self.may_log_in_at(path)
    }

    /// Whether some server takes `path` for one of those.
    #[must_use]
    pub fn may_log_in_at(&self, path: &str) -> bool {
        self.login_paths
            .iter()
            .any(|prefix| route::may_be_read_as(prefix, path))
    }

    /// Whether requests to `path` go on without a session, whoever asks.
    #[must_use]
    pub fn is_anonymous_at(&self, path: &str) -> bool {
        self.anonymous_paths
            .iter()
            .any(|prefix| route::covers(prefix, path))
    }
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Each to its own URL: a route in front of a proxied DNS record.
    Itself,
    /// To another scheme and authority.
    Url(HttpUrl),
    /// To a Worker, by the name of its service binding.
    Service(String),
}

/// What becomes of requests to a host that are for no app of it: they pass, without the cookies of
/// any session.
#[derive(Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Host, lower case, with a port that is not the scheme's own.
    pub host: String,
    /// Where they go.
    pub origin: Origin,
}

/// How the Worker learns who logged in. An app's announcement is never delivered.
#[derive(Debug, PartialEq, Eq)]
pub enum Announce {
    /// By the ID token that the app received.
    IdToken(Source),
    /// Not at all: the Worker stands in for the token endpoint, and sees the ID token that the app
    /// receives for the code it was called back with.
    Relay,
    /// Not at all: the OP posts the ID token to a login path.
    FormPost,
    /// By the headers `edge-logout-session` and `edge-logout-key`: subject and `sid`, vouched for by
    /// a shared secret.
    Session {
        /// The digest of the secret.
        key: Digest,
    },
}

impl Announce {
    /// Whether the app says it, rather than that we see it on its way.
    #[must_use]
    pub const fn is_made_by_the_app(&self) -> bool {
        matches!(self, Self::IdToken(_) | Self::Session { .. })
    }
}

/// Where an answer holds an ID token.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// In a header, perhaps after an authentication scheme.
    Header {
        /// The header's name, lower case.
        name: String,
        /// The scheme, such as `Bearer`.
        scheme: Option<String>,
    },
    /// As the value of a cookie that the answer sets.
    Cookie {
        /// The cookie's name.
        name: String,
    },
}

/// What becomes of a request whose session has ended, if it is safe; others never reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnEnded {
    /// It goes on as anonymous.
    Anonymous,
    /// A page is redirected to this path or URL, everything else is refused with 401.
    Redirect(String),
    /// It is refused with 401.
    Unauthorized,
}

/// Cookie names, or beginnings of names (written with `*` at the end). Case matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CookieNames(Vec<String>);

impl CookieNames {
    /// Whether `name` is one of them.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        self.match_with(name, |pattern, name| pattern == name)
    }

    /// Whether some server reads `name` as one of them: it may ignore blanks, quotes and control characters
    /// around a name, and PHP takes `.`, space and `[` for `_`, and in old versions decodes `%`.
    #[must_use]
    pub fn may_mean(&self, name: &str) -> bool {
        let decoded = url::percent_decode(name);
        let is_trimmed = |c: char| c.is_whitespace() || c.is_control() || c == '"';
        let name = decoded.trim_matches(is_trimmed);
        let php = |c| if b". [".contains(&c) { b'_' } else { c };
        self.match_with(name, |pattern, name| {
            let (pattern, name) = (pattern.bytes().map(php), name.bytes().map(php));
            pattern.eq(name)
        })
    }

    fn match_with(&self, name: &str, is_same: impl Fn(&str, &str) -> bool) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name
                    .get(..prefix.len())
                    .is_some_and(|beginning| is_same(prefix, beginning)),
                None => is_same(pattern, name),
            })
    }
}

/// The keys that seal cookies: every one opens, one seals. At least one has no `seal_from`.
#[derive(Debug, PartialEq, Eq)]
pub struct SealKeys {
    /// One that is always due.
    first: SealKey,
    others: Vec<SealKey>,
}

/// A key that seals cookies.
#[derive(PartialEq, Eq)]
pub struct SealKey {
    /// Names the key in every seal.
    pub id: String,
    /// 256 bits.
    pub key: [u8; 32],
    /// From when on it seals; every key opens at any time.
    pub seal_from: Option<Timestamp>,
}

impl SealKeys {
    /// The key that seals at `now`: of those that are due the newest.
    #[must_use]
    pub fn sealing(&self, now: Timestamp) -> &SealKey {
        let due = |key: &&SealKey| key.seal_from.is_some_and(|from| from <= now);
        let newest = self
            .others
            .iter()
            .filter(due)
            .max_by_key(|key| key.seal_from);
        newest.unwrap_or(&self.first)
    }

    /// The key of that id.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&SealKey> {
        iter::once(&self.first)
            .chain(&self.others)
            .find(|key| key.id == id)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
            .field("seal_from", &self.seal_from)
            .finish_non_exhaustive()
    }
}

/// One thing that is wrong with the configuration. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Variable and field, as in `APP_SHOP.routes[1]`.
    pub field: String,
    /// What is wrong, for a person.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

#[cfg(test)]
mod tests;
