//! `tests/vectors/ledger.json` over rows in memory; the wire tests run it over SQL.

use serde_json::Value;

use super::*;
use crate::domain::{digest::Digest, ledger::Counts};

/// The lists and sessions of one row of the vectors.
struct Names<'a>(&'a Value);

impl Names<'_> {
    fn user(text: &str) -> SubjectKey {
        SubjectKey(Digest::of("sub", &[text]))
    }

    fn list(text: &Value) -> List {
        match text.as_str().unwrap().split_once(':').unwrap() {
            ("u", sub) => List::User(Self::user(sub)),
            (_, sid) => List::Sid(SidKey(Digest::of("sid", &[sid]))),
        }
    }

    fn birth(&self, name: &Value) -> Birth {
        let name = name.as_str().unwrap();
        let session = &self.0[name];
        let sub = session["sub"].as_str().unwrap();
        let sid = session["sid"].as_str();
        let mut id = [0; 16];
        id[..name.len()].copy_from_slice(name.as_bytes());
        Birth {
            session: Session {
                id: SessionId::from_random(id),
                subject: Self::user(sub),
                sid: SidKey(Digest::of(
                    if sid.is_some() { "sid" } else { "no-sid" },
                    &[sid.unwrap_or(sub)],
                )),
                login: at(session["login"].as_i64().unwrap()),
                registered_at: NOW,
                expires: at(3600),
            },
            authenticated_at: session["authenticated"].as_i64().map(at),
            has_sid: sid.is_some(),
        }
    }

    fn command(&self, step: &Value) -> Command {
        if !step["admit"].is_null() {
            Command::Admit {
                list: Self::list(&step["to"]),
                birth: self.birth(&step["admit"]),
            }
        } else if !step["alive"].is_null() {
            Command::Alive(self.birth(&step["alive"]).session.id)
        } else if let Some(names) = step["end_some"].as_array() {
            let ids = names.iter().map(|name| self.birth(name).session.id);
            Command::EndSome(ids.collect())
        } else {
            let scope = &step["scope"];
            Command::End(Order {
                scope: if scope.is_null() {
                    ledger::Scope::All
                } else {
                    ledger::Scope::Sid(self.birth(scope).session.sid)
                },
                logout: logout(at(step["end"].as_i64().unwrap())),
                takes_users: step["takes_users"] == true,
                subject: step["subject"].as_str().map(Self::user),
            })
        }
    }
}

fn answer(step: &Value) -> Answer {
    let answer = &step["answer"];
    let count = |name: &str| usize::try_from(answer[name].as_u64().unwrap_or(0)).unwrap();
    match answer {
        Value::String(text) => Answer::Admitted(match text.as_str() {
            "admitted" => Ok(()),
            "logged_out" => Err(BirthRefused::LoggedOut),
            "not_reauthenticated" => Err(BirthRefused::NotReauthenticated),
            "too_old" => Err(BirthRefused::TooOld),
            other => panic!("{other}"),
        }),
        Value::Bool(alive) => Answer::Alive(*alive),
        Value::Number(ended) => {
            Answer::EndedSome(usize::try_from(ended.as_u64().unwrap()).unwrap())
        }
        _ => Answer::Ended(Outcome {
            here: Counts {
                ended: count("ended"),
                later: count("later"),
            },
            elsewhere: Elsewhere {
                ended: count("elsewhere"),
                of_other_subject: count("of_other_subject"),
            },
            is_left: false,
        }),
    }
}

#[test]
fn every_step_has_its_answer() {
    let vectors = include_str!("../../../../tests/vectors/ledger.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for row in vectors["rows"].as_array().unwrap() {
        let scene = Scene::new();
        let names = Names(&vectors["sessions"]);
        for step in row["steps"].as_array().unwrap() {
            let asked = scene
                .ledger
                .ask(Names::list(&step["to"]), names.command(step));
            assert_eq!(block_on(asked), Ok(answer(step)), "{}: {step}", row["name"]);
        }
    }
}
