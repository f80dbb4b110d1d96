//! Desks in memory: the real ones over shelves that are maps.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{FakeWorld, Fault, world::yield_once};
use crate::{
    app::{
        desk::{Answer, Command, Desks, Object, Performer},
        ports::Unavailable,
    },
    domain::{
        desk::{Desk, Shelf},
        time::Timestamp,
    },
};

/// Values as they are stored.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    pub values: RefCell<BTreeMap<String, Vec<u8>>>,
    pub alarm: Cell<Option<Timestamp>>,
}

const FAILED: Unavailable = Unavailable("desk_storage_failed");

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unavailable> {
    postcard::from_bytes(bytes).map_err(|_| FAILED)
}

impl Shelf for MemoryShelf {
    type Error = Unavailable;

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Unavailable> {
        self.values
            .borrow()
            .get(name)
            .map(|bytes| read(bytes))
            .transpose()
    }

    fn put<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Unavailable> {
        let bytes = postcard::to_allocvec(value).map_err(|_| FAILED)?;
        self.values.borrow_mut().insert(name.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Unavailable> {
        self.values.borrow_mut().remove(name);
        Ok(())
    }

    fn first<T: DeserializeOwned>(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, Unavailable> {
        let values = self.values.borrow();
        let found = values
            .iter()
            .filter(|(name, _)| name.starts_with(beginning));
        let found = found.take(limit);
        found
            .map(|(name, bytes)| Ok((name.clone(), read(bytes)?)))
            .collect()
    }

    fn count(&self, beginning: &str) -> Result<usize, Unavailable> {
        let values = self.values.borrow();
        Ok(values
            .keys()
            .filter(|name| name.starts_with(beginning))
            .count())
    }

    fn clear(&self, beginning: &str) -> Result<usize, Unavailable> {
        let count = self.count(beginning)?;
        self.values
            .borrow_mut()
            .retain(|name, _| !name.starts_with(beginning));
        Ok(count)
    }

    fn wake(&self, at: Timestamp) -> Result<(), Unavailable> {
        self.alarm.set(Some(at));
        Ok(())
    }
}

/// Every desk there is.
pub struct FakeDesks<'a, P> {
    pub world: &'a FakeWorld,
    /// Where released logouts are performed.
    pub performer: P,
    pub shelves: RefCell<BTreeMap<String, &'static MemoryShelf>>,
    pub calls: Cell<usize>,
    /// What goes wrong with every call.
    pub fault: Cell<Option<Fault>>,
    /// Released logouts that one run performs.
    pub batch: usize,
}

impl<'a, P: Performer> FakeDesks<'a, P> {
    pub fn new(world: &'a FakeWorld, performer: P) -> Self {
        Self {
            world,
            performer,
            shelves: RefCell::default(),
            calls: Cell::default(),
            fault: Cell::default(),
            batch: 10,
        }
    }

    /// What a desk keeps; tests are short, so it may stay.
    pub fn shelf(&self, desk: Desk) -> &'static MemoryShelf {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.entry(desk.to_string());
        shelf.or_insert_with(|| Box::leak(Box::default()))
    }

    pub fn object<'b>(&'b self, shelf: &'b MemoryShelf) -> Object<'b, FakeWorld, MemoryShelf, P> {
        Object {
            world: self.world,
            shelf,
            performer: &self.performer,
            batch: self.batch,
        }
    }
}

impl<P: Performer> Desks for FakeDesks<'_, P> {
    async fn ask(&self, desk: Desk, command: Command) -> Result<Answer, Unavailable> {
        yield_once().await;
        self.calls.set(self.calls.get() + 1);
        match self.fault.get() {
            Some(Fault::Before) => return Err(Unavailable("desk_failed")),
            Some(Fault::Hang) => std::future::pending().await,
            _ => {}
        }
        let answer = self.object(self.shelf(desk)).answer(&command).await?;
        match self.fault.get() {
            Some(Fault::After) => Err(Unavailable("desk_failed")),
            _ => Ok(answer),
        }
    }
}
