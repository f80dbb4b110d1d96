use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    app::{
        desk::Performer,
        ports::{Ended, Kv as _},
        testkit::{self, Bytes, FakeDesks, FakeKv, FakeWorld, Fault, NOW, OPERATOR_KEY, block_on},
    },
    domain::{
        desk::breaker::Held,
        session::{Birth, Session, SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};

struct Nobody;

impl Performer for Nobody {
    async fn perform(&self, _: &Held, _: Timestamp) -> Result<Ended, Unavailable> {
        Ok(Ended::default())
    }
}

struct InKv(&'static FakeKv<'static>);

impl Backends for InKv {
    fn sessions(&self, app: &App) -> impl Sessions {
        self.0.sessions(app)
    }

    async fn try_kv(&self) -> Result<(), Unavailable> {
        self.0.get_many(&["x".to_owned()]).await.map(drop)
    }

    async fn try_ledger(&self) -> Option<Result<(), Unavailable>> {
        None
    }
}

struct Scene {
    world: &'static FakeWorld,
    config: Config,
    backends: InKv,
    desks: FakeDesks<'static, Nobody>,
}

impl Scene {
    fn new() -> Self {
        let world: &'static FakeWorld = Box::leak(Box::new(FakeWorld::new()));
        Self {
            world,
            config: testkit::config(),
            backends: InKv(Box::leak(Box::new(FakeKv::new(world)))),
            desks: FakeDesks::new(world, Nobody),
        }
    }

    fn office(&self) -> Office<'_, FakeWorld, InKv, FakeDesks<'static, Nobody>> {
        let (config, desks) = (&self.config, Some(&self.desks));
        Office::at("app.example", self.world, config, &self.backends, desks).unwrap()
    }

    fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let key = format!("Bearer {OPERATOR_KEY}");
        block_on(self.office().answer(Request {
            method,
            path,
            query: "?app=SHOP",
            origin: "https://app.example",
            provenance: Provenance {
                header: Some("1"),
                ..Provenance::default()
            },
            authorization: Some(&key),
            assertion: None,
            content_type: Some("application/json; charset=utf-8"),
            content_encoding: None,
            body: Bytes(body),
        }))
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().into_bytes())
    }

    fn register(&self, sub: &str) -> Session {
        let app = testkit::app(&self.config, "SHOP");
        let session = Session {
            id: SessionId::from_random([1; 16]),
            subject: SubjectKey::of(&app, sub),
            sid: SidKey::of(&app, "s1"),
            login: NOW.minus(Duration::from_mins(1)),
            registered_at: NOW,
            expires: NOW.plus(app.session_lifetime),
        };
        let birth = Birth {
            session,
            authenticated_at: None,
            has_sid: true,
        };
        let registered = block_on(self.backends.sessions(&app).register(&birth));
        assert_eq!(registered, Ok(Ok(())));
        session
    }
}

#[test]
fn an_order_waits_two_minutes_for_its_confirmation() {
    for (waited, status) in [(119, 200), (120, 409)] {
        let scene = Scene::new();
        scene.register("alice");
        let mut order = json!({ "app": "SHOP", "sub": "alice" });
        let asked = scene.post("/end", &order);
        assert_eq!((asked.status, &asked.body["would_end"]), (200, &json!(1)));
        scene.world.pass(Duration::from_secs(waited));
        order["confirm"] = asked.body["confirm"].clone();
        assert_eq!(scene.post("/end", &order).status, status);
        let left = scene.backends.0.keys_of("session/").len();
        assert_eq!(left, usize::from(status != 200));
    }
}

#[test]
fn every_order_is_in_log_and_journal_with_who_gave_it() {
    let scene = Scene::new();
    let session = scene.register("alice");
    let mut order = json!({ "app": "SHOP", "sub": "alice" });
    order["confirm"] = scene.post("/end", &order).body["confirm"].clone();
    scene.post("/end", &order);
    order["sub"] = json!("bob");
    scene.post("/end", &order);
    let log = scene.world.log.take();
    let of = session.subject.0.short();
    for (line, code) in log.iter().zip(["operator_asked", "operator_ended"]) {
        let line: Value = serde_json::from_str(line).unwrap();
        let shown = (&line["code"], &line["class"], &line["by"], &line["of"]);
        assert_eq!(
            shown,
            (&json!(code), &json!("audit"), &json!("key"), &json!(of))
        );
    }
    assert!(!log.join("\n").contains("alice"));
    block_on(scene.office().tell());
    let journal = scene.ask("GET", "/journal", Vec::new()).body;
    let codes: Vec<_> = journal["entries"].as_array().unwrap().iter().collect();
    let codes: Vec<_> = codes.iter().map(|entry| entry["code"].as_str()).collect();
    let expected = ["operator_not_confirmed", "operator_ended", "operator_asked"];
    assert_eq!(codes, expected.map(Some));
}

#[test]
fn what_fails_is_an_outage_by_name() {
    let scene = Scene::new();
    scene
        .backends
        .0
        .fault
        .set(Some((usize::MAX, Fault::Before)));
    scene.desks.fault.set(Some(Fault::Before));
    let of_alice = json!({ "app": "SHOP", "sub": "alice" });
    for (answer, code) in [
        (scene.ask("GET", "/journal", Vec::new()), "desk_failed"),
        (scene.post("/sessions", &of_alice), "kv_failed"),
        (scene.post("/end", &of_alice), "kv_failed"),
    ] {
        let body = json!({ "error": "unavailable", "code": code });
        assert_eq!((answer.status, answer.body), (503, body));
    }
    // What needs none of them is told all the same, and the self-test says what is wrong.
    let overview = scene.ask("GET", "/overview", Vec::new());
    assert_eq!(overview.status, 200);
    // An outage does not look like "never".
    assert_eq!(overview.body["apps"][0]["code"], "desk_failed");
    assert_eq!(scene.ask("GET", "/test", Vec::new()).status, 200);
}

#[test]
fn a_body_has_an_end_and_says_that_it_is_json() {
    let scene = Scene::new();
    let mut body = br#"{"app":"SHOP","sub":"alice"}"#.to_vec();
    body.resize(limits::OPERATOR_BODY_BYTES, b' ');
    assert_eq!(scene.ask("POST", "/sessions", body.clone()).status, 200);
    body.push(b' ');
    assert_eq!(scene.ask("POST", "/sessions", body).status, 400);
}

#[test]
fn there_is_nobody_where_no_app_is() {
    let scene = Scene::new();
    for host in ["other.example", "app.example:8443", ""] {
        assert!(apps_at(&scene.config, host).is_empty());
    }
    assert_eq!(apps_at(&scene.config, "app.example").len(), 2);
}
