//! What ties the request that brings an authorization code to the app, which passes the gate, to the
//! token request in which the app redeems it, which passes the relay (RFC 6749 section 4.1).
//!
//! Of each code there is one record, in one place, so that what happens to it has one order:
//!
//! ```text
//! open ── redeem ── close: the answer to the callback is that of a login
//!    └──── close: the callback was answered first; the code cannot be redeemed any more
//! ```
//!
//! Only one callback request with a code is ever let through, and only while it waits for its
//! answer can the code be redeemed. So the login is that of this answer, and of no other.

use serde::{Deserialize, Serialize};

use super::{config::App, digest::Digest, limits, session::Attested, time::Timestamp};

/// Stands for an authorization code of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeKey(Digest);

impl CodeKey {
    /// The key of `code` at `app`.
    #[must_use]
    pub fn of(app: &App, code: &str) -> Self {
        Self(Digest::of(
            "code",
            &[&app.issuer.issuer, &app.client_id, code],
        ))
    }

    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> &Digest {
        &self.0
    }
}

/// Random bytes that name a callback request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallbackId(pub [u8; 16]);

/// What happens to a code. Each may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A callback request with it came.
    Open(CallbackId),
    /// The OP took it, for this login.
    Redeem(Attested),
    /// That callback request has been answered.
    Close(CallbackId),
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Open`]: whether the request is the first with this code.
    Opened(bool),
    /// To [`Command::Redeem`]: whether a callback request waits for it.
    Redeemed(bool),
    /// To [`Command::Close`]: the login, if the code has been redeemed.
    Closed(Option<Attested>),
}

/// The record of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    callback: CallbackId,
    /// Until when it is kept.
    pub until: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Open,
    Redeemed(Attested),
    Closed(Option<Attested>),
}

/// What a command makes of a code's record, which may be the same, and what comes of it.
#[must_use]
pub fn obey(record: Option<Record>, command: &Command, now: Timestamp) -> (Option<Record>, Answer) {
    let record = record.filter(|record| now < record.until);
    match (*command, record) {
        (Command::Open(callback), None) => {
            let record = Record {
                callback,
                until: now.plus(limits::CODE_LIFETIME),
                state: State::Open,
            };
            (Some(record), Answer::Opened(true))
        }
        (Command::Open(callback), Some(known)) => {
            let is_repeat = known.callback == callback && known.state == State::Open;
            (record, Answer::Opened(is_repeat))
        }
        (Command::Redeem(login), Some(known)) => match known.state {
            State::Open => {
                let state = State::Redeemed(login);
                (Some(Record { state, ..known }), Answer::Redeemed(true))
            }
            State::Redeemed(earlier) => (record, Answer::Redeemed(earlier == login)),
            State::Closed(_) => (record, Answer::Redeemed(false)),
        },
        (Command::Close(callback), Some(known)) if known.callback == callback => {
            let login = match known.state {
                State::Open => None,
                State::Redeemed(login) => Some(login),
                State::Closed(login) => login,
            };
            let state = State::Closed(login);
            (Some(Record { state, ..known }), Answer::Closed(login))
        }
        (Command::Redeem(_), None) => (None, Answer::Redeemed(false)),
        (Command::Close(_), _) => (record, Answer::Closed(None)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::session::{SidKey, SubjectKey};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const FIRST: CallbackId = CallbackId([1; 16]);
    const SECOND: CallbackId = CallbackId([2; 16]);

    fn login(sub: &str) -> Attested {
        Attested {
            subject: SubjectKey(Digest::of("sub", &[sub])),
            sid: None,
            without_sid: SidKey(Digest::of("no-sid", &[sub])),
            issued_at: NOW,
            authenticated_at: None,
        }
    }

    /// What comes of commands in their order, a second apart.
    fn story(commands: &[Command]) -> Vec<Answer> {
        let mut record = None;
        let mut now = NOW;
        let answers = commands.iter().map(|command| {
            let (next, answer) = obey(record, command, now);
            record = next;
            now = now.plus(Duration::from_secs(1));
            answer
        });
        answers.collect()
    }

    #[test]
    fn a_login_is_that_of_the_one_callback_that_waits_for_it() {
        let alice = login("alice");
        assert_eq!(
            story(&[
                Command::Redeem(alice),
                Command::Open(FIRST),
                Command::Open(SECOND),
                Command::Close(SECOND),
                Command::Redeem(alice),
                Command::Open(SECOND),
                Command::Close(SECOND),
                Command::Close(FIRST),
                Command::Open(SECOND),
                Command::Redeem(alice),
            ]),
            [
                Answer::Redeemed(false),
                Answer::Opened(true),
                Answer::Opened(false),
                Answer::Closed(None),
                Answer::Redeemed(true),
                Answer::Opened(false),
                Answer::Closed(None),
                Answer::Closed(Some(alice)),
                Answer::Opened(false),
                Answer::Redeemed(false),
            ]
        );
    }

    #[test]
    fn a_callback_that_was_answered_first_gets_no_login() {
        assert_eq!(
            story(&[
                Command::Open(FIRST),
                Command::Close(FIRST),
                Command::Redeem(login("alice")),
                Command::Close(FIRST),
            ]),
            [
                Answer::Opened(true),
                Answer::Closed(None),
                Answer::Redeemed(false),
                Answer::Closed(None),
            ]
        );
    }

    #[test]
    fn a_lost_answer_can_be_asked_for_again() {
        let (alice, mallory) = (login("alice"), login("mallory"));
        assert_eq!(
            story(&[
                Command::Open(FIRST),
                Command::Open(FIRST),
                Command::Redeem(alice),
                Command::Redeem(alice),
                Command::Redeem(mallory),
                Command::Close(FIRST),
                Command::Close(FIRST),
            ]),
            [
                Answer::Opened(true),
                Answer::Opened(true),
                Answer::Redeemed(true),
                Answer::Redeemed(true),
                Answer::Redeemed(false),
                Answer::Closed(Some(alice)),
                Answer::Closed(Some(alice)),
            ]
        );
    }

    /// Every order of the commands of two callbacks and two logins, up to six of them.
    #[test]
    fn no_order_gives_a_login_to_another_callback() {
        let logins = [login("alice"), login("mallory")];
        let commands = [
            Command::Open(FIRST),
            Command::Open(SECOND),
            Command::Close(FIRST),
            Command::Close(SECOND),
            Command::Redeem(logins[0]),
            Command::Redeem(logins[1]),
        ];
        let mut given = 0;
        for order in 0..commands.len().pow(6) {
            let position = |place: u32| order / commands.len().pow(place) % commands.len();
            let order: Vec<_> = (0..6).map(|place| commands[position(place)]).collect();
            for (end, answer) in story(&order).iter().enumerate() {
                let (Command::Close(callback), Answer::Closed(Some(login))) = (order[end], answer)
                else {
                    continue;
                };
                given += 1;
                let is_open = |command: &Command| matches!(command, Command::Open(_));
                let opened = order.iter().position(is_open).unwrap();
                assert_eq!(order[opened], Command::Open(callback), "{order:?}");
                let waiting = order[opened..end].iter();
                let waiting = waiting.take_while(|command| **command != Command::Close(callback));
                let redeemed = waiting.into_iter().find_map(|command| match command {
                    Command::Redeem(login) => Some(login),
                    _ => None,
                });
                assert_eq!(redeemed, Some(login), "{order:?}");
            }
        }
        assert!(given > 500, "{given}");
    }

    #[test]
    fn after_its_time_nothing_is_known_of_a_code() {
        let (record, _) = obey(None, &Command::Open(FIRST), NOW);
        let late = NOW.plus(limits::CODE_LIFETIME);
        let (_, answer) = obey(record, &Command::Redeem(login("alice")), late);
        assert_eq!(answer, Answer::Redeemed(false));
        let (anew, answer) = obey(record, &Command::Open(SECOND), late);
        assert_eq!(answer, Answer::Opened(true));
        // The first is still waiting, and gets nothing of what the second brings.
        let (anew, _) = obey(anew, &Command::Redeem(login("alice")), late);
        let (_, answer) = obey(anew, &Command::Close(FIRST), late);
        assert_eq!(answer, Answer::Closed(None));
    }
}
