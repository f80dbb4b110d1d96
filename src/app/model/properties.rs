//! What must hold, in both directions: a logout ends what it means, and nothing else.

use std::{task::Poll, time::Duration};

use super::{
    explorer::Play,
    lab::Site,
    scenario::{Login, Order, Outcome, Role, Store, time},
};
use crate::{
    app::{entry, ports::Unavailable},
    domain::{ledger::Table, limits, session::Life, time::Timestamp},
};

/// The property that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A logout was answered with success, and a session that it means lives on.
    LivesOn,
    /// A logout broke off in the middle, and nobody finished it.
    Unfinished,
    /// A session has ended that nobody ended.
    EndedForNothing,
    /// A login was accepted that an answered logout covers,
    AcceptedInSpite,
    /// or refused though none does.
    RefusedForNothing,
    /// The entry of an ended session is left in KV.
    EntryLeft,
    /// A list does not become empty when everything in it has expired,
    ListLeft,
    /// or never comes to rest.
    Restless,
    /// Nobody can say whether a session lives.
    NoAnswer,
}

/// What is remembered of an actor.
#[derive(Clone, Debug, Default, Hash)]
pub struct Facts {
    pub begun: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    /// When it was done, but for logins.
    pub at: Option<Timestamp>,
    /// Those that were done when it began: logouts before a login, logins before a logout.
    pub after: Vec<usize>,
    /// Whether a logout has changed anything.
    pub took_effect: bool,
}

type Check = Result<(), Broken>;

const fn holds(condition: bool, otherwise: Broken) -> Check {
    if condition { Ok(()) } else { Err(otherwise) }
}

impl Play<'_> {
    pub fn done_before(&self, number: usize) -> Vec<usize> {
        let wanted = match self.scenario.actors[number].role {
            Role::Register(_) => Outcome::Done,
            Role::End(..) => Outcome::Accepted,
            _ => return Vec::new(),
        };
        let facts = self.facts.iter().enumerate();
        let done = facts.filter(|(_, facts)| facts.outcome == Some(wanted));
        done.map(|(number, _)| number).collect()
    }

    fn logins(&self) -> impl Iterator<Item = (usize, Login, &Facts)> {
        let actors = self.scenario.actors.iter().zip(&self.facts).enumerate();
        actors.filter_map(|(number, (actor, facts))| match actor.role {
            Role::Register(login) => Some((number, login, facts)),
            _ => None,
        })
    }

    fn logouts(&self) -> impl Iterator<Item = (usize, Order, &Facts)> {
        let actors = self.scenario.actors.iter().zip(&self.facts).enumerate();
        actors.filter_map(|(number, (actor, facts))| match actor.role {
            Role::End(order, _) if facts.begun.is_some() => Some((number, order, facts)),
            _ => None,
        })
    }

    /// Whether a logout means this login's session; through that of another if `through` holds.
    fn means(&self, order: &Order, login: &Login, through: impl Fn(usize) -> bool) -> bool {
        let is_user = order.user == Some(login.user);
        let Some(sid) = order.sid else {
            return is_user;
        };
        let is_users_of_sid = |(number, other, _): (usize, Login, &Facts)| {
            other.user == login.user && other.sid == Some(sid) && through(number)
        };
        login.sid == Some(sid)
            || (is_user && (order.widens || login.sid.is_none()))
            || (order.widens && self.logins().any(is_users_of_sid))
    }

    /// How much later than a logout a login may be and be ended by it.
    fn end_margin(&self) -> Duration {
        match self.scenario.store {
            Store::Ledger => limits::OP_CLOCK_SPREAD,
            Store::Kv => limits::KV_ORDER_MARGIN,
        }
    }

    fn birth_margin(&self) -> Duration {
        match self.scenario.store {
            Store::Ledger => Duration::ZERO,
            Store::Kv => limits::KV_ORDER_MARGIN,
        }
    }

    /// Whether the session began early enough to be ended, if the logout means it.
    fn must_end(&self, order: &Order, logout: &Facts, number: usize, login: &Login) -> bool {
        // A repeat ends only what the first could have ended.
        let mut same = self.logouts().filter(|(_, of, _)| of == order);
        let margin = if same.all(|(_, _, first)| first.after.contains(&number)) {
            self.end_margin()
        } else {
            Duration::ZERO
        };
        time(login.at) <= time(order.at).plus(margin)
            && self.means(order, login, |through| logout.after.contains(&through))
    }

    fn may_end(&self, order: &Order, login: &Login, facts: &Facts) -> bool {
        let is_same = |other: &usize| matches!(self.scenario.actors[*other].role, Role::End(of, _) if of == *order);
        // A list knows that it received this logout first; KV does not.
        let is_later = self.scenario.store == Store::Ledger && facts.after.iter().any(is_same);
        let margin = if is_later {
            Duration::ZERO
        } else {
            self.end_margin()
        };
        time(login.at) <= time(order.at).plus(margin) && self.means(order, login, |_| true)
    }

    /// After each step: what a request sees that begins now. It makes one call and changes nothing,
    /// so trying it in every state is as good as letting it take turns with the others.
    pub fn check(&self) -> Check {
        let now = self.lab.clock.get();
        for (number, login, facts) in self.logins() {
            if facts.outcome != Some(Outcome::Accepted) {
                continue;
            }
            let in_force = |facts: &Facts| {
                let done = facts.outcome == Some(Outcome::Done);
                done && facts
                    .at
                    .is_some_and(|at| at.plus(self.scenario.bound) <= now)
            };
            let must_end = self.logouts().any(|(_, order, logout)| {
                in_force(logout) && self.must_end(&order, logout, number, &login)
            });
            let may_end = self
                .logouts()
                .any(|(_, order, _)| self.may_end(&order, &login, facts));
            let (is_cleared, was_cleared) = self.cleared(&login);
            for life in self.lives(&login) {
                match life {
                    Ok(Life::Alive) => {
                        holds(!must_end && !was_cleared, Broken::LivesOn)?;
                    }
                    Ok(Life::Ended(_)) => {
                        holds(may_end || is_cleared, Broken::EndedForNothing)?;
                    }
                    Err(_) => return Err(Broken::NoAnswer),
                }
            }
        }
        Ok(())
    }

    /// Whether the app has begun to clear a session, and whether that must show.
    fn cleared(&self, login: &Login) -> (bool, bool) {
        let actors = self.scenario.actors.iter().zip(&self.facts);
        let mut clearing = actors.filter_map(|(actor, facts)| match actor.role {
            Role::EndOne(of) if of.id == login.id && facts.begun.is_some() => Some(facts),
            _ => None,
        });
        let Some(facts) = clearing.next() else {
            return (false, false);
        };
        let lag = match self.scenario.store {
            Store::Ledger => Duration::ZERO,
            Store::Kv => limits::KV_ENTRY_LAG,
        };
        let done = facts.outcome == Some(Outcome::Done);
        let shows = facts
            .at
            .is_some_and(|at| at.plus(lag) <= self.lab.clock.get());
        (true, done && shows)
    }

    /// Whether a request with this session may be told that it lives.
    fn is_alive(&self, login: &Login) -> bool {
        self.lives(login).contains(&Ok(Life::Alive))
    }

    /// Whatever a request with this session may be told now.
    fn lives(&self, login: &Login) -> Vec<Result<Life, Unavailable>> {
        const PROBE: usize = usize::MAX;
        let session = self.session(login);
        let site = Site::outside(&self.lab);
        let mut lives = Vec::new();
        for variant in 0.. {
            let mut request = Box::pin(self.scenario.store.alive(&site, &session));
            let mut life = self.lab.poll(PROBE, request.as_mut());
            let mut variants = 0;
            if life.is_pending() {
                let number = self.lab.heard.borrow()[&PROBE].1;
                let call = (PROBE, number);
                variants = self.lab.variants(&self.lab.waiting.borrow()[&call].op);
                self.lab.grant(call, variant, None);
                life = self.lab.poll(PROBE, request.as_mut());
            }
            self.lab.heard.borrow_mut().remove(&PROBE);
            let Poll::Ready(life) = life else {
                unreachable!()
            };
            lives.push(life);
            if variant + 1 >= variants {
                break;
            }
        }
        lives
    }

    /// When an actor is done: whether a login was taken or refused rightly.
    pub fn check_outcome(&self, number: usize) -> Check {
        let facts = &self.facts[number];
        let Role::Register(login) = self.scenario.actors[number].role else {
            return Ok(());
        };
        match facts.outcome {
            Some(Outcome::Accepted) => {
                let covered = self.logouts().any(|(of, order, logout)| {
                    let known = logout.at.map(|at| at.plus(self.scenario.bound));
                    facts.after.contains(&of)
                        && known <= facts.begun
                        && self.means(&order, &login, |through| logout.after.contains(&through))
                        && covers_birth(&order, &login, Duration::ZERO)
                });
                holds(!covered, Broken::AcceptedInSpite)
            }
            Some(Outcome::Refused) => {
                let margin = self.birth_margin();
                let covered = self.logouts().any(|(_, order, _)| {
                    self.means(&order, &login, |_| true) && covers_birth(&order, &login, margin)
                });
                holds(covered, Broken::RefusedForNothing)
            }
            _ => Ok(()),
        }
    }

    /// When nobody has anything left to do: the alarms and the sweep finish what was begun, and
    /// nothing stays behind.
    pub fn settle(&mut self) -> Check {
        match self.scenario.store {
            Store::Ledger => self.drain(self.lab.clock.get().plus(Duration::from_mins(20)))?,
            Store::Kv => {
                for _ in 0..2 {
                    let later = limits::KV_LIST_LAG + super::KV_LAG;
                    self.lab.clock.set(self.lab.clock.get().plus(later));
                    self.sweep()?;
                }
            }
        }
        self.check()?;
        let finishes = |number, login: Login| {
            self.logouts().any(|(_, order, logout)| {
                logout.took_effect && self.must_end(&order, logout, number, &login)
            })
        };
        for (number, login, facts) in self.logins() {
            let lives_on = facts.outcome == Some(Outcome::Accepted)
                && finishes(number, login)
                && self.is_alive(&login);
            holds(!lives_on, Broken::Unfinished)?;
        }
        for (number, login, facts) in self.logins() {
            // A login that met a fault left an entry that its expiry removes.
            let met_no_fault = facts.outcome == Some(Outcome::Refused) && self.is_faultless();
            let was_accepted = facts.outcome == Some(Outcome::Accepted);
            let is_tidied = match self.scenario.store {
                Store::Ledger => !self.is_alive(&login) && (was_accepted || met_no_fault),
                Store::Kv => finishes(number, login) && self.was_listed(number),
            };
            let session = self.session(&login);
            let key = entry::key(session.sid, &session.id);
            let has_entry = self.lab.kv.borrow().has(&key, self.lab.clock.get());
            holds(!(is_tidied && has_entry), Broken::EntryLeft)?;
        }
        if self.scenario.store == Store::Ledger {
            let all_expired = *limits::SESSION_LIFETIME_BOUNDS.end() * 2;
            self.drain(self.lab.clock.get().plus(all_expired))?;
            let lists = self.lab.lists.borrow();
            let mut tables = lists.values().map(|rows| rows.0.borrow());
            holds(
                tables.all(|table| *table == Table::default()),
                Broken::ListLeft,
            )?;
        }
        Ok(())
    }

    /// Whether a logout came after the login and was answered: its record sees to it that the index
    /// is gone over when it shows the login.
    fn was_listed(&self, number: usize) -> bool {
        let is_answered = |logout: &Facts| logout.outcome == Some(Outcome::Done);
        self.logouts()
            .any(|(_, _, logout)| is_answered(logout) && logout.after.contains(&number))
    }
}

fn covers_birth(order: &Order, login: &Login, margin: Duration) -> bool {
    let (at, began) = (time(order.at), time(login.at));
    let is_own_mark = order.sid.is_some() && order.sid == login.sid || login.sid.is_none();
    let is_old = match login.auth {
        Some(auth) => auth <= order.at,
        None => is_own_mark,
    };
    began <= at.plus(margin) || (is_old && began <= at.plus(limits::REBIRTH_WINDOW))
}
