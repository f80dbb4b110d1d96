mod faults;
mod keys;
mod limit;
mod sessions;
mod vectors;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    app::testkit::{self, Bytes, FakeKv, FakeWorld, Fault, NOW, Signer, block_on},
    domain::session::{Birth, BirthRefused, EndedBy, Life, Session, SessionId, SidKey, SubjectKey},
};

/// A Worker, its KV, and an OP. It may live as long as the tests do.
struct Scene {
    world: &'static FakeWorld,
    kv: &'static mut FakeKv<'static>,
    shop: Rc<App>,
    wiki: Rc<App>,
    signer: Signer,
}

impl Scene {
    fn new() -> Self {
        Self::with(&json!({}), &json!({}))
    }

    fn with(issuer: &Value, shop: &Value) -> Self {
        let config = testkit::config_with(issuer, shop);
        let world: &'static FakeWorld = Box::leak(Box::new(FakeWorld::new()));
        Self {
            world,
            kv: Box::leak(Box::new(FakeKv::new(world))),
            shop: testkit::app(&config, "SHOP"),
            wiki: testkit::app(&config, "WIKI"),
            signer: Signer::new(),
        }
    }

    /// A session that began `login` seconds from [`NOW`]; no `sid` is none.
    fn session(
        &self,
        number: u16,
        client: &str,
        sub: &str,
        sid: Option<&str>,
        login: i64,
    ) -> Session {
        let app = if client == "shop" {
            &self.shop
        } else {
            &self.wiki
        };
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Session {
            id: SessionId::from_random(id),
            subject: SubjectKey::of(app, sub),
            sid: sid.map_or_else(|| SidKey::absent(app, sub), |sid| SidKey::of(app, sid)),
            login: Timestamp::from_seconds(NOW.seconds() + login),
            registered_at: NOW,
            expires: NOW.plus(app.session_lifetime),
        }
    }

    fn try_register(&self, session: &Session) -> Result<Result<(), BirthRefused>, Unavailable> {
        block_on(self.kv.sessions(&self.shop).register(&Birth {
            session: *session,
            authenticated_at: Some(session.login),
            has_sid: true,
        }))
    }

    fn registered(&self, number: u16, sub: &str, sid: Option<&str>, login: i64) -> Session {
        let session = self.session(number, "shop", sub, sid, login);
        assert_eq!(self.try_register(&session), Ok(Ok(())));
        session
    }

    fn logout_token(&self, target: &Value) -> String {
        self.signer.logout_token("shop", target, NOW)
    }

    fn receive(&self, token: &str) -> (Answer, Option<Unfinished>) {
        let sessions = self.kv.sessions(&self.shop);
        block_on(receive(
            self.world,
            &sessions,
            &self.shop,
            testkit::delivery(token),
        ))
    }

    fn finish(&self, unfinished: Unfinished) {
        let sessions = self.kv.sessions(&self.shop);
        block_on(finish(self.world, &sessions, &self.shop, unfinished));
    }

    fn sweep(&self) {
        block_on(sweep(self.world, &self.kv.sessions(&self.wiki)));
    }

    fn life(&self, session: &Session) -> Result<Life, Unavailable> {
        block_on(self.kv.sessions(&self.shop).alive(session))
    }

    fn is_alive(&self, session: &Session) -> bool {
        self.life(session) == Ok(Life::Alive)
    }

    /// Everything of sessions that KV holds.
    fn entries(&self) -> Vec<String> {
        let mut keys = self.kv.keys();
        keys.retain(|key| !key.starts_with("mark/") && !key.starts_with("pending/"));
        keys
    }
}

#[test]
fn nothing_is_fetched_for_what_fails_a_cheap_check() {
    let scene = Scene::new();
    let expired = Timestamp::from_seconds(NOW.seconds() - 3600);
    for token in [
        "garbage".to_owned(),
        scene
            .signer
            .logout_token("wiki", &json!({ "sid": "s1" }), NOW),
        scene
            .signer
            .logout_token("shop", &json!({ "sid": "s1" }), expired),
        scene.signer.id_token("shop", "alice", Some("s1"), NOW),
    ] {
        assert!(matches!(scene.receive(&token).0, Answer::Refused(_)));
        assert_eq!((scene.world.fetches.get(), scene.kv.calls.get()), (0, 0));
    }
}

#[test]
fn what_is_no_form_post_is_refused_before_its_body_is_read() {
    struct Untouched;
    impl Body for Untouched {
        async fn read(self, _: usize) -> Result<Vec<u8>, Refusal> {
            panic!("the body was read");
        }
    }
    struct Slow;
    impl Body for Slow {
        async fn read(self, _: usize) -> Result<Vec<u8>, Refusal> {
            std::future::pending().await
        }
    }
    fn deliver(scene: &Scene, delivery: Delivery<'_, impl Body>) -> Answer {
        let sessions = scene.kv.sessions(&scene.shop);
        block_on(receive(scene.world, &sessions, &scene.shop, delivery)).0
    }
    let scene = Scene::new();
    let delivery = Delivery {
        method: "PUT",
        content_type: None,
        content_encoding: None,
        sender: Sender::default(),
        body: Untouched,
    };
    assert_eq!(deliver(&scene, delivery), Answer::Refused(Refusal::Method));

    let delivery = testkit::delivery("");
    let large = Bytes(vec![b'a'; limits::LOGOUT_BODY_BYTES + 1]);
    let delivery = Delivery {
        body: large,
        ..delivery
    };
    assert_eq!(
        deliver(&scene, delivery),
        Answer::Refused(Refusal::BodyTooLarge)
    );

    let Delivery {
        method,
        content_type,
        ..
    } = testkit::delivery("");
    let delivery = Delivery {
        method,
        content_type,
        content_encoding: None,
        sender: Sender::default(),
        body: Slow,
    };
    assert_eq!(
        deliver(&scene, delivery),
        Answer::Refused(Refusal::BodyTooSlow)
    );
    assert_eq!(scene.world.now(), NOW.plus(limits::BODY_DEADLINE));
}

/// Not accepted on or after `exp`, with the clocks' tolerance (RFC 7519 section 4.1.4).
#[test]
fn times_are_judged_to_the_millisecond() {
    let skew = limits::CLOCK_SKEW;
    let tick = Duration::from_millis(1);
    let expires = NOW.plus(Duration::from_mins(2));
    for (now, expected) in [
        (expires.plus(skew).minus(tick), Answer::Done),
        (expires.plus(skew), Answer::Refused(Refusal::Expired)),
        (NOW.minus(skew), Answer::Done),
        (
            NOW.minus(skew).minus(tick),
            Answer::Refused(Refusal::IssuedInFuture),
        ),
    ] {
        let scene = Scene::new();
        scene.world.clock.set(now);
        let token = scene.logout_token(&json!({ "sid": "s1" }));
        assert_eq!(scene.receive(&token).0, expected, "{now:?}");
    }
}
