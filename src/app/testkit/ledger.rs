//! The ledger in memory: the real lists over rows that are a vector.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use super::{FakeKv, FakeWorld, Fault, FaultyRows, world::yield_once};
use crate::{
    app::{
        budget::Budget,
        ledger::{Answer, Command, LedgerSessions, Object},
        ports::{Ledger, Unavailable},
    },
    domain::{
        config::App,
        ledger::{Counts, Doomed, Ending, List, Row, Rows, Scope},
        session::{Mark, SessionId},
        time::Timestamp,
    },
};

/// A logout that a list has received: sessions that come later are not what it meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Whom it ended.
    pub scope: Scope,
    /// The logout token's `iat`.
    pub logout: Timestamp,
    /// Its place in the order of the list's logouts.
    pub seq: i64,
    /// Until when it is remembered.
    pub until: Timestamp,
}

/// The rows of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    pub rows: Vec<Row>,
    pub received: Vec<Received>,
    pub alarm: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub struct MemoryRows(pub RefCell<Table>);

impl Rows for MemoryRows {
    type Error = Unavailable;

    fn find(&self, id: &SessionId) -> Result<Option<Row>, Unavailable> {
        Ok(self
            .0
            .borrow()
            .rows
            .iter()
            .find(|row| row.id == *id)
            .copied())
    }

    fn insert(&self, row: &Row) -> Result<(), Unavailable> {
        self.0.borrow_mut().rows.push(*row);
        Ok(())
    }

    fn end(&self, doomed: &Doomed, ending: &Ending) -> Result<Counts, Unavailable> {
        let mut table = self.0.borrow_mut();
        let rows = table.rows.iter_mut();
        let rows = rows.filter(|row| row.ended.is_none() && doomed.has(row));
        let ended = rows.map(|row| row.ended = Some(*ending)).count();
        drop(table);
        let later = self.count_live(&doomed.scope)?;
        Ok(Counts { ended, later })
    }

    fn end_one(&self, id: &SessionId, ending: &Ending) -> Result<bool, Unavailable> {
        let mut table = self.0.borrow_mut();
        let mut rows = table.rows.iter_mut();
        let row = rows.find(|row| row.id == *id && row.ended.is_none());
        Ok(row.map(|row| row.ended = Some(*ending)).is_some())
    }

    fn doomed(&self, doomed: &Doomed, limit: usize) -> Result<(usize, Vec<Row>), Unavailable> {
        let table = self.0.borrow();
        let rows = table.rows.iter();
        let rows = rows.filter(|row| row.ended.is_none() && doomed.has(row));
        let mut rows: Vec<_> = rows.copied().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.login), row.id));
        let count = rows.len();
        rows.truncate(limit);
        Ok((count, rows))
    }

    fn count_live(&self, scope: &Scope) -> Result<usize, Unavailable> {
        let table = self.0.borrow();
        let rows = table.rows.iter();
        Ok(rows
            .filter(|row| row.ended.is_none() && scope.has(row))
            .count())
    }

    fn ended(&self, limit: usize) -> Result<Vec<Row>, Unavailable> {
        let table = self.0.borrow();
        let rows = table.rows.iter().filter(|row| row.ended.is_some());
        Ok(rows.take(limit).copied().collect())
    }

    fn remove(&self, id: &SessionId) -> Result<(), Unavailable> {
        self.0.borrow_mut().rows.retain(|row| row.id != *id);
        Ok(())
    }

    fn place(&self, scope: &Scope, logout: Timestamp) -> Result<i64, Unavailable> {
        let table = self.0.borrow();
        let mut received = table.received.iter();
        let is_it = |received: &&Received| (received.scope, received.logout) == (*scope, logout);
        if let Some(earlier) = received.find(is_it) {
            return Ok(earlier.seq);
        }
        let of_logouts = table.received.iter().map(|received| received.seq);
        let of_rows = table.rows.iter().map(|row| row.seq);
        Ok(of_logouts.chain(of_rows).max().unwrap_or(0) + 1)
    }

    fn receive(&self, of: &Scope, logout: Timestamp, until: Timestamp) -> Result<i64, Unavailable> {
        let seq = self.place(of, logout)?;
        let received = &mut self.0.borrow_mut().received;
        let is_it = |received: &&mut Received| (received.scope, received.logout) == (*of, logout);
        match received.iter_mut().find(is_it) {
            Some(earlier) => earlier.until = earlier.until.max(until),
            None => received.push(Received {
                scope: *of,
                logout,
                seq,
                until,
            }),
        }
        Ok(seq)
    }

    fn latest(&self, scope: &Scope) -> Result<Option<Mark>, Unavailable> {
        let table = self.0.borrow();
        let received = table
            .received
            .iter()
            .filter(|received| received.scope == *scope);
        Ok(received.map(|received| Mark(received.logout)).max())
    }

    fn last_seq(&self) -> Result<i64, Unavailable> {
        let table = self.0.borrow();
        Ok(table
            .received
            .iter()
            .map(|received| received.seq)
            .max()
            .unwrap_or(0))
    }

    fn expire(&self, now: Timestamp) -> Result<(), Unavailable> {
        let mut table = self.0.borrow_mut();
        table.rows.retain(|row| !row.is_over(now));
        table.received.retain(|received| now < received.until);
        Ok(())
    }

    fn first_expiry(&self) -> Result<Option<Timestamp>, Unavailable> {
        let table = self.0.borrow();
        let waits = |row: &&Row| row.ended.is_some_and(|ended| ended.user_logout.is_some());
        let rows = table.rows.iter().filter(|row| !waits(row));
        let rows = rows.map(|row| row.expires);
        Ok(rows
            .chain(table.received.iter().map(|received| received.until))
            .min())
    }

    fn alarm(&self) -> Option<Timestamp> {
        self.0.borrow().alarm
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), Unavailable> {
        self.0.borrow_mut().alarm = Some(at);
        Ok(())
    }
}

/// The ledger: the real lists, each with its rows.
pub struct FakeLedger<'a> {
    pub world: &'a FakeWorld,
    pub kv: &'a FakeKv<'a>,
    lists: RefCell<BTreeMap<String, &'static MemoryRows>>,
    pub calls: Cell<usize>,
    /// The call that goes wrong, counted from 0, and how; `usize::MAX` for every call.
    pub fault: Cell<Option<(usize, Fault)>>,
}

impl<'a> FakeLedger<'a> {
    pub fn new(world: &'a FakeWorld, kv: &'a FakeKv<'a>) -> Self {
        Self {
            world,
            kv,
            lists: RefCell::default(),
            calls: Cell::default(),
            fault: Cell::default(),
        }
    }

    /// The rows of a list; tests are short, so they may stay.
    pub fn rows(&self, list: &str) -> &'static MemoryRows {
        let mut lists = self.lists.borrow_mut();
        let rows = lists.entry(list.to_owned());
        rows.or_insert_with(|| Box::leak(Box::default()))
    }

    /// What every list holds.
    pub fn tables(&self) -> BTreeMap<String, Table> {
        let lists = self.lists.borrow();
        let tables = lists
            .iter()
            .map(|(name, rows)| (name.clone(), rows.0.borrow().clone()));
        tables.collect()
    }

    pub fn sessions<'b>(&'b self, app: &App) -> LedgerSessions<'b, FakeWorld, FakeKv<'a>, Self> {
        LedgerSessions {
            world: self.world,
            kv: self.kv,
            ledger: self,
            lifetime: app.session_lifetime,
            lease: app.ledger_lease,
        }
    }

    fn faulty_rows(&self, list: &str) -> FaultyRows<'a> {
        FaultyRows {
            rows: self.rows(list),
            faults: &self.world.faults,
            list: list[..1].to_owned(),
        }
    }

    fn object<'b>(
        &'b self,
        rows: &'b FaultyRows<'a>,
    ) -> Object<'b, FakeWorld, FakeKv<'a>, Self, FaultyRows<'a>> {
        Object {
            world: self.world,
            kv: self.kv,
            ledger: self,
            rows,
            budget: Budget::of(self.kv.budget),
        }
    }

    /// When the first alarm is due.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        let tables = self.tables();
        tables.values().filter_map(|table| table.alarm).min()
    }

    /// Runs the alarms that are due, as they come; gives how many.
    pub async fn alarms(&self) -> usize {
        let mut run = 0;
        loop {
            let now = self.world.clock.get();
            let tables = self.tables();
            let due = |table: &Table| table.alarm.is_some_and(|at| at <= now);
            let Some((list, _)) = tables.iter().find(|(_, table)| due(table)) else {
                return run;
            };
            run += 1;
            self.rows(list).0.borrow_mut().alarm = None;
            let next = self.object(&self.faulty_rows(list)).alarm().await;
            match next {
                Ok(Some(_)) => {}
                Ok(None) => drop(self.lists.borrow_mut().remove(list)),
                // As the runtime does.
                Err(_) => {
                    self.rows(list).0.borrow_mut().alarm = Some(now.plus(Duration::from_secs(2)));
                }
            }
        }
    }
}

impl Ledger for FakeLedger<'_> {
    async fn ask(&self, list: List, command: Command) -> Result<Answer, Unavailable> {
        yield_once().await;
        let number = self.calls.replace(self.calls.get() + 1);
        let its_own = self.fault.get();
        let its_own = its_own.filter(|(at, _)| *at == number || *at == usize::MAX);
        let name = list.to_string();
        let called = format!("{}: {}", &name[..1], kind_of(&command));
        let fault = self.world.faults.next(&called);
        let fault = its_own.map(|(_, fault)| fault).or(fault);
        match fault {
            Some(Fault::Before) => return Err(Unavailable("ledger_failed")),
            Some(Fault::Hang) => std::future::pending().await,
            _ => {}
        }
        // A list may tell another, which may not be known to the compiler as another.
        let rows = self.faulty_rows(&name);
        let object = self.object(&rows);
        let answer = Box::pin(object.answer(&command)).await?;
        match fault {
            Some(Fault::After) => Err(Unavailable("ledger_failed")),
            _ => Ok(answer),
        }
    }
}

const fn kind_of(command: &Command) -> &'static str {
    match command {
        Command::Admit { .. } => "admit",
        Command::Alive(_) => "alive",
        Command::End(_) => "end",
        Command::EndSome(_) => "end some",
        Command::Survey { .. } => "survey",
    }
}
