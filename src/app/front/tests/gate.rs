//! Sessions, and what becomes of their cookies.

use super::*;

#[test]
fn an_ended_session_goes_on_as_anonymous() {
    let (scene, _, _, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    visit
        .cookies
        .borrow_mut()
        .push(("theme".into(), "dark".into()));
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    let kept = visit.cookies.borrow().clone();

    let outcome = visit.get(&[]);
    assert_eq!(
        outcome.forwarded,
        Some(Forward {
            cookies: CookieHeader::Replaced(Some("theme=dark".into())),
            target: None,
            unconditional: true,
            hands_over: false,
        })
    );
    assert_eq!(outcome.changes().cache_control, Some("no-store"));
    assert_eq!(
        outcome.changes().set_cookies.as_ref().unwrap(),
        &["shop.sid=; Path=/shop; HttpOnly; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
    );
    // What the app sets anew is not removed, and belongs to nobody.
    visit.cookies.replace(kept);
    let outcome = visit.get(&[(SID, "shop.sid=anonymous")]);
    assert_eq!(outcome.changes().set_cookies.as_ref().unwrap().len(), 1);
    assert_eq!(
        visit.get(&[]).sent(),
        Some("theme=dark; shop.sid=anonymous")
    );
}

#[test]
fn an_ended_sessions_unsafe_request_never_reaches_the_app() {
    for (method, is_navigation, expected) in [
        ("POST", true, Some(OwnKind::SeeOther)),
        ("POST", false, Some(OwnKind::Unauthorized)),
        ("DELETE", false, Some(OwnKind::Unauthorized)),
        ("PROPFIND", false, Some(OwnKind::Unauthorized)),
        ("HEAD", false, None),
        ("OPTIONS", false, None),
    ] {
        let (scene, _, _, visit) = visit();
        visit.log_in(&scene.id_token("alice", "s1"), "c");
        let alive = visit.request(method, is_navigation, FakeReply::ok(&[]));
        assert_eq!(alive.sent(), Some("shop.sid=c"), "{method}");
        visit.log_out(&json!({ "sid": "s1" }), NOW);
        let outcome = visit.request(method, is_navigation, FakeReply::ok(&[]));
        match expected {
            Some(kind) => {
                assert_eq!(outcome.own().kind, kind, "{method}");
                assert_eq!(
                    outcome.own().set_cookies.len(),
                    1,
                    "its cookies are removed"
                );
                assert_eq!(outcome.forwarded, None, "{method}");
            }
            None => assert_eq!(outcome.sent(), None, "{method}"),
        }
    }
}

#[test]
fn a_store_that_does_not_answer_ends_nothing_and_lets_nothing_pass() {
    for fault in [Fault::Before, Fault::After, Fault::Hang] {
        let (scene, _, kv, visit) = visit();
        visit.log_in(&scene.id_token("alice", "s1"), "c");
        kv.fault.set(Some((usize::MAX, fault)));
        let outcome = visit.get(&[]);
        assert_eq!(outcome.own().kind, OwnKind::Unavailable);
        assert_eq!(outcome.forwarded, None);
        assert_eq!(
            outcome.own().set_cookies,
            Vec::<String>::new(),
            "cookies are kept"
        );
        kv.fault.set(None);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
    }
}

#[test]
fn requests_without_a_bound_cookie_cost_no_store_call() {
    let (scene, world, kv, visit) = visit();
    visit.get(&[(SID, "shop.sid=anonymous"), (SID, "theme=dark")]);
    visit.get(&[]);
    assert_eq!((kv.calls.get(), world.fetches.get()), (0, 0));
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    kv.calls.set(0);
    visit.get(&[]);
    assert_eq!(kv.calls.get(), 1, "one bulk read");
}

#[test]
fn values_that_we_did_not_seal_are_dropped() {
    let (_, _, _, visit) = visit();
    visit.cookies.replace(
        [
            ("shop.sid", "raw"),
            ("shop.part7", "raw"),
            ("a", "1"),
            ("\u{a0}shop.sid", "raw"),
            ("\u{b}shop.sid", "raw"),
            ("shop.sid", "el1.k1.1.AAAA"),
            ("x", "el1.spoilt"),
            ("=el1.spoilt y", ""),
            ("visible-to-the-app", "2"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    );
    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), Some("a=1; visible-to-the-app=2"));
    assert_eq!(outcome.changes(), &Changes::default(), "and never removed");
}

#[test]
fn a_seal_goes_to_its_own_app_only() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    let wiki = Visit {
        app: "WIKI",
        cookies: visit.cookies.clone(),
        ..Visit::new(scene, world, kv)
    };
    let outcome = wiki.get(&[]);
    assert_eq!(outcome.sent(), None);
    assert_eq!(
        outcome.changes(),
        &Changes::default(),
        "the other app's cookie is kept"
    );
    let outcome = wiki.get(&[(SID, "shop.sid=forged; Path=/"), (SID, "wiki.sid=w")]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("wiki.sid=el1."));
    assert!(
        world
            .codes()
            .contains(&"foreign_session_cookie_dropped".to_owned())
    );
}

#[test]
fn other_http_only_cookies_are_sealed_and_reported_once() {
    let (_, world, _, visit) = visit();
    let lines = [
        (SID, "remember=me; HttpOnly"),
        (SID, "theme=dark"),
        (SID, "visible-to-the-app=1; HttpOnly"),
        (SID, "nameless"),
    ];
    let outcome = visit.get(&lines[..3]);
    let sent = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(sent[0].starts_with("remember=el1."));
    assert_eq!(sent[1..], ["theme=dark", "visible-to-the-app=1; HttpOnly"]);
    visit.get(&lines[..1]);
    assert_eq!(world.codes(), ["http_only_cookie_sealed"]);
}

#[test]
fn a_rolling_answer_that_comes_after_the_logout_is_dead() {
    let (scene, _, _, visit) = visit();
    let visit: &'static Visit<'static> = Box::leak(Box::new(visit));
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    // The request goes out alive; its answer sets the next value when the session has ended.
    let reply = FakeReply::ok(&[(SID, "shop.sid=rolled; HttpOnly")]);
    let log_out = Box::new(|| visit.log_out(&json!({ "sid": "s1" }), NOW));
    let outcome = visit.request_while("GET", true, reply, Some(log_out));
    assert_eq!(outcome.sent(), Some("shop.sid=c"));
    assert_eq!(
        outcome.changes().set_cookies.as_ref().map(Vec::len),
        Some(1)
    );
    assert_eq!(visit.get(&[]).sent(), None);
}

#[test]
fn a_request_carries_one_session_the_latest() {
    let (scene, world, kv, one) = visit();
    one.log_in(&scene.id_token("alice", "s1"), "old");
    world.pass(Duration::from_secs(1));
    let two = Visit::new(scene, world, kv);
    two.get(&[
        (ANNOUNCEMENT, &scene.id_token("bob", "s2")),
        (SID, "shop.part0=new"),
    ]);
    one.cookies.borrow_mut().extend(two.cookies.take());
    one.cookies
        .borrow_mut()
        .push(("theme".into(), "dark".into()));
    let outcome = one.get(&[]);
    assert_eq!(outcome.sent(), Some("shop.part0=new; theme=dark"));
    let removals = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(removals.len() == 1 && removals[0].starts_with("shop.sid=;"));
}

#[test]
fn an_answer_that_sets_a_session_cookie_is_never_public() {
    for (app, ours) in [
        (None, Some("private, no-cache")),
        (Some("public, max-age=600"), Some("private, no-cache")),
        (Some("max-age=600"), Some("private, no-cache")),
        (Some("Private, max-age=600"), None),
        (Some("no-store"), None),
    ] {
        let (_, _, _, visit) = visit();
        let mut headers = vec![(SID, "shop.sid=c")];
        headers.extend(app.map(|app| ("cache-control", app)));
        assert_eq!(visit.get(&headers).changes().cache_control, ours, "{app:?}");
        assert_eq!(
            visit.get(&headers[1..]).changes().cache_control,
            None,
            "{app:?}"
        );
    }
}

#[test]
fn a_method_that_would_show_the_apps_cookies_is_never_forwarded() {
    let (scene, _, _, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    let outcome = visit.request("TRACE", false, FakeReply::ok(&[]));
    assert_eq!(outcome.own().kind, OwnKind::MethodNotAllowed);
    assert_eq!(outcome.forwarded, None);
    assert_eq!(outcome.own().set_cookies, Vec::<String>::new());
}

#[test]
fn cookies_that_are_none_of_our_business_go_on_byte_for_byte() {
    let (_, _, _, visit) = visit();
    let cookies = [("a", "1"), ("", "odd"), ("theme", "J\u{e9}r\u{f4}me")];
    visit
        .cookies
        .replace(cookies.map(|(n, v)| (n.into(), v.into())).into());
    let outcome = visit.get(&[]);
    assert_eq!(outcome.forwarded.unwrap().cookies, CookieHeader::Unchanged);
}

#[test]
fn clearing_the_last_cookie_ends_the_session_and_a_shrinking_set_does_not() {
    let (scene, world, kv, visit) = visit();
    let token = scene.id_token("alice", "s1");
    visit.get(&[
        (ANNOUNCEMENT, &token),
        (SID, "shop.part0=a"),
        (SID, "shop.part1=b"),
    ]);
    visit.get(&[(SID, "shop.part1=; Max-Age=0")]);
    assert_eq!(visit.get(&[]).sent(), Some("shop.part0=a"));
    let outcome = visit.get(&[(SID, "shop.part0=gone; Max-Age=0"), (SID, "shop.part9=c")]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert_eq!(lines[0], "shop.part0=; Max-Age=0");
    assert_eq!(kv.keys().len(), 2, "one is left");
    // What another place held under that name is another cookie; this one stays.
    let kept = visit.cookies.borrow().clone();
    for headers in [
        vec![(SID, "shop.part9=; Path=/old; Max-Age=0")],
        vec![(SID, "shop.part9=; Domain=app.example; Max-Age=0")],
        vec![
            (SID, "shop.part9=d"),
            (SID, "shop.part9=; Path=/; Max-Age=0"),
        ],
    ] {
        visit.get(&headers);
        assert_eq!(kv.keys().len(), 2, "{headers:?}");
        visit.cookies.replace(kept.clone());
    }
    visit.get(&[(SID, "shop.part9=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")]);
    assert_eq!(kv.keys(), Vec::<String>::new());
    assert_eq!(world.codes().last().unwrap(), "session_cleared_by_app");
}

#[test]
fn an_unbound_value_dies_after_a_day() {
    let (_, world, _, visit) = visit();
    visit.get(&[(SID, "shop.sid=anonymous")]);
    world.pass(limits::UNBOUND_LIFETIME - Duration::from_secs(1));
    visit.get(&[(SID, "shop.sid=rolled")]);
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=rolled"));
    world.pass(Duration::from_secs(1));
    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), None, "rolling prolongs nothing");
    assert_eq!(outcome.changes().set_cookies.as_ref().unwrap().len(), 1);
}

#[test]
fn a_session_dies_with_its_lifetime() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    world.pass(limits::SESSION_LIFETIME - Duration::from_secs(1));
    assert_eq!(
        visit.get(&[(SID, "shop.sid=rolled")]).sent(),
        Some("shop.sid=c")
    );
    world.pass(Duration::from_secs(1));
    assert_eq!(visit.get(&[]).sent(), None, "rolling prolongs nothing");
    assert_eq!(
        kv.keys(),
        Vec::<String>::new(),
        "nor is anything left behind"
    );
    assert_eq!(world.codes().last().unwrap(), "ended_by_lifetime");
}

#[test]
fn only_so_many_seals_are_opened() {
    let (_, _, _, visit) = visit();
    let lines: Vec<_> = (0..20).map(|n| format!("shop.part{n}=v{n}")).collect();
    let headers: Vec<_> = lines.iter().map(|line| (SID, line.as_str())).collect();
    visit.get(&headers);
    let outcome = visit.get(&[]);
    assert_eq!(
        outcome.sent().unwrap().split("; ").count(),
        limits::SEALS_PER_REQUEST
    );
    assert_eq!(outcome.changes(), &Changes::default());
}

#[test]
fn other_cookies_never_take_the_places_of_session_cookies() {
    let (scene, world, _, visit) = visit();
    let lines: Vec<_> = (0..20).map(|n| format!("other{n}=v; HttpOnly")).collect();
    let headers: Vec<_> = lines.iter().map(|line| (SID, line.as_str())).collect();
    visit.get(&headers);
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    let outcome = visit.get(&[]);
    let sent = outcome.sent().unwrap();
    assert!(
        sent.ends_with("other19=v; shop.sid=c"),
        "the newest too: {sent}"
    );
    assert!(world.codes().contains(&"too_many_seals".to_owned()));
    assert_eq!(sent.split("; ").count(), limits::SEALS_PER_REQUEST);
}

#[test]
fn an_origin_that_does_not_answer_is_a_bad_gateway() {
    let (_, _, _, visit) = visit();
    let origin = FakeOrigin::new(Err(Unavailable("origin_unreachable")));
    let outcome = visit.ask("GET", origin);
    assert_eq!(outcome.own().kind, OwnKind::BadGateway);
    assert_eq!(outcome.own().code, "origin_unreachable");
}

/// No token, cookie value or raw identifier is ever logged.
#[test]
fn the_log_names_nobody() {
    let (scene, world, _, visit) = visit();
    let token = scene
        .signer
        .id_token("shop", "alice@example.com", Some("sid-1"), NOW);
    visit.log_in(&token, "cookie-value");
    let seal = visit.cookies.borrow()[0].1.clone();
    assert!(seal.starts_with("el1."));
    visit.log_in("not-a-token", "cookie-value");
    visit.log_out(&json!({ "sub": "alice@example.com", "sid": "sid-1" }), NOW);
    visit.get(&[]);
    visit.log_in(&token, "cookie-value");
    let log = world.log.take().join("\n");
    assert!(log.lines().count() >= 5, "{log}");
    for secret in [
        "alice",
        "sid-1",
        "cookie-value",
        "not-a-token",
        &token,
        &seal,
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Only its own session cookies keep a session: neither helpers nor what was there before it.
#[test]
fn clearing_the_sessions_own_cookies_ends_it_whatever_else_is_left() {
    for beside in ["csrf=1; HttpOnly", "shop.part0=before"] {
        let (scene, _, kv, visit) = visit();
        visit.get(&[(SID, "shop.part0=before")]);
        let token = scene.id_token("alice", "s1");
        visit.get(&[(ANNOUNCEMENT, &token), (SID, "shop.sid=c"), (SID, beside)]);
        visit.get(&[(SID, "csrf=; Max-Age=0")]);
        assert_eq!(kv.keys().len(), 2, "{beside}");
        visit.get(&[(SID, "shop.sid=; Max-Age=0")]);
        assert_eq!(kv.keys(), Vec::<String>::new(), "{beside}");
    }
}

#[test]
fn what_carries_nothing_passes_as_it_comes() {
    let (_, _, kv, visit) = visit();
    let app = testkit::app(&visit.scene.config, "SHOP");
    let request = |method, path, query, cookies| Request {
        method,
        arrived: NOW,
        host: "app.example",
        path,
        query,
        url: "https://app.example/shop/page",
        cookies,
    };
    for (method, path, query, cookies, expected) in [
        ("GET", "/shop/page", "?a=b", "", true),
        ("POST", "/shop/page", "", "", true),
        ("GET", "/shop/page", "", "theme=dark", false),
        ("GET", "/shop/page", "", "shop.sid=planted", false),
        ("TRACE", "/shop/page", "", "", false),
        ("GET", "/shop/page;shop.sid=1", "", "", false),
        ("GET", "/shop/page", "?PHPSESSID=1", "", false),
    ] {
        let request = request(method, path, query, cookies);
        let passes = passes_at_once(&app, &request);
        assert_eq!(passes, expected, "{method} {path}{query} {cookies}");
        // Which is compared with what is done of each.
        let origin = FakeOrigin::new(Ok(FakeReply::ok(&[])));
        visit.serve(&kv.sessions(&app), &app, request, &origin);
    }
}

#[test]
fn an_answer_is_handed_over_where_nothing_in_it_changes() {
    let (scene, _, _, visit) = visit();
    let hands_over = |outcome: Outcome| outcome.forwarded.unwrap().hands_over;
    assert!(hands_over(visit.get(&[])));
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    assert!(hands_over(visit.get(&[])));
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    assert!(!hands_over(visit.get(&[])));
}
