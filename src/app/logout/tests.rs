use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    app::testkit::{self, Bytes, FakeKv, FakeWorld, Fault, NOW, Signer, block_on},
    domain::{
        config::Config,
        session::{Life, Session, SessionId},
    },
};

fn session(config: &Config, number: u8, client: &str, sub: &str, sid: &str, login: i64) -> Session {
    let app = testkit::app(config, &client.to_uppercase());
    let login = Timestamp::from_seconds(NOW.seconds() + login);
    Session {
        id: SessionId::from_random([number; 16]),
        subject: SubjectKey::of(&app, sub),
        sid: SidKey::of(&app, sid),
        login,
        registered_at: NOW,
        expires: NOW.plus(app.session_lifetime),
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

#[test]
fn every_vector_has_its_code_and_its_effect() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/logout_token.json")).unwrap();
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let signer = Signer::new();
    for row in vectors["rows"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let world = FakeWorld::new();
        let kv = FakeKv::new(&world);
        let sessions = kv.sessions(&shop);
        let mut registered = BTreeMap::new();
        for (number, (key, fixture)) in (1..).zip(vectors["sessions"].as_object().unwrap()) {
            let text = |field: &str| fixture[field].as_str().unwrap();
            let login = fixture["login"].as_i64().unwrap();
            let (client, sub, sid) = (text("client"), text("sub"), text("sid"));
            let session = session(&config, number, client, sub, sid, login);
            assert_eq!(block_on(sessions.register(&session)), Ok(Ok(())), "{key}");
            registered.insert(key.as_str(), session);
        }
        let before = kv.keys();

        let token = token(&signer, &vectors["base"], row);
        let (answer, unfinished) =
            block_on(receive(&world, &sessions, &shop, testkit::delivery(&token)));
        assert!(unfinished.is_none(), "{name}");
        assert_eq!(world.codes(), [row["code"].as_str().unwrap()], "{name}");

        let ended: Vec<&str> = row["ends"].as_array().map_or_else(Vec::new, |ends| {
            ends.iter().map(|end| end.as_str().unwrap()).collect()
        });
        if row.get("ends").is_some() {
            assert_eq!(answer, Answer::Done, "{name}");
        } else {
            assert!(matches!(answer, Answer::Refused(_)), "{name}");
            assert_eq!(kv.keys(), before, "{name}: a refused token changes nothing");
        }
        let belongs_to = |key: &str, session: &Session| key.ends_with(&session.id.to_string());
        let expected: Vec<_> = before
            .into_iter()
            .filter(|key| !ended.iter().any(|end| belongs_to(key, &registered[end])))
            .collect();
        let marks = kv.keys_of("mark/");
        let left: Vec<_> = kv
            .keys()
            .into_iter()
            .filter(|key| !marks.contains(key))
            .collect();
        assert_eq!(left, expected, "{name}");
        assert_eq!(marks.len(), usize::from(answer == Answer::Done), "{name}");
        for (key, session) in &registered {
            // Past the time in which a missing entry may be KV's lag.
            world.clock.set(NOW.plus(limits::KV_ENTRY_LAG));
            let alive = block_on(sessions.alive(session)) == Ok(Life::Alive);
            assert_eq!(alive, !ended.contains(key), "{name}: {key}");
        }
    }
}

struct Scene {
    world: FakeWorld,
    config: Config,
    token: String,
}

impl Scene {
    fn new(target: &Value) -> Self {
        let signer = Signer::new();
        Self {
            world: FakeWorld::new(),
            config: testkit::config(),
            token: signer.logout_token("shop", target, NOW),
        }
    }
}

/// The OP sends once; whatever single call fails or hangs, the session is dead afterwards, and
/// 200 was never said before.
#[test]
fn no_single_fault_loses_a_logout() {
    for target in [
        json!({ "sid": "s1" }),
        json!({ "sub": "alice" }),
        json!({ "sub": "alice", "sid": "s1" }),
    ] {
        for fault in [Fault::Before, Fault::After, Fault::Hang] {
            let mut number = 0;
            loop {
                let scene = Scene::new(&target);
                let shop = testkit::app(&scene.config, "SHOP");
                let kv = FakeKv::new(&scene.world);
                let sessions = kv.sessions(&shop);
                let alice = session(&scene.config, 1, "shop", "alice", "s1", -60);
                let bob = session(&scene.config, 2, "shop", "bob", "s3", -60);
                for session in [&alice, &bob] {
                    assert_eq!(block_on(sessions.register(session)), Ok(Ok(())));
                }
                kv.calls.set(0);
                kv.fault.set(Some((number, fault)));
                let what = format!("{target} {fault:?} at call {number}");

                let delivery = testkit::delivery(&scene.token);
                let (answer, unfinished) =
                    block_on(receive(&scene.world, &sessions, &shop, delivery));
                if kv.calls.get() <= number {
                    assert_eq!(answer, Answer::Done, "{what}: past the last call");
                    assert!(
                        number >= 5,
                        "{what}: mark, list and three deletions at least"
                    );
                    break;
                }
                assert!(matches!(answer, Answer::Unavailable(_)), "{what}");
                let order = unfinished.expect(&what);
                block_on(finish(&scene.world, &sessions, &shop, order));
                assert_eq!(
                    scene.world.codes().last().unwrap(),
                    "logout_finished_late",
                    "{what}"
                );
                for lag in [Duration::ZERO, limits::KV_ENTRY_LAG] {
                    scene.world.pass(lag);
                    assert!(
                        matches!(block_on(sessions.alive(&alice)), Ok(Life::Ended(_))),
                        "{what}"
                    );
                    assert_eq!(block_on(sessions.alive(&bob)), Ok(Life::Alive), "{what}");
                }
                assert_eq!(kv.keys_of("session/").len(), 1, "{what}");
                assert_eq!(kv.keys_of("by-").len(), 2, "{what}");
                number += 1;
            }
        }
    }
}

#[test]
fn a_store_that_stays_down_is_never_a_success() {
    let scene = Scene::new(&json!({ "sid": "s1" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let kv = FakeKv::new(&scene.world);
    let sessions = kv.sessions(&shop);
    kv.fault.set(Some((usize::MAX, Fault::Before)));
    let delivery = testkit::delivery(&scene.token);
    let (answer, unfinished) = block_on(receive(&scene.world, &sessions, &shop, delivery));
    assert_eq!(answer, Answer::Unavailable(Unavailable("kv_failed")));
    block_on(finish(&scene.world, &sessions, &shop, unfinished.unwrap()));
    assert_eq!(scene.world.codes(), ["kv_failed", "logout_given_up"]);
}

#[test]
fn the_answer_comes_in_time_even_if_the_store_hangs() {
    let scene = Scene::new(&json!({ "sid": "s1" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let kv = FakeKv::new(&scene.world);
    kv.fault.set(Some((usize::MAX, Fault::Hang)));
    let delivery = testkit::delivery(&scene.token);
    let sessions = kv.sessions(&shop);
    let (answer, _) = block_on(receive(&scene.world, &sessions, &shop, delivery));
    assert_eq!(
        answer,
        Answer::Unavailable(Unavailable("deadline_exceeded"))
    );
    assert_eq!(scene.world.now(), NOW.plus(limits::BACK_CHANNEL_DEADLINE));
}

/// The deletion alone ends a session, and the mark alone does.
#[test]
fn deletion_and_mark_each_end_a_session_alone() {
    let scene = Scene::new(&json!({ "sid": "s1" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let kv = FakeKv::new(&scene.world);
    let sessions = kv.sessions(&shop);
    let alice = session(&scene.config, 1, "shop", "alice", "s1", -60);
    assert_eq!(block_on(sessions.register(&alice)), Ok(Ok(())));
    let entry = kv.keys_of("session/")[0].clone();

    let delivery = testkit::delivery(&scene.token);
    let (answer, _) = block_on(receive(&scene.world, &sessions, &shop, delivery));
    assert_eq!(answer, Answer::Done);
    assert_eq!(kv.keys_of("session/"), Vec::<String>::new());

    // The mark without the deletion.
    kv.set(&entry, "{}", None);
    assert_eq!(
        block_on(sessions.alive(&alice)),
        Ok(Life::Ended(crate::domain::session::EndedBy::Mark))
    );
    // The deletion without the mark.
    kv.remove(&entry);
    kv.remove(&kv.keys_of("mark/")[0]);
    scene.world.pass(limits::KV_ENTRY_LAG);
    assert_eq!(
        block_on(sessions.alive(&alice)),
        Ok(Life::Ended(crate::domain::session::EndedBy::Deletion))
    );
}

#[test]
fn every_page_of_the_index_is_read_and_foreign_entries_are_left_alone() {
    let scene = Scene::new(&json!({ "sub": "alice" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let mut kv = FakeKv::new(&scene.world);
    kv.page_size = 3;
    let sessions = kv.sessions(&shop);
    for number in 1..=10 {
        let session = session(
            &scene.config,
            number,
            "shop",
            "alice",
            &number.to_string(),
            -60,
        );
        assert_eq!(block_on(sessions.register(&session)), Ok(Ok(())));
    }
    let prefix = kv.keys_of("by-sub/")[0]
        .rsplit_once('/')
        .unwrap()
        .0
        .to_owned();
    let foreign = [
        format!("{prefix}/foreign"),
        format!("{prefix}/odd"),
        "unrelated".to_owned(),
    ];
    kv.set(&foreign[0], "?", None);
    kv.set(&foreign[1], "", Some(r#"{"login":"yesterday"}"#));
    kv.set(&foreign[2], "", None);
    let delivery = testkit::delivery(&scene.token);
    let (answer, _) = block_on(receive(&scene.world, &sessions, &shop, delivery));
    assert_eq!(answer, Answer::Done);
    let left: Vec<_> = kv
        .keys()
        .into_iter()
        .filter(|key| !key.starts_with("mark/"))
        .collect();
    assert_eq!(left, foreign);
    let line: Value = serde_json::from_str(&scene.world.log.take()[0]).unwrap();
    assert_eq!(
        (&line["matched"], &line["unreadable"]),
        (&json!(10), &json!(2))
    );
}

#[test]
fn a_repeat_ends_only_what_the_first_could_have_ended() {
    let scene = Scene::new(&json!({ "sub": "alice" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let kv = FakeKv::new(&scene.world);
    let sessions = kv.sessions(&shop);
    let receive = || {
        let delivery = testkit::delivery(&scene.token);
        block_on(receive(&scene.world, &sessions, &shop, delivery)).0
    };
    assert_eq!(receive(), Answer::Done);
    let later = session(&scene.config, 1, "shop", "alice", "s9", 3);
    assert_eq!(block_on(sessions.register(&later)), Ok(Ok(())));
    assert_eq!(receive(), Answer::Done);
    scene.world.pass(limits::KV_ENTRY_LAG);
    assert_eq!(block_on(sessions.alive(&later)), Ok(Life::Alive));
}

#[test]
fn an_older_logout_that_comes_late_takes_no_mark_back() {
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let world = FakeWorld::new();
    let kv = FakeKv::new(&world);
    let sessions = kv.sessions(&shop);
    let scope = Scope::Subject(SubjectKey::of(&shop, "alice"));
    let between = session(&config, 1, "shop", "alice", "s1", 20);
    for offset in [30, 0] {
        let logout = Timestamp::from_seconds(NOW.seconds() + offset);
        assert!(block_on(sessions.end(&scope, logout)).is_ok());
    }
    assert_eq!(
        block_on(sessions.register(&between)),
        Ok(Err(crate::domain::session::BirthRefused::LoggedOut))
    );
    assert_eq!(kv.keys_of("session/"), Vec::<String>::new());
}

#[test]
fn a_mark_that_cannot_be_read_is_an_outage() {
    let scene = Scene::new(&json!({ "sid": "s1" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let kv = FakeKv::new(&scene.world);
    let sessions = kv.sessions(&shop);
    let alice = session(&scene.config, 1, "shop", "alice", "s1", -60);
    assert_eq!(block_on(sessions.register(&alice)), Ok(Ok(())));
    kv.set(&format!("mark/{}", alice.sid.0), "?", None);
    let unreadable = Err(Unavailable("kv_mark_unreadable"));
    assert_eq!(block_on(sessions.alive(&alice)), unreadable);
    assert_eq!(
        block_on(sessions.register(&alice)),
        unreadable.map(|_: Life| Ok(()))
    );
}

#[test]
fn nothing_is_fetched_for_what_fails_a_cheap_check() {
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let signer = Signer::new();
    let expired = Timestamp::from_seconds(NOW.seconds() - 3600);
    let tokens = [
        "garbage".to_owned(),
        signer.logout_token("wiki", &json!({ "sid": "s1" }), NOW),
        signer.logout_token("shop", &json!({ "sid": "s1" }), expired),
        signer.id_token("shop", "alice", Some("s1"), NOW),
    ];
    for token in tokens {
        let world = FakeWorld::new();
        let kv = FakeKv::new(&world);
        let delivery = testkit::delivery(&token);
        let (answer, _) = block_on(receive(&world, &kv.sessions(&shop), &shop, delivery));
        assert!(matches!(answer, Answer::Refused(_)));
        assert_eq!((world.fetches.get(), kv.calls.get()), (0, 0));
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
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let world = FakeWorld::new();
    let kv = FakeKv::new(&world);
    let delivery = Delivery {
        method: "PUT".to_owned(),
        content_type: None,
        content_encoding: None,
        body: Untouched,
    };
    let (answer, _) = block_on(receive(&world, &kv.sessions(&shop), &shop, delivery));
    assert_eq!(answer, Answer::Refused(Refusal::Method));

    let delivery = Delivery {
        body: Bytes(vec![b'a'; limits::LOGOUT_BODY_BYTES + 1]),
        ..testkit::delivery("")
    };
    let (answer, _) = block_on(receive(&world, &kv.sessions(&shop), &shop, delivery));
    assert_eq!(answer, Answer::Refused(Refusal::BodyTooLarge));
}

#[test]
fn keys_that_cannot_be_had_are_an_outage_and_the_last_good_set_serves() {
    let scene = Scene::new(&json!({ "sid": "s1" }));
    let shop = testkit::app(&scene.config, "SHOP");
    let world = &scene.world;
    let kv = FakeKv::new(world);
    let sessions = kv.sessions(&shop);
    let receive =
        |token: &str| block_on(receive(world, &sessions, &shop, testkit::delivery(token))).0;
    let documents = |body: Option<&str>| {
        world.documents.replace(
            body.map(|body| (testkit::KEY_SET.to_owned(), body.to_owned()))
                .into_iter()
                .collect(),
        )
    };
    let good = documents(None);
    for (answer, code) in [
        (None, "op_unreachable"),
        (Some("<html>"), "op_document_malformed"),
        (Some(r#"{"keys":[]}"#), "jwks_without_usable_key"),
    ] {
        documents(answer);
        assert_eq!(
            receive(&scene.token),
            Answer::Unavailable(Unavailable(code))
        );
        world.pass(limits::KEY_SET_COOL_DOWN);
        assert_eq!(world.codes(), [code]);
    }
    world.documents.replace(good);
    assert_eq!(receive(&scene.token), Answer::Done);
    let fetches = world.fetches.get();
    assert_eq!(receive(&scene.token), Answer::Done);
    assert_eq!(world.fetches.get(), fetches, "the set is cached");

    documents(Some("<html>"));
    let unknown = Signer::new().sign(
        r#"{"alg":"RS256","kid":"op-2"}"#,
        &json!({
            "iss": testkit::ISSUER, "aud": "shop", "jti": "j", "sid": "s1",
            "iat": NOW.seconds(), "exp": NOW.seconds() + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
        .to_string(),
    );
    assert_eq!(
        receive(&unknown),
        Answer::Unavailable(Unavailable("op_document_malformed")),
        "nothing proves that the kid does not exist"
    );
    world.pass(limits::KEY_SET_COOL_DOWN);
    assert_eq!(
        receive(&scene.token),
        Answer::Done,
        "a bad answer replaced no good set"
    );
}
