//! A survey tells what a logout then does, and changes nothing.

use std::{collections::HashSet, rc::Rc};

use serde_json::json;

use crate::{
    app::{
        ports::{Ended, Sessions, Survey},
        testkit::{self, FakeKv, FakeLedger, FakeWorld, NOW, block_on},
    },
    domain::{
        config::App,
        limits,
        logout_token::Logout,
        session::{Birth, Life, Scope, Session, SessionId, SidKey, SidScopeSub, SubjectKey},
        time::Timestamp,
    },
};

fn at(offset: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + offset)
}

fn logout(offset: i64) -> Logout {
    Logout {
        at: at(offset),
        valid_until: at(offset + 120),
    }
}

/// Sessions of two users, each with two of a shared `sid`, one of its own, and one without.
fn births(app: &App) -> Vec<Birth> {
    let mut births = Vec::new();
    for sub in ["alice", "bob"] {
        for (sid, login) in [
            (Some("shared"), -300),
            (Some("shared"), -20),
            (Some(sub), -200),
            (None, -100),
        ] {
            let number = u8::try_from(births.len()).unwrap();
            births.push(Birth {
                session: Session {
                    id: SessionId::from_random([number; 16]),
                    subject: SubjectKey::of(app, sub),
                    sid: sid.map_or_else(|| SidKey::absent(app, sub), |sid| SidKey::of(app, sid)),
                    login: at(login),
                    registered_at: NOW,
                    expires: NOW.plus(app.session_lifetime),
                },
                authenticated_at: Some(at(login)),
                has_sid: sid.is_some(),
            });
        }
    }
    births
}

fn scopes(app: &App) -> Vec<Scope> {
    let subject = SubjectKey::of(app, "alice");
    let mut scopes = vec![
        Scope::Subject(subject),
        Scope::Subject(SubjectKey::of(app, "nobody")),
    ];
    for sid in ["shared", "alice", "unknown"] {
        for widens in [false, true] {
            for without_sid in [None, Some(SidKey::absent(app, "alice"))] {
                scopes.push(Scope::Sid {
                    sid: SidKey::of(app, sid),
                    sub: Some(SidScopeSub {
                        subject,
                        without_sid,
                    }),
                    widens,
                });
            }
            scopes.push(Scope::Sid {
                sid: SidKey::of(app, sid),
                sub: None,
                widens,
            });
        }
    }
    scopes
}

fn app() -> Rc<App> {
    let config = testkit::config_with(&json!({}), &json!({ "session_sid": "optional" }));
    testkit::app(&config, "SHOP")
}

/// What a logout surveys, the sessions that live after it, and what it ended.
fn survey_and_end(
    sessions: &impl Sessions,
    births: &[Birth],
    scope: &Scope,
    logout: &Logout,
    unchanged: &impl Fn() -> String,
) -> (Survey, Ended) {
    for birth in births {
        assert_eq!(block_on(sessions.register(birth)), Ok(Ok(())));
    }
    let before = unchanged();
    let survey = block_on(sessions.survey(scope, logout)).unwrap();
    assert_eq!(unchanged(), before);
    let deadline = NOW.plus(limits::BACK_CHANNEL_DEADLINE);
    let ended = block_on(sessions.end(scope, logout, deadline)).unwrap();
    let again = block_on(sessions.survey(scope, logout)).unwrap();
    assert_eq!((again.matched, again.sessions), (0, vec![]), "{scope:?}");
    let dead: HashSet<_> = survey.sessions.iter().map(|session| session.id).collect();
    assert_eq!(dead.len(), survey.sessions.len(), "{scope:?}");
    for Birth { session, .. } in births {
        let lives = block_on(sessions.alive(session)) == Ok(Life::Alive);
        assert_eq!(lives, !dead.contains(&session.id), "{scope:?}");
    }
    for found in &survey.sessions {
        let born = births.iter().find(|birth| birth.session.id == found.id);
        let mut born = born.unwrap().session;
        born.registered_at = born.login;
        assert_eq!(*found, born);
    }
    (survey, ended)
}

#[test]
fn a_survey_tells_what_a_logout_then_does() {
    let app = app();
    let births = births(&app);
    for scope in scopes(&app) {
        for offset in [-250, -60, 0] {
            let world = FakeWorld::new();
            let kv = FakeKv::new(&world);
            let sessions = kv.sessions(&app);
            let unchanged = || format!("{:?}", kv.keys());
            let logout = logout(offset);
            let (survey, ended) = survey_and_end(&sessions, &births, &scope, &logout, &unchanged);
            // Where it widens, KV finds sessions by their `sid` and by their user.
            let widens = matches!(scope, Scope::Sid { widens: true, .. });
            assert!(widens || survey.matched == ended.matched, "{scope:?}");

            let world = FakeWorld::new();
            let kv = FakeKv::new(&world);
            let ledger = FakeLedger::new(&world, &kv);
            let sessions = ledger.sessions(&app);
            let unchanged = || {
                let mut tables = ledger.tables();
                tables.retain(|_, table| !table.rows.is_empty());
                format!("{tables:?} {:?}", kv.keys())
            };
            let of_ledger = survey_and_end(&sessions, &births, &scope, &logout, &unchanged);
            let (survey_of_ledger, ended) = of_ledger;
            assert_eq!(survey_of_ledger.matched, ended.matched, "{scope:?}");
            // A session of the `sid` that began later leads KV to its user all the same.
            assert!(widens || survey_of_ledger.matched == survey.matched);
        }
    }
}
