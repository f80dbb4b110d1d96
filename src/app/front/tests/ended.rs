//! What becomes of requests whose session has ended.

use super::*;

fn ended(shop: &Value) -> (&'static FakeWorld, Visit<'static>) {
    let (scene, world, _, visit) = visit_with(shop);
    visit.log_in(&scene.id_token("alice", "s1"), "c");
    visit.log_out(&json!({ "sid": "s1" }), NOW);
    world.codes();
    (world, visit)
}

#[test]
fn each_way_answers_each_kind_of_request() {
    let anonymous = json!({});
    let unauthorized = json!({ "on_ended": "unauthorized" });
    let redirect = json!({ "on_ended": "redirect", "ended_location": "/shop/login?x" });
    let go_on = None;
    let unauthorised = Some((OwnKind::Unauthorized, "ended_unauthorized"));
    let see_other = Some((OwnKind::SeeOther, "ended_unsafe"));
    let elsewhere = Some((OwnKind::SeeOther, "ended_redirected"));
    let refused = Some((OwnKind::MethodNotAllowed, "method_never_forwarded"));
    for (method, is_navigation, expected) in [
        ("GET", true, [go_on, unauthorised, elsewhere]),
        ("GET", false, [go_on, unauthorised, unauthorised]),
        ("HEAD", false, [go_on, unauthorised, unauthorised]),
        ("POST", true, [see_other, unauthorised, elsewhere]),
        ("POST", false, [unauthorised; 3]),
        ("PROPFIND", false, [unauthorised; 3]),
        ("OPTIONS", false, [go_on; 3]),
        ("TRACE", false, [refused; 3]),
    ] {
        for (shop, expected) in [&anonymous, &unauthorized, &redirect].iter().zip(expected) {
            let (world, visit) = ended(shop);
            let outcome = visit.request(method, is_navigation, FakeReply::ok(&[]));
            let what = format!("{method} {is_navigation} {shop}");
            let Some((kind, code)) = expected else {
                assert_eq!(outcome.sent(), None, "{what}");
                assert_eq!(outcome.changes().cache_control, Some("no-store"));
                continue;
            };
            assert_eq!(
                (outcome.own().kind, outcome.own().code),
                (kind, code),
                "{what}"
            );
            assert_eq!(outcome.forwarded, None, "{what}");
            assert!(
                outcome.own().set_cookies[0].starts_with("shop.sid=; "),
                "{what}"
            );
            assert_eq!(world.codes(), ["ended_by_mark", code], "{what}");
        }
    }
}

#[test]
fn no_redirect_can_loop() {
    let redirect = json!({ "on_ended": "redirect", "ended_location": "/shop/login?x" });
    let (_, visit) = ended(&redirect);
    let seal = visit.cookies.borrow().clone();
    // The page itself is shown to whoever comes.
    let there = visit.get_at("/shop/login", &[]);
    assert_eq!(there.sent(), None);

    // A browser that keeps the cookie all the same is redirected once.
    visit.cookies.replace(seal.clone());
    let outcome = visit.get(&[]);
    assert_eq!(outcome.own().kind, OwnKind::SeeOther);
    let marker = "edge-logout-redirected=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=10";
    assert_eq!(outcome.own().set_cookies[1], marker);
    visit.cookies.borrow_mut().extend(seal);
    let outcome = visit.get(&[]);
    assert_eq!(
        outcome.sent(),
        None,
        "neither the seal nor the marker reaches the app"
    );
    let post = visit.request("POST", true, FakeReply::ok(&[]));
    assert_eq!(
        post.forwarded.map(|forward| forward.cookies),
        Some(CookieHeader::Replaced(None))
    );
}

#[test]
fn an_app_that_clears_the_sites_cookies_ends_the_session() {
    for (header, ends) in [
        ("\"cookies\"", true),
        ("\"cache\", \"*\"", true),
        ("\"cache\"", false),
    ] {
        let (scene, _, kv, visit) = visit();
        visit.log_in(&scene.id_token("alice", "s1"), "c");
        visit.get(&[("clear-site-data", header)]);
        assert_eq!(kv.keys().is_empty(), ends, "{header}");
    }
}

/// What takes a form often shows nothing itself.
#[test]
fn an_ended_form_leads_back_to_the_page_it_came_from_if_that_is_the_apps() {
    let here = "https://app.example/shop/page";
    for (referer, location) in [
        (Some("https://app.example/shop/notes?all"), None),
        (None, Some(here)),
        (Some("https://app.example/wiki/"), Some(here)),
        (Some("https://evil.example/shop/notes"), Some(here)),
        (Some("http://app.example/shop/notes"), Some(here)),
        (Some("https://app.example@evil.example/shop/"), Some(here)),
        (Some("https://app.example/shop/..%2fwiki"), Some(here)),
        (Some("//app.example/shop/"), Some(here)),
    ] {
        let (_, visit) = ended(&json!({}));
        visit.referer.set(referer);
        let outcome = visit.request("POST", true, FakeReply::ok(&[]));
        assert_eq!(
            outcome.own().location.as_deref(),
            location.or(referer),
            "{referer:?}"
        );
    }
}

/// Another may plant a cookie of a session that they have ended.
#[test]
fn a_dead_session_beside_a_live_one_signs_nobody_out() {
    let (scene, world, kv, one) = visit();
    one.log_in(&scene.id_token("alice", "s1"), "alices");
    world.pass(Duration::from_secs(10));
    let two = Visit::new(scene, world, kv);
    let mallorys = scene
        .signer
        .id_token("shop", "mallory", Some("s2"), world.now());
    two.get(&[
        ("edge-logout-id-token", &mallorys),
        (SID, "shop.part0=planted"),
    ]);
    two.log_out(&json!({ "sid": "s2" }), world.now());
    one.cookies.borrow_mut().extend(two.cookies.take());
    let outcome = one.request("POST", true, FakeReply::ok(&[]));
    assert_eq!(outcome.sent(), Some("shop.sid=alices"));
    let removals = outcome.changes().set_cookies.as_ref().unwrap();
    assert!(removals.len() == 1 && removals[0].starts_with("shop.part0=;"));
}
