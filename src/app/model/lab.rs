//! The stores of a scenario, and the calls to them: each waits until the explorer lets it happen.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    kv::{Entry, Store, combination},
    mutants::Mutant,
};
use crate::{
    app::{
        audit::Event,
        budget::Budget,
        ledger::{Answer, Command, Object},
        ports::{Kv, Ledger, Page, Unavailable, World},
        testkit::MemoryRows,
    },
    domain::{
        desk::Notes,
        digest::Digest,
        jwks::PublicKey,
        jws::Algorithm,
        key_cache::KeyCache,
        leases::{Leases, Suspects},
        ledger::List,
        limits,
        opened::Opened,
        time::Timestamp,
        url::HttpUrl,
    },
};

const FAILED: Unavailable = Unavailable("failed");

pub struct Lab {
    pub clock: Cell<Timestamp>,
    pub kv: RefCell<Store>,
    pub lists: RefCell<BTreeMap<String, Rc<MemoryRows>>>,
    pub mutant: Option<Mutant>,
    /// By actor, and number of the actor's call.
    pub waiting: RefCell<BTreeMap<(usize, usize), Call>>,
    /// Whose code runs.
    pub acting: Cell<usize>,
    /// Of each actor, all that it has heard, and how many calls it has made. Its code being
    /// deterministic, this says where it stands.
    pub heard: RefCell<BTreeMap<usize, (u64, usize)>>,
}

pub struct Call {
    pub op: Op,
    /// The lists whose code makes it, the outermost first.
    pub within: Vec<String>,
    waker: Waker,
    reply: Option<Result<Reply, Unavailable>>,
}

#[derive(Clone, Debug)]
pub enum Op {
    Get(Vec<String>),
    Put(String, String, Option<String>, Duration),
    Delete(String),
    List(String),
    /// The command is told in traces only.
    Ask(String, #[allow(dead_code)] Command),
    Sleep,
}

#[derive(Clone, Hash)]
pub enum Reply {
    Values(Vec<Option<String>>),
    Keys(Vec<(String, Option<String>)>),
    Done,
    /// It is done, but nobody hears of it.
    Lost,
}

/// How a call may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Before,
    After,
}

impl Lab {
    pub fn new(now: Timestamp, kv: Store, mutant: Option<Mutant>) -> Rc<Self> {
        Rc::new(Self {
            clock: Cell::new(now),
            kv: RefCell::new(kv),
            lists: RefCell::default(),
            mutant,
            waiting: RefCell::default(),
            acting: Cell::default(),
            heard: RefCell::default(),
        })
    }

    pub fn rows(&self, list: &str) -> Rc<MemoryRows> {
        let mut lists = self.lists.borrow_mut();
        lists.entry(list.to_owned()).or_default().clone()
    }

    /// Runs an actor's code up to its next calls.
    pub fn poll<T>(&self, actor: usize, future: Pin<&mut dyn Future<Output = T>>) -> Poll<T> {
        self.acting.set(actor);
        let poll = future.poll(&mut Context::from_waker(Waker::noop()));
        for rows in self.lists.borrow().values() {
            let table = &mut *rows.0.borrow_mut();
            // How a state came about does not matter.
            table.received.sort_by_key(|received| received.logout);
            if let Some(mutant) = self.mutant {
                mutant.tamper(table);
            }
        }
        poll
    }

    /// In how many ways a call may succeed.
    pub fn variants(&self, op: &Op) -> usize {
        let (kv, now) = (self.kv.borrow(), self.clock.get());
        match op {
            Op::Get(keys) => keys.iter().map(|key| kv.seen(key, now).len()).product(),
            Op::List(prefix) => {
                let listed = kv.listed(prefix, now);
                listed.iter().map(|(_, options)| options.len()).product()
            }
            _ => 1,
        }
    }

    /// Lets a call happen.
    pub fn grant(&self, call: (usize, usize), variant: usize, fault: Option<Fault>) {
        let op = self.waiting.borrow()[&call].op.clone();
        let reply = match fault {
            Some(Fault::Before) => Err(FAILED),
            Some(Fault::After) if !matches!(op, Op::Ask(..)) => {
                self.happen(&op, variant);
                Err(FAILED)
            }
            Some(Fault::After) => Ok(Reply::Lost),
            None => Ok(self.happen(&op, variant)),
        };
        let mut waiting = self.waiting.borrow_mut();
        let waits = waiting.get_mut(&call).unwrap();
        let heard = |hash: &mut DefaultHasher| {
            (call.1, reply.is_ok()).hash(hash);
            if let Ok(reply) = &reply {
                reply.hash(hash);
            }
            let asked = match &op {
                Op::Ask(list, _) => Some(list),
                _ => None,
            };
            // Its code goes on to read the rows of these.
            for list in waits.within.iter().chain(asked) {
                self.rows(list).0.borrow().hash(hash);
            }
        };
        self.hears(call.0, heard);
        waits.reply = Some(reply);
        waits.waker.wake_by_ref();
    }

    fn hears(&self, actor: usize, what: impl FnOnce(&mut DefaultHasher)) {
        let mut heard = self.heard.borrow_mut();
        let (before, _) = heard.entry(actor).or_default();
        let mut hash = DefaultHasher::new();
        before.hash(&mut hash);
        what(&mut hash);
        *before = hash.finish();
    }

    fn happen(&self, op: &Op, variant: usize) -> Reply {
        let (mut kv, now) = (self.kv.borrow_mut(), self.clock.get());
        match op {
            Op::Get(keys) => {
                let options: Vec<_> = keys.iter().map(|key| kv.seen(key, now)).collect();
                let values = combination(&options, variant).into_iter();
                Reply::Values(values.map(|entry| Some(entry?.value.clone())).collect())
            }
            Op::List(prefix) => {
                let (keys, options): (Vec<_>, Vec<_>) = kv.listed(prefix, now).into_iter().unzip();
                let entries = combination(&options, variant);
                let entries = keys.into_iter().zip(entries);
                let shown = entries.filter_map(|(key, entry)| {
                    entry.map(|entry| (key.clone(), entry.metadata.clone()))
                });
                Reply::Keys(shown.collect())
            }
            Op::Put(key, value, metadata, ttl) => {
                let entry = Entry {
                    value: value.clone(),
                    metadata: metadata.clone(),
                    expires: now.plus(*ttl),
                };
                kv.write(key, Some(entry), now);
                Reply::Done
            }
            Op::Delete(key) => {
                kv.write(key, None, now);
                Reply::Done
            }
            Op::Ask(..) | Op::Sleep => Reply::Done,
        }
    }
}

/// The ports, as the code of an actor or, called by it, of a list has them.
#[derive(Clone)]
pub struct Site {
    pub lab: Rc<Lab>,
    pub within: Vec<String>,
}

impl Site {
    pub fn outside(lab: &Rc<Lab>) -> Self {
        Self {
            lab: lab.clone(),
            within: Vec::new(),
        }
    }

    async fn call(&self, op: Op) -> Result<Reply, Unavailable> {
        let actor = self.lab.acting.get();
        let number = {
            let mut heard = self.lab.heard.borrow_mut();
            let (_, calls) = heard.entry(actor).or_default();
            *calls += 1;
            *calls
        };
        let call = Call {
            op,
            within: self.within.clone(),
            waker: Waker::noop().clone(),
            reply: None,
        };
        let id = (actor, number);
        self.lab.waiting.borrow_mut().insert(id, call);
        Waiting { lab: &self.lab, id }.await
    }

    pub fn object<'a>(&'a self, rows: &'a MemoryRows) -> Object<'a, Self, Self, Self, MemoryRows> {
        Object {
            world: self,
            kv: self,
            ledger: self,
            rows,
            budget: Budget::of(limits::KV_OPERATIONS),
        }
    }

    /// That of a list which is called from here.
    pub fn inside(&self, list: &str) -> Self {
        let mut inside = self.clone();
        inside.within.push(list.to_owned());
        inside
    }
}

struct Waiting<'a> {
    lab: &'a Lab,
    id: (usize, usize),
}

impl Future for Waiting<'_> {
    type Output = Result<Reply, Unavailable>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = self.lab.waiting.borrow_mut();
        let call = waiting.get_mut(&self.id).unwrap();
        call.waker = context.waker().clone();
        call.reply.clone().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.lab.waiting.borrow_mut().remove(&self.id);
    }
}

impl Ledger for Site {
    async fn ask(&self, list: List, command: Command) -> Result<Answer, Unavailable> {
        let name = list.to_string();
        let reply = self.call(Op::Ask(name.clone(), command.clone())).await?;
        let (site, rows) = (self.inside(&name), self.lab.rows(&name));
        let object = site.object(&rows);
        let mutant = self.lab.mutant;
        let said = mutant.map_or(command.clone(), |mutant| mutant.said(command.clone()));
        let mut answer = Box::pin(object.answer(&said)).await?;
        if let Some(mutant) = mutant {
            mutant.answered(&command, &mut answer, &mut rows.0.borrow_mut());
        }
        self.lab.hears(self.lab.acting.get(), |hash| {
            format!("{answer:?}").hash(hash);
        });
        match reply {
            Reply::Lost => Err(FAILED),
            _ => Ok(answer),
        }
    }
}

impl Kv for Site {
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        let Reply::Values(mut values) = self.call(Op::Get(keys.to_vec())).await? else {
            unreachable!()
        };
        if let Some(mutant) = self.lab.mutant {
            mutant.read(keys, &mut values);
        }
        Ok(values)
    }

    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        mut ttl: Duration,
    ) -> Result<(), Unavailable> {
        if let Some(mutant) = self.lab.mutant
            && !mutant.writes(key, &mut ttl)
        {
            return Ok(());
        }
        let (key, value) = (key.to_owned(), value.to_owned());
        let put = Op::Put(key, value, metadata.map(str::to_owned), ttl);
        self.call(put).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        self.call(Op::Delete(key.to_owned())).await.map(drop)
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page, Unavailable> {
        let Reply::Keys(keys) = self.call(Op::List(prefix.to_owned())).await? else {
            unreachable!()
        };
        Ok(Page { keys, cursor: None })
    }
}

impl World for Site {
    fn now(&self) -> Timestamp {
        self.lab.clock.get()
    }

    /// Ends only if what it waits for hangs, which is a fault.
    async fn sleep(&self, _: Duration) {
        let _ = self.call(Op::Sleep).await;
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        unreachable!()
    }

    async fn fetch_dated(
        &self,
        _: &HttpUrl,
        _: Duration,
    ) -> Result<(Vec<u8>, Option<Timestamp>), Unavailable> {
        unreachable!()
    }

    async fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        unreachable!()
    }

    fn with_key_cache<T>(&self, _: &str, _: impl FnOnce(&mut KeyCache) -> T) -> T {
        unreachable!()
    }

    fn with_leases<T>(&self, use_it: impl FnOnce(&mut Leases) -> T) -> T {
        use_it(&mut Leases::default())
    }

    fn with_suspects<T>(&self, _: impl FnOnce(&mut Suspects) -> T) -> T {
        unreachable!()
    }

    fn with_opened<T>(&self, _: impl FnOnce(&mut Opened) -> T) -> T {
        unreachable!()
    }

    fn has_journal(&self) -> bool {
        false
    }

    fn with_notes<T>(&self, _: impl FnOnce(&mut Notes) -> T) -> T {
        unreachable!()
    }

    async fn has_room(&self, _: &Digest) -> Result<bool, Unavailable> {
        unreachable!()
    }

    fn is_news(&self, _: String) -> bool {
        unreachable!()
    }

    fn record(&self, _: &Event<'_>) {}
}
