//! What an isolate may believe for a while without asking the ledger again.

use std::collections::HashMap;

use super::{limits, session::SessionId, time::Timestamp};

/// Sessions that lived when somebody asked, each with the moment up to which that is believed.
#[derive(Debug, Default)]
pub struct Leases(HashMap<SessionId, Timestamp>);

impl Leases {
    /// Whether a session is believed to live.
    #[must_use]
    pub fn hold(&self, id: &SessionId, now: Timestamp) -> bool {
        self.0.get(id).is_some_and(|until| now < *until)
    }

    /// Believes that a session lives. When there are too many, all others are forgotten.
    pub fn grant(&mut self, id: SessionId, until: Timestamp) {
        if self.0.len() >= limits::LEASES {
            self.0.clear();
        }
        self.0.insert(id, until);
    }

    /// Believes it no more.
    pub fn revoke(&mut self, id: &SessionId) {
        self.0.remove(id);
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
        for number in 0..3 * limits::LEASES {
            leases.grant(id(number), until);
            assert!(leases.0.len() <= limits::LEASES && leases.hold(&id(number), NOW));
        }
    }
}
