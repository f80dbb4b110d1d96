//! The log: one JSON line per decision, with a stable code and hashed identifiers only.

use serde::Serialize;

use super::{kv_sessions::Swept, ports::Ended};
pub use crate::domain::desk::journal::Class;
use crate::domain::{desk::journal::Entry, time::Timestamp};

/// One decision.
#[derive(Clone, Debug, Serialize)]
pub struct Event<'a> {
    /// What was decided, as a stable code.
    pub code: &'a str,
    /// Whether somebody has to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The app concerned.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub app: &'a str,
    /// The cookie concerned, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<&'a str>,
    /// The session, `sid` or subject concerned, as the beginning of its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Which operator did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What a logout found.
    #[serde(flatten)]
    pub ended: Option<Ended>,
    /// What a run of the sweep did.
    #[serde(flatten)]
    pub swept: Option<Swept>,
}

/// What is told of a cookie's name: some end in a nonce or another identifier.
#[must_use]
pub fn cookie_stem(name: &str) -> &str {
    let end = name.char_indices().nth(COOKIE_STEM);
    end.and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// Characters of a cookie's name that are told.
const COOKIE_STEM: usize = 32;

impl<'a> Event<'a> {
    /// A decision about `app`.
    #[must_use]
    pub const fn new(code: &'a str, app: &'a str) -> Self {
        Self {
            code,
            class: None,
            app,
            cookie: None,
            of: None,
            by: None,
            ended: None,
            swept: None,
        }
    }

    /// The same, in a class.
    #[must_use]
    pub const fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// The same, about a cookie of that name; of a long one its beginning.
    #[must_use]
    pub fn cookie(mut self, name: &'a str) -> Self {
        self.cookie = Some(cookie_stem(name));
        self
    }

    /// The same, with the shortened hash of what it is about.
    #[must_use]
    pub fn of(mut self, hash: String) -> Self {
        self.of = Some(hash);
        self
    }

    /// The same, done by an operator.
    #[must_use]
    pub fn by(mut self, operator: String) -> Self {
        self.by = Some(operator);
        self
    }

    /// The same, with what a logout found.
    #[must_use]
    pub const fn ended(mut self, ended: Ended) -> Self {
        self.ended = Some(ended);
        self
    }

    /// The same, with what a run of the sweep did.
    #[must_use]
    pub const fn swept(mut self, swept: Swept) -> Self {
        self.swept = Some(swept);
        self
    }

    /// The same in an app's journal.
    #[must_use]
    pub fn entry(&self, at: Timestamp) -> Entry {
        Entry {
            at,
            code: self.code.to_owned(),
            class: self.class,
            of: self.of.clone(),
            matched: self.ended.map(|ended| ended.matched),
            count: 1,
            by: self.by.clone(),
        }
    }

    /// The line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.code.to_owned())
    }
}
