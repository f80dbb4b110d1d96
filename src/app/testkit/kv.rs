//! A KV namespace in memory.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use super::{FakeWorld, Fault, world::yield_once};
use crate::{
    app::{
        budget::Budget,
        kv_sessions::KvSessions,
        ports::{Kv, Page, Unavailable, World as _},
    },
    domain::{config::App, limits, time::Timestamp},
};

/// A KV namespace: strongly consistent, as strict as the real one about keys and times to live.
pub struct FakeKv<'a> {
    world: &'a FakeWorld,
    entries: RefCell<BTreeMap<String, Entry>>,
    hidden: RefCell<Vec<String>>,
    pub calls: Cell<usize>,
    /// The call that goes wrong, counted from 0, and how; `usize::MAX` for every call.
    pub fault: Cell<Option<(usize, Fault)>>,
    pub page_size: usize,
    /// Operations that one request may spend on tidying up.
    pub budget: usize,
}

#[derive(Clone)]
struct Entry {
    value: String,
    metadata: Option<String>,
    expires: Timestamp,
}

impl<'a> FakeKv<'a> {
    pub fn new(world: &'a FakeWorld) -> Self {
        Self {
            world,
            entries: RefCell::default(),
            hidden: RefCell::default(),
            calls: Cell::default(),
            fault: Cell::default(),
            page_size: 1000,
            budget: 1000,
        }
    }

    pub fn sessions<'b>(&'b self, app: &App) -> KvSessions<'b, FakeWorld, Self> {
        KvSessions {
            world: self.world,
            kv: self,
            lifetime: app.session_lifetime,
            budget: Budget::of(self.budget),
        }
    }

    pub fn keys(&self) -> Vec<String> {
        let now = self.world.now();
        let entries = self.entries.borrow();
        let live = entries.iter().filter(|(_, entry)| now < entry.expires);
        live.map(|(key, _)| key.clone()).collect()
    }

    pub fn keys_of(&self, kind: &str) -> Vec<String> {
        self.keys()
            .into_iter()
            .filter(|key| key.starts_with(kind))
            .collect()
    }

    pub fn set(&self, key: &str, value: &str, metadata: Option<&str>) {
        let entry = Entry {
            value: value.to_owned(),
            metadata: metadata.map(str::to_owned),
            expires: self.world.now().plus(Duration::from_hours(1)),
        };
        self.entries.borrow_mut().insert(key.to_owned(), entry);
    }

    pub fn remove(&self, key: &str) {
        assert!(self.entries.borrow_mut().remove(key).is_some(), "{key}");
    }

    /// Lists do not show this key: they lag.
    pub fn hide(&self, key: &str) {
        self.hidden.borrow_mut().push(key.to_owned());
    }

    pub fn show(&self) {
        self.hidden.take();
    }

    async fn call<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T, Unavailable> {
        // As the real one: no answer comes at once.
        yield_once().await;
        let number = self.calls.replace(self.calls.get() + 1);
        let its_own = self.fault.get();
        let its_own = its_own.filter(|(at, _)| *at == number || *at == usize::MAX);
        let fault = self.world.faults.next(&format!("KV {name}"));
        match its_own.map(|(_, fault)| fault).or(fault) {
            None => Ok(work()),
            Some(Fault::Before) => Err(Unavailable("kv_failed")),
            Some(Fault::After) => {
                work();
                Err(Unavailable("kv_failed"))
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

/// What kind of key it is.
fn kind_of(key: &str) -> &str {
    key.split('/').next().unwrap()
}

impl Kv for FakeKv<'_> {
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        assert!((1..=100).contains(&keys.len()));
        let now = self.world.now();
        let kinds: Vec<_> = keys.iter().map(|key| kind_of(key)).collect();
        self.call(&format!("get {}", kinds.join(", ")), || {
            let entries = self.entries.borrow();
            let get = |key: &String| entries.get(key).filter(|entry| now < entry.expires);
            keys.iter()
                .map(|key| get(key).map(|entry| entry.value.clone()))
                .collect()
        })
        .await
    }

    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        ttl: Duration,
    ) -> Result<(), Unavailable> {
        assert!(ttl >= limits::KV_MIN_TTL, "{ttl:?}");
        assert!(key.len() <= 512 && metadata.is_none_or(|metadata| metadata.len() <= 1024));
        let entry = Entry {
            value: value.to_owned(),
            metadata: metadata.map(str::to_owned),
            expires: self.world.now().plus(ttl),
        };
        self.call(&format!("put {}", kind_of(key)), || {
            self.entries.borrow_mut().insert(key.to_owned(), entry);
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        self.call(&format!("delete {}", kind_of(key)), || {
            self.entries.borrow_mut().remove(key);
        })
        .await
    }

    async fn list(&self, prefix: &str, cursor: Option<String>) -> Result<Page, Unavailable> {
        self.call(&format!("list {}", kind_of(prefix)), || {
            let after = cursor.unwrap_or_default();
            let keys: Vec<_> = self
                .keys_of(prefix)
                .into_iter()
                .filter(|key| *key > after && !self.hidden.borrow().contains(key))
                .take(self.page_size)
                .collect();
            let cursor = (keys.len() == self.page_size)
                .then(|| keys.last().cloned())
                .flatten();
            let entries = self.entries.borrow();
            Page {
                keys: keys
                    .into_iter()
                    .map(|key| {
                        let metadata = entries[&key].metadata.clone();
                        (key, metadata)
                    })
                    .collect(),
                cursor,
            }
        })
        .await
    }
}
