//! Which sessions end, where KV says what lives.

use super::*;

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
    assert_eq!(scene.entries().len(), 2, "those of the one");
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
    assert_eq!(scene.entries().len(), 2, "only bob's are left");
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
    assert_eq!(scene.entries().len(), 2);
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
