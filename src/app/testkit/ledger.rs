//! The ledger in memory: the real lists, whose tables are stored nowhere.

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
        ledger::{Change, List, Rows, Table},
        time::Timestamp,
    },
};

/// The table of a list, kept in memory only.
#[derive(Debug, Default)]
pub struct MemoryRows(pub RefCell<Table>);

impl Rows for MemoryRows {
    type Error = Unavailable;

    fn read<T>(&self, look: impl FnOnce(&Table) -> T) -> Result<T, Unavailable> {
        Ok(look(&self.0.borrow()))
    }

    fn write(&self, change: &Change) -> Result<(), Unavailable> {
        self.0.borrow_mut().apply(change);
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
