//! What is said to a list of the ledger, and what it answers.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ledger::{Counts, List, Scope},
    logout_token::Logout,
    session::{Birth, BirthRefused, SessionId, SubjectKey},
    time::Timestamp,
};

/// Said to a list. Repeating any of them does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Take a new session in.
    Admit {
        /// To which this is said.
        list: List,
        /// The session.
        birth: Birth,
    },
    /// Does this session live?
    Alive(SessionId),
    /// End what a logout ends.
    End(Order),
    /// End these sessions.
    EndSome(Vec<SessionId>),
    /// Tell what a logout would end, and change nothing.
    Survey {
        /// Whom it means.
        scope: Scope,
        /// When it is ordered.
        logout: Logout,
    },
}

/// A logout, as a list is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whom it means.
    pub scope: Scope,
    /// When it was ordered.
    pub logout: Logout,
    /// To the list of a `sid`: whether its users lose all their sessions.
    pub takes_users: bool,
    /// The logout token's subject, with which those of the sessions are compared for the log.
    pub subject: Option<SubjectKey>,
}

/// The answer of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Admit`].
    Admitted(Result<(), BirthRefused>),
    /// To [`Command::Alive`].
    Alive(bool),
    /// To [`Command::End`].
    Ended(Outcome),
    /// To [`Command::EndSome`]: how many lived until now.
    EndedSome(usize),
    /// To [`Command::Survey`].
    Surveyed(Surveyed),
}

/// What a logout would end in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// How much.
    pub counts: Counts,
    /// The first of those that would end.
    pub sessions: Vec<Listed>,
}

/// A session in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Which.
    pub id: SessionId,
    /// The other list of the two that it is in.
    pub other: List,
    /// Its login time.
    pub login: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
}

/// What became of a logout in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In the list.
    pub here: Counts,
    /// In the lists that this one has told.
    pub elsewhere: Elsewhere,
    /// Whether something that ends demand has still to be done: a list that is to be told, or
    /// an entry in KV. The list goes on by itself.
    pub is_left: bool,
}

/// What a list has brought about in others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Sessions ended.
    pub ended: usize,
    /// Of these, those whose subject is not the token's.
    pub of_other_subject: usize,
}
