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

/// The values of a vector with its placeholders filled in.
fn fill(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("$now") {
            Some(offset) => json!(NOW.seconds() + offset.as_i64().unwrap()),
            None => members.iter().map(|(k, v)| (k.clone(), fill(v))).collect(),
        },
        Value::Array(list) => list.iter().map(fill).collect(),
        Value::String(text) => json!(text.replace("{issuer}", testkit::ISSUER)),
        other => other.clone(),
    }
}

fn token(signer: &Signer, base: &Value, row: &Value) -> String {
    if let Some(token) = row["token"].as_str() {
        return token.to_owned();
    }
    let header = row.get("header").unwrap_or(&base["header"]).to_string();
    let claims = if let Some(text) = row["text"].as_str() {
        let text = text.replace("{issuer}", testkit::ISSUER);
        let (iat, exp) = (NOW.seconds(), NOW.seconds() + 120);
        text.replace("{iat}", &iat.to_string())
            .replace("{exp}", &exp.to_string())
    } else {
        let mut claims = fill(&base["claims"]);
        for (name, value) in row["claims"].as_object().into_iter().flatten() {
            claims[name] = fill(value);
        }
        for name in row["without"].as_array().into_iter().flatten() {
            claims
                .as_object_mut()
                .unwrap()
                .remove(name.as_str().unwrap());
        }
        let mut claims = claims.to_string();
        if let Some(append) = row["append"].as_str() {
            claims.insert_str(claims.len() - 1, append);
        }
        claims
    };
    let token = signer.sign(&header, &claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    match row["signature"].as_str() {
        None => token,
        Some("empty") => format!("{signed}."),
        Some("flipped") => {
            let first = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{signed}.{first}{}", &signature[1..])
        }
        Some(other) => panic!("{other}"),
    }
}

fn run_vectors(vectors: &Value) {
    for row in vectors["rows"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let profile = row["profile"].as_str().unwrap_or("default");
        let scene = Scene::with(
            &vectors["profiles"][profile],
            &json!({ "session_sid": "optional" }),
        );
        let mut registered = BTreeMap::new();
        for (number, (key, fixture)) in (1..).zip(vectors["sessions"].as_object().unwrap()) {
            let text = |field: &str| fixture[field].as_str().unwrap();
            let login = fixture["login"].as_i64().unwrap();
            let sid = fixture["sid"].as_str();
            let session = scene.session(number, text("client"), text("sub"), sid, login);
            assert_eq!(scene.try_register(&session), Ok(Ok(())), "{key}");
            registered.insert(key.as_str(), session);
        }
        let before = scene.kv.keys();

        let (answer, unfinished) = scene.receive(&token(&scene.signer, &vectors["base"], row));
        assert!(unfinished.is_none(), "{name}");
        assert_eq!(
            scene.world.codes(),
            [row["code"].as_str().unwrap()],
            "{name}"
        );

        let ends = row.get("ends").map(|ends| ends.as_array().unwrap());
        if ends.is_some() {
            assert_eq!(answer, Answer::Done, "{name}");
        } else {
            assert!(matches!(answer, Answer::Refused(_)), "{name}");
            assert_eq!(
                scene.kv.keys(),
                before,
                "{name}: a refused token changes nothing"
            );
        }
        let ended: Vec<&str> = ends
            .into_iter()
            .flatten()
            .map(|end| end.as_str().unwrap())
            .collect();
        let belongs_to = |key: &str, session: &Session| key.ends_with(&session.id.to_string());
        let expected: Vec<_> = before
            .into_iter()
            .filter(|key| !ended.iter().any(|end| belongs_to(key, &registered[end])))
            .collect();
        assert_eq!(scene.entries(), expected, "{name}");
        for (key, session) in &registered {
            // Past the time in which a missing entry may be KV's lag.
            scene.world.clock.set(NOW.plus(limits::KV_ENTRY_LAG));
            assert_eq!(
                scene.is_alive(session),
                !ended.contains(key),
                "{name}: {key}"
            );
        }
    }
}

#[test]
fn every_vector_has_its_code_and_its_effect() {
    let rules = include_str!("../../../tests/vectors/logout_token.json");
    run_vectors(&serde_json::from_str(rules).unwrap());
}

#[test]
fn every_token_as_real_ops_send_it_is_judged_rightly() {
    let providers = include_str!("../../../tests/vectors/providers.json");
    run_vectors(&serde_json::from_str(providers).unwrap());
}

/// The OP sends once; whatever single call fails or hangs, the session is dead afterwards, nothing
/// of it stays in KV, and 200 was never said while it lived.
#[test]
fn no_single_fault_loses_a_logout() {
    for (target, calls) in [
        // Mark read and written, pending written, list, three deletions.
        (json!({ "sid": "s1" }), 7),
        (json!({ "sub": "alice" }), 7),
        (json!({ "sub": "alice", "sid": "s1" }), 7),
    ] {
        for fault in [Fault::Before, Fault::After, Fault::Hang] {
            for number in 0..=calls {
                let scene = Scene::new();
                let alice = scene.registered(1, "alice", Some("s1"), -60);
                let bob = scene.registered(2, "bob", Some("s3"), -60);
                scene.kv.calls.set(0);
                scene.kv.fault.set(Some((number, fault)));
                let what = format!("{target} {fault:?} at call {number}");

                let (answer, unfinished) = scene.receive(&scene.logout_token(&target));
                assert_eq!(scene.kv.calls.get() > number, number < calls, "{what}");
                scene.kv.fault.set(None);
                if answer == Answer::Done {
                    assert!(unfinished.is_none(), "{what}");
                    assert!(!scene.is_alive(&alice), "{what}: 200 means ended");
                } else {
                    assert!(matches!(answer, Answer::Unavailable(_)), "{what}");
                    scene.finish(unfinished.expect(&what));
                    let last = scene.world.codes().pop().unwrap();
                    assert_eq!(last, "logout_finished_late", "{what}");
                }
                scene.world.pass(limits::KV_ENTRY_LAG);
                scene.sweep();
                assert!(!scene.is_alive(&alice), "{what}");
                assert!(scene.is_alive(&bob), "{what}");
                assert_eq!(scene.entries().len(), 3, "{what}: only bob's are left");
                assert_eq!(scene.kv.keys_of("pending/"), Vec::<String>::new(), "{what}");
            }
        }
    }
}

/// Whatever single call of the sweep fails or hangs, the next run finishes what is left.
#[test]
fn no_single_fault_stops_the_tidying_up() {
    for fault in [Fault::Before, Fault::After, Fault::Hang] {
        for number in 0..8 {
            let scene = Scene::new();
            scene.kv.budget = 2;
            let alice = scene.registered(1, "alice", Some("s1"), -60);
            assert_eq!(
                scene
                    .receive(&scene.logout_token(&json!({ "sid": "s1" })))
                    .0,
                Answer::Done
            );
            assert_eq!(
                scene.entries().len(),
                3,
                "nothing was deleted with that budget"
            );
            assert!(!scene.is_alive(&alice));
            scene.kv.budget = 45;
            scene.world.pass(limits::KV_LIST_LAG);
            scene.kv.calls.set(0);
            scene.kv.fault.set(Some((number, fault)));
            scene.sweep();
            scene.sweep();
            let what = format!("{fault:?} at {number}");
            assert!(scene.kv.calls.get() > number, "{what}");
            assert_eq!(scene.entries(), Vec::<String>::new(), "{what}");
            assert_eq!(scene.kv.keys_of("pending/"), Vec::<String>::new(), "{what}");
            assert!(!scene.is_alive(&alice));
        }
    }
}

#[test]
fn a_store_that_stays_down_is_never_a_success() {
    let scene = Scene::new();
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    let (answer, unfinished) = scene.receive(&scene.logout_token(&json!({ "sid": "s1" })));
    assert_eq!(answer, Answer::Unavailable(Unavailable("kv_failed")));
    scene.finish(unfinished.unwrap());
    assert_eq!(scene.world.codes(), ["kv_failed", "logout_given_up"]);
}

#[test]
fn the_answer_comes_in_time_and_the_retries_end_in_time_even_if_the_store_hangs() {
    let scene = Scene::new();
    scene.kv.fault.set(Some((usize::MAX, Fault::Hang)));
    let (answer, unfinished) = scene.receive(&scene.logout_token(&json!({ "sid": "s1" })));
    assert_eq!(
        answer,
        Answer::Unavailable(Unavailable("deadline_exceeded"))
    );
    assert_eq!(scene.world.now(), NOW.plus(limits::BACK_CHANNEL_DEADLINE));
    let answered = scene.world.now();
    scene.finish(unfinished.unwrap());
    assert!(scene.world.now().since(answered) < Duration::from_secs(30));
    assert_eq!(scene.world.codes().last().unwrap(), "logout_given_up");
}

/// The deletion alone ends a session, and the mark alone does.
#[test]
fn deletion_and_mark_each_end_a_session_alone() {
    let scene = Scene::new();
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    let entry = scene.kv.keys_of("session/")[0].clone();
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sid": "s1" })))
            .0,
        Answer::Done
    );
    assert_eq!(scene.entries(), Vec::<String>::new());

    // The mark without the deletion.
    scene.kv.set(&entry, "{}", None);
    assert_eq!(scene.life(&alice), Ok(Life::Ended(EndedBy::Mark)));
    // The deletion without the mark.
    scene.kv.remove(&entry);
    scene.kv.remove(&scene.kv.keys_of("mark/")[0]);
    scene.world.pass(limits::KV_ENTRY_LAG);
    assert_eq!(scene.life(&alice), Ok(Life::Ended(EndedBy::Deletion)));
}

#[test]
fn every_page_of_the_index_is_read_and_foreign_entries_are_left_alone() {
    let scene = Scene::new();
    scene.kv.page_size = 3;
    for number in 1..=10 {
        scene.registered(number, "alice", Some(&number.to_string()), -60);
    }
    let prefix = scene.kv.keys_of("by-sub/")[0]
        .rsplit_once('/')
        .unwrap()
        .0
        .to_owned();
    let foreign = [
        format!("{prefix}/foreign"),
        format!("{prefix}/odd"),
        "pending/foreign".to_owned(),
        "unrelated".to_owned(),
    ];
    scene.kv.set(&foreign[0], "?", None);
    scene
        .kv
        .set(&foreign[1], "", Some(r#"{"login":"yesterday"}"#));
    scene.kv.set(&foreign[2], "", Some(r#"{"kind":"all"}"#));
    scene.kv.set(&foreign[3], "", None);
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sub": "alice" })))
            .0,
        Answer::Done
    );
    let line: Value = serde_json::from_str(&scene.world.log.take()[0]).unwrap();
    assert_eq!(
        (&line["matched"], &line["unreadable"]),
        (&json!(10), &json!(2))
    );
    scene.world.pass(limits::KV_LIST_LAG);
    scene.sweep();
    let mut left = scene.kv.keys();
    left.retain(|key| !key.starts_with("mark/"));
    assert_eq!(left, foreign);
}

#[test]
fn a_record_that_fails_holds_up_no_other() {
    let scene = Scene::new();
    for (number, sub) in (1..).zip(["alice", "bob", "carol"]) {
        let session = scene.registered(number, sub, Some(sub), -60);
        for key in scene.entries() {
            scene.kv.hide(&key);
        }
        assert_eq!(
            scene.receive(&scene.logout_token(&json!({ "sid": sub }))).0,
            Answer::Done
        );
        if sub == "alice" {
            scene.kv.set(&format!("mark/{}", session.sid.0), "?", None);
        }
    }
    scene.kv.show();
    scene.world.log.take();
    scene.world.pass(limits::KV_LIST_LAG);
    scene.sweep();
    let line: Value = serde_json::from_str(&scene.world.log.take()[0]).unwrap();
    assert_eq!((&line["finished"], &line["left"]), (&json!(2), &json!(1)));
    assert_eq!(scene.entries().len(), 3, "those of the one");
    assert_eq!(scene.kv.keys_of("pending/").len(), 1);
}

/// Its user is known by the session's index alone, and that is not to be seen yet.
#[test]
fn a_logout_widens_to_the_user_once_the_session_shows() {
    let scene = Scene::with(&json!({ "sid_scope": "sub" }), &json!({}));
    let alice = [1, 2].map(|n| scene.registered(n, "alice", Some(&format!("s{n}")), -60));
    for key in scene.entries() {
        scene.kv.hide(&key);
    }
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sid": "s1" })))
            .0,
        Answer::Done
    );
    assert!(!scene.is_alive(&alice[0]));
    assert!(scene.is_alive(&alice[1]), "nobody knows yet");
    scene.kv.show();
    scene.world.pass(limits::KV_LIST_LAG);
    scene.sweep();
    assert!(!scene.is_alive(&alice[1]));
    scene.world.pass(limits::KV_LIST_LAG);
    scene.sweep();
    assert_eq!(scene.entries(), Vec::<String>::new());
    assert_eq!(scene.kv.keys_of("pending/"), Vec::<String>::new());
}

/// KV has no compare-and-set: of two marks written at once the earlier may win. The deletions and
/// the sweep make up for it.
#[test]
fn of_two_logouts_at_once_both_take_effect_in_the_end() {
    let scene = Scene::new();
    let between = scene.registered(1, "alice", Some("s1"), 20);
    let sessions = scene.kv.sessions(&scene.shop);
    let scope = Scope::Subject(between.subject);
    let deadline = NOW.plus(limits::BACK_CHANNEL_DEADLINE);
    let [later, earlier] = [30, 0].map(|offset| Logout {
        at: Timestamp::from_seconds(NOW.seconds() + offset),
        valid_until: deadline,
    });
    let [later, earlier] = [&later, &earlier].map(|logout| sessions.end(&scope, logout, deadline));
    let (later, earlier) = block_on(futures_util::future::join(later, earlier));
    assert!(later.is_ok() && earlier.is_ok());
    assert_eq!(scene.entries(), Vec::<String>::new(), "deleted at once");
    scene.world.pass(limits::KV_LIST_LAG);
    scene.sweep();
    assert_eq!(scene.life(&between), Ok(Life::Ended(EndedBy::Mark)));
}

/// One mark ends them at once; the entries go as fast as the operations of a request allow.
#[test]
fn fifteen_hundred_sessions_end_by_one_mark_and_are_cleaned_without_a_lost_one() {
    let scene = Scene::new();
    scene.kv.budget = limits::KV_OPERATIONS;
    let sessions: Vec<_> = (1..=1500)
        .map(|number| scene.registered(number, "alice", Some(&number.to_string()), -60))
        .collect();
    let bob = scene.registered(2000, "bob", Some("b"), -60);
    scene.kv.calls.set(0);
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sub": "alice" })))
            .0,
        Answer::Done
    );
    let of_a_request = |calls: usize| calls <= limits::KV_OPERATIONS;
    assert!(
        of_a_request(scene.kv.calls.get()),
        "{}",
        scene.kv.calls.get()
    );
    assert!(sessions.iter().all(|session| !scene.is_alive(session)));
    assert!(scene.is_alive(&bob));
    let mut runs = 0;
    while !scene.kv.keys_of("pending/").is_empty() {
        scene.world.pass(limits::KV_LIST_LAG);
        scene.kv.calls.set(0);
        scene.sweep();
        assert!(
            of_a_request(scene.kv.calls.get()),
            "{}",
            scene.kv.calls.get()
        );
        runs += 1;
        assert!(runs < 200, "no end in sight");
    }
    assert_eq!(scene.entries().len(), 3, "only bob's are left");
    assert!(scene.is_alive(&bob));
}

#[test]
fn what_the_first_list_did_not_show_is_deleted_two_minutes_later() {
    let scene = Scene::new();
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    let later = scene.registered(2, "alice", Some("s1"), 61);
    let hidden: Vec<_> = scene.entries();
    for key in &hidden {
        scene.kv.hide(key);
    }
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sid": "s1" })))
            .0,
        Answer::Done
    );
    assert_eq!(scene.world.codes(), ["logout_matched_nothing"]);
    assert!(!scene.is_alive(&alice), "by the mark");
    scene.kv.show();
    assert_eq!(scene.entries(), hidden);
    scene
        .world
        .pass(limits::KV_LIST_LAG - Duration::from_secs(1));
    scene.sweep();
    assert_eq!(scene.entries(), hidden, "not yet");
    scene.world.pass(Duration::from_secs(1));
    scene.sweep();
    assert_eq!(scene.entries().len(), 3);
    assert!(scene.is_alive(&later), "a later session is left alone");
    assert_eq!(scene.world.codes(), ["sweep_done"]);
}

#[test]
fn sessions_without_a_sid_end_with_every_logout_of_their_user() {
    for (target, ends) in [
        (json!({ "sub": "alice", "sid": "s1" }), true),
        (json!({ "sub": "alice" }), true),
        (json!({ "sid": "s1" }), false),
        (json!({ "sub": "bob", "sid": "s1" }), false),
    ] {
        let scene = Scene::with(&json!({}), &json!({ "session_sid": "optional" }));
        let without = scene.registered(1, "alice", None, -60);
        let other = scene.registered(2, "alice", Some("s2"), -60);
        assert_eq!(scene.receive(&scene.logout_token(&target)).0, Answer::Done);
        scene.world.pass(limits::KV_ENTRY_LAG);
        assert_eq!(scene.is_alive(&without), !ends, "{target}");
        assert_eq!(
            scene.is_alive(&other),
            target.get("sid").is_some(),
            "{target}"
        );
    }
}

#[test]
fn a_sid_that_stands_for_its_user_ends_all_of_the_users_sessions() {
    let scene = Scene::with(&json!({ "sid_scope": "sub" }), &json!({}));
    let alice = [1, 2].map(|n| scene.registered(n, "alice", Some(&format!("s{n}")), -60));
    let bob = scene.registered(3, "bob", Some("s3"), -60);
    // The user is known by the session alone.
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sid": "s1" })))
            .0,
        Answer::Done
    );
    assert!(alice.iter().all(|session| !scene.is_alive(session)));
    assert!(scene.is_alive(&bob));
    // And by the token alone, where the session has gone.
    let target = json!({ "sid": "gone", "sub": "bob" });
    assert_eq!(scene.receive(&scene.logout_token(&target)).0, Answer::Done);
    assert!(!scene.is_alive(&bob));
}

#[test]
fn a_repeat_ends_only_what_the_first_could_have_ended() {
    let scene = Scene::new();
    let token = scene.logout_token(&json!({ "sub": "alice" }));
    assert_eq!(scene.receive(&token).0, Answer::Done);
    let later = scene.registered(1, "alice", Some("s9"), 3);
    assert_eq!(scene.receive(&token).0, Answer::Done);
    scene.world.pass(limits::KV_ENTRY_LAG);
    scene.sweep();
    assert!(scene.is_alive(&later));
}

#[test]
fn an_older_logout_that_comes_late_takes_no_mark_back() {
    let scene = Scene::new();
    for offset in [30, 0] {
        let logout = Timestamp::from_seconds(NOW.seconds() + offset);
        let token = scene
            .signer
            .logout_token("shop", &json!({ "sub": "alice" }), logout);
        assert_eq!(scene.receive(&token).0, Answer::Done);
    }
    let between = scene.session(1, "shop", "alice", Some("s1"), 20);
    assert_eq!(
        scene.try_register(&between),
        Ok(Err(BirthRefused::LoggedOut))
    );
    assert_eq!(scene.entries(), Vec::<String>::new());
}

#[test]
fn a_mark_that_cannot_be_read_is_an_outage() {
    let scene = Scene::new();
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    scene.kv.set(&format!("mark/{}", alice.sid.0), "?", None);
    let unreadable = Unavailable("kv_mark_unreadable");
    assert_eq!(scene.life(&alice), Err(unreadable));
    assert_eq!(scene.try_register(&alice), Err(unreadable));
    let (answer, order) = scene.receive(&scene.logout_token(&json!({ "sid": "s1" })));
    assert_eq!(answer, Answer::Unavailable(unreadable));
    assert!(order.is_some());
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
    fn deliver(scene: &Scene, delivery: Delivery<impl Body>) -> Answer {
        let sessions = scene.kv.sessions(&scene.shop);
        block_on(receive(scene.world, &sessions, &scene.shop, delivery)).0
    }
    let scene = Scene::new();
    let delivery = Delivery {
        method: "PUT".to_owned(),
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

#[test]
fn keys_that_cannot_be_had_are_an_outage_and_the_last_good_set_serves() {
    let scene = Scene::new();
    let world = scene.world;
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let documents = |body: Option<&str>| {
        let body = body.map(|body| (testkit::KEY_SET.to_owned(), body.to_owned()));
        world.documents.replace(body.into_iter().collect())
    };
    let good = documents(None);
    for (answer, code) in [
        (None, "op_unreachable"),
        (Some("<html>"), "op_document_malformed"),
        (Some(r#"{"keys":[]}"#), "jwks_without_usable_key"),
    ] {
        documents(answer);
        assert_eq!(
            scene.receive(&token).0,
            Answer::Unavailable(Unavailable(code))
        );
        world.pass(limits::KEY_SET_COOL_DOWN);
        assert_eq!(world.codes(), [code]);
    }
    world.documents.replace(good);
    assert_eq!(scene.receive(&token).0, Answer::Done);
    let fetches = world.fetches.get();
    assert_eq!(scene.receive(&token).0, Answer::Done);
    assert_eq!(world.fetches.get(), fetches, "the set is cached");

    documents(Some("<html>"));
    let claims = json!({
        "iss": testkit::ISSUER, "aud": "shop", "jti": "j", "sid": "s1",
        "iat": NOW.seconds(), "exp": NOW.seconds() + 120,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let unknown = scene
        .signer
        .sign(r#"{"alg":"RS256","kid":"op-2"}"#, &claims.to_string());
    assert_eq!(
        scene.receive(&unknown).0,
        Answer::Unavailable(Unavailable("op_document_malformed")),
        "nothing proves that the kid does not exist"
    );
    world.pass(limits::KEY_SET_COOL_DOWN);
    assert_eq!(
        scene.receive(&token).0,
        Answer::Done,
        "a bad answer replaced no good set"
    );
}

/// The OP sends once, while its own keys cannot be had.
#[test]
fn a_logout_is_performed_once_the_keys_are_there() {
    let scene = Scene::new();
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    let good = scene.world.documents.take();
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let (answer, unfinished) = scene.receive(&token);
    assert_eq!(answer, Answer::Unavailable(Unavailable("op_unreachable")));
    scene.world.documents.replace(good);
    scene.finish(unfinished.unwrap());
    assert_eq!(
        scene.world.codes(),
        ["op_unreachable", "logout_finished_late"]
    );
    assert!(!scene.is_alive(&alice));
}

#[test]
fn a_token_that_turns_out_wrong_is_refused_late() {
    let scene = Scene::new();
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    let good = scene.world.documents.take();
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, unfinished) = scene.receive(&format!("{signed}.AAAA"));
    scene.world.documents.replace(good);
    scene.finish(unfinished.unwrap());
    assert_eq!(scene.world.codes(), ["op_unreachable", "signature_invalid"]);
    assert!(scene.is_alive(&alice));
}

#[test]
fn so_many_tokens_wait_for_keys_and_no_more() {
    let scene = Scene::new();
    scene.world.documents.take();
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let waiting = (0..100).filter(|_| {
        let now = scene.world.now();
        let is_waiting = scene.receive(&token).1.is_some();
        scene.world.clock.set(now);
        is_waiting
    });
    assert_eq!(waiting.count(), limits::UNVERIFIED_RETRIES);
    scene.world.pass(limits::BACKGROUND_TIME);
    assert!(scene.receive(&token).1.is_some(), "there is room again");
}

#[test]
fn what_is_not_performed_is_logged_as_pending() {
    let scene = Scene::new();
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    let (_, unfinished) = scene.receive(&scene.logout_token(&json!({ "sid": "s1" })));
    scene.finish(unfinished.unwrap());
    let log = scene.world.log.take();
    assert_eq!(log.len(), 2);
    for line in log {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["class"], "logout_pending");
        assert_eq!(line["of"].as_str().map(str::len), Some(12));
    }
}

#[test]
fn a_mark_lasts_as_long_as_any_session_it_covers() {
    let scene = Scene::new();
    // It begins as late as a login may, and ends with its lifetime.
    scene.world.clock.set(NOW);
    let mut late = scene.session(1, "shop", "alice", Some("s1"), 0);
    late.registered_at = NOW.plus(limits::LOGIN_MAX_AGE);
    late.expires = late.registered_at.plus(limits::SESSION_LIFETIME);
    assert_eq!(
        scene
            .receive(&scene.logout_token(&json!({ "sid": "s1" })))
            .0,
        Answer::Done
    );
    scene
        .world
        .clock
        .set(late.expires.minus(Duration::from_millis(1)));
    assert_eq!(scene.life(&late), Ok(Life::Ended(EndedBy::Mark)));
}

/// Without a `kid` nothing says that a token is of a new key, and some OPs reuse one: the key set
/// is fetched once more before such a token is refused, and only then.
#[test]
fn a_key_that_was_rotated_without_a_new_kid_is_found() {
    for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","kid":"op-1"}"#] {
        let scene = Scene::new();
        let world = scene.world;
        let old = [(testkit::KEY_SET.to_owned(), testkit::other_key_set())];
        let new = world.documents.replace(old.into());
        let claims = json!({
            "iss": testkit::ISSUER, "aud": "shop", "jti": "j", "sid": "s1",
            "iat": NOW.seconds(), "exp": NOW.seconds() + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        let token = scene.signer.sign(header, &claims.to_string());
        assert_eq!(scene.receive(&token).0, Answer::Refused(Refusal::Signature));
        assert_eq!(
            world.fetches.get(),
            1,
            "that set was new enough to refuse by"
        );
        world.documents.replace(new);
        world.pass(limits::KEY_REUSE_CHECK);
        assert_eq!(scene.receive(&token).0, Answer::Done, "{header}");
        assert_eq!(world.fetches.get(), 2);
    }
}

#[test]
fn bad_signatures_of_a_known_kid_do_not_become_fetches() {
    let scene = Scene::new();
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let (signed, _) = token.rsplit_once('.').unwrap();
    for _ in 0..150 {
        let (answer, _) = scene.receive(&format!("{signed}.AAAA"));
        assert_eq!(answer, Answer::Refused(Refusal::Signature));
        scene.world.pass(Duration::from_millis(100));
    }
    assert_eq!(scene.world.fetches.get(), 2, "in fifteen seconds");
}

#[test]
fn a_withdrawn_key_serves_no_longer_than_its_set() {
    let scene = Scene::new();
    let world = scene.world;
    let token = |at| {
        scene
            .signer
            .logout_token("shop", &json!({ "sid": "s1" }), at)
    };
    assert_eq!(scene.receive(&token(NOW)).0, Answer::Done);
    let other = testkit::other_key_set().replace("op-1", "op-2");
    world
        .documents
        .replace([(testkit::KEY_SET.to_owned(), other)].into());
    world.pass(limits::KEY_SET_LIFETIME - Duration::from_millis(1));
    assert_eq!(scene.receive(&token(world.now())).0, Answer::Done);
    world.pass(Duration::from_millis(1));
    let answer = scene.receive(&token(world.now())).0;
    assert_eq!(answer, Answer::Refused(Refusal::KeyUnknown));
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

/// A token whose signature is wrong.
fn forged(scene: &Scene) -> String {
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    format!("{}.AAAA", token.rsplit_once('.').unwrap().0)
}

#[test]
fn senders_of_forged_tokens_are_limited_and_nobody_else() {
    let scene = Scene::new();
    let world = scene.world;
    let sessions = scene.kv.sessions(&scene.shop);
    let from = |address: &str, token: &str| {
        let sender = Sender {
            address: Some(address.to_owned()),
            worker: None,
        };
        let delivery = Delivery {
            sender,
            ..testkit::delivery(token)
        };
        block_on(receive(world, &sessions, &scene.shop, delivery))
    };
    let genuine = scene.logout_token(&json!({ "sid": "s1" }));
    let forged = forged(&scene);
    let refused = Answer::Refused(Refusal::Signature);
    let limited = Answer::Unavailable(Unavailable("rate_limited"));
    world.room.set(Some(0));
    for _ in 0..1000 {
        assert_eq!(from("192.0.2.1", &genuine).0, Answer::Done);
    }
    assert_eq!(world.asked_for_room.get(), 0, "an OP's own burst");

    assert_eq!(from("192.0.2.2", &forged).0, refused);
    world.codes();
    let (answer, unfinished) = from("192.0.2.2", &forged);
    assert_eq!(answer, limited);
    assert!(unfinished.is_none(), "nobody knows whether it is genuine");
    assert_eq!(
        world.log.take(),
        [r#"{"code":"rate_limited","class":"refused","app":"SHOP"}"#]
    );
    assert_eq!(from("192.0.2.1", &genuine).0, Answer::Done);
    assert_eq!(world.asked_for_room.get(), 1);

    // What costs nothing is told as before.
    let garbage = Answer::Refused(Refusal::TokenMalformed);
    assert_eq!(from("192.0.2.2", "garbage").0, garbage);
    assert_eq!(world.asked_for_room.get(), 1);

    world.room.set(Some(1));
    assert_eq!(from("192.0.2.2", &genuine).0, Answer::Done);
    assert_eq!(from("192.0.2.2", &genuine).0, Answer::Done, "trusted again");
    assert_eq!(from("192.0.2.2", &forged).0, refused);
    assert_eq!(from("192.0.2.2", &forged).0, limited);
    world.pass(limits::SUSPICION);
    assert_eq!(from("192.0.2.2", &forged).0, refused, "forgotten");
}

#[test]
fn a_rate_limit_that_fails_lets_through() {
    let scene = Scene::new();
    let refused = Answer::Refused(Refusal::Signature);
    for _ in 0..2 {
        assert_eq!(scene.receive(&forged(&scene)).0, refused);
    }
    assert_eq!(
        scene.world.codes(),
        [
            "signature_invalid",
            "rate_limit_failed",
            "signature_invalid"
        ]
    );
}

/// What was verified is not limited, nor held against its sender, when the store fails.
#[test]
fn no_limit_stands_between_a_verified_logout_and_its_end() {
    let scene = Scene::new();
    scene.world.room.set(Some(1));
    assert_eq!(
        scene.receive(&forged(&scene)).0,
        Answer::Refused(Refusal::Signature)
    );
    let alice = scene.registered(1, "alice", Some("s1"), -60);
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    let (answer, unfinished) = scene.receive(&token);
    assert_eq!(answer, Answer::Unavailable(Unavailable("kv_failed")));
    scene.kv.fault.set(None);
    scene.finish(unfinished.unwrap());
    assert!(!scene.is_alive(&alice));
    assert_eq!(scene.receive(&token).0, Answer::Done);
    assert_eq!(scene.world.asked_for_room.get(), 1);
}

/// Keys that cannot be had say nothing about a token, and nothing about its sender.
#[test]
fn an_outage_of_the_keys_makes_nobody_suspect() {
    let scene = Scene::new();
    let good = scene.world.documents.take();
    let token = scene.logout_token(&json!({ "sid": "s1" }));
    let (answer, _) = scene.receive(&token);
    assert_eq!(answer, Answer::Unavailable(Unavailable("op_unreachable")));
    scene.world.documents.replace(good);
    scene.world.pass(limits::KEY_SET_COOL_DOWN);
    assert_eq!(scene.receive(&token).0, Answer::Done);
    assert_eq!(scene.world.asked_for_room.get(), 0);
}
