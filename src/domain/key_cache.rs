//! When to use the keys at hand, when to fetch, when to wait: one state machine per issuer.

use std::{rc::Rc, time::Duration};

use super::{
    jwks::{KeySet, PublicKey},
    jws::Algorithm,
    limits,
    time::Timestamp,
};

/// What is known of one issuer's keys. Lives as long as the isolate.
#[derive(Debug, Default)]
pub struct KeyCache {
    set: Option<Fetched>,
    last_fetch: Option<Timestamp>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    started: Timestamp,
}

/// The key a token asks for, and when the token arrived.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The header's `kid`.
    pub key_id: Option<&'a str>,
    /// The configured algorithm.
    pub algorithm: Algorithm,
    /// Only a fetch begun after this moment can prove that the `kid` does not exist.
    pub arrived: Timestamp,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Try these keys, of which there is at least one.
    Use(Vec<Rc<PublicKey>>),
    /// The issuer has no such key.
    Unknown,
    /// Fetch the key set now, and say so with [`KeyCache::fetching`] first.
    Fetch,
    /// Another fetch has just begun: look again after this time.
    Wait(Duration),
}

impl KeyCache {
    /// Decides what to do for a token.
    #[must_use]
    pub fn next(&self, wanted: &Wanted<'_>, now: Timestamp) -> Next {
        let candidates = self.candidates(wanted);
        let is_fresh = |set: &Fetched| now < set.started.plus(limits::KEY_SET_LIFETIME);
        if !candidates.is_empty() && self.set.as_ref().is_some_and(is_fresh) {
            return Next::Use(candidates);
        }
        if candidates.is_empty()
            && self
                .set
                .as_ref()
                .is_some_and(|set| set.started > wanted.arrived)
        {
            return Next::Unknown;
        }
        let slot = self
            .last_fetch
            .map(|last| last.plus(limits::KEY_SET_COOL_DOWN).since(now))
            .unwrap_or_default();
        if slot.is_zero() {
            Next::Fetch
        } else if candidates.is_empty() {
            Next::Wait(slot.min(limits::KEY_SET_POLL))
        } else {
            // The set is past its lifetime, and a fetch is under way or has just failed.
            Next::Use(candidates)
        }
    }

    /// Notes that a fetch begins: until the cool-down is over nobody else begins one.
    pub const fn fetching(&mut self, now: Timestamp) {
        self.last_fetch = Some(now);
    }

    /// Takes the result of the fetch that began at `started`.
    pub fn fetched(&mut self, keys: KeySet, started: Timestamp) {
        if self.set.as_ref().is_none_or(|set| set.started <= started) {
            self.set = Some(Fetched { keys, started });
        }
    }

    /// The keys of the last good set that may verify the token, however old the set is.
    #[must_use]
    pub fn candidates(&self, wanted: &Wanted<'_>) -> Vec<Rc<PublicKey>> {
        self.set.as_ref().map_or_else(Vec::new, |set| {
            set.keys.candidates(wanted.key_id, wanted.algorithm)
        })
    }
}
