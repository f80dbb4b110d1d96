//! Whatever single call to the store goes wrong: what is answered, and when the session is dead,
//! though the OP never asks again. All of it is told in a table, which is kept.

mod scene;

use std::{env, fmt::Write as _, fs, time::Duration};

use serde_json::{Value, json};

use self::scene::{InKv, InLedger, Scene, Seen, Store};
use crate::app::{
    logout::Answer,
    testkit::{Fault, NOW, Signer},
};

/// How long after the answer a session may live, whatever single call went wrong.
const BOUND: Duration = Duration::from_secs(1);

const HEADING: &str = "\
# Faults

Whatever single call to the store goes wrong, and the OP never sends its token again. Made by
`UPDATE=1 cargo test faults`; checked by `cargo test`.

Each line is a call, in order: to KV, to the list of a user (`u`) or of a `sid` (`s`), or of a list
to its rows. The columns tell what comes of it if this call fails and has done nothing, if it fails
and has done its work, and if it never comes back. Rows do not hang. Times of answers are given where
they come late, those of deaths from the answer on; in brackets who saw to it: our own `retry` after
the answer, the `list` whose alarm went off, or the `cron` trigger. What follows an `or` is without
the retry: then the Worker has died after its answer, which is a second fault.
";

enum Kind {
    Login,
    Logout(Value),
    Request,
    RequestAfterLogout,
}

struct Operation {
    name: &'static str,
    kind: Kind,
    issuer: Value,
    shop: Value,
    /// The sessions of alice that are there, by their `sid`.
    sessions: &'static [Option<&'static str>],
}

fn operations() -> [Operation; 8] {
    let plain = |name, kind| Operation {
        name,
        kind,
        issuer: json!({}),
        shop: json!({}),
        sessions: &[Some("s1")],
    };
    let (sid, sub, both) = (
        json!({ "sid": "s1" }),
        json!({ "sub": "alice" }),
        json!({ "sub": "alice", "sid": "s1" }),
    );
    let of_sub = json!({ "sid_scope": "sub" });
    [
        Operation {
            sessions: &[],
            ..plain("A login", Kind::Login)
        },
        plain("A request of a live session", Kind::Request),
        plain("A request of an ended session", Kind::RequestAfterLogout),
        plain("A logout by `sid`", Kind::Logout(sid.clone())),
        plain("A logout by `sub`", Kind::Logout(sub)),
        Operation {
            shop: json!({ "session_sid": "optional" }),
            sessions: &[Some("s1"), None],
            ..plain(
                "A logout by `sid` with `sub`, where sessions may have no `sid`",
                Kind::Logout(both.clone()),
            )
        },
        Operation {
            issuer: of_sub.clone(),
            sessions: &[Some("s1"), Some("s2")],
            ..plain("A logout by `sid`, `sid_scope` is `sub`", Kind::Logout(sid))
        },
        Operation {
            issuer: of_sub,
            sessions: &[Some("s1"), Some("s2")],
            ..plain(
                "A logout by `sid` with `sub`, `sid_scope` is `sub`",
                Kind::Logout(both),
            )
        },
    ]
}

/// A run of an operation on a store of its own.
struct Run<'a, S> {
    what: String,
    op: &'a Signer,
    scene: Scene<S>,
    /// Of alice's sessions.
    cookies: Vec<String>,
    bob: String,
}

impl Operation {
    fn begin<'a, S: Store>(&self, op: &'a Signer, fault: Option<(usize, Fault)>) -> Run<'a, S> {
        let scene = Scene::<S>::with(&self.issuer, &self.shop);
        let log_in = |sub, sid| scene.log_in(&id_token(op, sub, sid)).unwrap();
        let sids = self.sessions.iter();
        Run {
            what: format!("{}: {}: {fault:?}", S::NAME, self.name),
            op,
            cookies: sids.map(|sid| log_in("alice", *sid)).collect(),
            bob: log_in("bob", Some("s9")),
            scene,
        }
    }

    /// Performs it while one call goes wrong; gives the names of the calls, and what came of it.
    fn perform<S: Store>(
        &self,
        op: &Signer,
        fault: Option<(usize, Fault)>,
    ) -> (Vec<String>, String) {
        let run = self.begin::<S>(op, fault);
        match &self.kind {
            Kind::Login => {
                let told = run.log_in(fault, &json!({ "sid": "s1" }));
                let other = self.begin::<S>(op, fault);
                assert_eq!(other.log_in(fault, &json!({ "sub": "alice" })), told);
                told
            }
            Kind::Request => run.request(fault, Seen::AsUser),
            Kind::RequestAfterLogout => {
                let token = run.logout_token(&json!({ "sid": "s1" }));
                assert_eq!(run.scene.log_out(&token).0, Answer::Done);
                run.request(fault, Seen::AsNobody)
            }
            Kind::Logout(target) => {
                let (calls, told, death) = run.log_out(fault, target, true);
                let told = match death {
                    None => panic!("{}: never dead", run.what),
                    Some((Duration::ZERO, "")) => format!("{told}, dead"),
                    Some((after, by)) => {
                        assert!(after <= BOUND, "{}: {after:?}", run.what);
                        let run = self.begin::<S>(op, fault);
                        let or = match run.log_out(fault, target, false).2 {
                            None => "never".to_owned(),
                            Some((after, by)) => format!("after {} ({by})", seconds(after)),
                        };
                        format!("{told}, dead after {} ({by}), or {or}", seconds(after))
                    }
                };
                (calls, told)
            }
        }
    }
}

fn id_token(op: &Signer, sub: &str, sid: Option<&str>) -> String {
    op.id_token("shop", sub, sid, NOW.minus(Duration::from_mins(1)))
}

impl<S: Store> Run<'_, S> {
    fn logout_token(&self, target: &Value) -> String {
        self.op.logout_token("shop", target, NOW)
    }

    /// Performs `work` while one call goes wrong; gives what it does, how long it takes, and the
    /// names of the calls.
    fn during<T>(
        &self,
        fault: Option<(usize, Fault)>,
        work: impl FnOnce() -> T,
    ) -> (T, Duration, Vec<String>) {
        let world = self.scene.world;
        let start = world.clock.get();
        world.faults.plan(fault);
        let done = work();
        let calls = world.faults.calls.take();
        world.faults.plan(None);
        (done, world.clock.get().since(start), calls)
    }

    /// A login, and the logout that must end what it began.
    fn log_in(&self, fault: Option<(usize, Fault)>, target: &Value) -> (Vec<String>, String) {
        let scene = &self.scene;
        let before = scene.store.contents();
        let token = id_token(self.op, "alice", Some("s1"));
        let (cookie, late, calls) = self.during(fault, || scene.log_in(&token));
        let mut left = scene.store.contents();
        for known in before {
            left.swap_remove(left.iter().position(|name| *name == known).unwrap());
        }
        let told = match &cookie {
            Some(cookie) => {
                assert_eq!(scene.visit(cookie), Seen::AsUser, "{}", self.what);
                "200, lives".to_owned()
            }
            None if left.is_empty() => "503, nothing left".to_owned(),
            None => format!("503, left: {}", left.join(", ")),
        };
        assert_eq!(scene.log_out(&self.logout_token(target)).0, Answer::Done);
        if let Some(cookie) = cookie {
            assert!(scene.is_dead(&cookie), "{}: {target}", self.what);
        }
        self.check_bob();
        (calls, told_late(told, late))
    }

    /// A request with the cookie of alice's session.
    fn request(&self, fault: Option<(usize, Fault)>, healthy: Seen) -> (Vec<String>, String) {
        let scene = &self.scene;
        let (seen, late, calls) = self.during(fault, || scene.visit(&self.cookies[0]));
        assert!(
            seen == Seen::Unavailable || (fault.is_none() && seen == healthy),
            "{}: {seen:?}",
            self.what
        );
        assert_eq!(scene.visit(&self.cookies[0]), healthy, "{}", self.what);
        let told = match seen {
            Seen::AsUser => "200, as the user",
            Seen::AsNobody => "200, as nobody",
            Seen::Unavailable => "503, not forwarded, cookie kept",
        };
        (calls, told_late(told.to_owned(), late))
    }

    /// A logout of all of alice's sessions, which we try again or not: the Worker may die after its
    /// answer. Gives also how long after the answer all are dead, and by whom, if they ever are.
    fn log_out(
        &self,
        fault: Option<(usize, Fault)>,
        target: &Value,
        retries: bool,
    ) -> (Vec<String>, String, Option<(Duration, &'static str)>) {
        let (scene, what) = (&self.scene, &self.what);
        let token = self.logout_token(target);
        let ((answer, unfinished), late, calls) = self.during(fault, || scene.log_out(&token));
        let answered = scene.world.clock.get();
        let is_over = || self.cookies.iter().all(|cookie| scene.is_dead(cookie));
        let mut death = is_over().then_some((Duration::ZERO, ""));
        let told = match answer {
            Answer::Done => {
                assert!(death.is_some(), "{what}: 200 means ended");
                "200"
            }
            Answer::Unavailable(_) => "503",
            Answer::Refused(refusal) => panic!("{what}: {refusal:?}"),
        };
        assert_eq!(unfinished.is_some(), told == "503", "{what}");
        let mut note = |by| {
            if death.is_none() && is_over() {
                death = Some((scene.world.clock.get().since(answered), by));
            }
        };
        if let Some(unfinished) = unfinished.filter(|_| retries) {
            scene.finish(unfinished);
            note("retry");
        }
        while let Some(by) = scene.go_on() {
            note(by);
        }
        if retries {
            let mut left = scene.store.contents();
            left.sort();
            left.dedup();
            assert_eq!(left, S::OF_ONE, "{what}: only bob's are left");
        }
        self.check_bob();
        (calls, told_late(told.to_owned(), late), death)
    }

    fn check_bob(&self) {
        assert_eq!(self.scene.visit(&self.bob), Seen::AsUser, "{}", self.what);
    }
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64())
}

fn told_late(told: String, late: Duration) -> String {
    if late.is_zero() {
        told
    } else {
        format!("{told} (in {})", seconds(late))
    }
}

fn tell<S: Store>(op: &Signer, table: &mut String) {
    for operation in operations() {
        let (calls, healthy) = operation.perform::<S>(op, None);
        writeln!(table, "\n## {}: {}\n", S::NAME, operation.name).unwrap();
        writeln!(
            table,
            "| call | fails before | fails after | hangs |\n|---|---|---|---|"
        )
        .unwrap();
        writeln!(table, "| none | {healthy} | | |").unwrap();
        for (number, call) in calls.iter().enumerate() {
            let cell = |fault| {
                if fault == Fault::Hang && call.contains("rows") {
                    return String::new();
                }
                operation.perform::<S>(op, Some((number, fault))).1
            };
            let cells = [Fault::Before, Fault::After, Fault::Hang].map(cell);
            writeln!(table, "| {call} | {} |", cells.join(" | ")).unwrap();
        }
    }
}

#[test]
fn whatever_single_call_goes_wrong_the_outcome_is_as_the_table_tells() {
    let op = Signer::new();
    let mut table = HEADING.to_owned();
    tell::<InLedger>(&op, &mut table);
    tell::<InKv>(&op, &mut table);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/faults.md");
    if env::var_os("UPDATE").is_some() {
        fs::write(path, &table).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap();
    assert!(
        kept == table,
        "changed: `UPDATE=1 cargo test faults`, and read the difference"
    );
}
