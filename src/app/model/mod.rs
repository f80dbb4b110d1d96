//! The stores of sessions, and all that may happen to them at the same time: small scenarios are
//! run in every order of their port calls, with values of KV as old as they may be, and with faults.
//!
//! The code is the shipped one; only the ports are models. See `properties` for what must hold, and
//! `mutants` for what shows that each property has teeth.

mod explorer;
mod kv;
mod lab;
mod mutants;
mod properties;
mod scenario;

use std::time::Duration;

use self::{
    explorer::explore,
    mutants::Mutant,
    scenario::{Actor, Login, Order, Role, Scenario, Store},
};

/// How old a value read from KV may be.
const KV_LAG: Duration = Duration::from_mins(1);

const fn login(id: u8, user: u8, sid: u8, at: i64) -> Login {
    Login {
        id,
        user,
        sid: Some(sid),
        login: at,
        auth: Some(at),
    }
}

const fn of_sid(sid: u8, at: i64) -> Order {
    Order {
        sid: Some(sid),
        user: None,
        widens: false,
        at,
    }
}

const fn of_user(user: u8, at: i64) -> Order {
    Order {
        sid: None,
        user: Some(user),
        widens: false,
        at,
    }
}

const fn now(role: Role) -> Actor {
    Actor {
        role,
        from: 0,
        until: 8,
    }
}

fn ledger(name: &'static str, faults: usize, roles: &[Role]) -> Scenario {
    Scenario {
        name,
        store: Store::Ledger,
        actors: roles.iter().copied().map(now).collect(),
        times: if faults > 0 { &[0, 2] } else { &[0] },
        faults,
        bound: Duration::ZERO,
    }
}

fn kv(name: &'static str, faults: usize, times: &'static [i64], actors: Vec<Actor>) -> Scenario {
    Scenario {
        name,
        store: Store::Kv,
        actors,
        times,
        faults,
        bound: KV_LAG,
    }
}

fn scenarios() -> Vec<Scenario> {
    use Role::{End, EndOne, Register, Sweep};
    let old = login(1, 1, 1, -60);
    let at = |from, until, role| Actor { role, from, until };
    let sid_or_user = Order {
        user: Some(1),
        ..of_sid(1, 0)
    };
    let all_of_sid = Order {
        widens: true,
        ..of_sid(1, 0)
    };
    let silent = |id, at| Login {
        auth: Some(-60),
        ..login(id, 1, 1, at)
    };
    vec![
        ledger(
            "logouts of a sid",
            0,
            &[
                Register(old),
                Register(login(2, 1, 1, 0)),
                End(of_sid(1, 0), 0),
                End(of_sid(1, 5), 0),
            ],
        ),
        ledger(
            "logouts of a user",
            0,
            &[
                Register(old),
                Register(login(2, 1, 2, 0)),
                End(of_user(1, 0), 0),
                End(of_user(1, 5), 0),
            ],
        ),
        ledger(
            "of a sid, and of its user",
            0,
            &[
                Register(old),
                Register(login(2, 1, 2, 0)),
                End(of_sid(1, 0), 0),
                End(of_user(1, 0), 0),
            ],
        ),
        ledger(
            "a repeat, and logins within the clocks' spread",
            0,
            &[
                Register(login(1, 1, 1, 10)),
                Register(login(2, 1, 1, 11)),
                End(of_sid(1, 0), 0),
                End(of_sid(1, 0), 0),
            ],
        ),
        ledger(
            "logins without a new authentication",
            0,
            &[
                Register(silent(1, 60)),
                Register(silent(2, 61)),
                End(of_sid(1, 0), 0),
                End(of_user(1, 0), 0),
            ],
        ),
        ledger(
            "logins that tell no authentication",
            0,
            &[
                Register(Login {
                    auth: None,
                    ..login(1, 1, 1, 1)
                }),
                Register(Login {
                    auth: None,
                    sid: None,
                    ..login(2, 1, 1, 1)
                }),
                End(sid_or_user, 0),
                End(of_user(1, 0), 0),
            ],
        ),
        ledger(
            "a user without a sid",
            0,
            &[
                Register(old),
                Register(Login {
                    sid: None,
                    ..login(2, 1, 0, 0)
                }),
                End(sid_or_user, 0),
            ],
        ),
        ledger(
            "a sid that stands for its user",
            0,
            &[
                Register(old),
                Register(login(2, 1, 2, 0)),
                End(all_of_sid, 0),
                End(all_of_sid, 0),
            ],
        ),
        ledger(
            "a session that is cleared",
            0,
            &[
                Register(old),
                Register(login(2, 1, 1, 1)),
                EndOne(old),
                End(of_sid(1, 0), 0),
            ],
        ),
        ledger(
            "a fault, and the OP repeats",
            1,
            &[Register(old), End(of_sid(1, 0), 1)],
        ),
        ledger(
            "a fault, and the OP is silent",
            1,
            &[Register(old), End(of_sid(1, 0), 0)],
        ),
        ledger(
            "a fault, the OP is silent about a user",
            1,
            &[Register(old), End(of_user(1, 0), 0)],
        ),
        ledger(
            "a fault, and users of a sid",
            1,
            &[Register(old), End(all_of_sid, 1)],
        ),
        kv(
            "KV: a logout of a sid",
            0,
            &[0, 1, 62, 130],
            vec![at(0, 1, Register(old)), at(1, 8, End(of_sid(1, 0), 0))],
        ),
    ]
}

/// Each with a scenario that shows it.
const MUTANTS: [(Mutant, &str); 10] = [
    (Mutant::LogoutsForgotten, "logouts of a sid"),
    (
        Mutant::OrderForgotten,
        "a repeat, and logins within the clocks' spread",
    ),
    (Mutant::DemandsForgotten, "a fault, and the OP repeats"),
    (Mutant::AlarmForgotten, "a fault, and the OP is silent"),
    (Mutant::AdmitsAll, "logouts of a user"),
    (
        Mutant::NoClockSpread,
        "a repeat, and logins within the clocks' spread",
    ),
    (Mutant::SidRefusalIgnored, "logouts of a sid"),
    (Mutant::Unconfirmed, "a fault, and the OP repeats"),
    (Mutant::SidFirst, "logouts of a sid"),
    (Mutant::EntryLast, "logouts of a user"),
];

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut total = 0;
    for scenario in scenarios() {
        let report = explore(&scenario, None);
        println!("{:>7} states: {}", report.states, scenario.name);
        if let Some((broken, way)) = report.broken {
            panic!("{}: {broken:?} after\n{}", scenario.name, way.join("\n"));
        }
        total += report.states;
    }
    assert!(total > 10_000, "{total}");
}

#[test]
fn every_mechanism_is_missed_when_it_is_gone() {
    let scenarios = scenarios();
    for (mutant, name) in MUTANTS {
        let mut all = scenarios.iter();
        let scenario = all.find(|scenario| scenario.name == name).unwrap();
        let report = explore(scenario, Some(mutant));
        let found = report.broken.map(|(broken, _)| broken);
        println!("{:>7} states: {mutant:?} {found:?}", report.states);
        assert!(found.is_some(), "{mutant:?} survives");
    }
}
