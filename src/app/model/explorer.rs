//! Runs a scenario in every order in which its calls may happen.
//!
//! Futures cannot be copied, so each run starts anew and repeats the choices that led to where
//! another is to be made. States that were met before are not gone into again.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    task::Poll,
};

use super::{
    kv,
    lab::{Fault, Lab, Op, Site},
    mutants::Mutant,
    properties::{Broken, Facts},
    scenario::{Actor, Login, Outcome, Role, Run, Scenario, Store, time},
};
use crate::domain::{ledger::Table, limits, session::Session, time::Timestamp};

pub struct Report {
    pub states: usize,
    /// What was found, and the way there.
    pub broken: Option<(Broken, Vec<String>)>,
}

/// Explores all of it, or up to where a property breaks: any, or this one.
pub fn explore(scenario: &Scenario, mutant: Option<Mutant>, wanted: Option<Broken>) -> Report {
    let mut met = HashSet::new();
    // At each step, the choice and how many there are.
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        let found = walk(scenario, mutant, &mut path, &mut met);
        if let Err(broken) = found
            && wanted.is_none_or(|wanted| wanted == broken)
        {
            let way = retrace(scenario, mutant, &path);
            let states = met.len();
            return Report {
                states,
                broken: Some((broken, way)),
            };
        }
        while let Some((choice, of)) = path.pop() {
            if choice + 1 < of {
                path.push((choice + 1, of));
                break;
            }
        }
        if path.is_empty() {
            return Report {
                states: met.len(),
                broken: None,
            };
        }
    }
}

/// Repeats `path` and extends it until there is no choice left, or nothing new.
fn walk(
    scenario: &Scenario,
    mutant: Option<Mutant>,
    path: &mut Vec<(usize, usize)>,
    met: &mut HashSet<u64>,
) -> Result<(), Broken> {
    let mut play = Play::new(scenario, mutant);
    let mut depth = 0;
    loop {
        let is_new_ground = depth + 1 > path.len();
        if is_new_ground {
            play.check()?;
            if !met.insert(play.state()) {
                return Ok(());
            }
        }
        let choices = play.choices();
        if choices.is_empty() {
            return play.settle();
        }
        if is_new_ground {
            path.push((0, choices.len()));
        }
        play.take(&choices[path[depth].0])?;
        depth += 1;
    }
}

fn retrace(scenario: &Scenario, mutant: Option<Mutant>, path: &[(usize, usize)]) -> Vec<String> {
    let mut play = Play::new(scenario, mutant);
    let mut way = Vec::new();
    for (choice, _) in path {
        let choice = play.choices()[*choice].clone();
        way.push(play.tell(&choice));
        let _ = play.take(&choice);
    }
    way
}

#[derive(Clone, Debug)]
enum Choice {
    /// The clock goes on.
    Tick,
    Begin(usize),
    BreakOff(usize),
    Alarm(String),
    Call {
        call: (usize, usize),
        variant: usize,
        fault: Option<Fault>,
    },
}

/// One run of a scenario.
pub struct Play<'a> {
    pub scenario: &'a Scenario,
    pub lab: Rc<Lab>,
    /// Those of the scenario, and then the alarms of the lists.
    runs: Vec<Option<Run>>,
    pub facts: Vec<Facts>,
    ticks: usize,
    faults: usize,
    /// Who has just begun, and makes its first call at once: later is as good as earlier.
    beginner: Option<usize>,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, mutant: Option<Mutant>) -> Self {
        let kv = match scenario.store {
            // It is written only.
            Store::Ledger => kv::Store::new(std::time::Duration::ZERO, std::time::Duration::ZERO),
            Store::Kv => kv::Store::new(super::KV_LAG, limits::KV_LIST_LAG),
        };
        let lab = Lab::new(time(scenario.times[0]), kv, mutant);
        for actor in &scenario.actors {
            for list in actor.role.lists() {
                lab.rows(&list);
            }
        }
        Self {
            scenario,
            lab,
            runs: scenario.actors.iter().map(|_| None).collect(),
            facts: vec![Facts::default(); scenario.actors.len()],
            ticks: 0,
            faults: scenario.faults,
            beginner: None,
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let waiting = self.lab.waiting.borrow();
        for (&call, waits) in waiting.iter() {
            if self.beginner.is_some_and(|beginner| beginner != call.0) {
                continue;
            }
            let is_timer = matches!(waits.op, Op::Sleep);
            let mut may = |variant, fault| {
                choices.push(Choice::Call {
                    call,
                    variant,
                    fault,
                });
            };
            if !is_timer {
                for variant in 0..self.lab.variants(&waits.op) {
                    may(variant, None);
                }
            }
            if self.faults > 0 {
                may(0, Some(Fault::Before));
                if !is_timer && !matches!(waits.op, Op::Get(_) | Op::List(_)) {
                    may(0, Some(Fault::After));
                }
            }
        }
        if self.beginner.is_some() {
            return choices;
        }
        let now = self.lab.clock.get();
        let actors = self.scenario.actors.iter().zip(&self.facts).enumerate();
        for (number, (actor, facts)) in actors.clone() {
            let may_begin = match actor.role {
                // Nobody has its cookies before.
                Role::EndOne(login) => self.is_accepted(&login),
                _ => true,
            };
            if facts.begun.is_none() && time(actor.from) <= now && may_begin {
                choices.push(Choice::Begin(number));
            }
            let runs = facts.begun.is_some() && facts.outcome.is_none();
            if self.faults > 0 && runs && matches!(actor.role, Role::End(..)) {
                choices.push(Choice::BreakOff(number));
            }
        }
        choices.extend(self.due().map(Choice::Alarm));
        if let Some(next) = self.scenario.times.get(self.ticks + 1) {
            let mut busy = actors.filter(|(_, (_, facts))| facts.outcome.is_none());
            if busy.all(|(_, (actor, _))| *next <= actor.until) {
                choices.push(Choice::Tick);
            }
        }
        choices
    }

    /// Lists whose alarm may go off.
    fn due(&self) -> impl Iterator<Item = String> {
        let now = self.lab.clock.get();
        let lists = self.lab.lists.borrow();
        let due = lists.iter().enumerate().filter(|(number, (_, rows))| {
            let rings = rows.0.borrow().alarm.is_some_and(|alarm| alarm <= now);
            let run = self.runs.get(self.scenario.actors.len() + number);
            rings && !run.is_some_and(Option::is_some)
        });
        let due: Vec<_> = due.map(|(_, (list, _))| list.clone()).collect();
        due.into_iter()
    }

    fn tell(&self, choice: &Choice) -> String {
        match choice {
            Choice::Call {
                call,
                variant,
                fault,
            } => {
                let waits = &self.lab.waiting.borrow()[call];
                let (actor, op) = (call.0, &waits.op);
                format!("{actor} (variant {variant}, fault {fault:?}): {op:?}")
            }
            Choice::Begin(actor) => format!("{actor}: {:?}", self.scenario.actors[*actor].role),
            other => format!("{other:?}"),
        }
    }

    fn take(&mut self, choice: &Choice) -> Result<(), Broken> {
        match choice {
            Choice::Tick => {
                self.ticks += 1;
                self.lab.clock.set(time(self.scenario.times[self.ticks]));
                Ok(())
            }
            Choice::Begin(number) => self.begin(*number),
            Choice::BreakOff(number) => {
                self.faults -= 1;
                self.runs[*number] = None;
                self.finished(*number, Outcome::BrokenOff)
            }
            Choice::Alarm(list) => {
                self.ring(list);
                Ok(())
            }
            Choice::Call {
                call,
                variant,
                fault,
            } => {
                self.beginner = None;
                self.faults -= usize::from(fault.is_some());
                if *fault != Some(Fault::Before) {
                    self.note_effect(*call);
                }
                self.lab.grant(*call, *variant, *fault);
                self.go_on(call.0)
            }
        }
    }

    fn begin(&mut self, number: usize) -> Result<(), Broken> {
        let actor = &self.scenario.actors[number];
        let now = self.lab.clock.get();
        self.facts[number].begun = Some(now);
        self.facts[number].after = self.done_before(number);
        self.beginner = Some(number);
        let session = match actor.role {
            Role::Register(login) => Some(login.session(now)),
            Role::EndOne(login) => Some(self.session(&login)),
            _ => None,
        };
        let site = Site::outside(&self.lab);
        self.runs[number] = Some(actor.run(self.scenario.store, site, session));
        self.go_on(number)
    }

    fn facts_of(&self, login: &Login) -> &Facts {
        let registers = |role: &Role| matches!(role, Role::Register(of) if of.id == login.id);
        let mut actors = self.scenario.actors.iter();
        let number = actors.position(|actor| registers(&actor.role)).unwrap();
        &self.facts[number]
    }

    fn is_accepted(&self, login: &Login) -> bool {
        self.facts_of(login).outcome == Some(Outcome::Accepted)
    }

    /// The session that a login has become, or might.
    pub fn session(&self, login: &Login) -> Session {
        let begun = self.facts_of(login).begun;
        login.session(begun.unwrap_or(self.lab.clock.get()))
    }

    fn ring(&mut self, list: &str) {
        let rows = self.lab.rows(list);
        rows.0.borrow_mut().alarm = None;
        let number = self.lab.lists.borrow().keys().position(|name| name == list);
        let number = self.scenario.actors.len() + number.unwrap();
        if self.runs.len() <= number {
            self.runs.resize_with(number + 1, || None);
        }
        let outside = Site::outside(&self.lab);
        let site = outside.inside(list);
        let lab = self.lab.clone();
        self.runs[number] = Some(Box::pin(async move {
            match site.object(&rows).alarm().await {
                Ok(None) => *rows.0.borrow_mut() = Table::default(),
                Ok(Some(_)) => {}
                // The runtime calls it again.
                Err(_) => rows.0.borrow_mut().alarm = Some(lab.clock.get()),
            }
            Outcome::Done
        }));
        let _ = self.go_on(number);
    }

    fn go_on(&mut self, number: usize) -> Result<(), Broken> {
        let run = self.runs[number].as_mut().unwrap();
        let Poll::Ready(outcome) = self.lab.poll(number, run.as_mut()) else {
            return Ok(());
        };
        self.runs[number] = None;
        self.beginner = self.beginner.filter(|beginner| *beginner != number);
        if number < self.scenario.actors.len() {
            return self.finished(number, outcome);
        }
        self.lab.heard.borrow_mut().remove(&number);
        Ok(())
    }

    fn finished(&mut self, number: usize, outcome: Outcome) -> Result<(), Broken> {
        self.lab.heard.borrow_mut().remove(&number);
        self.facts[number].outcome = Some(outcome);
        if !matches!(self.scenario.actors[number].role, Role::Register(_)) {
            self.facts[number].at = Some(self.lab.clock.get());
        }
        self.check_outcome(number)
    }

    /// A logout that has had an effect will be finished, whatever becomes of its Worker.
    fn note_effect(&mut self, call: (usize, usize)) {
        let waiting = self.lab.waiting.borrow();
        let Some(Role::End(order, _)) = self.scenario.actors.get(call.0).map(|a| a.role) else {
            return;
        };
        self.facts[call.0].took_effect |= match &waiting[&call].op {
            Op::Ask(list, _) => *list == order.list(),
            Op::Put(..) | Op::Delete(_) => self.scenario.store == Store::Kv,
            _ => false,
        };
    }

    pub const fn is_faultless(&self) -> bool {
        self.faults == self.scenario.faults
    }

    fn state(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        let now = self.lab.clock.get();
        (now, self.faults, self.beginner, &self.facts).hash(&mut hash);
        self.lab.heard.borrow().hash(&mut hash);
        for (name, rows) in self.lab.lists.borrow().iter() {
            (name, &*rows.0.borrow()).hash(&mut hash);
        }
        for visible in self.lab.kv.borrow().visible(now) {
            visible.hash(&mut hash);
        }
        hash.finish()
    }

    /// Lets everything that runs, and every alarm up to `until`, run to its end without a fault.
    pub fn drain(&mut self, until: Timestamp) -> Result<(), Broken> {
        for _ in 0..1000 {
            let call = {
                let waiting = self.lab.waiting.borrow();
                let mut calls = waiting.iter();
                let call = calls.find(|(_, waits)| !matches!(waits.op, Op::Sleep));
                call.map(|(call, _)| *call)
            };
            if let Some(call) = call {
                self.take(&Choice::Call {
                    call,
                    variant: 0,
                    fault: None,
                })?;
                continue;
            }
            let next = {
                let lists = self.lab.lists.borrow();
                let alarms = lists
                    .iter()
                    .filter_map(|(list, rows)| Some((rows.0.borrow().alarm?, list.clone())));
                alarms.min()
            };
            let Some((at, list)) = next.filter(|(at, _)| *at <= until) else {
                self.lab.clock.set(until);
                return Ok(());
            };
            self.lab.clock.set(at.max(self.lab.clock.get()));
            self.ring(&list);
        }
        Err(Broken::Restless)
    }

    /// Tidies up KV once, as the cron trigger does.
    pub fn sweep(&mut self) -> Result<(), Broken> {
        let site = Site::outside(&self.lab);
        let actor = Actor {
            role: Role::Sweep,
            from: 0,
            until: 0,
        };
        self.runs
            .push(Some(actor.run(self.scenario.store, site, None)));
        self.go_on(self.runs.len() - 1)?;
        self.drain(self.lab.clock.get())
    }
}
