//! The lists together, over rows in memory: what single transitions cannot show.

mod demands;
mod races;
mod vectors;

use std::{future::Future, pin::Pin, rc::Rc};

use serde_json::json;

use super::*;
use crate::{
    app::{
        ports::Sessions,
        testkit::{self, FakeKv, FakeLedger, FakeWorld, Fault, NOW, block_on},
    },
    domain::{
        config::App,
        limits,
        session::{Life, SessionId, SidKey, SidScopeSub, SubjectKey},
    },
};

fn at(offset: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + offset)
}

const fn logout(at: Timestamp) -> Logout {
    Logout {
        at,
        valid_until: Timestamp::from_seconds(at.seconds() + 120),
    }
}

/// A ledger, and an app whose sessions it keeps. It may live as long as the tests do.
struct Scene {
    world: &'static FakeWorld,
    kv: &'static FakeKv<'static>,
    ledger: FakeLedger<'static>,
    app: Rc<App>,
}

impl Scene {
    fn new() -> Self {
        Self::with(&json!({}))
    }

    /// With more fields for the app.
    fn with(shop: &serde_json::Value) -> Self {
        let world = Box::leak(Box::new(FakeWorld::new()));
        let kv = Box::leak(Box::new(FakeKv::new(world)));
        Self {
            world,
            kv,
            ledger: FakeLedger::new(world, kv),
            app: testkit::app(&testkit::ledger_config_with(shop), "SHOP"),
        }
    }

    /// A login of alice, that many seconds from [`NOW`].
    fn birth(&self, number: u8, sid: &str, login: i64) -> Birth {
        Birth {
            session: Session {
                id: SessionId::from_random([number; 16]),
                subject: SubjectKey::of(&self.app, "alice"),
                sid: SidKey::of(&self.app, sid),
                login: at(login),
                registered_at: NOW,
                expires: NOW.plus(self.app.session_lifetime),
            },
            authenticated_at: Some(at(login)),
            has_sid: true,
        }
    }

    fn of_sid(&self, sid: &str) -> Scope {
        Scope::Sid {
            sid: SidKey::of(&self.app, sid),
            sub: None,
            widens: false,
        }
    }

    fn of_user(&self) -> Scope {
        Scope::Subject(SubjectKey::of(&self.app, "alice"))
    }

    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
        self.ledger.sessions(&self.app).register(birth).await
    }

    async fn end(&self, scope: &Scope, offset: i64) -> Result<Ended, Unavailable> {
        let sessions = self.ledger.sessions(&self.app);
        sessions.end(scope, &logout(at(offset)), NOW).await
    }

    fn is_alive(&self, birth: &Birth) -> bool {
        let sessions = self.ledger.sessions(&self.app);
        block_on(sessions.alive(&birth.session)) == Ok(Life::Alive)
    }
}
