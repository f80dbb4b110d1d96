//! Keys that are late, gone or new.

use super::*;

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
