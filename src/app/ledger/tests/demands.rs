//! What ends demand, over restarts and failures.

use super::*;
use crate::domain::ledger::{Change, Row, Rows as _, Table};

impl Scene {
    fn widening(&self, sid: &str) -> Scope {
        Scope::Sid {
            sid: SidKey::of(&self.app, sid),
            sub: None,
            widens: true,
        }
    }
}

/// Held by the row that stays, past its session's time, until the list of the user has been told.
#[test]
fn a_logout_of_a_user_outlasts_the_session_that_named_them() {
    let scene = Scene::new();
    let (mut brief, long) = (scene.birth(1, "s1", -60), scene.birth(2, "s2", -60));
    brief.session.expires = at(30);
    for birth in [&brief, &long] {
        assert_eq!(block_on(scene.register(birth)), Ok(Ok(())));
    }
    let end_of_user = scene.ledger.calls.get() + 1;
    scene.ledger.fault.set(Some((end_of_user, Fault::Before)));
    let ended = block_on(scene.end(&scene.widening("s1"), 0));
    assert_eq!(ended, Err(Unavailable("ledger_unconfirmed")));
    // The list of the user cannot be told before the session is over.
    scene.ledger.fault.set(Some((usize::MAX, Fault::Before)));
    for _ in 0..40 {
        scene.world.pass(Duration::from_secs(1));
        block_on(scene.ledger.alarms());
    }
    scene.ledger.fault.set(None);
    scene.world.pass(limits::LEDGER_RETRY_MAX);
    let runs = block_on(scene.ledger.alarms());
    assert!(runs < 10, "{runs}");
    assert!(!scene.is_alive(&long));
    scene.world.pass(scene.app.session_lifetime);
    block_on(scene.ledger.alarms());
    assert!(scene.ledger.tables().is_empty());
}

/// Held by the sessions themselves being named to the list of the user, besides the logout: that
/// list may have heard of the logout before they came.
#[test]
fn whom_the_list_of_a_sid_lets_go_the_list_of_the_user_does_not_keep() {
    let scene = Scene::new();
    let one = scene.birth(1, "s1", -60);
    assert_eq!(block_on(scene.register(&one)), Ok(Ok(())));
    assert!(block_on(scene.end(&scene.widening("s1"), 0)).is_ok());
    // Of another node of the OP; then the same logout, of the user's other `sid`.
    let other = scene.birth(2, "s2", 5);
    assert_eq!(block_on(scene.register(&other)), Ok(Ok(())));
    assert!(block_on(scene.end(&scene.widening("s2"), 0)).is_ok());
    let is_found = block_on(scene.end(&scene.widening("s2"), 20)).is_ok();
    assert!(is_found && !scene.is_alive(&other));
}

/// Held by a list that does not know its alarm looking soon: logins that meet a restarted list each
/// time must not put off what waits.
#[test]
fn restarts_do_not_put_off_what_an_end_demands() {
    let scene = Scene::new();
    let birth = scene.birth(1, "s1", -60);
    assert_eq!(block_on(scene.register(&birth)), Ok(Ok(())));
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    assert_eq!(
        block_on(scene.end(&scene.of_user(), 0)).map(|ended| ended.deferred),
        Ok(true)
    );
    for _ in 0..20 {
        scene.world.pass(Duration::from_mins(1));
        block_on(scene.ledger.alarms());
    }
    scene.kv.fault.set(None);
    let list = List::User(birth.session.subject);
    let rows = scene.ledger.rows(&list.to_string());
    for number in 2..12 {
        rows.0.borrow_mut().alarm = None;
        let mut next = scene.birth(number, "s1", 1300 + i64::from(number));
        next.session.registered_at = scene.world.clock.get();
        assert_eq!(block_on(scene.ledger.admit(list, &next)), Ok(Ok(())));
        scene.world.pass(Duration::from_mins(1));
        block_on(scene.ledger.alarms());
    }
    assert!(!rows.0.borrow().has_ended());
}

/// Held by the list ending a session for one that is too many.
#[test]
fn a_list_that_is_full_ends_its_earliest_session() {
    let scene = Scene::new();
    let earliest = scene.birth(1, "s1", -60);
    assert_eq!(block_on(scene.register(&earliest)), Ok(Ok(())));
    let list = List::User(earliest.session.subject).to_string();
    let rows = scene.ledger.rows(&list);
    let row = rows.0.borrow().rows[&earliest.session.id];
    for number in 1..limits::LEDGER_SESSIONS {
        let id = SessionId::from_random((number as u128 | 1 << 127).to_be_bytes());
        let login = row.login.plus(Duration::from_secs(1));
        let change = Change::Insert(Row { id, login, ..row });
        rows.write(&change).unwrap();
    }
    let last = scene.birth(2, "s2", 0);
    assert_eq!(block_on(scene.register(&last)), Ok(Ok(())));
    assert!(scene.is_alive(&last) && !scene.is_alive(&earliest));
    let live = |table: &Table| {
        table
            .rows
            .values()
            .filter(|row| row.ended.is_none())
            .count()
    };
    assert_eq!(rows.read(live), Ok(limits::LEDGER_SESSIONS));
    let entry = entry::key(earliest.session.sid, &earliest.session.id);
    assert!(scene.kv.keys().contains(&entry));
    scene.world.pass(limits::LEDGER_RETRY_MIN);
    block_on(scene.ledger.alarms());
    assert!(!scene.kv.keys().contains(&entry));
}
