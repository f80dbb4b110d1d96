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

use self::{
    explorer::explore,
    mutants::Mutant,
    properties::Broken::{
        self, AcceptedInSpite, EndedForNothing, EntryLeft, ListLeft, LivesOn, RefusedForNothing,
        Unfinished,
    },
};

/// How old a value read from KV may be.
const KV_LAG: Duration = Duration::from_mins(1);

/// Each with a scenario that shows it, and the property that breaks.
const MUTANTS: [(Mutant, &str, Broken); 21] = [
    (Mutant::LogoutsForgotten, "logouts of a sid", LivesOn),
    (Mutant::LogoutsKept, "logouts of a user", ListLeft),
    (Mutant::LogoutsLater, CLOCKS, RefusedForNothing),
    (Mutant::OrderForgotten, CLOCKS, EndedForNothing),
    (Mutant::DemandsForgotten, SILENCE, Unfinished),
    (Mutant::AlarmForgotten, SILENCE, Unfinished),
    (Mutant::AlarmForgotten, "logouts of a user", ListLeft),
    (Mutant::AdmitsAll, "logouts of a user", LivesOn),
    (Mutant::NoClockSpread, CLOCKS, LivesOn),
    (Mutant::SidRefusalIgnored, "logouts of a sid", LivesOn),
    (Mutant::Unconfirmed, "a fault, and the OP repeats", LivesOn),
    (Mutant::SidFirst, "logouts of a sid", LivesOn),
    (Mutant::EntryLast, "logouts of a user", EntryLeft),
    (
        Mutant::RebirthAllowed,
        "logins without a new authentication",
        AcceptedInSpite,
    ),
    (
        Mutant::RebirthAllowed,
        "KV: logins after a logout",
        AcceptedInSpite,
    ),
    (
        Mutant::NoMark,
        "KV: logins, and a logout of their sid",
        LivesOn,
    ),
    (
        Mutant::MarkTooShort,
        "KV: logins, and a logout of their sid",
        LivesOn,
    ),
    (
        Mutant::NoPending,
        "KV: logins, and a logout of their sid",
        EntryLeft,
    ),
    (Mutant::NoPending, "KV: logouts at the same time", EntryLeft),
    (
        Mutant::BirthUnchecked,
        "KV: logins after a logout",
        AcceptedInSpite,
    ),
    (
        Mutant::AbsenceIgnored,
        "KV: a session that is cleared",
        LivesOn,
    ),
];

const CLOCKS: &str = "a repeat, and logins within the clocks' spread";
const SILENCE: &str = "a fault, and the OP is silent";

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut total = 0;
    for scenario in scenarios::all() {
        let report = explore(&scenario, None, None);
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
    for (mutant, name, broken) in MUTANTS {
        let mut all = scenarios.iter();
        let scenario = all.find(|scenario| scenario.name == name).unwrap();
        let report = explore(scenario, Some(mutant), Some(broken));
        println!("{:>7} states: {mutant:?}, {broken:?}", report.states);
        assert!(report.broken.is_some(), "{mutant:?} survives");
    }
}
