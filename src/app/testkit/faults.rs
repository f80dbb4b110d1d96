//! Faults of the store, whichever part of it is called.

use std::cell::{Cell, RefCell};

use super::MemoryRows;
use crate::{
    app::ports::Unavailable,
    domain::{
        ledger::{Counts, Doomed, Ending, Row, Rows, Scope},
        session::{Mark, SessionId},
        time::Timestamp,
    },
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

impl FaultyRows<'_> {
    fn write<T>(
        &self,
        name: &str,
        work: impl FnOnce(&MemoryRows) -> Result<T, Unavailable>,
    ) -> Result<T, Unavailable> {
        let failed = Unavailable("ledger_storage_failed");
        match self.faults.next(&format!("{}: rows: {name}", self.list)) {
            None | Some(Fault::Hang) => work(self.rows),
            Some(Fault::Before) => Err(failed),
            Some(Fault::After) => work(self.rows).and(Err(failed)),
        }
    }
}

impl Rows for FaultyRows<'_> {
    type Error = Unavailable;

    fn find(&self, id: &SessionId) -> Result<Option<Row>, Unavailable> {
        self.rows.find(id)
    }

    fn insert(&self, row: &Row) -> Result<(), Unavailable> {
        self.write("insert", |rows| rows.insert(row))
    }

    fn end(&self, doomed: &Doomed, ending: &Ending) -> Result<Counts, Unavailable> {
        self.write("end", |rows| rows.end(doomed, ending))
    }

    fn end_one(&self, id: &SessionId, ending: &Ending) -> Result<bool, Unavailable> {
        self.write("end one", |rows| rows.end_one(id, ending))
    }

    fn doomed(&self, doomed: &Doomed, limit: usize) -> Result<(usize, Vec<Row>), Unavailable> {
        self.rows.doomed(doomed, limit)
    }

    fn count_live(&self, scope: &Scope) -> Result<usize, Unavailable> {
        self.rows.count_live(scope)
    }

    fn ended(&self, limit: usize) -> Result<Vec<Row>, Unavailable> {
        self.rows.ended(limit)
    }

    fn remove(&self, id: &SessionId) -> Result<(), Unavailable> {
        self.write("remove", |rows| rows.remove(id))
    }

    fn place(&self, scope: &Scope, logout: Timestamp) -> Result<i64, Unavailable> {
        self.rows.place(scope, logout)
    }

    fn latest(&self, scope: &Scope) -> Result<Option<Mark>, Unavailable> {
        self.rows.latest(scope)
    }

    fn last_seq(&self) -> Result<i64, Unavailable> {
        self.rows.last_seq()
    }

    fn receive(&self, of: &Scope, logout: Timestamp, until: Timestamp) -> Result<i64, Unavailable> {
        self.write("receive", |rows| rows.receive(of, logout, until))
    }

    fn expire(&self, now: Timestamp) -> Result<(), Unavailable> {
        self.write("expire", |rows| rows.expire(now))
    }

    fn first_expiry(&self) -> Result<Option<Timestamp>, Unavailable> {
        self.rows.first_expiry()
    }

    fn alarm(&self) -> Option<Timestamp> {
        self.rows.alarm()
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), Unavailable> {
        self.write("set alarm", |rows| rows.set_alarm(at))
    }
}
