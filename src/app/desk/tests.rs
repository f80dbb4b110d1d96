use std::{cell::Cell, rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    app::{
        logout::{self, receive},
        ports::{Ended, Sessions},
        testkit::{self, FakeDesks, FakeKv, FakeWorld, Fault, NOW, Signer, block_on},
    },
    domain::{
        desk::{
            Shelf as _,
            breaker::{self, Held},
        },
        logout_token::Logout,
        session::{
            Birth, BirthRefused, EndedBy, Life, Scope, Session, SessionId, SidKey, SubjectKey,
        },
    },
};

/// Performs by the sessions of the app, while it may.
struct Performing {
    kv: &'static FakeKv<'static>,
    app: Rc<App>,
    fails: Cell<bool>,
}

impl Performer for Performing {
    async fn perform(&self, held: &Held, deadline: Timestamp) -> Result<Ended, Unavailable> {
        let ordered = &held.ordered;
        if self.fails.get() {
            return Err(Unavailable("kv_failed"));
        }
        let sessions = self.kv.sessions(&self.app);
        sessions
            .end(&ordered.scope, &ordered.logout, deadline)
            .await
    }
}

struct Scene {
    world: &'static FakeWorld,
    kv: &'static FakeKv<'static>,
    desks: FakeDesks<'static, Performing>,
    app: Rc<App>,
}

impl Scene {
    fn with(issuer: &Value) -> Self {
        let world: &'static FakeWorld = Box::leak(Box::new(FakeWorld::new()));
        let kv: &'static FakeKv<'static> = Box::leak(Box::new(FakeKv::new(world)));
        let app = testkit::app(&testkit::config_with(issuer, &json!({})), "SHOP");
        let performer = Performing {
            kv,
            app: app.clone(),
            fails: Cell::default(),
        };
        Self {
            world,
            kv,
            desks: FakeDesks::new(world, performer),
            app,
        }
    }

    fn new() -> Self {
        Self::with(&json!({}))
    }

    fn with_breaker() -> Self {
        Self::with(&json!({ "breaker": { "sessions": 2, "seconds": 60 } }))
    }

    fn sessions(&self) -> impl Sessions {
        Supervised {
            world: self.world,
            app: &self.app,
            sessions: self.kv.sessions(&self.app),
            desks: Some(&self.desks),
        }
    }

    fn session(&self, sub: &str, login: i64) -> Session {
        let subject = SubjectKey::of(&self.app, sub);
        let mut id = [0; 16];
        id.copy_from_slice(&subject.0.as_bytes()[..16]);
        Session {
            id: SessionId::from_random(id),
            subject,
            sid: SidKey::of(&self.app, &format!("sid of {sub}")),
            login: Timestamp::from_seconds(NOW.seconds() + login),
            registered_at: NOW,
            expires: NOW.plus(self.app.session_lifetime),
        }
    }

    fn try_register(&self, session: &Session) -> Result<Result<(), BirthRefused>, Unavailable> {
        block_on(self.sessions().register(&Birth {
            session: *session,
            authenticated_at: None,
            has_sid: true,
        }))
    }

    fn registered(&self, sub: &str, login: i64) -> Session {
        let session = self.session(sub, login);
        assert_eq!(self.try_register(&session), Ok(Ok(())));
        session
    }

    fn life(&self, session: &Session) -> Result<Life, Unavailable> {
        block_on(self.sessions().alive(session))
    }

    fn end_before(&self, before: i64) {
        let before = Timestamp::from_seconds(NOW.seconds() + before);
        let command = Command::EndBefore(before);
        let answer = block_on(self.desks.ask(Desk::of(&self.app), command));
        assert_eq!(answer, Ok(Answer::EndedBefore(Some(before))));
    }

    fn logout(&self, sub: &str) -> (logout::Answer, Option<logout::Unfinished>) {
        let token = Signer::new().logout_token("shop", &json!({ "sub": sub }), NOW);
        let delivery = testkit::delivery(&token);
        block_on(receive(self.world, &self.sessions(), &self.app, delivery))
    }

    fn ask_issuer(&self, command: Command) -> Result<Answer, Unavailable> {
        block_on(self.desks.ask(Desk::of_issuer(&self.app.issuer), command))
    }

    fn held(&self) -> usize {
        match self.ask_issuer(Command::Standing) {
            Ok(Answer::Standing(standing)) => standing.held,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_an_operator_ended_is_dead_within_ten_seconds_and_is_not_born_again() {
    let scene = Scene::new();
    let (old, young) = (scene.registered("a", -60), scene.registered("b", -10));
    scene.end_before(-30);
    // What was heard a moment ago is believed.
    assert_eq!(scene.life(&old), Ok(Life::Alive));
    scene.world.pass(limits::EPOCH_BELIEVED);
    assert_eq!(scene.life(&old), Ok(Life::Ended(EndedBy::Operator)));
    assert_eq!(scene.life(&young), Ok(Life::Alive));
    let again = scene.session("c", -30);
    assert_eq!(scene.try_register(&again), Ok(Err(BirthRefused::LoggedOut)));
    assert_eq!(scene.try_register(&scene.session("d", -29)), Ok(Ok(())));
}

/// The clock of the provider may be ahead; and who has its key dates tokens as they like.
#[test]
fn what_was_there_before_an_operator_said_so_is_ended_whatever_its_login_says() {
    let scene = Scene::new();
    let mut session = scene.session("a", 55);
    session.registered_at = NOW;
    assert_eq!(scene.try_register(&session), Ok(Ok(())));
    scene.world.pass(Duration::from_secs(1));
    scene.end_before(0);
    scene.world.pass(limits::EPOCH_BELIEVED);
    assert_eq!(scene.life(&session), Ok(Life::Ended(EndedBy::Operator)));
    let later = Session {
        registered_at: scene.world.now(),
        ..scene.session("b", 55)
    };
    assert_eq!(scene.try_register(&later), Ok(Ok(())));
}

#[test]
fn a_desk_is_asked_when_it_must_be_and_not_oftener() {
    let scene = Scene::new();
    let session = scene.registered("a", -60);
    let asked = scene.desks.calls.get();
    for _ in 0..10 {
        scene.world.pass(Duration::from_millis(500));
        assert_eq!(scene.life(&session), Ok(Life::Alive));
    }
    assert_eq!(scene.desks.calls.get(), asked);
    scene.world.pass(limits::EPOCH_BELIEVED);
    for _ in 0..10 {
        assert_eq!(scene.life(&session), Ok(Life::Alive));
    }
    assert_eq!(scene.desks.calls.get(), asked + 1);
}

#[test]
fn a_desk_that_is_silent_is_an_outage_unless_it_was_heard_within_five_minutes() {
    for fault in [Fault::Before, Fault::After, Fault::Hang] {
        let scene = Scene::new();
        let session = scene.session("a", -60);
        scene.desks.fault.set(Some(fault));
        assert!(scene.life(&session).is_err() && scene.try_register(&session).is_err());
        scene.desks.fault.set(None);
        assert_eq!(scene.try_register(&session), Ok(Ok(())));
        scene.desks.fault.set(Some(fault));
        scene.world.pass(Duration::from_mins(4));
        scene.world.log.take();
        assert_eq!(scene.life(&session), Ok(Life::Alive));
        assert_eq!(scene.world.codes().len(), 1);
        scene.world.pass(Duration::from_mins(2));
        assert!(scene.life(&session).is_err());
    }
}

#[test]
fn without_desks_nobody_is_asked() {
    let scene = Scene::with_breaker();
    let session = scene.registered("a", -60);
    let sessions = Supervised {
        world: scene.world,
        app: &scene.app,
        sessions: scene.kv.sessions(&scene.app),
        desks: None::<&FakeDesks<'_, Performing>>,
    };
    let asked = scene.desks.calls.get();
    assert_eq!(block_on(sessions.alive(&session)), Ok(Life::Alive));
    let logout = Logout {
        at: NOW,
        valid_until: NOW,
    };
    let ended = block_on(sessions.end(&Scope::Subject(session.subject), &logout, NOW));
    assert_eq!(ended.unwrap().matched, 1);
    assert_eq!(scene.desks.calls.get(), asked);
}

#[test]
fn a_held_logout_is_answered_with_503_and_tried_by_nobody_but_an_operator() {
    let scene = Scene::with_breaker();
    let all = ["a", "b", "c", "d"].map(|sub| scene.registered(sub, -60));
    for sub in ["a", "b"] {
        assert_eq!(scene.logout(sub).0, logout::Answer::Done);
    }
    for sub in ["c", "d", "c"] {
        let (answer, unfinished) = scene.logout(sub);
        let held = logout::Answer::Unavailable(Unavailable("logout_held"));
        assert_eq!(answer, held);
        assert!(unfinished.is_none());
    }
    assert_eq!(scene.held(), 2);
    assert_eq!(scene.life(&all[2]), Ok(Life::Alive));
    let released = Released {
        released: 2,
        ended: 2,
        is_left: false,
    };
    assert_eq!(
        scene.ask_issuer(Command::Release),
        Ok(Answer::Released(released))
    );
    assert_eq!(scene.held(), 0);
    for session in &all {
        assert_ne!(scene.life(session), Ok(Life::Alive));
    }
}

#[test]
fn a_logout_that_is_held_when_it_is_tried_again_is_not_tried_further() {
    let scene = Scene::with_breaker();
    for sub in ["a", "b", "c"] {
        scene.registered(sub, -60);
    }
    // The survey fails, so that it is not known yet whether it is held.
    scene.kv.fault.set(Some((usize::MAX, Fault::Before)));
    let (_, unfinished) = scene.logout("c");
    scene.kv.fault.set(None);
    for sub in ["a", "b"] {
        scene.logout(sub);
    }
    scene.world.log.take();
    let asked = scene.desks.calls.get();
    let (sessions, unfinished) = (scene.sessions(), unfinished.unwrap());
    block_on(logout::finish(
        scene.world,
        &sessions,
        &scene.app,
        unfinished,
    ));
    assert_eq!(scene.world.codes(), ["logout_held"]);
    assert_eq!(scene.desks.calls.get(), asked + 1);
}

#[test]
fn no_logout_is_lost_by_a_breaker_whose_desk_fails() {
    for fault in [Fault::Before, Fault::Hang] {
        let scene = Scene::with_breaker();
        let all = ["a", "b", "c"].map(|sub| scene.registered(sub, -60));
        scene.desks.fault.set(Some(fault));
        for (sub, session) in ["a", "b", "c"].iter().zip(&all) {
            let (answer, _) = scene.logout(sub);
            assert_eq!(answer, logout::Answer::Done);
            assert_ne!(scene.life(session), Ok(Life::Alive));
        }
    }
}

#[test]
fn no_logout_is_lost_by_a_breaker_that_cannot_count() {
    for fault in [Fault::Before, Fault::Hang] {
        let scene = Scene::with_breaker();
        let all = ["a", "b", "c"].map(|sub| scene.registered(sub, -60));
        scene.logout("a");
        scene.logout("b");
        scene.kv.fault.set(Some((scene.kv.calls.get(), fault)));
        assert_eq!(scene.logout("c").0, logout::Answer::Done);
        assert_ne!(scene.life(&all[2]), Ok(Life::Alive));
    }
}

#[test]
fn a_release_is_finished_by_alarm_whatever_fails_meanwhile() {
    let mut scene = Scene::with_breaker();
    scene.desks.batch = 3;
    let subs: Vec<_> = (0..10).map(|n| format!("user {n}")).collect();
    let all: Vec<_> = subs.iter().map(|sub| scene.registered(sub, -60)).collect();
    for sub in &subs {
        scene.logout(sub);
    }
    assert_eq!(scene.held(), 8);
    let desk = scene.desks.shelf(Desk::of_issuer(&scene.app.issuer));
    scene.desks.performer.fails.set(true);
    let nothing = Released {
        is_left: true,
        ..Released::default()
    };
    assert_eq!(
        scene.ask_issuer(Command::Release),
        Ok(Answer::Released(nothing))
    );
    for left in [8, 5, 2] {
        assert_eq!(scene.held(), left);
        assert!(desk.alarm.take().is_some());
        scene.desks.performer.fails.set(false);
        block_on(scene.desks.object(desk).alarm()).unwrap();
    }
    assert_eq!((scene.held(), desk.alarm.take()), (0, None));
    for session in &all {
        assert_ne!(scene.life(session), Ok(Life::Alive));
    }
}

#[test]
fn what_a_shelf_cannot_read_is_an_outage_and_not_nothing() {
    let scene = Scene::with_breaker();
    let (app, issuer) = (Desk::of(&scene.app), Desk::of_issuer(&scene.app.issuer));
    for name in ["ended-before", "journal", "breaker"] {
        for desk in [app, issuer] {
            let shelf = scene.desks.shelf(desk);
            shelf
                .values
                .borrow_mut()
                .insert(name.to_owned(), vec![0xff; 3]);
        }
    }
    for (desk, command) in [
        (app, Command::EndedBefore),
        (app, Command::EndBefore(NOW)),
        (app, Command::Journal),
        (app, Command::Note(Vec::new())),
        (issuer, Command::Standing),
        (issuer, Command::Release),
        (issuer, Command::Discard),
    ] {
        let answer = block_on(scene.desks.ask(desk, command.clone()));
        assert!(answer.is_err(), "{command:?}");
    }
    assert!(
        scene
            .desks
            .shelf(issuer)
            .get::<u8>("none")
            .unwrap()
            .is_none()
    );
    assert!(breaker::standing(scene.desks.shelf(issuer)).is_err());
}

#[test]
fn the_journal_hears_of_deliveries_and_a_desk_that_fails_of_none() {
    let scene = Scene::new();
    scene.registered("a", -60);
    scene.logout("a");
    for _ in 0..3 {
        let delivery = testkit::delivery("garbage");
        block_on(receive(
            scene.world,
            &scene.sessions(),
            &scene.app,
            delivery,
        ));
    }
    let tell = || block_on(tell(scene.world, &scene.desks, &scene.app));
    tell();
    let journal = || {
        let asked = scene.desks.ask(Desk::of(&scene.app), Command::Journal);
        match block_on(asked) {
            Ok(Answer::Journal(entries)) => entries,
            other => panic!("{other:?}"),
        }
    };
    let told: Vec<_> = journal()
        .into_iter()
        .map(|entry| (entry.code, entry.count, entry.matched))
        .collect();
    let expected = [
        ("token_malformed".to_owned(), 3, None),
        ("logout_done".to_owned(), 1, Some(1)),
    ];
    assert_eq!(told, expected);
    scene.desks.fault.set(Some(Fault::Before));
    scene.logout("a");
    tell();
    scene.desks.fault.set(None);
    tell();
    assert_eq!(journal().len(), 2, "what could not be told is forgotten");
}
