use super::*;

const LIFETIME: Duration = limits::SESSION_LIFETIME;
const T: Timestamp = Timestamp::from_seconds(1_800_000_000);

const NONE: Marks = Marks {
    sid: None,
    subject: None,
};

/// A mark at that time, on the sid and on the subject.
fn marked(offset: i64) -> [Marks; 2] {
    let mark = Some(Mark(at(offset)));
    [
        Marks { sid: mark, ..NONE },
        Marks {
            subject: mark,
            ..NONE
        },
    ]
}

fn at(offset: i64) -> Timestamp {
    Timestamp::from_seconds(T.seconds() + offset)
}

fn session(login: Timestamp, registered_at: Timestamp) -> Session {
    Session {
        id: SessionId::from_random([1; 16]),
        subject: SubjectKey(Digest::of("sub", &["u"])),
        sid: SidKey(Digest::of("sid", &["s"])),
        login,
        registered_at,
        expires: registered_at.plus(limits::SESSION_LIFETIME),
    }
}

#[test]
fn a_mark_covers_logins_up_to_the_margin() {
    for (login, covered) in [(-1, true), (0, true), (2, true), (3, false)] {
        assert_eq!(
            Mark(T).covers(at(login), limits::KV_ORDER_MARGIN),
            covered,
            "{login}"
        );
    }
}

#[test]
fn a_session_lives_while_nothing_ends_it() {
    let session = session(at(0), at(1));
    let judge = |entry, marks: Marks, now| judge(&session, LIFETIME, entry, &marks, at(now));
    assert_eq!(judge(true, NONE, 2), Life::Alive);
    assert_eq!(judge(true, marked(-3)[0], 2), Life::Alive);
}

#[test]
fn either_mark_ends_it_whether_or_not_its_entry_is_there() {
    let session = session(at(0), at(1));
    for marks in marked(5) {
        for entry in [true, false] {
            assert_eq!(
                judge(&session, LIFETIME, entry, &marks, at(6)),
                Life::Ended(EndedBy::Mark)
            );
        }
    }
}

#[test]
fn a_missing_entry_ends_it_once_kv_cannot_lag_any_more() {
    let session = session(at(0), at(1));
    for (now, life) in [(180, Life::Alive), (181, Life::Ended(EndedBy::Deletion))] {
        assert_eq!(
            judge(&session, LIFETIME, false, &NONE, at(now)),
            life,
            "{now}"
        );
    }
}

#[test]
fn it_ends_by_itself() {
    let session = session(at(0), at(0));
    let end = session.expires;
    let before = Timestamp::from_millis(end.seconds() * 1000 - 1);
    assert_eq!(judge(&session, LIFETIME, true, &NONE, before), Life::Alive);
    assert_eq!(
        judge(&session, LIFETIME, true, &NONE, end),
        Life::Ended(EndedBy::Lifetime)
    );
}

#[test]
fn a_lifetime_that_was_cut_ends_older_sessions() {
    let session = session(at(0), at(0));
    let cut = Duration::from_mins(1);
    for (now, life) in [(59, Life::Alive), (60, Life::Ended(EndedBy::Lifetime))] {
        assert_eq!(judge(&session, cut, true, &NONE, at(now)), life, "{now}");
    }
}

fn birth(login: i64, registered_at: i64, authenticated_at: Option<i64>) -> Birth {
    Birth {
        session: session(at(login), at(registered_at)),
        authenticated_at: authenticated_at.map(at),
        has_sid: true,
    }
}

#[test]
fn a_covered_login_is_not_born() {
    for authenticated_at in [None, Some(0)] {
        for (mark, refused) in [(-2, true), (7, true), (-61, false)] {
            for marks in marked(mark) {
                let expected = if refused {
                    Err(BirthRefused::LoggedOut)
                } else {
                    Ok(())
                };
                assert_eq!(
                    admit(
                        &birth(0, 1, authenticated_at),
                        &marks,
                        limits::KV_ORDER_MARGIN
                    ),
                    expected,
                    "{mark}"
                );
            }
        }
    }
}

#[test]
fn soon_after_a_logout_a_login_needs_a_newer_authentication() {
    const REFUSED: Result<(), BirthRefused> = Err(BirthRefused::NotReauthenticated);
    for (login, authenticated_at, by_sid, by_subject) in [
        // Silent sign-on before the OP has killed its own session.
        (10, Some(-100), REFUSED, REFUSED),
        (10, Some(0), REFUSED, REFUSED),
        (60, Some(0), REFUSED, REFUSED),
        // The user authenticated again.
        (10, Some(1), Ok(()), Ok(())),
        // The OP does not say: the sid tells whether it is the old session.
        (10, None, REFUSED, Ok(())),
        (60, None, REFUSED, Ok(())),
        // Later the login time alone decides.
        (61, Some(-100), Ok(()), Ok(())),
        (61, None, Ok(()), Ok(())),
    ] {
        let birth = birth(login, login, authenticated_at);
        let found = marked(0).map(|marks| admit(&birth, &marks, limits::KV_ORDER_MARGIN));
        assert_eq!(found, [by_sid, by_subject], "{login} {authenticated_at:?}");
    }
}

#[test]
fn without_a_sid_nothing_tells_a_login_from_the_session_that_ended() {
    let birth = Birth {
        has_sid: false,
        ..birth(10, 10, None)
    };
    for marks in marked(0) {
        let refused = Err(BirthRefused::NotReauthenticated);
        assert_eq!(admit(&birth, &marks, limits::KV_ORDER_MARGIN), refused);
    }
}

#[test]
fn an_old_id_token_begins_nothing() {
    for (age, expected) in [(600, Ok(())), (601, Err(BirthRefused::TooOld))] {
        assert_eq!(
            admit(&birth(0, age, None), &NONE, limits::KV_ORDER_MARGIN),
            expected,
            "{age}"
        );
    }
}

#[test]
fn equal_identifiers_of_two_issuers_or_clients_are_different_ones() {
    let of = |issuer: &str| {
        crate::app::testkit::config_with(
            &serde_json::json!({ "issuer": issuer }),
            &serde_json::json!({}),
        )
    };
    let configs = [of("https://op.example/"), of("https://op.example/a")];
    let apps: Vec<_> = configs.iter().flat_map(|config| &config.apps).collect();
    let mut keys: Vec<Digest> = Vec::new();
    for app in apps {
        for key in [
            SidKey::of(app, "x").0,
            SidKey::absent(app, "x").0,
            SubjectKey::of(app, "x").0,
        ] {
            assert!(!keys.contains(&key));
            keys.push(key);
        }
    }
    assert_eq!(keys.len(), 12);
}
