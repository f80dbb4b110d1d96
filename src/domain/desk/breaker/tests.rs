use std::time::Duration;

use super::*;
use crate::{
    app::testkit::{MemoryShelf, NOW},
    domain::session::{SidKey, SidScopeSub, SubjectKey},
};

const BREAKER: Breaker = Breaker {
    sessions: 10,
    span: Duration::from_mins(1),
};

fn ordered(who: &str) -> Ordered {
    Ordered {
        app: Digest::of("app", &["a"]),
        scope: Scope::Subject(SubjectKey(Digest::of("sub", &[who]))),
        logout: Logout {
            at: NOW,
            valid_until: NOW,
        },
    }
}

struct Scene {
    shelf: MemoryShelf,
}

impl Scene {
    fn new() -> Self {
        Self {
            shelf: MemoryShelf::default(),
        }
    }

    fn judge(&self, who: &str, sessions: usize, seconds: u64) -> Verdict {
        let now = NOW.plus(Duration::from_secs(seconds));
        judge(&self.shelf, BREAKER, &ordered(who), sessions, now).unwrap()
    }

    fn held(&self) -> usize {
        standing(&self.shelf).unwrap().held
    }

    fn released(&self) -> Vec<Ordered> {
        let released = released(&self.shelf, 100).unwrap();
        released.into_iter().map(|(_, held)| held.ordered).collect()
    }
}

#[test]
fn it_trips_when_more_would_end_than_may_and_holds_everything_then() {
    let scene = Scene::new();
    assert_eq!(scene.judge("a", 6, 0), Verdict::Admitted);
    assert_eq!(scene.judge("b", 4, 1), Verdict::Admitted);
    assert_eq!(scene.judge("nobody", 0, 2), Verdict::Admitted);
    assert_eq!(standing(&scene.shelf).unwrap(), Standing::default());
    assert_eq!(scene.judge("c", 1, 2), Verdict::Held);
    // What ends nobody takes up no room, and is the better performed.
    assert_eq!(scene.judge("nobody either", 0, 500), Verdict::Admitted);
    let tripped_at = Some(NOW.plus(Duration::from_secs(2)));
    let held = 1;
    assert_eq!(
        standing(&scene.shelf).unwrap(),
        Standing { tripped_at, held }
    );
}

#[test]
fn the_window_slides() {
    let scene = Scene::new();
    assert_eq!(scene.judge("a", 6, 0), Verdict::Admitted);
    assert_eq!(scene.judge("b", 4, 59), Verdict::Admitted);
    assert_eq!(scene.judge("c", 6, 60), Verdict::Admitted);
    assert_eq!(scene.judge("d", 1, 118), Verdict::Held);
}

#[test]
fn one_logout_alone_may_be_too_much() {
    let scene = Scene::new();
    assert_eq!(scene.judge("a", 11, 0), Verdict::Held);
}

#[test]
fn a_repeat_is_neither_counted_nor_held_twice() {
    let scene = Scene::new();
    for second in 0..3 {
        assert_eq!(scene.judge("a", 10, second), Verdict::Admitted);
    }
    for second in 3..6 {
        assert_eq!(scene.judge("b", 1, second), Verdict::Held);
    }
    assert_eq!(scene.held(), 1);
    // What was admitted before it tripped may be under way still.
    assert_eq!(scene.judge("a", 10, 6), Verdict::Admitted);
}

#[test]
fn a_release_lets_through_what_was_held_and_nothing_that_is_held_later() {
    let scene = Scene::new();
    scene.judge("a", 11, 0);
    scene.judge("b", 1, 1);
    assert_eq!(scene.released(), []);
    release(&scene.shelf, NOW).unwrap();
    assert!(scene.shelf.alarm.get().is_some());
    assert_eq!(standing(&scene.shelf).unwrap().tripped_at, None);
    assert_eq!(scene.judge("c", 11, 2), Verdict::Held);
    let names: Vec<_> = released(&scene.shelf, 100).unwrap();
    assert_eq!(names.len(), 2);
    for (name, held) in &names {
        assert_ne!(held.ordered, ordered("c"));
        performed(&scene.shelf, name).unwrap();
    }
    assert_eq!((scene.released(), scene.held()), (vec![], 1));
    // One that was held before may be held again.
    assert_eq!(scene.judge("a", 11, 3), Verdict::Held);
    assert_eq!((scene.released(), scene.held()), (vec![], 2));
}

#[test]
fn what_is_discarded_is_forgotten() {
    let scene = Scene::new();
    scene.judge("a", 11, 0);
    scene.judge("b", 1, 1);
    assert_eq!(discard(&scene.shelf), Ok(2));
    assert_eq!(standing(&scene.shelf).unwrap(), Standing::default());
    assert_eq!(scene.released(), []);
    assert_eq!(scene.judge("b", 1, 2), Verdict::Admitted);
}

#[test]
fn it_holds_so_many_and_says_so() {
    let scene = Scene::new();
    scene.judge("first", 11, 0);
    let mut state = state(&scene.shelf).unwrap();
    state.kept = limits::HELD;
    scene.shelf.put(STATE, &state).unwrap();
    assert_eq!(scene.judge("one more", 1, 1), Verdict::Full);
    assert_eq!(scene.judge("first", 11, 1), Verdict::Held);
    assert_eq!(scene.held(), 1);
    // The next trip has room of its own.
    discard(&scene.shelf).unwrap();
    assert_eq!(scene.judge("a", 11, 2), Verdict::Held);
}

/// Nothing of a scope is left out: what is taken for a repeat is let through unseen.
#[test]
fn only_a_repeat_is_a_repeat() {
    let digest = |of: &str| Digest::of("d", &[of]);
    let sid = |sid: &str, sub: Option<(&str, bool)>, widens| Scope::Sid {
        sid: SidKey(digest(sid)),
        sub: sub.map(|(sub, optional)| SidScopeSub {
            subject: SubjectKey(digest(sub)),
            without_sid: optional.then(|| SidKey(digest("none"))),
        }),
        widens,
    };
    let scopes = [
        Scope::Subject(SubjectKey(digest("a"))),
        Scope::Subject(SubjectKey(digest("b"))),
        sid("a", None, false),
        sid("b", None, false),
        sid("a", None, true),
        sid("a", Some(("a", false)), false),
        sid("a", Some(("b", false)), false),
        sid("a", Some(("a", true)), false),
        sid("a", Some(("a", false)), true),
    ];
    let mut names: Vec<_> = scopes
        .into_iter()
        .map(|scope| {
            Ordered {
                scope,
                ..ordered("a")
            }
            .name()
        })
        .collect();
    let other_app = Ordered {
        app: digest("b"),
        ..ordered("a")
    };
    names.extend([other_app.name(), ordered("a").name()]);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_release_ends_nothing_that_began_after_the_logout_came() {
    let spread = Duration::from_secs(10);
    let reach = |seconds: i64| {
        let came = Timestamp::from_millis(NOW.millis() + seconds * 1000);
        let ordered = ordered("a");
        let logout = Held { ordered, came }.logout_within(spread);
        logout.at.plus(spread).millis() - NOW.millis()
    };
    // A clock of the provider that is ahead of ours; on time; a token that was long under way.
    assert_eq!(
        (reach(-5), reach(0), reach(3), reach(60)),
        (0, 0, 3000, 10_000)
    );
}

#[test]
fn what_cannot_be_performed_holds_up_nothing_else() {
    let scene = Scene::new();
    scene.judge("a", 11, 0);
    scene.judge("b", 1, 1);
    release(&scene.shelf, NOW).unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        let (name, held) = released(&scene.shelf, 1).unwrap().remove(0);
        postponed(&scene.shelf, &name, &held).unwrap();
        order.push(held.ordered);
    }
    assert_ne!(order[0], order[1]);
    assert_eq!(scene.held(), 2);
    for (name, _) in released(&scene.shelf, 10).unwrap() {
        performed(&scene.shelf, &name).unwrap();
    }
    assert_eq!(scene.held(), 0);
}
