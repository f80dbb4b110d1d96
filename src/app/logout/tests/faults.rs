//! What becomes of a logout when something fails.

use super::*;

/// The OP sends once; whatever single call fails or hangs, the session is dead afterwards, nothing
/// of it stays in KV, and 200 was never said while it lived.
#[test]
fn no_single_fault_loses_a_logout() {
    for (target, calls) in [
        // Mark read and written, pending written, list, two deletions.
        (json!({ "sid": "s1" }), 6),
        (json!({ "sub": "alice" }), 6),
        (json!({ "sub": "alice", "sid": "s1" }), 6),
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
                assert_eq!(scene.entries().len(), 2, "{what}: only bob's are left");
                assert_eq!(scene.kv.keys_of("pending/"), Vec::<String>::new(), "{what}");
            }
        }
    }
}

/// Whatever single call of the sweep fails or hangs, the next run finishes what is left.
#[test]
fn no_single_fault_stops_the_tidying_up() {
    for fault in [Fault::Before, Fault::After, Fault::Hang] {
        for number in 0..7 {
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
                2,
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
