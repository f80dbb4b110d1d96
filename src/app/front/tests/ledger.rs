//! The gate over the ledger: what the client gets when logins, answers and logouts cross.

use super::*;

fn visit_by_ledger() -> Visit<'static> {
    let config = testkit::ledger_config_with(&json!({}));
    let signer = Signer::new();
    let scene = Box::leak(Box::new(Scene { config, signer }));
    let world = Box::leak(Box::new(FakeWorld::new()));
    let kv = Box::leak(Box::new(FakeKv::new(world)));
    let ledger = Box::leak(Box::new(FakeLedger::new(world, kv)));
    Visit {
        ledger: Some(ledger),
        ..Visit::new(scene, world, kv)
    }
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

impl Visit<'static> {
    /// The same browser at the same Worker, in a place from which it may be asked meanwhile.
    fn shared(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// Logs in with an ID token of that time and, if the OP tells it, that of the authentication.
    fn log_in_at(&self, sid: &str, iat: Timestamp, auth_time: Option<Timestamp>) -> Outcome {
        let mut claims = json!({
            "iss": testkit::ISSUER, "aud": "shop", "sub": "alice", "sid": sid,
            "iat": iat.seconds(), "exp": iat.seconds() + 3600,
        });
        if let Some(at) = auth_time {
            claims["auth_time"] = json!(at.seconds());
        }
        let header = r#"{"alg":"RS256","kid":"op-1"}"#;
        let token = self.scene.signer.sign(header, &claims.to_string());
        self.log_in(&token, sid)
    }
}

/// Held by the cookie being the session's as which the request went out, ended or not.
#[test]
fn an_answer_that_was_under_way_rolls_a_dead_cookie() {
    let visit = visit_by_ledger().shared();
    visit.log_in(&visit.scene.id_token("alice", "s1"), "one");
    let reply = FakeReply::ok(&[(SID, "shop.sid=two; Path=/shop")]);
    let log_out = || visit.log_out(&json!({ "sid": "s1" }), NOW);
    let slow = visit.request_while("GET", true, reply, Some(Box::new(log_out)));
    assert_eq!(slow.sent(), Some("shop.sid=one"), "it went out before");
    assert!(visit.cookies.borrow()[0].1.starts_with("el1."));
    assert_eq!(visit.get(&[]).sent(), None);
}

/// Held by the marks: the ID token was there before the logout.
#[test]
fn a_login_whose_answer_took_longer_than_its_logout_is_not_delivered() {
    for target in [json!({ "sid": "s1" }), json!({ "sub": "alice" })] {
        let visit = visit_by_ledger().shared();
        let token = visit.scene.id_token("alice", "s1");
        let reply = FakeReply::ok(&[(ANNOUNCEMENT, &token), (SID, "shop.sid=new")]);
        let log_out = move || visit.log_out(&target, later(1));
        let outcome = visit.request_while("GET", true, reply, Some(Box::new(log_out)));
        assert_eq!(outcome.own().kind, OwnKind::SignedOut);
        assert_eq!(outcome.own().set_cookies, Vec::<String>::new());
        assert_eq!(visit.kv.keys(), Vec::<String>::new());
        assert_eq!(visit.get(&[]).sent(), None);
    }
}

/// Held by the error of a list that does not confirm.
#[test]
fn cookies_are_delivered_only_if_both_lists_have_the_session() {
    for call in [0, 1] {
        for fault in [Fault::Before, Fault::After, Fault::Hang] {
            let visit = visit_by_ledger();
            let ledger = visit.ledger.unwrap();
            ledger.fault.set(Some((call, fault)));
            let outcome = visit.log_in(&visit.scene.id_token("alice", "s1"), "c");
            assert_eq!(outcome.own().kind, OwnKind::Unavailable, "{call} {fault:?}");
            assert_eq!(outcome.own().set_cookies, Vec::<String>::new());
            ledger.fault.set(None);
            let again = visit.world.now();
            let outcome = visit.log_in_at("s1", again, None);
            assert_eq!(
                outcome.changes().set_cookies.as_ref().map(Vec::len),
                Some(1)
            );
            visit.log_out(&json!({ "sid": "s1" }), again);
            assert_eq!(visit.get(&[]).sent(), None, "{call} {fault:?}");
        }
    }
}

/// Held by the window after a logout in which a login must show a newer authentication.
#[test]
fn a_login_with_the_sid_of_a_logout_needs_a_new_authentication_for_a_minute() {
    for (after, sid, auth_time, is_born) in [
        (10, "s1", None, false),
        (10, "s1", Some(NOW), false),
        (10, "s1", Some(later(1)), true),
        (10, "s2", None, true),
        (60, "s1", None, false),
        (61, "s1", None, true),
        (61, "s1", Some(NOW), true),
    ] {
        let what = format!("{after} {sid} {auth_time:?}");
        let visit = visit_by_ledger();
        visit.log_in(&visit.scene.id_token("alice", "s1"), "old");
        visit.log_out(&json!({ "sid": "s1" }), NOW);
        visit.world.clock.set(later(after));
        let outcome = visit.log_in_at(sid, later(after), auth_time);
        if is_born {
            assert!(outcome.changes().set_cookies.is_some(), "{what}");
            let cookie = format!("shop.sid={sid}");
            assert_eq!(visit.get(&[]).sent(), Some(cookie.as_str()), "{what}");
        } else {
            assert_eq!(
                outcome.own().code,
                "birth_refused_not_reauthenticated",
                "{what}"
            );
        }
    }
}

/// Held by the login time that only the first ID token sets.
#[test]
fn announcing_again_moves_no_login_time() {
    let visit = visit_by_ledger();
    visit.log_in(&visit.scene.id_token("alice", "s1"), "one");
    let tables = visit.ledger.unwrap().tables();
    visit.world.pass(Duration::from_secs(30));
    visit.log_in_at("s1", later(30), Some(later(30)));
    assert_eq!(
        visit.ledger.unwrap().tables(),
        tables,
        "nothing was said to a list"
    );
    visit.log_out(&json!({ "sid": "s1" }), later(1));
    assert_eq!(visit.get(&[]).sent(), None);
}

/// Held by the authority in the seal.
#[test]
fn a_change_of_the_mode_signs_everybody_in_again_and_revives_nobody() {
    let by_kv = || visit().3;
    for (before, after) in [(visit_by_ledger(), by_kv()), (by_kv(), visit_by_ledger())] {
        before.log_in(&before.scene.id_token("alice", "s1"), "old");
        assert_eq!(before.get(&[]).sent(), Some("shop.sid=old"));
        after.cookies.replace(before.cookies.take());
        let outcome = after.get(&[]);
        assert_eq!(outcome.sent(), None);
        assert_eq!(outcome.changes().set_cookies, None, "withheld, not removed");
        after.log_in(&after.scene.id_token("alice", "s1"), "new");
        assert_eq!(after.get(&[]).sent(), Some("shop.sid=new"));
        after.log_out(&json!({ "sub": "alice" }), NOW);
        assert_eq!(after.get(&[]).sent(), None);
    }
}
