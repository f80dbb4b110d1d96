//! What an isolate may believe for a while.

use std::{collections::HashMap, hash::Hash};

use super::{digest::Digest, limits, session::SessionId, time::Timestamp};

/// Sessions that lived when somebody asked the ledger.
pub type Leases = Beliefs<SessionId>;
/// Senders whose last token was not genuine.
pub type Suspects = Beliefs<Digest>;

/// What something is believed of, each with the moment up to which it is.
#[derive(Debug)]
pub struct Beliefs<K>(HashMap<K, Timestamp>);

impl<K> Default for Beliefs<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Beliefs<K> {
    /// Whether it is believed.
    #[must_use]
    pub fn hold(&self, of: &K, now: Timestamp) -> bool {
        self.0.get(of).is_some_and(|until| now < *until)
    }

    /// Believes it. When there are too many, all others are forgotten.
    pub fn grant(&mut self, of: K, until: Timestamp) {
        if self.0.len() >= limits::BELIEFS {
            self.0.clear();
        }
        self.0.insert(of, until);
    }

    /// Believes it no more.
    pub fn revoke(&mut self, of: &K) {
        self.0.remove(of);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn id(number: usize) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        SessionId::from_random(bytes)
    }

    #[test]
    fn a_lease_ends_with_its_time_or_before() {
        let mut leases = Leases::default();
        let until = NOW.plus(Duration::from_secs(5));
        leases.grant(id(1), until);
        leases.grant(id(2), until);
        leases.revoke(&id(2));
        assert!(leases.hold(&id(1), NOW) && !leases.hold(&id(1), until));
        assert!(!leases.hold(&id(2), NOW) && !leases.hold(&id(3), NOW));
    }

    #[test]
    fn they_never_become_too_many() {
        let mut leases = Leases::default();
        let until = NOW.plus(Duration::from_secs(5));
        for number in 0..3 * limits::BELIEFS {
            leases.grant(id(number), until);
            assert!(leases.0.len() <= limits::BELIEFS && leases.hold(&id(number), NOW));
        }
    }
}
