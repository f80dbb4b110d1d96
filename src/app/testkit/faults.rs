//! Faults of the store, whichever part of it is called.

use std::cell::{Cell, RefCell};

use super::MemoryRows;
use crate::{
    app::ports::Unavailable,
    domain::ledger::{Change, Rows, Table},
};

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has done nothing.
    Before,
    /// It fails and has done its work.
    After,
    /// It never comes back.
    Hang,
}

/// The calls to KV, to lists, and of lists to write rows: one of them goes wrong.
#[derive(Default)]
pub struct Faults {
    /// All calls ever.
    pub count: Cell<usize>,
    /// The names of the calls since [`Faults::plan`].
    pub calls: RefCell<Vec<String>>,
    fault: Cell<Option<(usize, Fault)>>,
}

impl Faults {
    /// From now on the call of this number, counted from 0, goes wrong.
    pub fn plan(&self, fault: Option<(usize, Fault)>) {
        self.calls.take();
        self.fault.set(fault);
    }

    /// The next call: what goes wrong with it.
    pub(super) fn next(&self, name: &str) -> Option<Fault> {
        self.count.set(self.count.get() + 1);
        let mut calls = self.calls.borrow_mut();
        calls.push(name.to_owned());
        let (at, fault) = self.fault.get()?;
        (at + 1 == calls.len()).then_some(fault)
    }
}

/// The rows of a list, one write of which may fail. What was written before it stays. Nothing hangs:
/// storage answers at once.
pub struct FaultyRows<'a> {
    pub rows: &'a MemoryRows,
    pub faults: &'a Faults,
    pub list: String,
}

impl Rows for FaultyRows<'_> {
    type Error = Unavailable;

    fn read<T>(&self, look: impl FnOnce(&Table) -> T) -> Result<T, Unavailable> {
        self.rows.read(look)
    }

    fn write(&self, change: &Change) -> Result<(), Unavailable> {
        let failed = Unavailable("ledger_storage_failed");
        match self
            .faults
            .next(&format!("{}: rows: {}", self.list, name_of(change)))
        {
            None | Some(Fault::Hang) => self.rows.write(change),
            Some(Fault::Before) => Err(failed),
            Some(Fault::After) => self.rows.write(change).and(Err(failed)),
        }
    }
}

const fn name_of(change: &Change) -> &'static str {
    match change {
        Change::Insert(_) => "insert",
        Change::End(..) => "end",
        Change::EndOne(..) => "end one",
        Change::Remove(_) => "remove",
        Change::Receive(_) => "receive",
        Change::Expire(_) => "expire",
        Change::Wake(_) => "set alarm",
    }
}
