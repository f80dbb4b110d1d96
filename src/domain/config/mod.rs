//! The configuration, parsed into types that cannot be wrong.
//!
//! One structured variable per issuer (`ISSUER_<name>`) and per app (`APP_<name>`), and the secret
//! `SEAL_KEYS`; `LIMITS` if need be. Parsing reports every problem at once, each with the name of its field.

mod fields;
mod read;

use std::{fmt, rc::Rc, time::Duration};

pub use self::read::parse;
use super::{
    digest::Digest,
    jws::{Algorithm, Types},
    route::Route,
    url::{HttpUrl, Schemes},
};

/// Everything an operator configures.
#[derive(Debug)]
pub struct Config {
    /// The protected apps, in the order of their names.
    pub apps: Vec<Rc<App>>,
    /// The key that seals cookies.
    pub seal_key: SealKey,
    /// KV operations that one request or cron run may spend on tidying up.
    pub kv_operations: usize,
}

/// An `OpenID` Provider that the apps trust.
#[derive(Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The issuer identifier, compared byte by byte with `iss`.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
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
    /// Where requests go: scheme and authority. Without it each goes to its own URL.
    pub origin: Option<HttpUrl>,
    /// Whether its logins need a `sid`.
    pub session_sid: SessionSid,
    /// The cookies that carry its login.
    pub session_cookies: CookieNames,
    /// Cookies that are left as they are although they are `HttpOnly`.
    pub never: CookieNames,
    /// How long a session may live, whatever else happens.
    pub session_lifetime: Duration,
}

/// Cookie names, or beginnings of names (written with `*` at the end). Case matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CookieNames(Vec<String>);

impl CookieNames {
    /// Whether `name` is one of them.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
    }
}

/// A key that seals cookies.
#[derive(PartialEq, Eq)]
pub struct SealKey {
    /// Names the key in every seal.
    pub id: String,
    /// 256 bits.
    pub key: [u8; 32],
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
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
