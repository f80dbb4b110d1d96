use std::{rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::{
    confirm,
    order::{Body, Given, Order, Whom, Wrong},
    *,
};
use crate::{
    app::testkit::{self, NOW},
    domain::{
        config::{App, Config},
        limits,
        session::{SessionId, SidKey, SubjectKey},
    },
};

const ORIGIN: &str = "https://app.example";

#[test]
fn a_request_comes_from_our_own_page_or_from_none() {
    let is_own = |header, origin, site| {
        let provenance = Provenance {
            header,
            origin,
            site,
        };
        provenance.is_own(ORIGIN)
    };
    let mark = Some("1");
    for (origin, site) in [
        (None, None),
        (Some(ORIGIN), Some("same-origin")),
        (None, Some("none")),
    ] {
        assert!(is_own(mark, origin, site));
        assert!(!is_own(None, origin, site) && !is_own(Some("0"), origin, site));
    }
    for (origin, site) in [
        (Some("https://app.example:8443"), None),
        (Some("http://app.example"), None),
        (Some("https://app.example.evil.example"), None),
        (Some("null"), None),
        (Some(""), None),
        (Some(ORIGIN), Some("cross-site")),
        (None, Some("same-site")),
        (None, Some("Same-Origin")),
    ] {
        assert!(!is_own(mark, origin, site), "{origin:?} {site:?}");
    }
}

struct Scene {
    config: Config,
}

impl Scene {
    fn new() -> Self {
        Self {
            config: testkit::config(),
        }
    }

    fn shop(&self) -> Rc<App> {
        testkit::app(&self.config, "SHOP")
    }

    fn body(&self, body: &Value) -> Body<'_> {
        Body::parse(body.to_string().as_bytes(), &self.config.apps).unwrap()
    }

    fn end(&self, body: &Value) -> Result<Given, Wrong> {
        self.body(body).into_end(NOW)
    }

    fn whom(&self, sub: &str) -> Order {
        Order::End(
            self.shop(),
            Whom::Subject(SubjectKey::of(&self.shop(), sub)),
        )
    }
}

#[test]
fn a_confirmation_is_of_one_order_by_one_operator_for_two_minutes() {
    let scene = Scene::new();
    let keys = &scene.config.seal_keys;
    let order = scene.whom("alice");
    let somebody = Identity::Access(Digest::of("operator", &["a"]));
    let (token, expires) = confirm::issue(keys, &Identity::Key, &order, NOW);
    assert_eq!(expires, NOW.plus(limits::CONFIRMATION));
    let last = expires.minus(Duration::from_millis(1));
    for now in [NOW, last] {
        assert!(confirm::holds(keys, &Identity::Key, &order, &token, now));
        assert!(!confirm::holds(keys, &somebody, &order, &token, now));
        for other in [
            scene.whom("bob"),
            Order::Before(vec![scene.shop()], NOW),
            Order::Release(scene.shop().issuer.clone()),
            Order::Discard(scene.shop().issuer.clone()),
        ] {
            assert!(!confirm::holds(keys, &Identity::Key, &other, &token, now));
        }
    }
    assert!(!confirm::holds(
        keys,
        &Identity::Key,
        &order,
        &token,
        expires
    ));
    let others = testkit::config_with_keys(&json!([
        { "id": "k1", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    ]));
    let others = &others.seal_keys;
    assert!(!confirm::holds(others, &Identity::Key, &order, &token, NOW));
    for end in 0..token.len() {
        assert!(!confirm::holds(
            keys,
            &Identity::Key,
            &order,
            &token[..end],
            NOW
        ));
    }
}

#[test]
fn no_two_orders_have_one_text() {
    let scene = Scene::new();
    let (shop, wiki) = (scene.shop(), testkit::app(&scene.config, "WIKI"));
    let subject = SubjectKey::of(&shop, "alice");
    let (one, two) = (
        SessionId::from_random([1; 16]),
        SessionId::from_random([2; 16]),
    );
    let later = NOW.plus(Duration::from_millis(1));
    let orders = [
        Order::End(shop.clone(), Whom::Subject(subject)),
        Order::End(wiki.clone(), Whom::Subject(subject)),
        Order::End(shop.clone(), Whom::Sid(SidKey(subject.0))),
        Order::End(shop.clone(), Whom::Session(subject, one)),
        Order::End(shop.clone(), Whom::Session(subject, two)),
        Order::Before(vec![shop.clone()], NOW),
        Order::Before(vec![shop.clone()], later),
        Order::Before(vec![shop.clone(), wiki], NOW),
        Order::Release(shop.issuer.clone()),
        Order::Discard(shop.issuer.clone()),
    ];
    let mut texts: Vec<_> = orders.iter().map(Order::to_text).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), orders.len());
}

#[test]
fn a_body_says_what_is_meant_and_identifiers_become_hashes() {
    let scene = Scene::new();
    let shop = scene.shop();
    let (subject, sid) = (SubjectKey::of(&shop, "alice"), SidKey::of(&shop, "s1"));
    let id = SessionId::from_random([7; 16]);
    for (body, whom) in [
        (json!({ "sub": "alice" }), Whom::Subject(subject)),
        (
            json!({ "subject": subject.0.to_string() }),
            Whom::Subject(subject),
        ),
        (json!({ "sid": "s1" }), Whom::Sid(sid)),
        (json!({ "sid_hash": sid.0.to_string() }), Whom::Sid(sid)),
        (
            json!({ "session": id.to_string(), "subject": subject.0.to_string() }),
            Whom::Session(subject, id),
        ),
    ] {
        let mut body = body;
        body["app"] = json!("SHOP");
        let given = scene.end(&body).unwrap();
        assert_eq!(given.order, Order::End(shop.clone(), whom));
        assert_eq!(given.confirmation, None);
        if body.get("session").is_none() {
            let search = scene.body(&body).into_search();
            assert_eq!(search, Ok((shop.clone(), whom)));
        }
    }
    let before = json!({ "issuer": "MAIN", "before": NOW, "confirm": "c" });
    assert_eq!(
        scene.end(&before),
        Ok(Given {
            order: Order::Before(scene.config.apps.clone(), NOW),
            confirmation: Some("c".to_owned()),
        })
    );
    let held = json!({ "issuer": "MAIN", "action": "discard" });
    let given = scene.body(&held).into_held().unwrap();
    assert_eq!(given.order, Order::Discard(shop.issuer.clone()));
}

#[test]
fn a_body_that_says_too_little_or_too_much_is_refused_by_field() {
    let scene = Scene::new();
    let key = Digest::of("sub", &["x"]).to_string();
    for (body, field) in [
        (json!({}), "app"),
        (json!({ "app": "NOBODY", "sub": "a" }), "app"),
        (json!({ "app": 1, "sub": "a" }), "app"),
        (json!({ "app": "SHOP" }), "sub"),
        (json!({ "app": "SHOP", "sub": "" }), "sub"),
        (json!({ "app": "SHOP", "sub": "a", "sid": "b" }), "sub"),
        (json!({ "app": "SHOP", "sub": "a", "subject": key }), "sub"),
        (json!({ "app": "SHOP", "subject": "a" }), "subject"),
        (json!({ "app": "SHOP", "sid_hash": "a" }), "sid_hash"),
        (
            json!({ "app": "SHOP", "session": "a", "subject": key }),
            "session",
        ),
        (
            json!({ "app": "SHOP", "session": "A".repeat(22) }),
            "subject",
        ),
        (json!({ "app": "SHOP", "sub": "a", "before": 1 }), ""),
        (json!({ "app": "SHOP", "sub": "a", "more": 1 }), ""),
        (
            json!({ "app": "SHOP", "sub": "a", "confirm": 1 }),
            "confirm",
        ),
        (
            json!({ "app": "SHOP", "before": NOW.millis() + 1 }),
            "before",
        ),
        (json!({ "app": "SHOP", "before": -1 }), "before"),
        (json!({ "app": "SHOP", "before": 1.5 }), "before"),
        (json!({ "issuer": "MAIN" }), "before"),
        (json!({ "issuer": "MAIN", "sub": "a" }), "before"),
        (json!({ "issuer": "OTHER", "before": 1 }), "issuer"),
        (
            json!({ "issuer": "MAIN", "app": "SHOP", "before": 1 }),
            "issuer",
        ),
        (json!({ "before": 1 }), "app"),
    ] {
        assert_eq!(scene.end(&body), Err(Wrong(field)), "{body}");
    }
    for body in ["", "null", "[]", "{", "{}{}", "\"app\"", "\u{feff}{}"] {
        let parsed = Body::parse(body.as_bytes(), &scene.config.apps);
        assert!(matches!(parsed, Err(Wrong(""))), "{body}");
    }
}
