//! When to use the keys at hand, when to fetch, when to wait: one state machine per issuer.

use std::{rc::Rc, time::Duration};

use super::{
    jwks::{KeySet, PublicKey},
    jws::Algorithm,
    limits,
    metadata::Metadata,
    time::Timestamp,
};

/// What is known of one issuer. Lives as long as the isolate.
#[derive(Debug, Default)]
pub struct KeyCache {
    set: Option<Fetched>,
    last_fetch: Option<Timestamp>,
    retries: Vec<Timestamp>,
    metadata: Option<(Rc<Metadata>, Timestamp)>,
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
    /// If there is one, only a set fetched after this moment will do.
    pub newer_than: Option<Timestamp>,
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
    /// The last good metadata document, and whether it is time to ask for another.
    #[must_use]
    pub fn metadata(&self, now: Timestamp) -> (Option<Rc<Metadata>>, bool) {
        let Some((metadata, fetched_at)) = &self.metadata else {
            return (None, true);
        };
        let is_old = now >= fetched_at.plus(limits::KEY_SET_LIFETIME);
        (Some(metadata.clone()), is_old)
    }

    /// Takes a metadata document that was fetched at `now`.
    pub fn fetched_metadata(&mut self, metadata: Rc<Metadata>, now: Timestamp) {
        self.metadata = Some((metadata, now));
    }

    /// Decides what to do for a token.
    #[must_use]
    pub fn next(&self, wanted: &Wanted<'_>, now: Timestamp) -> Next {
        let candidates = self.candidates(wanted);
        let is_fresh = |set: &Fetched| now < set.started.plus(limits::KEY_SET_LIFETIME);
        let will_do = self.set.as_ref().is_some_and(is_fresh)
            && wanted
                .newer_than
                .is_none_or(|moment| self.is_newer_than(moment));
        if !candidates.is_empty() && will_do {
            return Next::Use(candidates);
        }
        if candidates.is_empty() && self.is_newer_than(wanted.arrived) {
            return Next::Unknown;
        }
        let slot = self
            .last_fetch
            .map(|last| last.plus(limits::KEY_SET_COOL_DOWN).since(now))
            .unwrap_or_default();
        if slot.is_zero() {
            Next::Fetch
        } else if candidates.is_empty() || wanted.newer_than.is_some() {
            Next::Wait(slot.min(limits::KEY_SET_POLL))
        } else {
            // The set is past its lifetime, and a fetch is under way or has just failed.
            Next::Use(candidates)
        }
    }

    /// When the fetch of the set began.
    #[must_use]
    pub fn fetched_at(&self) -> Option<Timestamp> {
        self.set.as_ref().map(|set| set.started)
    }

    /// Whether the set was fetched after that moment.
    fn is_newer_than(&self, moment: Timestamp) -> bool {
        self.set.as_ref().is_some_and(|set| set.started > moment)
    }

    /// Whether there is room for one more token that waits for keys after its answer; notes it.
    pub fn may_retry(&mut self, now: Timestamp) -> bool {
        self.retries
            .retain(|begun| now < begun.plus(limits::BACKGROUND_TIME));
        let is_room = self.retries.len() < limits::UNVERIFIED_RETRIES;
        if is_room {
            self.retries.push(now);
        }
        is_room
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testkit::{NOW, key_set};

    fn keys() -> KeySet {
        KeySet::parse(key_set().as_bytes()).unwrap()
    }

    fn wanted(key_id: &str, arrived: Timestamp) -> Wanted<'_> {
        Wanted {
            key_id: Some(key_id),
            algorithm: Algorithm::Rs256,
            arrived,
            newer_than: None,
        }
    }

    fn after(span: Duration) -> Timestamp {
        NOW.plus(span)
    }

    fn is_use(next: &Next) -> bool {
        matches!(next, Next::Use(keys) if keys.len() == 1)
    }

    #[test]
    fn the_first_token_fetches_and_the_others_wait_for_it() {
        let mut cache = KeyCache::default();
        let wanted = wanted("op-1", NOW);
        assert_eq!(cache.next(&wanted, NOW), Next::Fetch);
        cache.fetching(NOW);
        assert_eq!(cache.next(&wanted, NOW), Next::Wait(limits::KEY_SET_POLL));
        cache.fetched(keys(), NOW);
        assert!(is_use(&cache.next(&wanted, NOW)));
        assert!(is_use(&cache.next(
            &wanted,
            after(limits::KEY_SET_LIFETIME).minus(Duration::from_millis(1))
        )));
    }

    #[test]
    fn a_fetch_that_never_came_back_blocks_nobody_for_long() {
        let mut cache = KeyCache::default();
        cache.fetching(NOW);
        let later = after(limits::KEY_SET_COOL_DOWN);
        assert_eq!(cache.next(&wanted("op-1", NOW), later), Next::Fetch);
    }

    #[test]
    fn only_a_fetch_begun_after_the_token_came_proves_a_kid_unknown() {
        let mut cache = KeyCache::default();
        cache.fetching(NOW);
        cache.fetched(keys(), NOW);
        let before = NOW.minus(Duration::from_millis(1));
        assert_eq!(cache.next(&wanted("op-2", before), NOW), Next::Unknown);
        assert_eq!(
            cache.next(&wanted("op-2", NOW), NOW),
            Next::Wait(limits::KEY_SET_POLL)
        );
        let later = after(limits::KEY_SET_COOL_DOWN);
        assert_eq!(cache.next(&wanted("op-2", later), later), Next::Fetch);
    }

    #[test]
    fn an_old_set_is_renewed_and_serves_until_it_is() {
        let mut cache = KeyCache::default();
        cache.fetched(keys(), NOW);
        let old = after(limits::KEY_SET_LIFETIME);
        let wanted = wanted("op-1", old);
        assert_eq!(cache.next(&wanted, old), Next::Fetch);
        cache.fetching(old);
        assert!(is_use(&cache.next(&wanted, old)));
        assert_eq!(cache.candidates(&wanted).len(), 1);
    }

    #[test]
    fn a_newer_set_can_be_demanded() {
        let mut cache = KeyCache::default();
        cache.fetched(keys(), NOW);
        let wanted = Wanted {
            newer_than: Some(NOW),
            ..wanted("op-1", NOW)
        };
        assert_eq!(cache.next(&wanted, NOW), Next::Fetch);
        cache.fetching(NOW);
        assert_eq!(cache.next(&wanted, NOW), Next::Wait(limits::KEY_SET_POLL));
        cache.fetched(keys(), NOW.plus(Duration::from_millis(1)));
        assert!(is_use(&cache.next(&wanted, NOW)));
    }

    #[test]
    fn an_answer_that_comes_late_does_not_replace_a_newer_one() {
        let mut cache = KeyCache::default();
        cache.fetched(keys(), after(limits::KEY_SET_COOL_DOWN));
        cache.fetched(keys(), NOW);
        let arrived = NOW.plus(Duration::from_millis(1));
        assert_eq!(cache.next(&wanted("op-2", arrived), arrived), Next::Unknown);
    }
}
