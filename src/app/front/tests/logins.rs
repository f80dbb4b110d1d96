//! Logins that the app announces, and what they are bound to.

use super::*;

#[test]
fn a_login_is_registered_and_its_cookie_sealed_and_bound() {
    let (scene, world, kv, visit) = visit();
    let outcome = visit.log_in(&scene.id_token("alice", "s1"), "secret");
    let changes = outcome.changes();
    assert_eq!(changes.drop_headers, [ANNOUNCEMENT]);
    assert_eq!(changes.cache_control, Some("private, no-cache"));
    let lines = changes.set_cookies.as_ref().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("shop.sid=el1.k1.") && lines[0].ends_with("; Path=/shop; HttpOnly")
    );
    assert!(!lines[0].contains("secret"));
    assert_eq!(world.codes(), ["session_began"]);
    assert_eq!(kv.keys().len(), 2);

    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), Some("shop.sid=secret"));
    assert_eq!(
        outcome.changes(),
        &Changes::default(),
        "the answer is left alone"
    );
}

#[test]
fn a_repeated_announcement_continues_the_session() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "one");
    let before = kv.keys();
    world.pass(Duration::from_secs(30));
    let refreshed = scene
        .signer
        .id_token("shop", "alice", Some("s1"), world.now());
    let outcome = visit.get(&[(ANNOUNCEMENT, &refreshed)]);
    assert_eq!(outcome.changes().drop_headers, [ANNOUNCEMENT]);
    visit.log_in(&refreshed, "two");
    assert_eq!(kv.keys(), before, "nothing was written");
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=two"));

    visit.log_out(&json!({ "sid": "s1" }), NOW.plus(Duration::from_secs(1)));
    assert_eq!(
        visit.get(&[]).sent(),
        None,
        "the refreshed token moved no login time"
    );
}

#[test]
fn a_login_that_renews_no_session_cookie_is_not_delivered() {
    let scene = Scene::new();
    let token = scene.id_token("alice", "s1");
    for line in [
        None,
        Some("other=1; HttpOnly"),
        Some("shop.sid=planted"),
        Some("shop.sid=; Max-Age=0"),
    ] {
        let world = FakeWorld::new();
        let kv = FakeKv::new(&world);
        let visit = Visit::new(&scene, &world, &kv);
        // The value was there before the login: an attacker may have planted it.
        visit.get(&[(SID, "shop.sid=planted")]);
        let mut headers = vec![(ANNOUNCEMENT, token.as_str())];
        headers.extend(line.map(|line| (SID, line)));
        let outcome = visit.get(&headers);
        assert_eq!(outcome.own().kind, OwnKind::BadGateway, "{line:?}");
        assert_eq!(outcome.own().code, "login_without_new_cookie");
        assert_eq!(kv.keys(), Vec::<String>::new(), "{line:?}");
        // The app may have attached the login to it.
        assert_eq!(visit.get(&[]).sent(), None, "{line:?}");
    }
}

#[test]
fn only_the_values_that_a_login_makes_are_bound_to_it() {
    let (scene, _, _, visit) = visit();
    visit.get(&[(SID, "shop.part0=planted"), (SID, "csrf=c; HttpOnly")]);
    let token = scene.id_token("alice", "s1");
    visit.get(&[
        (ANNOUNCEMENT, &token),
        (SID, "shop.sid=new"),
        (SID, "shop.part0=planted"),
        (SID, "remember=me; HttpOnly"),
    ]);
    assert_eq!(
        visit.get(&[]).sent(),
        Some("csrf=c; shop.sid=new; shop.part0=planted; remember=me")
    );
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), Some("csrf=c; shop.part0=planted"));
    let removals = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(removals.iter().all(|line| line.contains("Max-Age=0")));
    assert_eq!(removals.len(), 2, "shop.sid and remember");
}

#[test]
fn an_announcement_that_does_not_verify_is_not_delivered() {
    let (scene, _, kv, visit) = visit();
    let good = scene.id_token("alice", "s1");
    let flipped = good.replace('.', "A.").replacen("A.", ".", 1);
    for token in [
        "garbage".to_owned(),
        flipped,
        format!("{good}, {good}"),
        scene.signer.id_token("wiki", "alice", Some("s1"), NOW),
        scene
            .signer
            .logout_token("shop", &json!({ "sub": "alice", "sid": "s1" }), NOW),
    ] {
        let outcome = visit.log_in(&token, "c");
        assert_eq!(outcome.own().kind, OwnKind::BadGateway, "{token}");
        assert_eq!(outcome.own().code, "announcement_invalid");
        assert_eq!(outcome.own().set_cookies, Vec::<String>::new());
    }
    let without_sid = scene.signer.id_token("shop", "alice", None, NOW);
    assert_eq!(
        visit.log_in(&without_sid, "c").own().code,
        "login_without_sid"
    );
    assert_eq!(kv.keys(), Vec::<String>::new());
}

#[test]
fn a_login_while_the_keys_or_the_store_are_down_is_an_outage() {
    let (scene, world, kv, visit) = visit();
    let token = scene.id_token("alice", "s1");
    world.documents.borrow_mut().remove(KEY_SET);
    let outcome = visit.log_in(&token, "c");
    assert_eq!(outcome.own().kind, OwnKind::Unavailable);
    world
        .documents
        .borrow_mut()
        .insert(KEY_SET.into(), testkit::key_set());
    world.pass(limits::KEY_SET_COOL_DOWN);
    for fault in [Fault::Before, Fault::After, Fault::Hang] {
        for call in 0..3 {
            kv.calls.set(0);
            kv.fault.set(Some((call, fault)));
            let outcome = visit.log_in(&token, "c");
            assert_eq!(
                outcome.own().kind,
                OwnKind::Unavailable,
                "{fault:?} at {call}"
            );
            assert_eq!(
                outcome.own().set_cookies,
                Vec::<String>::new(),
                "cookies withheld"
            );
        }
    }
    assert!(visit.cookies.borrow().is_empty());
    kv.fault.set(None);
    visit.log_in(&token, "c");
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
}

#[test]
fn a_login_that_a_logout_covers_is_not_born() {
    for target in [json!({ "sid": "s1" }), json!({ "sub": "alice" })] {
        let (scene, world, kv, visit) = visit();
        visit.log_out(&target, NOW);
        let outcome = visit.log_in(&scene.id_token("alice", "s1"), "c");
        assert_eq!(outcome.own().kind, OwnKind::SignedOut);
        assert_eq!(outcome.own().code, "birth_refused_logged_out");
        assert_eq!(kv.keys_of("session/"), Vec::<String>::new());
        // The same sid soon after a logout, and no newer authentication shown.
        world.pass(Duration::from_secs(10));
        let soon = scene
            .signer
            .id_token("shop", "alice", Some("s1"), world.now());
        let again = visit.log_in(&soon, "c");
        if target.get("sid").is_some() {
            assert_eq!(again.own().code, "birth_refused_not_reauthenticated");
        }
        let other_sid = scene
            .signer
            .id_token("shop", "alice", Some("s2"), world.now());
        visit.log_in(&other_sid, "d");
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=d"));
        visit.cookies.take();
        world.pass(Duration::from_secs(51));
        let later = scene
            .signer
            .id_token("shop", "alice", Some("s1"), world.now());
        visit.log_in(&later, "e");
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=e"));
    }
}

#[test]
fn an_old_id_token_begins_no_session() {
    let (scene, world, kv, visit) = visit();
    let token = scene.id_token("alice", "s1");
    world.pass(limits::LOGIN_MAX_AGE + Duration::from_millis(1));
    let outcome = visit.log_in(&token, "c");
    assert_eq!(outcome.own().code, "birth_refused_login_too_old");
    assert_eq!(outcome.own().kind, OwnKind::SignedOut);
    assert_eq!(kv.keys(), Vec::<String>::new());
}

#[test]
fn only_the_same_user_with_the_same_sid_continues_a_session() {
    let without_sid = |scene: &Scene| scene.signer.id_token("shop", "alice", None, NOW);
    for (token, continues) in [
        (Scene::new().id_token("alice", "s1"), true),
        (without_sid(&Scene::new()), true),
        (Scene::new().id_token("alice", "s2"), false),
        (Scene::new().id_token("bob", "s1"), false),
    ] {
        let (scene, _, kv, visit) = visit();
        visit.log_in(&scene.id_token("alice", "s1"), "a");
        let first = kv.keys();
        visit.log_in(&token, "b");
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=b"));
        assert_eq!(kv.keys() == first, continues);
        assert_eq!(kv.keys().len(), 2);
    }
}

/// The app then takes one cookie for two users: neither may go on with it.
#[test]
fn a_second_login_on_the_same_cookie_ends_the_session() {
    let (scene, _, _, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "same");
    let copied = visit.cookies.borrow().clone();
    for (token, code) in [
        (scene.id_token("bob", "s2"), "login_without_new_cookie"),
        (
            scene.signer.id_token("shop", "bob", None, NOW),
            "login_without_sid",
        ),
        ("garbage".to_owned(), "announcement_invalid"),
    ] {
        let (_, world, kv, visit) = self::visit();
        visit.log_in(&scene.id_token("alice", "s1"), "same");
        let outcome = visit.log_in(&token, "same");
        assert_eq!(outcome.own().code, code);
        assert!(visit.cookies.borrow().is_empty());
        assert_eq!(kv.keys(), Vec::<String>::new());
        visit.cookies.replace(copied.clone());
        world.pass(limits::KV_ENTRY_LAG);
        assert_eq!(visit.get(&[]).sent(), None);
    }
}

#[test]
fn a_login_that_is_not_delivered_leaves_a_session_with_its_own_cookie_alone() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "a");
    visit.log_in("garbage", "b");
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=a"));
    // Nor does an outage end anything.
    world.pass(limits::KEY_SET_LIFETIME);
    world.documents.borrow_mut().clear();
    let other = scene.signer.sign(
        r#"{"alg":"RS256","kid":"op-2"}"#,
        &format!(
            r#"{{"iss":"{}","aud":"shop","sub":"bob","sid":"s2","iat":{},"exp":{}}}"#,
            testkit::ISSUER,
            NOW.seconds(),
            NOW.seconds() + 3600,
        ),
    );
    assert_eq!(visit.log_in(&other, "a").own().kind, OwnKind::Unavailable);
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=a"));
    assert_eq!(kv.keys().len(), 2);
}

#[test]
fn an_empty_announcement_is_none() {
    let (_, _, kv, visit) = visit();
    let outcome = visit.get(&[(ANNOUNCEMENT, " "), (SID, "shop.sid=c")]);
    assert_eq!(outcome.changes().drop_headers, [ANNOUNCEMENT]);
    assert_eq!(kv.keys(), Vec::<String>::new());
}

#[test]
fn another_login_in_the_same_browser_replaces_the_session() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "a");
    let old = visit.cookies.borrow().clone();
    let first = kv.keys_of("session/");
    visit.log_in(&scene.id_token("bob", "s2"), "b");
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=b"));
    assert_eq!(kv.keys_of("session/").len(), 1);
    assert_ne!(kv.keys_of("session/"), first);
    world.pass(limits::KV_ENTRY_LAG);
    visit.cookies.replace(old);
    assert_eq!(visit.get(&[]).sent(), None, "the first session has ended");
}

#[test]
fn an_announcement_counts_only_in_the_apps_own_good_answer() {
    for (status, header) in [
        (401, ("x", "")),
        (500, ("x", "")),
        (199, ("x", "")),
        (200, ("age", "0")),
        (200, ("cf-cache-status", "HIT")),
        (200, ("cf-cache-status", "stale")),
        (304, ("cf-cache-status", "REVALIDATED")),
    ] {
        let (scene, world, kv, visit) = visit();
        let token = scene.id_token("alice", "s1");
        let reply = |headers: &[_]| FakeReply {
            status,
            ..FakeReply::ok(&[headers, &[(ANNOUNCEMENT, token.as_str()), header]].concat())
        };
        let outcome = visit.request("GET", true, reply(&[]));
        assert_eq!(
            outcome.changes().drop_headers,
            [ANNOUNCEMENT],
            "{status} {header:?}"
        );
        assert_eq!(world.codes(), ["announcement_not_counted"]);
        // With a new cookie it may be a login that nobody would bind.
        let outcome = visit.request("GET", true, reply(&[(SID, "shop.sid=c")]));
        assert_eq!(
            outcome.own().kind,
            OwnKind::BadGateway,
            "{status} {header:?}"
        );
        assert_eq!(outcome.own().code, "announcement_not_counted");
        assert!(visit.cookies.borrow().is_empty());
        assert_eq!(kv.keys(), Vec::<String>::new(), "{status} {header:?}");
    }
    for (status, header) in [(302, ("cf-cache-status", "DYNAMIC")), (204, ("x", ""))] {
        let (scene, world, kv, visit) = visit();
        let token = scene.id_token("alice", "s1");
        let mut reply = FakeReply::ok(&[(ANNOUNCEMENT, &token), (SID, "shop.sid=c"), header]);
        reply.status = status;
        visit.request("GET", true, reply);
        assert_eq!(world.codes(), ["session_began"]);
        assert_eq!(kv.keys().len(), 2);
    }
}

#[test]
fn a_value_that_did_not_reach_the_app_is_new_to_it() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "same");
    let dead = visit.cookies.borrow().clone();
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    world.pass(limits::REBIRTH_WINDOW + Duration::from_secs(1));
    visit.cookies.replace(dead);
    let again = scene
        .signer
        .id_token("shop", "alice", Some("s2"), world.now());
    visit.log_in(&again, "same");
    assert_eq!(kv.keys_of("session/").len(), 1);
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=same"));
}

/// Cookies of one name at two paths are two cookies.
#[test]
fn a_login_takes_over_what_it_sets_only_elsewhere() {
    let (scene, _, _, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    let again = scene.id_token("alice", "s2");
    let outcome = visit.get(&[(ANNOUNCEMENT, &again), (SID, "shop.sid=c; Path=/shop/old")]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("; Path=/shop/old") && lines[1].ends_with("; Path=/shop; HttpOnly"));
}
