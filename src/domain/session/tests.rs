use super::*;

const LIFETIME: Duration = limits::SESSION_LIFETIME;
const T: Timestamp = Timestamp::from_seconds(1_800_000_000);

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
        assert_eq!(Mark(T).covers(at(login)), covered, "{login}");
    }
}

#[test]
fn a_session_lives_while_nothing_ends_it() {
    let session = session(at(0), at(1));
    let judge =
        |entry, marks: &[Option<Mark>], now| judge(&session, LIFETIME, entry, marks, at(now));
    assert_eq!(judge(true, &[None, None], 2), Life::Alive);
    assert_eq!(judge(true, &[Some(Mark(at(-3))), None], 2), Life::Alive);
}

#[test]
fn either_mark_ends_it_whether_or_not_its_entry_is_there() {
    let session = session(at(0), at(1));
    for marks in [[Some(Mark(at(5))), None], [None, Some(Mark(at(5)))]] {
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
            judge(&session, LIFETIME, false, &[None, None], at(now)),
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
    assert_eq!(
        judge(&session, LIFETIME, true, &[None, None], before),
        Life::Alive
    );
    assert_eq!(
        judge(&session, LIFETIME, true, &[None, None], end),
        Life::Ended(EndedBy::Lifetime)
    );
}

#[test]
fn a_lifetime_that_was_cut_ends_older_sessions() {
    let session = session(at(0), at(0));
    let cut = Duration::from_mins(1);
    for (now, life) in [(59, Life::Alive), (60, Life::Ended(EndedBy::Lifetime))] {
        assert_eq!(
            judge(&session, cut, true, &[None, None], at(now)),
            life,
            "{now}"
        );
    }
}

#[test]
fn a_covered_login_is_not_born() {
    for (mark, expected) in [
        (-3, Ok(())),
        (-2, Err(BirthRefused::LoggedOut)),
        (7, Err(BirthRefused::LoggedOut)),
    ] {
        for marks in [[Some(Mark(at(mark))), None], [None, Some(Mark(at(mark)))]] {
            assert_eq!(admit(&session(at(0), at(1)), &marks), expected, "{mark}");
        }
    }
}

#[test]
fn an_old_id_token_begins_nothing() {
    for (age, expected) in [(600, Ok(())), (601, Err(BirthRefused::TooOld))] {
        assert_eq!(
            admit(&session(at(0), at(age)), &[None, None]),
            expected,
            "{age}"
        );
    }
}
