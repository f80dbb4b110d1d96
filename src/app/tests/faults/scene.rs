//! An app behind the gate, and a store in which one call goes wrong.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    app::{
        front::{CookieHeader, Front, OwnKind, Request, Served},
        logout::{self, Answer, Unfinished},
        ports::{Sessions, World as _},
        testkit::{
            self, FakeCodes, FakeKv, FakeLedger, FakeOrigin, FakeReply, FakeWorld, block_on,
        },
    },
    domain::{
        config::{App, Config},
        limits,
    },
};

/// Where sessions live, and what goes on by itself there.
pub(super) trait Store {
    const NAME: &'static str;
    /// The kinds of [`Store::contents`] of one session.
    const OF_ONE: &'static [&'static str];

    fn over(world: &'static FakeWorld) -> Self;

    fn sessions(&self, app: &App) -> impl Sessions;

    /// Lets time pass until something happens by itself, if it does so soon; gives what.
    fn go_on(&self, world: &FakeWorld, app: &App) -> Option<&'static str>;

    /// What is there of sessions.
    fn contents(&self) -> Vec<String>;
}

pub(super) struct InLedger(&'static FakeLedger<'static>);

impl Store for InLedger {
    const NAME: &'static str = "Ledger";
    const OF_ONE: &'static [&'static str] = &["entry", "s: row", "u: row"];

    fn over(world: &'static FakeWorld) -> Self {
        let kv = Box::leak(Box::new(FakeKv::new(world)));
        Self(Box::leak(Box::new(FakeLedger::new(world, kv))))
    }

    fn sessions(&self, app: &App) -> impl Sessions {
        self.0.sessions(app)
    }

    fn go_on(&self, world: &FakeWorld, _: &App) -> Option<&'static str> {
        let at = self.0.next_alarm()?.max(world.clock.get());
        if at.since(world.clock.get()) > limits::LEDGER_RETRY_MAX {
            return None;
        }
        world.clock.set(at);
        block_on(self.0.alarms());
        Some("list")
    }

    fn contents(&self) -> Vec<String> {
        let tables = self.0.tables();
        let rows = tables
            .iter()
            .flat_map(|(list, table)| vec![format!("{}: row", &list[..1]); table.rows.len()]);
        let entries = self.0.kv.keys_of("session/");
        rows.chain(entries.iter().map(|_| "entry".to_owned()))
            .collect()
    }
}

pub(super) struct InKv(&'static FakeKv<'static>);

impl Store for InKv {
    const NAME: &'static str = "KV alone";
    const OF_ONE: &'static [&'static str] = &["by-sub", "session"];

    fn over(world: &'static FakeWorld) -> Self {
        Self(Box::leak(Box::new(FakeKv::new(world))))
    }

    fn sessions(&self, app: &App) -> impl Sessions {
        self.0.sessions(app)
    }

    fn go_on(&self, world: &FakeWorld, app: &App) -> Option<&'static str> {
        if self.0.keys_of("pending/").is_empty() {
            return None;
        }
        world.pass(limits::KV_LIST_LAG);
        block_on(logout::sweep(world, &self.0.sessions(app)));
        Some("cron")
    }

    fn contents(&self) -> Vec<String> {
        let keys = ["session/", "by-sub/"].map(|kind| self.0.keys_of(kind));
        let kinds = keys.iter().flatten().map(|key| key.split('/').next());
        kinds.map(|kind| kind.unwrap().to_owned()).collect()
    }
}

/// What a request with a session's cookie comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The app was asked, and told who it is.
    AsUser,
    /// The app was asked, without the cookie.
    AsNobody,
    /// 503, the app was not asked, and the browser keeps its cookie.
    Unavailable,
}

pub(super) struct Scene<S> {
    pub(super) world: &'static FakeWorld,
    pub(super) store: S,
    config: Config,
    shop: Rc<App>,
}

impl<S: Store> Scene<S> {
    /// With more fields for the issuer and for the app.
    pub(super) fn with(issuer: &Value, shop: &Value) -> Self {
        let world = Box::leak(Box::new(FakeWorld::new()));
        let config = testkit::config_with(issuer, shop);
        Self {
            store: S::over(world),
            shop: testkit::app(&config, "SHOP"),
            world,
            config,
        }
    }

    fn request(&self, cookie: Option<&str>, reply: FakeReply) -> (Served<FakeReply>, FakeOrigin) {
        let origin = FakeOrigin::new(Ok(reply));
        let front = Front {
            world: self.world,
            sessions: &self.store.sessions(&self.shop),
            codes: &FakeCodes::new(self.world),
            config: &self.config,
            app: &self.shop,
            request: Request {
                method: "GET",
                arrived: self.world.now(),
                host: "app.example",
                path: "/shop/page",
                query: "",
                url: "https://app.example/shop/page",
                cookies: cookie.unwrap_or_default(),
            },
        };
        (block_on(front.serve(&origin)), origin)
    }

    /// Logs in; gives the cookie, if it was delivered.
    pub(super) fn log_in(&self, id_token: &str) -> Option<String> {
        let (served, _) = self.request(
            None,
            FakeReply::ok(&[
                ("edge-logout-id-token", id_token),
                ("set-cookie", "shop.sid=secret; Path=/shop; HttpOnly"),
            ]),
        );
        match served {
            Served::Reply(_, changes) => {
                let line = changes.set_cookies.unwrap().remove(0);
                Some(line.split(';').next().unwrap().to_owned())
            }
            Served::Own(own) => {
                assert_eq!(own.kind, OwnKind::Unavailable);
                assert!(own.set_cookies.iter().all(|line| !line.contains("el1.")));
                None
            }
        }
    }

    pub(super) fn visit(&self, cookie: &str) -> Seen {
        let (served, origin) = self.request(Some(cookie), FakeReply::ok(&[]));
        match (served, origin.seen.take().pop()) {
            (Served::Reply(..), Some(forward)) => match forward.cookies {
                CookieHeader::Replaced(Some(cookies)) if cookies == "shop.sid=secret" => {
                    Seen::AsUser
                }
                CookieHeader::Replaced(None) => Seen::AsNobody,
                other => panic!("{other:?}"),
            },
            (Served::Own(own), None) => {
                assert_eq!(own.kind, OwnKind::Unavailable);
                assert_eq!(own.set_cookies, Vec::<String>::new());
                Seen::Unavailable
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_dead(&self, cookie: &str) -> bool {
        match self.visit(cookie) {
            Seen::AsUser => false,
            Seen::AsNobody => true,
            Seen::Unavailable => panic!("nothing should fail now"),
        }
    }

    pub(super) fn log_out(&self, token: &str) -> (Answer, Option<Unfinished>) {
        let sessions = self.store.sessions(&self.shop);
        block_on(logout::receive(
            self.world,
            &sessions,
            &self.shop,
            testkit::delivery(token),
        ))
    }

    pub(super) fn finish(&self, unfinished: Unfinished) {
        let sessions = self.store.sessions(&self.shop);
        block_on(logout::finish(
            self.world, &sessions, &self.shop, unfinished,
        ));
    }

    pub(super) fn go_on(&self) -> Option<&'static str> {
        self.store.go_on(self.world, &self.shop)
    }
}
