use std::time::Duration;

use super::*;
use crate::{
    app::testkit::{MemoryShelf, NOW},
    domain::session::SubjectKey,
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
        released.into_iter().map(|(_, ordered)| ordered).collect()
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
    assert_eq!(scene.judge("nobody either", 0, 500), Verdict::Held);
    let tripped_at = Some(NOW.plus(Duration::from_secs(2)));
    let held = 2;
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
    for (name, ordered) in &names {
        assert_ne!(ordered.scope, super::tests::ordered("c").scope);
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
    for n in 1..limits::HELD {
        scene
            .shelf
            .put(&format!("held/0000000001/{n}"), &ordered("x"))
            .unwrap();
    }
    assert_eq!(scene.judge("one more", 1, 1), Verdict::Full);
    assert_eq!(scene.judge("first", 11, 1), Verdict::Held);
    assert_eq!(scene.held(), limits::HELD);
}
