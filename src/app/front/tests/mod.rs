mod announcements;
mod callback;
mod cookies;
mod ended;
mod gate;
mod ledger;
mod logins;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{
    app::{
        logout::{self, Delivery},
        testkit::{
            self, Bytes, FakeCodes, FakeKv, FakeLedger, FakeOrigin, FakeReply, FakeWorld, Fault,
            KEY_SET, NOW, Signer, block_on,
        },
    },
    domain::{
        cookie::{self, SetCookie},
        gate::passes_at_once,
    },
};

const SID: &str = "set-cookie";
const ANNOUNCEMENT: &str = "edge-logout-id-token";

struct Scene {
    config: Config,
    signer: Signer,
}

/// A browser at one app: it keeps the cookies it is given, as far as these tests need it.
struct Visit<'a> {
    scene: &'a Scene,
    world: &'a FakeWorld,
    kv: &'a FakeKv<'a>,
    /// Who says what lives, if not KV alone.
    ledger: Option<&'a FakeLedger<'a>>,
    app: &'static str,
    path: Cell<&'static str>,
    query: Cell<&'static str>,
    form: Cell<Option<&'static str>>,
    codes: FakeCodes<'a>,
    referer: Cell<Option<&'static str>>,
    cookies: RefCell<Vec<(String, String)>>,
}

/// What came of one request.
struct Outcome {
    served: Served<FakeReply>,
    /// What the app was sent, if it was asked.
    forwarded: Option<Forward>,
    /// The cookies that the client sent.
    came: Option<String>,
}

impl Outcome {
    fn changes(&self) -> &Changes {
        match &self.served {
            Served::Reply(_, changes) => changes,
            Served::Own(own) => panic!("{own:?}"),
        }
    }

    fn own(&self) -> &Own {
        match &self.served {
            Served::Own(own) => own,
            Served::Reply(reply, changes) => panic!("{reply:?} {changes:?}"),
        }
    }

    /// The cookies that the app was sent.
    fn sent(&self) -> Option<&str> {
        match &self
            .forwarded
            .as_ref()
            .expect("the app was not asked")
            .cookies
        {
            CookieHeader::Unchanged => self.came.as_deref(),
            CookieHeader::Replaced(cookies) => cookies.as_deref(),
        }
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(&json!({}))
    }

    /// With more fields for the app.
    fn with(shop: &Value) -> Self {
        Self {
            config: testkit::config_with(&json!({}), shop),
            signer: Signer::new(),
        }
    }

    fn id_token(&self, sub: &str, sid: &str) -> String {
        self.signer.id_token("shop", sub, Some(sid), NOW)
    }
}

impl<'a> Visit<'a> {
    fn new(scene: &'a Scene, world: &'a FakeWorld, kv: &'a FakeKv<'a>) -> Self {
        Self {
            scene,
            world,
            kv,
            ledger: None,
            app: "SHOP",
            path: Cell::new("/shop/page"),
            query: Cell::default(),
            form: Cell::default(),
            codes: FakeCodes::new(world),
            referer: Cell::default(),
            cookies: RefCell::default(),
        }
    }

    fn request(&self, method: &str, is_navigation: bool, reply: FakeReply) -> Outcome {
        self.request_while(method, is_navigation, reply, None)
    }

    /// The same, and something happens between the request and its answer.
    fn request_while(
        &self,
        method: &str,
        is_navigation: bool,
        reply: FakeReply,
        meanwhile: Option<Box<dyn Fn()>>,
    ) -> Outcome {
        let origin = FakeOrigin {
            is_navigation,
            referer: self.referer.get(),
            form: self.form.get(),
            meanwhile,
            ..FakeOrigin::new(Ok(reply))
        };
        self.ask(method, origin)
    }

    fn ask(&self, method: &str, origin: FakeOrigin) -> Outcome {
        let app = testkit::app(&self.scene.config, self.app);
        let cookies = self.cookies.borrow().clone();
        let header = cookie::join(cookies.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let request = Request {
            method,
            arrived: self.world.now(),
            host: "app.example",
            path: self.path.get(),
            query: self.query.get(),
            url: "https://app.example/shop/page",
            cookies: header.as_deref().unwrap_or_default(),
        };
        let served = match self.ledger {
            None => self.serve(&self.kv.sessions(&app), &app, request, &origin),
            Some(ledger) => self.serve(&ledger.sessions(&app), &app, request, &origin),
        };
        let lines = match &served {
            Served::Own(own) => own.set_cookies.clone(),
            Served::Reply(reply, changes) => changes
                .set_cookies
                .clone()
                .unwrap_or_else(|| reply.set_cookies()),
        };
        let mut jar = self.cookies.borrow_mut();
        for line in lines {
            let line = SetCookie::parse(&line, self.world.now()).unwrap();
            assert!(!line.is_too_large(), "a browser would drop it");
            jar.retain(|(name, _)| *name != line.name);
            if !line.removes {
                jar.push((line.name, line.value));
            }
        }
        Outcome {
            served,
            forwarded: origin.seen.into_inner().pop(),
            came: header,
        }
    }

    fn serve(
        &self,
        sessions: &impl Sessions,
        app: &App,
        request: Request<'_>,
        origin: &FakeOrigin,
    ) -> Served<FakeReply> {
        let front = Front {
            world: self.world,
            sessions,
            codes: &self.codes,
            config: &self.scene.config,
            app,
            request,
        };
        let asked = || self.world.faults.count.get();
        let asked_before = asked();
        let served = block_on(front.serve(origin));
        let forwarded = origin.seen.borrow().last().cloned();
        let is_quiet = matches!(&served, Served::Reply(reply, _) if !reply.is_telling());
        if passes_at_once(app, &request) {
            assert_eq!(forwarded, Some(Forward::UNCHANGED));
            assert!(!is_quiet || asked() == asked_before);
        }
        if is_quiet && forwarded.is_some_and(|forward| forward.hands_over) {
            let changes =
                matches!(&served, Served::Reply(_, changes) if *changes == Changes::default());
            assert!(changes, "{served:?}");
        }
        served
    }

    fn get_at(&self, path: &'static str, headers: &[(&'static str, &str)]) -> Outcome {
        let before = self.path.replace(path);
        let outcome = self.get(headers);
        self.path.set(before);
        outcome
    }

    fn get(&self, headers: &[(&'static str, &str)]) -> Outcome {
        self.request("GET", true, FakeReply::ok(headers))
    }

    fn log_in(&self, token: &str, cookie: &str) -> Outcome {
        let line = format!("shop.sid={cookie}; Path=/shop; HttpOnly");
        self.get(&[(ANNOUNCEMENT, token), (SID, &line)])
    }

    fn log_out(&self, target: &serde_json::Value, at: Timestamp) {
        let app = testkit::app(&self.scene.config, self.app);
        let token = self.scene.signer.logout_token("shop", target, at);
        let delivery = testkit::delivery(&token);
        let answer = match self.ledger {
            None => self.deliver(&self.kv.sessions(&app), &app, delivery),
            Some(ledger) => self.deliver(&ledger.sessions(&app), &app, delivery),
        };
        assert_eq!(answer, logout::Answer::Done);
    }

    fn deliver(
        &self,
        sessions: &impl Sessions,
        app: &App,
        delivery: Delivery<'_, Bytes>,
    ) -> logout::Answer {
        block_on(logout::receive(self.world, sessions, app, delivery)).0
    }
}

/// A scene of its own for one test; it may live as long as the tests do.
fn visit() -> (
    &'static Scene,
    &'static FakeWorld,
    &'static FakeKv<'static>,
    Visit<'static>,
) {
    visit_with(&json!({}))
}

/// The same, with more fields for the app.
fn visit_with(
    shop: &Value,
) -> (
    &'static Scene,
    &'static FakeWorld,
    &'static FakeKv<'static>,
    Visit<'static>,
) {
    let scene = Box::leak(Box::new(Scene::with(shop)));
    let world = Box::leak(Box::new(FakeWorld::new()));
    let kv = Box::leak(Box::new(FakeKv::new(world)));
    (scene, world, kv, Visit::new(scene, world, kv))
}
