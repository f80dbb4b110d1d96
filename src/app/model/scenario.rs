//! Scenarios: who does what, from when on.

use std::{pin::Pin, time::Duration};

use super::{lab::Site, mutants::Mutant};
use crate::{
    app::{
        budget::Budget,
        kv_sessions::KvSessions,
        ledger::LedgerSessions,
        ports::{Sessions, Unavailable},
        testkit::NOW,
    },
    domain::{
        digest::Digest,
        ledger::List,
        limits,
        logout_token::Logout,
        session::{
            Birth, BirthRefused, Life, Scope, Session, SessionId, SidKey, SidScopeSub, SubjectKey,
        },
        time::Timestamp,
    },
};

/// All times are in seconds from [`NOW`].
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub store: Store,
    pub actors: Vec<Actor>,
    /// When the clock stops; between these it jumps.
    pub times: &'static [i64],
    /// How many calls may fail, or logouts break off.
    pub faults: usize,
    /// How long after its answer a logout takes effect, by the README.
    pub bound: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Ledger,
    Kv,
}

/// It begins at `from` at the earliest, and the clock does not pass `until` before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    pub role: Role,
    pub from: i64,
    pub until: i64,
}

#[derive(Clone, Copy, Debug)]
pub enum Role {
    Register(Login),
    /// With so many repeats until it succeeds.
    End(Order, usize),
    EndOne(Login),
    Sweep,
}

/// Users and `sid`s are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    pub id: u8,
    pub user: u8,
    pub sid: Option<u8>,
    /// The ID token's `iat`, and `auth_time`.
    pub at: i64,
    pub auth: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub sid: Option<u8>,
    pub user: Option<u8>,
    /// Whether a `sid` stands for its user.
    pub widens: bool,
    /// The logout token's `iat`.
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Accepted,
    Refused,
    /// A logout, or a deletion, was answered with success.
    Done,
    Failed,
    /// Its Worker went away.
    BrokenOff,
}

pub type Run = Pin<Box<dyn Future<Output = Outcome>>>;

pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

fn subject(user: u8) -> SubjectKey {
    SubjectKey(Digest::from_bytes([user; 32]))
}

fn sid(number: u8) -> SidKey {
    SidKey(Digest::from_bytes([128 + number; 32]))
}

fn without_sid(user: u8) -> SidKey {
    SidKey(Digest::from_bytes([64 + user; 32]))
}

impl Login {
    pub fn session(&self, registered_at: Timestamp) -> Session {
        Session {
            id: SessionId::from_random([self.id; 16]),
            subject: subject(self.user),
            sid: self.sid.map_or_else(|| without_sid(self.user), sid),
            login: time(self.at),
            registered_at,
            expires: registered_at.plus(limits::SESSION_LIFETIME),
        }
    }
}

impl Order {
    fn scope(&self) -> Scope {
        let sub = self.user.map(|user| SidScopeSub {
            subject: subject(user),
            without_sid: Some(without_sid(user)),
        });
        match self.sid {
            Some(number) => Scope::Sid {
                sid: sid(number),
                sub,
                widens: self.widens,
            },
            None => Scope::Subject(sub.unwrap().subject),
        }
    }

    fn logout(&self) -> Logout {
        Logout {
            at: time(self.at),
            valid_until: time(self.at + 120),
        }
    }

    /// The list that its sessions are first sought in.
    pub fn list(&self) -> String {
        let of_user = self.user.map(|user| List::User(subject(user)));
        let list = self.sid.map(|number| List::Sid(sid(number))).or(of_user);
        list.unwrap().to_string()
    }
}

impl Store {
    fn kv(site: &Site) -> KvSessions<'_, Site, Site> {
        KvSessions {
            world: site,
            kv: site,
            lifetime: limits::SESSION_LIFETIME,
            budget: Budget::of(limits::KV_OPERATIONS),
        }
    }

    fn ledger(site: &Site) -> LedgerSessions<'_, Site, Site, Site> {
        LedgerSessions {
            world: site,
            kv: site,
            ledger: site,
            lifetime: limits::SESSION_LIFETIME,
            lease: Duration::ZERO,
        }
    }

    async fn register(
        self,
        site: &Site,
        birth: &Birth,
    ) -> Result<Result<(), BirthRefused>, Unavailable> {
        match self {
            Self::Kv => Self::kv(site).register(birth).await,
            Self::Ledger => Self::ledger(site).register(birth).await,
        }
    }

    pub async fn alive(self, site: &Site, session: &Session) -> Result<Life, Unavailable> {
        match self {
            Self::Kv => Self::kv(site).alive(session).await,
            Self::Ledger => Self::ledger(site).alive(session).await,
        }
    }

    async fn end(self, site: &Site, order: &Order) -> bool {
        let (scope, logout) = (order.scope(), order.logout());
        let deadline = site.lab.clock.get().plus(limits::BACK_CHANNEL_DEADLINE);
        let ended = match self {
            Self::Kv => Self::kv(site).end(&scope, &logout, deadline).await,
            Self::Ledger => Self::ledger(site).end(&scope, &logout, deadline).await,
        };
        ended.is_ok()
    }

    async fn end_one(self, site: &Site, session: &Session) -> bool {
        let ended = match self {
            Self::Kv => Self::kv(site).end_one(session).await,
            Self::Ledger => Self::ledger(site).end_one(session).await,
        };
        ended.is_ok()
    }
}

impl Role {
    /// The lists of the ledger that it may have to do with.
    pub fn lists(&self) -> Vec<String> {
        let user = |user| List::User(subject(user)).to_string();
        let sid = |number| List::Sid(sid(number)).to_string();
        let (of_user, of_sid) = match *self {
            Self::Register(login) | Self::EndOne(login) => (Some(login.user), login.sid),
            Self::End(order, _) => (order.user, order.sid),
            Self::Sweep => (None, None),
        };
        of_user
            .map(user)
            .into_iter()
            .chain(of_sid.map(sid))
            .collect()
    }
}

impl Actor {
    /// What it does, beginning now.
    pub fn run(&self, store: Store, site: Site, session: Option<Session>) -> Run {
        let role = self.role;
        Box::pin(async move {
            let is_done = match role {
                Role::Register(login) => {
                    return register(store, &site, &login, session.unwrap()).await;
                }
                Role::End(order, repeats) => {
                    let mut tries = 0;
                    loop {
                        if store.end(&site, &order).await {
                            break true;
                        }
                        if tries == repeats {
                            break false;
                        }
                        tries += 1;
                    }
                }
                Role::EndOne(_) => store.end_one(&site, &session.unwrap()).await,
                Role::Sweep => Store::kv(&site).sweep().await.is_ok(),
            };
            if is_done {
                Outcome::Done
            } else {
                Outcome::Failed
            }
        })
    }
}

async fn register(store: Store, site: &Site, login: &Login, session: Session) -> Outcome {
    let auth = match site.lab.mutant {
        Some(Mutant::RebirthAllowed) => Some(i64::from(u16::MAX)),
        _ => login.auth,
    };
    let birth = Birth {
        session,
        authenticated_at: auth.map(time),
        has_sid: login.sid.is_some(),
    };
    let mutated = match site.lab.mutant {
        Some(mutant) => mutant.register(site, &birth).await,
        None => None,
    };
    let registered = match mutated {
        Some(registered) => registered,
        None => store.register(site, &birth).await,
    };
    match registered {
        Ok(Ok(())) => Outcome::Accepted,
        Ok(Err(_)) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    }
}
