//! What happens at once, in every order in which its steps can follow each other: each task goes on
//! up to its next call.

use std::task::{Context, Poll, Waker};

use super::*;

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// Runs two tasks in every order of their steps, each time in a scene of its own.
fn in_every_order<A, B>(
    race: impl Fn(&'static Scene) -> (Task<A>, Task<B>),
    check: impl Fn(&Scene, A, B),
) {
    let mut context = Context::from_waker(Waker::noop());
    // Who goes on where both could: the second, if true.
    let mut order: Vec<bool> = Vec::new();
    let mut orders = 0;
    loop {
        let scene: &Scene = Box::leak(Box::new(Scene::new()));
        let (mut first, mut second) = race(scene);
        let (mut of_first, mut of_second) = (None, None);
        let mut step = 0;
        while of_first.is_none() || of_second.is_none() {
            let is_second = if of_first.is_none() && of_second.is_none() {
                if step == order.len() {
                    order.push(false);
                }
                step += 1;
                order[step - 1]
            } else {
                of_second.is_none()
            };
            if is_second {
                if let Poll::Ready(got) = second.as_mut().poll(&mut context) {
                    of_second = Some(got);
                }
            } else if let Poll::Ready(got) = first.as_mut().poll(&mut context) {
                of_first = Some(got);
            }
        }
        check(scene, of_first.unwrap(), of_second.unwrap());
        orders += 1;
        while order.pop_if(|is_second| *is_second).is_some() {}
        match order.last_mut() {
            Some(is_second) => *is_second = true,
            None => break,
        }
    }
    assert!(orders > 5, "{orders}");
}

impl Scene {
    /// After all alarms nothing is left of sessions, but for `left` many. (Those that ended with
    /// their user stay in the lists of their `sid`s, where they expire.)
    fn is_tidy(&self, left: usize) {
        self.world.pass(limits::LEDGER_RETRY_MAX);
        block_on(self.ledger.alarms());
        assert_eq!(self.kv.keys().len(), left);
        let tables = self.ledger.tables();
        let of_users = tables.iter().filter(|(name, _)| name.starts_with("u:"));
        let rows: usize = of_users.map(|(_, table)| table.rows.len()).sum();
        assert_eq!(rows, left);
    }

    /// A logout, and whether the session lives once it is answered.
    async fn end_and_look(&self, scope: Scope, offset: i64, birth: Birth) -> (usize, bool) {
        let ended = self.end(&scope, offset).await.unwrap();
        let sessions = self.ledger.sessions(&self.app);
        let life = sessions.alive(&birth.session).await;
        (ended.matched, life == Ok(Life::Alive))
    }
}

/// Held by the marks in both lists, and by the order of the two: whom the list of the `sid` has,
/// the list of the user has. One that only the latter took in is ended there again.
#[test]
fn a_login_never_outlives_the_logout_that_runs_beside_it() {
    // The second is a silent sign-on before the OP has ended its own session.
    for (login, authenticated) in [(0, 0), (5, -100)] {
        for scope in [|scene: &Scene| scene.of_sid("s1"), Scene::of_user] {
            in_every_order(
                |scene| {
                    let mut birth = scene.birth(1, "s1", login);
                    birth.authenticated_at = Some(at(authenticated));
                    (
                        Box::pin(async move { scene.register(&birth).await }),
                        Box::pin(async move { scene.end(&scope(scene), 0).await }),
                    )
                },
                |scene, _, ended| {
                    assert!(ended.is_ok());
                    assert!(!scene.is_alive(&scene.birth(1, "s1", login)));
                    scene.is_tidy(0);
                },
            );
        }
    }
}

/// Held by what a list has still to tell: whoever comes second tells it too, and does not answer
/// before. That the list of the user counts makes it one `matched`.
#[test]
fn two_logouts_at_once_both_answer_when_it_is_dead_and_one_has_ended_it() {
    for scope in [|scene: &Scene| scene.of_sid("s1"), Scene::of_user] {
        for offset in [0, 1] {
            in_every_order(
                |scene| {
                    let birth = scene.birth(1, "s1", -60);
                    assert_eq!(block_on(scene.register(&birth)), Ok(Ok(())));
                    (
                        Box::pin(scene.end_and_look(scene.of_sid("s1"), 0, birth)),
                        Box::pin(scene.end_and_look(scope(scene), offset, birth)),
                    )
                },
                |scene, (first, alive_then), (second, alive_after)| {
                    assert!(!alive_then && !alive_after);
                    assert_eq!(first + second, 1);
                    scene.is_tidy(0);
                },
            );
        }
    }
}

/// Held by the lists being those of one `sid`: what ends one leaves no mark for others.
#[test]
fn a_logout_of_one_sid_leaves_alone_who_logs_in_beside_it() {
    in_every_order(
        |scene| {
            let (one, other) = (scene.birth(1, "s1", -60), scene.birth(2, "s2", -1));
            assert_eq!(block_on(scene.register(&one)), Ok(Ok(())));
            (
                Box::pin(scene.end_and_look(scene.of_sid("s1"), 0, one)),
                Box::pin(async move { scene.register(&other).await }),
            )
        },
        |scene, ended, registered| {
            assert_eq!((ended, registered), ((1, false), Ok(Ok(()))));
            assert!(scene.is_alive(&scene.birth(2, "s2", -1)));
            scene.is_tidy(1);
        },
    );
}

/// Held by the place in the list's order that a logout keeps when it is repeated.
#[test]
fn a_replayed_logout_never_ends_the_login_that_comes_beside_it() {
    for scope in [|scene: &Scene| scene.of_sid("s1"), Scene::of_user] {
        in_every_order(
            |scene| {
                let (old, new) = (scene.birth(1, "s1", -60), scene.birth(2, "s1", 5));
                assert_eq!(block_on(scene.register(&old)), Ok(Ok(())));
                assert!(block_on(scene.end(&scope(scene), 0)).is_ok());
                (
                    Box::pin(async move { scene.end(&scope(scene), 0).await }),
                    Box::pin(async move { scene.register(&new).await }),
                )
            },
            |scene, replayed, registered| {
                assert_eq!(replayed.map(|ended| ended.matched), Ok(0));
                assert_eq!(registered, Ok(Ok(())));
                assert!(scene.is_alive(&scene.birth(2, "s1", 5)));
                scene.is_tidy(1);
            },
        );
    }
}

/// Held by the list of the user hearing of the logout itself: it marks it, for whoever comes.
#[test]
fn a_logout_that_widens_to_the_user_ends_the_login_that_comes_beside_it() {
    in_every_order(
        |scene| {
            let (one, other) = (scene.birth(1, "s1", -60), scene.birth(2, "s2", 0));
            assert_eq!(block_on(scene.register(&one)), Ok(Ok(())));
            let mut scope = scene.of_sid("s1");
            if let Scope::Sid { widens, .. } = &mut scope {
                *widens = true;
            }
            (
                Box::pin(async move { scene.end(&scope, 0).await }),
                Box::pin(async move { scene.register(&other).await }),
            )
        },
        |scene, ended, _| {
            assert!(ended.is_ok());
            assert!(!scene.is_alive(&scene.birth(1, "s1", -60)));
            assert!(!scene.is_alive(&scene.birth(2, "s2", 0)));
        },
    );
}

/// Held by the `sub` beside a `sid` having sessions of its own where they may lack one.
#[test]
fn a_session_without_a_sid_ends_while_it_begins_too() {
    in_every_order(
        |scene| {
            let mut birth = scene.birth(1, "s1", 0);
            let without_sid = SidKey::absent(&scene.app, "alice");
            birth.session.sid = without_sid;
            birth.has_sid = false;
            let scope = Scope::Sid {
                sid: SidKey::of(&scene.app, "s1"),
                sub: Some(SidScopeSub {
                    subject: birth.session.subject,
                    without_sid: Some(without_sid),
                }),
                widens: false,
            };
            (
                Box::pin(async move { (scene.register(&birth).await, birth) }),
                Box::pin(async move { scene.end(&scope, 0).await }),
            )
        },
        |scene, (_, birth), ended| {
            assert!(ended.is_ok());
            assert!(!scene.is_alive(&birth));
        },
    );
}

/// Held by the lease's end, and by nothing else: that is its price.
#[test]
fn a_lease_delays_a_logout_by_its_length_and_no_longer() {
    let scene = Scene::with(&json!({ "ledger_lease_seconds": 30 }));
    let birth = scene.birth(1, "s1", -60);
    assert_eq!(block_on(scene.register(&birth)), Ok(Ok(())));
    assert!(scene.is_alive(&birth));
    assert!(block_on(scene.end(&scene.of_sid("s1"), 0)).is_ok());
    scene
        .world
        .pass(scene.app.ledger_lease - Duration::from_millis(1));
    assert!(scene.is_alive(&birth), "nobody has asked");
    scene.world.pass(Duration::from_millis(1));
    assert!(!scene.is_alive(&birth));
}

/// Held by the error of either list being the login's: nobody has its cookies. The ends that come
/// later find whatever is left.
#[test]
fn a_login_that_a_list_does_not_confirm_is_none() {
    for call in [0, 1] {
        for fault in [Fault::Before, Fault::After] {
            let scene = Scene::new();
            let birth = scene.birth(1, "s1", -60);
            scene.ledger.fault.set(Some((call, fault)));
            let failed = Unavailable("ledger_failed");
            assert_eq!(block_on(scene.register(&birth)), Err(failed));
            scene.ledger.fault.set(None);
            assert!(block_on(scene.end(&scene.of_sid("s1"), 0)).is_ok());
            assert!(block_on(scene.end(&scene.of_user(), 0)).is_ok());
            assert!(!scene.is_alive(&birth), "{call} {fault:?}");
        }
    }
}

/// Held by the row that stays until what its end demands has been done: here its entry's deletion.
#[test]
fn a_session_that_has_ended_is_not_taken_in_again() {
    let scene = Scene::new();
    let birth = scene.birth(1, "s1", -60);
    assert_eq!(block_on(scene.register(&birth)), Ok(Ok(())));
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    let sessions = scene.ledger.sessions(&scene.app);
    assert_eq!(block_on(sessions.end_one(&birth.session)), Ok(()));
    let late = scene
        .ledger
        .admit(List::User(birth.session.subject), &birth);
    assert_eq!(block_on(late), Ok(Err(BirthRefused::LoggedOut)));
    scene.kv.fault.set(None);
    assert!(!scene.is_alive(&birth));
    scene.is_tidy(0);
}
