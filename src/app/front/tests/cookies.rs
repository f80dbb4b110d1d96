//! Large values, unsealed ones, wide ones, and paths that have none.

use super::*;

fn value(length: usize) -> String {
    "!".repeat(length)
}

#[test]
fn a_large_value_takes_several_cookies_and_gives_them_back() {
    let (scene, _, _, visit) = visit();
    let token = scene.id_token("alice", "s1");
    visit.log_in(&token, &value(4000));
    let names = || -> Vec<String> {
        let cookies = visit.cookies.borrow();
        cookies.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(), ["shop.sid", "shop.sid~1"]);
    let sent = |length| Some(format!("shop.sid={}", value(length)));
    assert_eq!(visit.get(&[]).sent(), sent(4000).as_deref());

    // It shrinks: what is left of the longer one goes.
    let small = format!("shop.sid={}; Path=/shop; HttpOnly", value(100));
    let outcome = visit.get(&[(SID, &small)]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(lines[1].starts_with("shop.sid~1=; Path=/shop; HttpOnly; Max-Age=0"));
    assert_eq!(names(), ["shop.sid"]);
    assert_eq!(visit.get(&[]).sent(), sent(100).as_deref());

    // It grows, and the session ends: every piece goes.
    let large = format!("shop.sid={}; Path=/shop; HttpOnly", value(3900));
    visit.get(&[(SID, &large)]);
    assert_eq!(visit.get(&[]).sent(), sent(3900).as_deref());
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), None);
    assert_eq!(outcome.changes().set_cookies.as_ref().unwrap().len(), 2);
    assert_eq!(names(), Vec::<String>::new());
}

#[test]
fn the_app_removes_all_pieces_of_a_large_value() {
    let (scene, _, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), &value(4000));
    visit.get(&[(SID, "shop.sid=; Path=/shop; Max-Age=0")]);
    assert!(visit.cookies.borrow().is_empty());
    assert_eq!(kv.keys(), Vec::<String>::new());
}

#[test]
fn a_piece_that_is_missing_or_another_values_carries_nobody() {
    let (scene, world, kv, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), &value(4000));
    let first = visit.cookies.borrow().clone();
    let other = Visit::new(scene, world, kv);
    other.log_in(&scene.id_token("bob", "s2"), &value(4000));
    let second = other.cookies.borrow().clone();
    for cookies in [
        vec![first[0].clone()],
        vec![first[1].clone()],
        vec![first[0].clone(), second[1].clone()],
        vec![second[0].clone(), first[1].clone()],
        vec![(first[1].0.clone(), first[0].1.clone()), first[1].clone()],
    ] {
        visit.cookies.replace(cookies);
        let outcome = visit.get(&[]);
        assert_eq!(outcome.sent(), None);
        assert_eq!(outcome.changes(), &Changes::default(), "nothing is removed");
    }
    // Both at once, as of two paths: each is put together from its own.
    let both = [
        second[0].clone(),
        first[1].clone(),
        first[0].clone(),
        second[1].clone(),
    ];
    visit.cookies.replace(both.into());
    assert_eq!(
        visit.get(&[]).sent().unwrap().len(),
        "shop.sid=".len() + 4000
    );
}

/// A browser would drop it, so nobody would get it without us either.
#[test]
fn a_cookie_that_no_browser_would_keep_is_dropped_and_reported() {
    let (scene, world, kv, visit) = visit();
    let large = format!("shop.part0={}", value(4096));
    let outcome = visit.get(&[(SID, &large), (SID, "theme=dark")]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert_eq!(lines, &["theme=dark"]);
    assert_eq!(world.codes(), ["cookie_too_large_dropped"]);
    visit.get(&[(SID, "shop.part1=unbound")]);
    let outcome = visit.log_in(&scene.id_token("alice", "s1"), &value(4096));
    assert_eq!(outcome.own().code, "login_without_new_cookie");
    assert_eq!(kv.keys(), Vec::<String>::new());
    let left = visit.get(&[]);
    assert_eq!(left.sent(), Some("theme=dark"), "the unbound one is gone");
}

#[test]
fn attributes_are_kept_to_the_letter() {
    let (scene, _, _, visit) = visit();
    let attributes = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Priority=High; \
                      Max-Age=3600; Expires=Fri, 31 Dec 2100 00:00:00 GMT";
    let token = scene.id_token("alice", "s1");
    for length in [10, 4000] {
        let line = format!("shop.part0={}{attributes}", value(length));
        let outcome = visit.get(&[("edge-logout-id-token", &token), (SID, &line)]);
        for line in outcome.changes().set_cookies.as_ref().unwrap() {
            assert!(line.ends_with(attributes), "{line}");
        }
        visit.cookies.take();
    }
}

#[test]
fn unsealed_values_are_accepted_until_the_day_is_over() {
    let until = json!({ "accept_unsealed_until": "2027-01-15T09:00:00Z" });
    let (scene, world, _, visit) = visit_with(&until);
    let raw = |value: &str| vec![("shop.sid".to_owned(), value.to_owned())];
    visit.cookies.replace(raw("from-before"));
    let outcome = visit.get(&[]);
    assert_eq!(outcome.sent(), Some("shop.sid=from-before"));
    assert_eq!(outcome.forwarded.unwrap().cookies, CookieHeader::Unchanged);

    // The next value that the app sets is sealed. An app that announces on every page repeats a login
    // from before, which cannot be bound.
    visit.get(&[(SID, "shop.sid=rolled")]);
    assert!(visit.cookies.borrow()[0].1.starts_with("el1."));
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=rolled"));
    visit.cookies.replace(raw("from-before"));
    world.codes();
    let outcome = visit.log_in(&scene.id_token("alice", "s1"), "from-before");
    assert_eq!(outcome.changes().drop_headers, ["edge-logout-id-token"]);
    assert_eq!(world.codes(), ["announcement_not_counted"]);
    visit.cookies.replace(raw("from-before"));
    visit.log_in(&scene.id_token("alice", "s1"), "new");
    assert_eq!(world.codes(), ["session_began"]);

    world.pass(Duration::from_hours(1));
    visit.cookies.replace(raw("from-before"));
    assert_eq!(visit.get(&[]).sent(), None);
}

#[test]
fn a_cookie_for_other_hosts_too_is_reported_and_sealed_only_if_listed() {
    let (_, world, _, visit) = visit();
    let outcome = visit.get(&[
        (SID, "sso=1; Domain=example; HttpOnly"),
        (SID, "own=1; Domain=App.Example; HttpOnly"),
        (SID, "shop.sid=1; Domain=.example"),
    ]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert_eq!(lines[0], "sso=1; Domain=example; HttpOnly");
    assert!(lines[1].starts_with("own=el1."));
    assert!(lines[2].starts_with("shop.sid=el1.") && lines[2].ends_with("; Domain=.example"));
    assert_eq!(
        world.codes(),
        [
            "wide_cookie_not_sealed",
            "http_only_cookie_sealed",
            "wide_session_cookie_sealed"
        ]
    );
}

#[test]
fn anonymous_paths_never_see_a_session_and_never_set_one() {
    let paths = json!({ "anonymous_paths": ["/shop/static"] });
    let (scene, world, kv, visit) = visit_with(&paths);
    let token = scene.id_token("alice", "s1");
    visit.log_in(&token, "c");
    visit
        .cookies
        .borrow_mut()
        .push(("theme".into(), "dark".into()));
    kv.calls.set(0);
    world.codes();
    let lines = [
        (SID, "shop.sid=anonymous"),
        (SID, "shop.part0=; Max-Age=0"),
        (SID, "csrf=1; HttpOnly"),
        (SID, "seen=1"),
        ("edge-logout-id-token", token.as_str()),
    ];
    let outcome = visit.get_at("/shop/static/app.css", &lines);
    assert_eq!(outcome.sent(), Some("theme=dark"));
    let changes = outcome.changes();
    assert_eq!(changes.set_cookies.as_ref().unwrap(), &["seen=1"]);
    assert_eq!(changes.drop_headers, ["edge-logout-id-token"]);
    assert_eq!(changes.cache_control, None);
    assert_eq!(kv.calls.get(), 0);
    assert_eq!(world.codes(), ["cookie_on_anonymous_path_dropped"; 3]);
    assert!(visit.get(&[]).sent().unwrap().contains("shop.sid=c"));
}

/// Folded into one header with a comma, where old servers split it again.
#[test]
fn a_second_cookie_header_smuggles_nothing_and_loses_nothing() {
    let (scene, _, _, visit) = visit();
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    let seal = visit.cookies.take()[0].1.clone();
    for (value, sent) in [
        ("1, shop.sid=raw".to_owned(), "a=1"),
        (format!("1, shop.sid={seal}"), "a=1; shop.sid=c"),
        (
            format!("1,2, shop.sid={seal}, b=3"),
            "a=1,2; shop.sid=c; b=3",
        ),
    ] {
        visit.cookies.replace(vec![("a".into(), value)]);
        assert_eq!(visit.get(&[]).sent(), Some(sent));
    }
}

#[test]
fn session_ids_in_urls_are_taken_out_and_logged() {
    let (_, world, _, visit) = visit();
    visit.query.set("?b&PHPSESSID=2");
    let outcome = visit.get_at("/shop/a;jsessionid=1", &[]);
    let target = outcome.forwarded.unwrap().target;
    assert_eq!(target, Some(("/shop/a".into(), "?b".into())));
    assert_eq!(world.codes(), ["session_id_in_url_removed"]);
}
