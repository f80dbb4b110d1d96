//! The ways in which an app says who logged in.

use std::iter;

use super::*;

#[test]
fn an_id_token_may_come_in_any_header_after_its_scheme() {
    let announce =
        json!({ "announce": { "from": "header", "name": "Authorization", "scheme": "Bearer" } });
    let (scene, world, kv, visit) = visit_with(&announce);
    let token = scene.id_token("alice", "s1");
    for value in [
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer {token}, Bearer {token}"),
    ] {
        let outcome = visit.get(&[("authorization", &value), (SID, "shop.sid=c")]);
        assert_eq!(outcome.own().code, "announcement_invalid", "{value}");
        assert_eq!(kv.keys(), Vec::<String>::new());
    }
    world.codes();
    let outcome = visit.get(&[
        ("authorization", &format!("bearer  {token}")),
        ("edge-logout-id-token", "stray"),
        (SID, "shop.sid=c"),
    ]);
    let dropped = ["authorization", "edge-logout-id-token"];
    assert_eq!(outcome.changes().drop_headers, dropped);
    assert_eq!(world.codes(), ["session_began"]);
}

#[test]
fn an_id_token_may_come_as_a_cookie_which_nobody_gets() {
    let announce = json!({ "announce": { "from": "cookie", "name": "IdToken" } });
    let (scene, world, _, visit) = visit_with(&announce);
    let token = scene.id_token("alice", "s1");
    let line = format!("IdToken=\"{token}\"; Path=/");
    let outcome = visit.get(&[(SID, &line), (SID, &line), (SID, "shop.sid=c")]);
    assert_eq!(outcome.own().code, "announcement_invalid", "exactly one");
    world.codes();
    let outcome = visit.get(&[(SID, &line), (SID, "shop.sid=c")]);
    assert_eq!(world.codes(), ["session_began"]);
    let lines = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(lines.len() == 1 && lines[0].starts_with("shop.sid=el1."));
    // Its removal is nobody's business either.
    let outcome = visit.get(&[(SID, "IdToken=; Max-Age=0")]);
    assert_eq!(outcome.changes().set_cookies, Some(Vec::new()));
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
}

#[test]
fn a_header_of_nearly_that_name_announces_nothing() {
    let (scene, _, kv, visit) = visit();
    let token = scene.id_token("alice", "s1");
    for name in [
        "edge_logout_id_token",
        "x-edge-logout-id-token",
        "edge-logout-id-tokens",
    ] {
        visit.get(&[(name, &token), (SID, "shop.sid=c")]);
        assert_eq!(kv.keys(), Vec::<String>::new(), "{name}");
    }
}

/// Envoy's session is several cookies, the ID token among them.
#[test]
fn an_announcement_that_is_a_session_cookie_too_is_sealed() {
    let (scene, _, _, visit) = visit_with(&json!({
        "announce": { "from": "cookie", "name": "IdToken" },
        "session_cookies": ["IdToken", "BearerToken"],
    }));
    let token = scene.id_token("alice", "s1");
    let line = format!("IdToken={token}; Path=/");
    visit.get(&[(SID, &line), (SID, "BearerToken=b; Path=/")]);
    assert!(
        visit
            .cookies
            .borrow()
            .iter()
            .all(|(_, value)| value.starts_with("el1."))
    );
    let sent = format!("IdToken={token}; BearerToken=b");
    assert_eq!(visit.get(&[]).sent(), Some(sent.as_str()));
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    assert_eq!(visit.get(&[]).sent(), None);
}

#[test]
fn an_app_without_the_id_token_vouches_with_its_key() {
    let announce = json!({ "announce": { "from": "session" } });
    let (scene, world, kv, visit) = visit_with(&announce);
    let log_in = |visit: &Visit<'_>, header: &str, key: &str| {
        let headers = [
            ("edge-logout-session", header),
            ("edge-logout-key", key),
            (SID, "shop.sid=c"),
        ];
        visit.get(&headers)
    };
    let header = r#"sub="alice", sid="s1""#;
    let wrong = testkit::ANNOUNCE_KEY.replace('0', "1");
    for (header, key, code) in [
        (header, wrong.as_str(), "session_header_key_wrong"),
        (header, "", "session_header_key_wrong"),
        ("alice", testkit::ANNOUNCE_KEY, "session_header_malformed"),
    ] {
        let outcome = log_in(&visit, header, key);
        assert_eq!(outcome.own().code, "announcement_invalid");
        assert_eq!(world.codes(), [code, "announcement_invalid"]);
        assert_eq!(kv.keys(), Vec::<String>::new());
    }
    let outcome = log_in(&visit, header, testkit::ANNOUNCE_KEY);
    let dropped = ["edge-logout-session", "edge-logout-key"];
    assert_eq!(outcome.changes().drop_headers, dropped);
    assert_eq!(world.codes(), ["session_began"]);
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    assert_eq!(visit.get(&[]).sent(), None);

    // A login that began before the logout, and whose answer comes after it, does not count: however late.
    let outcome = log_in(&visit, header, testkit::ANNOUNCE_KEY);
    assert_eq!(outcome.own().kind, OwnKind::SignedOut);
    let reply = FakeReply::ok(&[
        ("edge-logout-session", header),
        ("edge-logout-key", testkit::ANNOUNCE_KEY),
        (SID, "shop.sid=late"),
    ]);
    let minutes = || world.pass(Duration::from_mins(2));
    let outcome = visit.request_while("GET", true, reply, Some(Box::new(minutes)));
    assert_eq!(outcome.own().code, "birth_refused_logged_out");
    // An ID token says nothing where it is not asked for.
    let token = scene.id_token("alice", "s1");
    world.pass(Duration::from_mins(2));
    let outcome = visit.get(&[("edge-logout-id-token", &token), (SID, "shop.sid=d")]);
    assert_eq!(outcome.changes().drop_headers, ["edge-logout-id-token"]);
    assert_eq!(kv.keys_of("session/"), Vec::<String>::new());
}

/// An app that announces on every page repeats what it stored at login.
#[test]
fn a_stored_id_token_goes_on_announcing_its_session() {
    let (scene, world, kv, visit) = visit();
    let token = scene.id_token("alice", "s1");
    visit.log_in(&token, "c");
    let stored = kv.keys();
    world.pass(Duration::from_hours(11));
    // The OP's keys have changed, and it is down.
    world.documents.borrow_mut().clear();
    world.codes();
    let outcome = visit.get(&[(ANNOUNCEMENT, &token), (SID, "shop.sid=rolled")]);
    assert_eq!(outcome.changes().drop_headers, [ANNOUNCEMENT]);
    assert_eq!(world.codes(), Vec::<String>::new());
    assert_eq!(kv.keys(), stored);
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=rolled"));

    // It begins none, and stands for no other session.
    visit.cookies.take();
    assert_eq!(visit.log_in(&token, "d").own().code, "announcement_invalid");
    assert_eq!(world.codes(), ["expired", "announcement_invalid"]);
}

#[test]
fn an_old_token_of_another_user_is_refused_in_a_live_session() {
    let (scene, world, _, visit) = visit();
    let bobs = scene.id_token("bob", "s2");
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    world.pass(Duration::from_hours(11));
    let outcome = visit.get(&[(ANNOUNCEMENT, &bobs), (SID, "shop.sid=new")]);
    assert_eq!(outcome.own().code, "announcement_invalid");
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
}

mod late {
    use super::*;

    fn late_visit() -> (
        &'static Scene,
        &'static FakeWorld,
        &'static FakeKv<'static>,
        Visit<'static>,
    ) {
        visit_with(&json!({ "announce_late": true, "login_paths": ["/shop/callback"] }))
    }

    const LINE: &str = "shop.sid=c; Path=/shop; HttpOnly; Max-Age=3600";

    #[test]
    fn the_next_page_binds_what_the_login_path_set() {
        let (scene, world, kv, visit) = late_visit();
        visit.get(&[(SID, "shop.sid=before; Path=/shop")]);
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        let copied = visit.cookies.borrow().clone();
        world.pass(Duration::from_secs(59));
        let token = scene.id_token("alice", "s1");
        let outcome = visit.get(&[(ANNOUNCEMENT, &token)]);
        assert_eq!(outcome.sent(), Some("shop.sid=c"));
        let lines = outcome.changes().set_cookies.as_ref().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with("; Path=/shop; HttpOnly; Max-Age=3600"),
            "{}",
            lines[0]
        );
        assert_eq!(outcome.changes().cache_control, Some("private, no-cache"));
        assert_eq!(kv.keys().len(), 2);

        world.pass(Duration::from_secs(1));
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
        visit.log_out(&json!({ "sid": "s1" }), NOW);
        assert_eq!(visit.get(&[]).sent(), None);
        visit.cookies.replace(copied);
        assert_eq!(visit.get(&[]).sent(), None, "the unbound copy is dead too");
    }

    #[test]
    fn without_an_announcement_the_login_dies_after_a_minute() {
        let (scene, world, kv, visit) = late_visit();
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        world.pass(Duration::from_secs(30));
        // Rolling prolongs nothing, nor does the login path itself.
        visit.get(&[(SID, "shop.sid=rolled; Path=/shop")]);
        visit.get_at("/shop/callback", &[(SID, "shop.sid=again; Path=/shop")]);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=again"));
        world.pass(Duration::from_secs(30));
        let outcome = visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
        assert_eq!(outcome.sent(), None);
        assert_eq!(outcome.own().code, "login_without_new_cookie");
        assert_eq!(kv.keys(), Vec::<String>::new());
    }

    #[test]
    fn cookies_from_elsewhere_are_never_bound_late() {
        let (scene, _, kv, visit) = late_visit();
        visit.get(&[(SID, "shop.sid=planted")]);
        visit.get_at("/shop/callback", &[(SID, "csrf=1; HttpOnly")]);
        let outcome = visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
        assert_eq!(outcome.own().code, "login_without_new_cookie");
        assert_eq!(kv.keys(), Vec::<String>::new());
    }

    #[test]
    fn a_second_login_takes_its_cookie_from_the_first() {
        let (scene, _, kv, visit) = late_visit();
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
        // As bob: the callback's cookie is alice's until the next page says otherwise.
        let next = LINE.replace("=c", "=bobs");
        visit.get_at("/shop/callback", &[(SID, &next)]);
        visit.get(&[(ANNOUNCEMENT, &scene.id_token("bob", "s2"))]);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=bobs"));
        assert_eq!(kv.keys_of("session/").len(), 1);
        visit.log_out(&json!({ "sub": "alice" }), NOW);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=bobs"));
        visit.log_out(&json!({ "sub": "bob" }), NOW);
        assert_eq!(visit.get(&[]).sent(), None);
    }

    #[test]
    fn a_page_that_sets_the_same_value_again_has_it_bound() {
        let (scene, world, _, visit) = late_visit();
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1")), (SID, LINE)]);
        world.pass(limits::LATE_ANNOUNCEMENT);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c"));
        visit.log_out(&json!({ "sid": "s1" }), NOW);
        assert_eq!(visit.get(&[]).sent(), None);
    }

    /// Whoever logs in there: until a page says who, the cookie is nobody's, a minute at most.
    #[test]
    fn a_second_login_that_is_never_announced_dies_too() {
        let (scene, world, _, visit) = late_visit();
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
        visit.get_at("/shop/callback", &[(SID, &LINE.replace("=c", "=bobs"))]);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=bobs"));
        world.pass(limits::LATE_ANNOUNCEMENT);
        let outcome = visit.get(&[]);
        assert_eq!(outcome.sent(), None);
        assert_eq!(outcome.changes().set_cookies.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn an_announcement_of_the_same_session_keeps_what_the_login_path_set() {
        let (scene, world, kv, visit) = late_visit();
        let token = scene.id_token("alice", "s1");
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        visit.get(&[(ANNOUNCEMENT, &token)]);
        let stored = kv.keys();
        visit.get_at("/shop/callback", &[(SID, &LINE.replace("=c", "=again"))]);
        let lines = |outcome: &Outcome| outcome.changes().set_cookies.as_ref().map(Vec::len);
        assert_eq!(lines(&visit.get(&[(ANNOUNCEMENT, &token)])), Some(1));
        assert_eq!(
            lines(&visit.get(&[(ANNOUNCEMENT, &token)])),
            None,
            "once is enough"
        );
        world.pass(limits::LATE_ANNOUNCEMENT);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=again"));
        assert_eq!(kv.keys(), stored);
    }

    /// The app keeps the value at login: whoever planted it has it too.
    #[test]
    fn a_value_that_was_there_before_does_not_wait_for_an_announcement() {
        let (scene, _, kv, visit) = late_visit();
        visit.get(&[(SID, LINE)]);
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        let outcome = visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
        assert_eq!(outcome.own().code, "login_without_new_cookie");
        assert_eq!(kv.keys(), Vec::<String>::new());
    }

    #[test]
    fn the_answers_own_cookies_win() {
        let (scene, _, _, visit) = late_visit();
        visit.get_at("/shop/callback", &[(SID, LINE)]);
        let token = scene.id_token("alice", "s1");
        let own = "shop.sid=own; Path=/shop";
        let outcome = visit.get(&[(ANNOUNCEMENT, &token), (SID, own)]);
        assert_eq!(outcome.changes().set_cookies.as_ref().unwrap().len(), 1);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=own"));
    }
}

/// Each goes out before the other's answer is there.
#[test]
fn two_tabs_that_log_in_at_once_both_end() {
    let (scene, _, kv, visit) = visit();
    let visit: &'static Visit<'static> = Box::leak(Box::new(visit));
    let token = scene.id_token("alice", "s1");
    let line = "shop.sid=second; Path=/shop; HttpOnly";
    let reply = FakeReply::ok(&[(ANNOUNCEMENT, &token), (SID, line)]);
    let first = {
        let token = token.clone();
        move || drop(visit.log_in(&token, "first"))
    };
    visit.request_while("GET", true, reply, Some(Box::new(first)));
    assert_eq!(visit.get(&[]).sent(), Some("shop.sid=second"));
    assert_eq!(kv.keys_of("session/").len(), 2);
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    assert_eq!(kv.keys_of("session/"), Vec::<String>::new());
    assert_eq!(visit.get(&[]).sent(), None);
}

/// Django keeps the cookie when somebody logs in who is logged in already.
#[test]
fn the_same_user_may_log_in_again_on_the_same_cookie() {
    let (scene, world, kv, visit) = visit();
    let attributes = "; Path=/shop; HttpOnly; Max-Age=1209600";
    let (sid, csrf) = (format!("shop.sid=c{attributes}"), "csrf=x; HttpOnly");
    let token = scene.id_token("alice", "s1");
    visit.get(&[(ANNOUNCEMENT, &token), (SID, &sid), (SID, csrf)]);
    let copied = visit.cookies.borrow().clone();
    // Set again with the same value, or not at all: both are the new session's now.
    for (new, old, line) in [("s2", "s1", None), ("s3", "s2", Some((SID, sid.as_str())))] {
        let again = scene.id_token("alice", new);
        let headers: Vec<_> = iter::once((ANNOUNCEMENT, again.as_str()))
            .chain(line)
            .collect();
        let outcome = visit.get(&headers);
        let lines = outcome.changes().set_cookies.as_ref().unwrap();
        assert!(
            lines.len() == 2 && lines[0].ends_with(attributes),
            "{lines:?}"
        );
        assert_eq!(kv.keys_of("session/").len(), 1);
        visit.log_out(&json!({ "sid": old }), NOW);
        assert_eq!(visit.get(&[]).sent(), Some("shop.sid=c; csrf=x"));
    }
    visit.log_out(&json!({ "sid": "s3" }), NOW);
    assert_eq!(visit.get(&[]).sent(), None);
    visit.cookies.replace(copied);
    world.pass(limits::KV_ENTRY_LAG);
    assert_eq!(visit.get(&[]).sent(), None, "a copy of before is dead too");
}

/// Only the sessions of one that has no `sid` cannot be told apart.
#[test]
fn a_sid_continues_a_session_without_one_and_no_other() {
    let (scene, _, kv, visit) = visit_with(&json!({ "session_sid": "optional" }));
    visit.log_in(&scene.signer.id_token("shop", "alice", None, NOW), "a");
    let stored = kv.keys();
    visit.get(&[(ANNOUNCEMENT, &scene.id_token("alice", "s1"))]);
    assert_eq!(kv.keys(), stored);
    visit.get(&[
        (ANNOUNCEMENT, &scene.id_token("bob", "s1")),
        (SID, "shop.sid=b"),
    ]);
    assert_ne!(kv.keys(), stored);
}

#[test]
fn a_login_whose_cookie_cannot_be_sealed_is_taken_back() {
    let (scene, world, kv, visit) = visit();
    let line = format!("shop.sid=c; Path=/{}", "x".repeat(20_000));
    let token = scene.id_token("alice", "s1");
    let outcome = visit.get(&[(ANNOUNCEMENT, &token), (SID, &line)]);
    assert_eq!(outcome.own().code, "cookie_not_sealable");
    assert_eq!(kv.keys(), Vec::<String>::new());
    let codes = ["session_began", "session_replaced", "cookie_not_sealable"];
    assert_eq!(world.codes(), codes);
}
