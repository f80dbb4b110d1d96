//! The scenarios: small, so that all of each can be explored; logins and logouts lie at the edges
//! of every tolerance.

use std::time::Duration;

use super::{
    KV_LAG,
    scenario::{
        Actor, Login, Order,
        Role::{self, End, EndOne, Register, Sweep},
        Scenario, Store,
    },
};
use crate::domain::limits;

const fn login(id: u8, user: u8, sid: u8, at: i64) -> Login {
    Login {
        id,
        user,
        sid: Some(sid),
        at,
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

pub fn all() -> Vec<Scenario> {
    [of_ledger(), of_kv()].concat()
}

fn of_ledger() -> Vec<Scenario> {
    let old = login(1, 1, 1, -60);
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
    ]
}

fn of_kv() -> Vec<Scenario> {
    let old = login(1, 1, 1, -60);
    let at = |from, until, role| Actor { role, from, until };
    let silent = |id, at| Login {
        auth: Some(-60),
        ..login(id, 1, 1, at)
    };
    vec![
        kv(
            "KV: logins, and a logout of their sid",
            0,
            &[0, 61, 130, 190],
            vec![
                at(0, 0, Register(old)),
                at(0, 8, Register(login(2, 1, 1, 0))),
                at(0, 8, End(of_sid(1, 0), 0)),
                at(130, 190, Sweep),
            ],
        ),
        kv(
            "KV: the bounds of what a logout covers",
            0,
            &[0, 61],
            vec![
                at(0, 8, Register(login(1, 1, 1, 2))),
                at(0, 8, Register(login(2, 1, 1, 3))),
                at(0, 8, End(of_sid(1, 0), 0)),
            ],
        ),
        kv(
            "KV: logins after a logout",
            0,
            &[0, 60, 61, 100],
            vec![
                at(0, 8, End(of_user(1, 0), 0)),
                at(60, 68, Register(silent(1, 60))),
                at(61, 69, Register(silent(2, 61))),
            ],
        ),
        kv(
            "KV: a logout of a user, and its repeat",
            0,
            &[0, 61],
            vec![
                at(0, 0, Register(old)),
                at(0, 8, End(of_user(1, 0), 0)),
                at(0, 8, End(of_user(1, 0), 0)),
            ],
        ),
        kv(
            "KV: a fault, and the OP repeats",
            1,
            &[0, 61],
            vec![at(0, 8, Register(old)), at(0, 8, End(of_sid(1, 0), 1))],
        ),
        kv(
            "KV: a fault, and the OP is silent",
            1,
            &[0, 61],
            vec![at(0, 8, Register(old)), at(0, 8, End(of_sid(1, 0), 0))],
        ),
        kv(
            "KV: a session that is cleared",
            0,
            &[0, 1, 181],
            vec![at(0, 0, Register(old)), at(1, 8, EndOne(old))],
        ),
        kv(
            "KV: a sid that stands for its user",
            0,
            &[0, 121, 182],
            vec![
                at(0, 0, Register(old)),
                at(0, 0, Register(login(2, 1, 2, 0))),
                at(
                    121,
                    128,
                    End(
                        Order {
                            widens: true,
                            ..of_sid(1, 0)
                        },
                        0,
                    ),
                ),
            ],
        ),
        Scenario {
            // The sweep sets the mark right.
            bound: limits::KV_LIST_LAG * 2 + KV_LAG,
            ..kv(
                "KV: logouts at the same time",
                0,
                &[0, 1, 130, 240, 301],
                vec![
                    at(0, 0, Register(login(1, 1, 1, 20))),
                    at(1, 8, End(of_sid(1, 0), 0)),
                    at(1, 8, End(of_sid(1, 30), 0)),
                    at(130, 240, Sweep),
                ],
            )
        },
    ]
}
