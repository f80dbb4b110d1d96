//! The runtime, with its clock in the test's hand.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    task::Poll,
    time::Duration,
};

use jwt_compact::{
    Algorithm as _,
    alg::{Rsa, RsaPublicKey, RsaSignature},
    jwk::JsonWebKey,
};
use serde_json::Value;

use super::{KEY_SET, NOW, faults::Faults, key_set};
use crate::{
    app::{
        audit::Event,
        ports::{Unavailable, World},
    },
    domain::{
        desk::Notes,
        digest::Digest,
        jwks::{Material, PublicKey},
        jws::Algorithm,
        key_cache::KeyCache,
        leases::{Leases, Suspects},
        opened::Opened,
        time::Timestamp,
        url::HttpUrl,
    },
};

/// A runtime whose clock moves only when somebody sleeps.
pub struct FakeWorld {
    pub clock: Cell<Timestamp>,
    pub documents: RefCell<HashMap<String, String>>,
    pub fetches: Cell<usize>,
    pub log: RefCell<Vec<String>>,
    /// What goes wrong in the store, whichever part of it is called.
    pub faults: Faults,
    timers: RefCell<Vec<Timestamp>>,
    random: Cell<u8>,
    caches: RefCell<HashMap<String, KeyCache>>,
    leases: RefCell<Leases>,
    suspects: RefCell<Suspects>,
    opened: RefCell<Opened>,
    notes: RefCell<Notes>,
    /// The `Date` of the OP's answers.
    pub op_date: Cell<Option<Timestamp>>,
    /// What the rate limit leaves room for; none if it fails.
    pub room: Cell<Option<usize>>,
    /// How often it was asked.
    pub asked_for_room: Cell<usize>,
    known: RefCell<Vec<String>>,
}

impl FakeWorld {
    /// At [`NOW`], with an OP that publishes [`key_set`].
    pub fn new() -> Self {
        Self {
            clock: Cell::new(NOW),
            documents: RefCell::new([(KEY_SET.to_owned(), key_set())].into()),
            fetches: Cell::default(),
            log: RefCell::default(),
            faults: Faults::default(),
            timers: RefCell::default(),
            random: Cell::default(),
            caches: RefCell::default(),
            leases: RefCell::default(),
            suspects: RefCell::default(),
            opened: RefCell::default(),
            notes: RefCell::default(),
            op_date: Cell::new(Some(NOW)),
            room: Cell::default(),
            asked_for_room: Cell::default(),
            known: RefCell::default(),
        }
    }

    pub fn pass(&self, span: Duration) {
        self.clock.set(self.clock.get().plus(span));
    }

    /// The codes logged since the last call.
    pub fn codes(&self) -> Vec<String> {
        let code = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["code"].as_str().unwrap().to_owned()
        };
        self.log.take().iter().map(code).collect()
    }
}

impl World for FakeWorld {
    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    /// Whatever can go on meanwhile does: time passes when nothing else happens, and the timer that
    /// is due first comes first.
    async fn sleep(&self, span: Duration) {
        let timer = Timer::set(self, self.now().plus(span));
        loop {
            let before = (self.faults.count.get(), self.now());
            for _ in 0..100 {
                yield_once().await;
            }
            // Whoever another timer has just woken comes first.
            if before == (self.faults.count.get(), self.now()) && timer.is_first() {
                self.clock.set(self.now().max(timer.at));
                return;
            }
        }
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        self.random.set(self.random.get().wrapping_add(1));
        Ok([self.random.get(); N])
    }

    async fn fetch_dated(
        &self,
        url: &HttpUrl,
        _: Duration,
    ) -> Result<(Vec<u8>, Option<Timestamp>), Unavailable> {
        self.fetches.set(self.fetches.get() + 1);
        match self.documents.borrow().get(url.as_str()) {
            Some(document) => Ok((document.clone().into_bytes(), self.op_date.get())),
            None => Err(Unavailable("op_unreachable")),
        }
    }

    async fn verifies(
        &self,
        _: Algorithm,
        key: &PublicKey,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        assert!(
            matches!(key.material(), Material::Rsa { .. }),
            "the tests sign with RS256"
        );
        let jwk = key.to_minimal_jwk();
        let jwk: JsonWebKey<'_> = serde_json::from_str(&jwk).unwrap();
        let key = RsaPublicKey::try_from(&jwk).unwrap();
        <RsaSignature as jwt_compact::AlgorithmSignature>::try_from_slice(signature)
            .is_ok_and(|signature| Rsa::rs256().verify_signature(&signature, &key, signed))
    }

    fn with_key_cache<T>(&self, issuer: &str, use_it: impl FnOnce(&mut KeyCache) -> T) -> T {
        use_it(
            self.caches
                .borrow_mut()
                .entry(issuer.to_owned())
                .or_default(),
        )
    }

    fn with_leases<T>(&self, use_it: impl FnOnce(&mut Leases) -> T) -> T {
        use_it(&mut self.leases.borrow_mut())
    }

    fn with_suspects<T>(&self, use_it: impl FnOnce(&mut Suspects) -> T) -> T {
        use_it(&mut self.suspects.borrow_mut())
    }

    fn with_opened<T>(&self, use_it: impl FnOnce(&mut Opened) -> T) -> T {
        use_it(&mut self.opened.borrow_mut())
    }

    fn has_journal(&self) -> bool {
        true
    }

    fn with_notes<T>(&self, use_it: impl FnOnce(&mut Notes) -> T) -> T {
        use_it(&mut self.notes.borrow_mut())
    }

    async fn has_room(&self, _: &Digest) -> Result<bool, Unavailable> {
        self.asked_for_room.set(self.asked_for_room.get() + 1);
        let room = self.room.get().ok_or(Unavailable("rate_limit_failed"))?;
        self.room.set(Some(room.saturating_sub(1)));
        Ok(room > 0)
    }

    fn is_news(&self, fact: String) -> bool {
        let mut known = self.known.borrow_mut();
        let is_news = !known.contains(&fact);
        known.push(fact);
        is_news
    }

    fn record(&self, event: &Event<'_>) {
        self.log.borrow_mut().push(event.to_line());
    }
}

pub async fn yield_once() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One that is set, until it is dropped.
struct Timer<'a> {
    world: &'a FakeWorld,
    at: Timestamp,
}

impl<'a> Timer<'a> {
    fn set(world: &'a FakeWorld, at: Timestamp) -> Self {
        world.timers.borrow_mut().push(at);
        Self { world, at }
    }

    fn is_first(&self) -> bool {
        self.world.timers.borrow().iter().all(|at| self.at <= *at)
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut timers = self.world.timers.borrow_mut();
        let its_own = timers.iter().position(|at| *at == self.at);
        timers.swap_remove(its_own.unwrap());
    }
}
