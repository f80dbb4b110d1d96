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
mod scenarios;

use std::time::Duration;

use self::{explorer::explore, mutants::Mutant};

/// How old a value read from KV may be.
const KV_LAG: Duration = Duration::from_mins(1);

/// Each with a scenario that shows it.
const MUTANTS: [(Mutant, &str); 18] = [
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
    (
        Mutant::RebirthAllowed,
        "logins without a new authentication",
    ),
    (Mutant::RebirthAllowed, "KV: logins after a logout"),
    (Mutant::NoMark, "KV: logins, and a logout of their sid"),
    (
        Mutant::MarkTooShort,
        "KV: logins, and a logout of their sid",
    ),
    (Mutant::NoPending, "KV: logins, and a logout of their sid"),
    (Mutant::NoPending, "KV: logouts at the same time"),
    (Mutant::BirthUnchecked, "KV: logins after a logout"),
    (Mutant::AbsenceIgnored, "KV: a session that is cleared"),
];

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut total = 0;
    for scenario in scenarios::all() {
        let report = explore(&scenario, None);
        println!("{:>7} states: {}", report.states, scenario.name);
        if let Some((broken, way)) = report.broken {
            panic!("{}: {broken:?} after\n{}", scenario.name, way.join("\n"));
        }
        total += report.states;
    }
    println!("{total:>7} states in all");
    assert!(total > 50_000, "{total}");
}

#[test]
fn every_mechanism_is_missed_when_it_is_gone() {
    let scenarios = scenarios::all();
    for (mutant, name) in MUTANTS {
        let mut all = scenarios.iter();
        let scenario = all.find(|scenario| scenario.name == name).unwrap();
        let report = explore(scenario, Some(mutant));
        let found = report.broken.map(|(broken, _)| broken);
        println!("{:>7} states: {mutant:?} {found:?}", report.states);
        assert!(found.is_some(), "{mutant:?} survives");
    }
}
