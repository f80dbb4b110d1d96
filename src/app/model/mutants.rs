//! Mechanisms taken away, one at a time: what is left must be found wanting.

use std::time::Duration;

use super::lab::Site;
use crate::{
    app::{
        entry,
        ledger::{Answer, Command},
        ports::{Kv as _, Ledger as _, Unavailable},
    },
    domain::{
        ledger::{List, Row, Table},
        limits,
        session::{Birth, BirthRefused},
        time::Timestamp,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A list does not remember the logouts that it has received,
    LogoutsForgotten,
    /// or forgets them never,
    LogoutsKept,
    /// or takes them for later than they were,
    LogoutsLater,
    /// or which sessions came before them,
    OrderForgotten,
    /// or what ends still demand,
    DemandsForgotten,
    /// or when it is to be looked at.
    AlarmForgotten,
    /// A list takes sessions whatever logouts it has received,
    AdmitsAll,
    /// or ends those only that began before the logout by the OP's clock.
    NoClockSpread,
    /// What the list of the `sid` says to a new session does not count.
    SidRefusalIgnored,
    /// A logout of a `sid` is done although lists of users have not confirmed it.
    Unconfirmed,
    /// The list of the `sid` has a session before that of the user.
    SidFirst,
    /// The entry is written when the lists have the session.
    EntryLast,
    /// A silent sign-on in the moment of a logout is a login like any other.
    RebirthAllowed,
    /// KV alone: a logout leaves no mark,
    NoMark,
    /// or one that goes before the sessions that it covers,
    MarkTooShort,
    /// or no record for the sweep.
    NoPending,
    /// KV alone: a new session asks for no marks.
    BirthUnchecked,
    /// KV alone: sessions without an entry live.
    AbsenceIgnored,
}

impl Mutant {
    /// What a list is told in place of a command.
    pub fn said(self, command: Command) -> Command {
        match (self, command) {
            (Self::AdmitsAll, Command::Admit { list, mut birth }) => {
                let later = birth.session.login.plus(limits::LOGIN_MAX_AGE);
                birth.session.login = later;
                birth.authenticated_at = Some(later);
                Command::Admit { list, birth }
            }
            (Self::LogoutsLater, Command::End(mut order)) => {
                order.logout.at = order.logout.at.plus(limits::LOGIN_MAX_AGE);
                Command::End(order)
            }
            (_, command) => command,
        }
    }

    /// What becomes of the answer, and of the rows that were written for it.
    pub fn answered(self, command: &Command, answer: &mut Answer, table: &mut Table) {
        let own_row = |birth: &Birth, table: &mut Table, edit: &dyn Fn(&mut Row)| {
            table.rows.get_mut(&birth.session.id).map(edit);
        };
        match (self, command, answer) {
            (Self::AdmitsAll, Command::Admit { birth, .. }, _) => {
                own_row(birth, table, &|row| row.login = birth.session.login);
            }
            (Self::NoClockSpread, Command::Admit { birth, .. }, _) => {
                let later = birth.session.login.plus(limits::OP_CLOCK_SPREAD);
                own_row(birth, table, &|row| row.login = later);
            }
            (
                Self::SidRefusalIgnored,
                Command::Admit {
                    list: List::Sid(_), ..
                },
                Answer::Admitted(admitted),
            ) => {
                *admitted = Ok(());
            }
            (Self::Unconfirmed, _, Answer::Ended(outcome)) => outcome.is_left = false,
            _ => {}
        }
    }

    /// What becomes of the rows of each list after each step.
    pub fn tamper(self, table: &mut Table) {
        match self {
            Self::LogoutsForgotten => table.received.clear(),
            Self::LogoutsKept => {
                let received = table.received.iter_mut();
                received.for_each(|received| received.until = Timestamp::from_millis(i64::MAX));
            }
            Self::OrderForgotten => table.rows.values_mut().for_each(|row| row.seq = i64::MIN),
            Self::DemandsForgotten => table.rows.retain(|_, row| row.ended.is_none()),
            Self::AlarmForgotten => table.alarm = None,
            _ => {}
        }
    }

    /// Whether KV is written to at all.
    pub fn writes(self, key: &str, ttl: &mut Duration) -> bool {
        match self {
            Self::NoMark => !key.starts_with("mark/"),
            Self::NoPending => !key.starts_with("pending/"),
            Self::MarkTooShort if key.starts_with("mark/") => {
                *ttl = limits::KV_MIN_TTL;
                true
            }
            _ => true,
        }
    }

    /// What becomes of values read from KV.
    pub fn read(self, keys: &[String], values: &mut [Option<String>]) {
        let is_birth = keys.len() == 2;
        for (key, value) in keys.iter().zip(values) {
            if self == Self::BirthUnchecked && is_birth {
                *value = None;
            }
            if self == Self::AbsenceIgnored && key.starts_with("session/") {
                *value = Some(String::new());
            }
        }
    }

    /// `LedgerSessions::register` in another order.
    pub async fn register(
        self,
        site: &Site,
        birth: &Birth,
    ) -> Option<Result<Result<(), BirthRefused>, Unavailable>> {
        match self {
            Self::SidFirst => Some(sid_first(site, birth).await),
            Self::EntryLast => Some(entry_last(site, birth).await),
            _ => None,
        }
    }
}

async fn sid_first(site: &Site, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
    let session = &birth.session;
    entry::write(site, session, site.lab.clock.get()).await?;
    let admitted = site.admit(List::Sid(session.sid), birth).await?;
    if admitted.is_err() {
        return Ok(admitted);
    }
    site.admit(List::User(session.subject), birth).await
}

async fn entry_last(site: &Site, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
    let session = &birth.session;
    for list in [List::User(session.subject), List::Sid(session.sid)] {
        let admitted = site.admit(list, birth).await?;
        if admitted.is_err() {
            let _ = site.delete(&entry::key(session.sid, &session.id)).await;
            return Ok(admitted);
        }
    }
    entry::write(site, session, site.lab.clock.get()).await?;
    Ok(Ok(()))
}
