//! Who is held back.

use super::*;

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
            address: Some(address),
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
