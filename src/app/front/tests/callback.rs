//! Logins that nobody announces.

use super::*;
use crate::{
    app::ports::Codes as _,
    domain::{authorization_code::CodeKey, id_token::Login, session::Attested},
};

fn visit(from: &str) -> (&'static Scene, &'static FakeWorld, &'static Visit<'static>) {
    let (scene, world, _, visit) = visit_with(&json!({
        "announce": { "from": from },
        "login_paths": ["/shop/callback"],
    }));
    visit.path.set("/shop/callback");
    (scene, world, Box::leak(Box::new(visit)))
}

impl Visit<'static> {
    fn login(&self, sub: &str, sid: &str) -> Attested {
        let login = Login {
            sub: sub.to_owned(),
            sid: Some(sid.to_owned()),
            issued_at: self.world.now(),
            authenticated_at: None,
        };
        Attested::of(&testkit::app(&self.scene.config, self.app), &login)
    }

    /// The app redeems a code; gives whether it learns who logged in.
    fn redeem(&self, code: &str, sub: &str) -> bool {
        let code = CodeKey::of(&testkit::app(&self.scene.config, self.app), code);
        block_on(self.codes.redeem(&code, self.login(sub, "s1"))).unwrap()
    }

    /// The OP sends the user back with this query, and the app redeems the code `c1` for `sub`.
    fn called_back(
        &'static self,
        query: &'static str,
        sub: &'static str,
        reply: FakeReply,
    ) -> Outcome {
        self.query.set(query);
        let redeem = move || {
            self.redeem("c1", sub);
        };
        let outcome = self.request_while("GET", true, reply, Some(Box::new(redeem)));
        self.query.set("");
        outcome
    }

    fn is_signed_in(&self, cookie: &str) -> bool {
        self.get_at("/shop/page", &[]).sent() == Some(cookie)
    }
}

fn sets(value: &str) -> FakeReply {
    FakeReply::ok(&[(SID, &format!("shop.sid={value}; Path=/shop; HttpOnly"))])
}

#[test]
fn the_answer_to_the_callback_is_that_of_the_login_the_code_was_redeemed_for() {
    let (_, world, visit) = visit("relay");
    visit.called_back("?state=s&code=c1", "alice", sets("v1"));
    assert_eq!(world.codes(), ["session_began"]);
    assert!(visit.is_signed_in("shop.sid=v1"));
    visit.log_out(
        &json!({ "sid": "s1" }),
        world.now().plus(Duration::from_secs(1)),
    );
    assert!(!visit.is_signed_in("shop.sid=v1"));
}

#[test]
fn a_code_that_nobody_redeems_logs_nobody_in() {
    let (_, world, visit) = visit("relay");
    visit.query.set("?code=c1");
    visit.request("GET", true, sets("v1"));
    visit.query.set("");
    assert_eq!(world.codes(), [""; 0]);
    assert!(
        visit.is_signed_in("shop.sid=v1"),
        "it may be an error page's"
    );
    assert!(
        !visit.redeem("c1", "alice"),
        "nobody could end what would begin now"
    );
}

#[test]
fn no_answer_to_a_callback_is_handed_over() {
    let (_, _, visit) = visit("relay");
    visit.query.set("?code=c1");
    let outcome = visit.request("GET", true, FakeReply::ok(&[]));
    assert!(!outcome.forwarded.unwrap().hands_over, "the code is closed");
    assert!(!visit.redeem("c1", "alice"));
    visit.query.set("");
    let outcome = visit.request("GET", true, FakeReply::ok(&[]));
    assert!(outcome.forwarded.unwrap().hands_over, "it brings nothing");
}

#[test]
fn an_app_that_breaks_off_cannot_redeem_the_code_any_more() {
    let (_, _, visit) = visit("relay");
    visit.query.set("?code=c1");
    let broken = FakeOrigin::new(Err(Unavailable("origin_unreachable")));
    assert_eq!(visit.ask("GET", broken).own().code, "origin_unreachable");
    assert!(!visit.redeem("c1", "alice"));
}

#[test]
fn who_only_looks_spends_no_code() {
    let (_, world, visit) = visit("relay");
    visit.query.set("?code=c1");
    for method in ["HEAD", "OPTIONS", "PUT"] {
        let outcome = visit.request(method, false, FakeReply::ok(&[]));
        assert!(outcome.forwarded.is_some(), "{method}");
        assert!(!visit.redeem("c1", "alice"), "{method}");
    }
    visit.called_back("?code=c1", "alice", sets("v1"));
    assert_eq!(world.codes(), ["session_began"]);
}

#[test]
fn a_login_path_in_another_spelling_is_none() {
    for from in ["relay", "form_post"] {
        let (_, _, visit) = visit(from);
        for path in [
            "/shop/%63allback",
            "/shop/Callback",
            "/shop//callback",
            "/shop/callback;x",
        ] {
            let outcome = visit.get_at(path, &[]);
            assert_eq!(
                outcome.own().code,
                "authorization_response_ambiguous",
                "{path}"
            );
            assert!(outcome.forwarded.is_none());
        }
        assert!(visit.get_at("/shop/callbacks", &[]).forwarded.is_some());
        assert!(visit.get_at("/shop/%63", &[]).forwarded.is_some());
    }
}

#[test]
fn a_code_is_redeemed_only_while_its_callback_waits() {
    let (_, world, visit) = visit("relay");
    assert!(!visit.redeem("c1", "alice"), "before it");
    visit.called_back("?code=c1", "alice", sets("v1"));
    assert!(!visit.redeem("c1", "mallory"), "after it");
    assert!(visit.is_signed_in("shop.sid=v1"));
    world.log.take();
    // Elsewhere than on a login path a code is the app's own business.
    let (_, _, other) = self::visit("relay");
    other.path.set("/shop/coupon");
    other.called_back("?code=c1", "alice", sets("v1"));
    assert_eq!(other.codes.records.borrow().len(), 0);
}

/// With a copied cookie and a code of their own, somebody could otherwise have the cookies of the
/// copied session bound to their own login, and outlive its logout.
#[test]
fn of_two_callbacks_with_one_code_the_second_never_reaches_the_app() {
    let (_, _, visit) = visit("relay");
    visit.query.set("?code=c1");
    let again = || {
        let outcome = visit.request("GET", true, sets("v2"));
        assert_eq!(outcome.own().code, "callback_repeated");
        assert_eq!(outcome.own().location.as_deref(), Some("/shop"));
        assert!(outcome.forwarded.is_none());
        assert!(visit.redeem("c1", "alice"), "the first still waits");
    };
    visit.request_while("GET", true, sets("v1"), Some(Box::new(again)));
    let outcome = visit.request("GET", true, sets("v3"));
    assert_eq!(outcome.own().code, "callback_repeated");
    visit.query.set("");
    assert!(visit.is_signed_in("shop.sid=v1"));
}

#[test]
fn a_login_without_a_new_cookie_is_not_delivered() {
    let (_, world, visit) = visit("relay");
    let outcome = visit.called_back("?code=c1", "alice", FakeReply::ok(&[]));
    assert_eq!(outcome.own().code, "login_without_new_cookie");
    assert_eq!(world.codes(), ["login_without_new_cookie"]);
}

#[test]
fn an_app_may_refuse_whom_the_op_has_let_in() {
    let (_, world, visit) = visit("relay");
    let refusal = |reply| FakeReply {
        status: 403,
        ..reply
    };
    let outcome = visit.called_back("?code=c1", "alice", refusal(FakeReply::ok(&[])));
    assert!(matches!(outcome.served, Served::Reply(..)));
    assert_eq!(world.codes(), [""; 0]);
    // What it sets all the same may be a login.
    let (_, world, visit) = self::visit("relay");
    visit.called_back("?code=c1", "alice", refusal(sets("v1")));
    assert_eq!(world.codes(), ["session_began"]);
    visit.log_out(&json!({ "sid": "s1" }), world.now());
    assert!(!visit.is_signed_in("shop.sid=v1"));
}

/// With a copied cookie and a code of their own, somebody could otherwise have an app that refuses the
/// login bind the copied session's cookies to it, and outlive that session's logout.
#[test]
fn a_login_on_top_of_somebody_elses_session_ends_it_and_counts_for_nothing() {
    let (_, world, visit) = visit("relay");
    visit.called_back("?code=c1", "alice", sets("of-alice"));
    world.pass(Duration::from_secs(1));
    visit.query.set("?code=c2");
    let redeem = || assert!(visit.redeem("c2", "mallory"));
    let reply = sets("of-alice-again");
    let outcome = visit.request_while("GET", true, reply, Some(Box::new(redeem)));
    visit.query.set("");
    assert_eq!(outcome.own().kind, OwnKind::SignedOut);
    assert_eq!(outcome.own().code, "login_as_another_user");
    assert_eq!(
        world.codes(),
        ["session_began", "session_replaced", "login_as_another_user"]
    );
    assert_eq!(
        visit.get_at("/shop/page", &[]).sent(),
        None,
        "all are removed"
    );
    visit.called_back("?code=c3", "bob", sets("v3"));
    assert!(world.codes().is_empty(), "c1 was redeemed, not c3");
}

#[test]
fn a_callback_goes_on_whatever_has_become_of_an_earlier_session() {
    let (_, world, visit) = visit("relay");
    visit.called_back("?code=c1", "alice", sets("v1"));
    visit.log_out(&json!({ "sub": "alice" }), world.now());
    world.log.take();
    world.pass(limits::REBIRTH_WINDOW + Duration::from_secs(3));
    visit.form.set(Some("code=c2"));
    let redeem = || assert!(visit.redeem("c2", "alice"));
    let outcome = visit.request_while("POST", true, sets("v2"), Some(Box::new(redeem)));
    assert_eq!(outcome.sent(), None, "without what the session had");
    assert_eq!(world.codes(), ["ended_by_mark", "session_began"]);
    visit.form.set(None);
    assert!(visit.is_signed_in("shop.sid=v2"));
}

#[test]
fn who_is_signed_in_stays_so_whatever_comes_of_another_login() {
    let (_, world, visit) = visit("relay");
    visit.called_back("?code=c1", "alice", sets("v1"));
    visit.query.set("?error=login_required");
    visit.request("GET", true, sets("v2"));
    visit.query.set("");
    world.pass(limits::LATE_ANNOUNCEMENT);
    assert!(visit.is_signed_in("shop.sid=v2"));
    visit.log_out(&json!({ "sub": "alice" }), world.now());
    assert!(!visit.is_signed_in("shop.sid=v2"));
}

#[test]
fn while_the_records_cannot_be_had_nobody_is_logged_in() {
    for (call, is_asked) in [(0, false), (2, true)] {
        for fault in [Fault::Before, Fault::After, Fault::Hang] {
            let (_, world, visit) = visit("relay");
            world.faults.plan(Some((call, fault)));
            let outcome = visit.called_back("?code=c1", "alice", sets("v1"));
            assert_eq!(outcome.own().kind, OwnKind::Unavailable, "{call} {fault:?}");
            assert_eq!(outcome.forwarded.is_some(), is_asked);
            world.faults.plan(None);
            assert!(!visit.is_signed_in("shop.sid=v1"));
        }
    }
}

#[test]
fn an_answer_in_a_form_is_as_good_as_one_in_a_query() {
    let (_, world, visit) = visit("relay");
    visit.form.set(Some("state=s&code=c1"));
    let redeem = || assert!(visit.redeem("c1", "alice"));
    visit.request_while("POST", true, sets("v1"), Some(Box::new(redeem)));
    assert_eq!(world.codes(), ["session_began"]);
    let twice = visit.request("POST", true, sets("v1"));
    assert_eq!(twice.own().code, "callback_repeated");
    visit.query.set("?code=c2");
    let both = visit.request("POST", true, sets("v1"));
    assert_eq!(both.own().code, "authorization_response_ambiguous");
    assert_eq!(both.own().kind, OwnKind::BadRequest);
    assert!(both.forwarded.is_none());
}

fn post(visit: &Visit<'static>, token: &str, reply: FakeReply) -> Outcome {
    let form = format!("state=s&id_token={token}");
    visit.form.set(Some(Box::leak(form.into_boxed_str())));
    visit.request("POST", true, reply)
}

#[test]
fn a_posted_id_token_is_a_login() {
    let (scene, world, visit) = visit("form_post");
    post(visit, &scene.id_token("alice", "s1"), sets("v1"));
    assert_eq!(world.codes(), ["session_began"]);
    assert!(visit.is_signed_in("shop.sid=v1"));
    visit.log_out(&json!({ "sid": "s1" }), world.now());
    assert!(!visit.is_signed_in("shop.sid=v1"));
}

#[test]
fn a_posted_token_that_does_not_verify_is_no_login() {
    let (scene, world, visit) = visit("form_post");
    post(visit, &scene.id_token("alice", "s1"), sets("v1"));
    let token = scene.id_token("alice", "s2");
    for wrong in [
        "garbage".to_owned(),
        format!("{token}x"),
        scene.signer.id_token("wiki", "alice", Some("s2"), NOW),
        scene
            .signer
            .logout_token("shop", &json!({ "sid": "s1" }), NOW),
    ] {
        world.log.take();
        // Anybody can have a browser post anything: it must not cost its user the session.
        let outcome = post(visit, &wrong, FakeReply::ok(&[]));
        assert!(matches!(outcome.served, Served::Reply(..)), "{wrong}");
        assert_eq!(world.codes().len(), 1);
        assert!(visit.is_signed_in("shop.sid=v1"));
    }
    // Keys that cannot be had are another matter.
    let (scene, world, visit) = self::visit("form_post");
    world.documents.take();
    let outcome = post(visit, &scene.id_token("alice", "s1"), sets("v1"));
    assert_eq!(outcome.own().kind, OwnKind::Unavailable);
    assert!(outcome.forwarded.is_none());
}

#[test]
fn a_posted_token_of_somebody_else_never_reaches_the_app() {
    let (scene, world, visit) = visit("form_post");
    post(visit, &scene.id_token("alice", "s1"), sets("v1"));
    world.log.take();
    let outcome = post(visit, &scene.id_token("mallory", "m1"), sets("v2"));
    assert_eq!(outcome.own().code, "login_as_another_user");
    assert!(outcome.forwarded.is_none());
    assert_eq!(world.codes(), ["session_replaced", "login_as_another_user"]);
    assert_eq!(visit.get_at("/shop/page", &[]).sent(), None);
    // One of the same user is a login on top of another.
    post(visit, &scene.id_token("alice", "s1"), sets("v3"));
    post(visit, &scene.id_token("alice", "s2"), sets("v4"));
    assert!(visit.is_signed_in("shop.sid=v4"));
}

/// An app may take what we do not, such as one that is too old.
#[test]
fn what_an_unread_login_sets_lives_for_a_minute_under_whatever_name() {
    let (scene, world, visit) = visit("form_post");
    post(visit, "garbage", sets("v1"));
    assert!(visit.is_signed_in("shop.sid=v1"));
    let part = FakeReply::ok(&[(SID, "shop.part2=more; Path=/shop; HttpOnly")]);
    visit.path.set("/shop/page");
    visit.request("GET", true, part);
    visit.path.set("/shop/callback");
    assert!(visit.is_signed_in("shop.sid=v1; shop.part2=more"));
    // Nobody's login takes it over.
    post(visit, &scene.id_token("mallory", "m1"), FakeReply::ok(&[]));
    world.pass(limits::LATE_ANNOUNCEMENT);
    assert_eq!(visit.get_at("/shop/page", &[]).sent(), None);
}

#[test]
fn a_token_that_some_servers_read_elsewhere_reaches_none() {
    let (scene, _, visit) = visit("form_post");
    visit.query.set("?id_token=x");
    let outcome = post(visit, &scene.id_token("alice", "s1"), sets("v1"));
    assert_eq!(outcome.own().code, "authorization_response_ambiguous");
    assert!(outcome.forwarded.is_none());
}
