//! One list of the ledger: answers commands, and carries out what ends demand.

use std::cell::Cell;

use futures_util::{StreamExt as _, stream};

use super::protocol::{Answer, Command, Elsewhere, Listed, Order, Outcome, Surveyed};
use crate::{
    app::{
        audit::{Class, Event},
        budget::Budget,
        entry,
        ports::{Ended, Kv, Ledger, Unavailable, World, within},
    },
    domain::{
        ledger::{self, Change, List, Row, Rows, Scope, Table},
        limits,
        logout_token::Logout,
        session::{SessionId, SubjectKey},
        time::Timestamp,
    },
};

/// A list, and what it needs of the world.
pub struct Object<'a, W, K, L, R> {
    /// For the clock and the log.
    pub world: &'a W,
    /// Where the entries of its sessions are.
    pub kv: &'a K,
    /// The other lists.
    pub ledger: &'a L,
    /// Its rows.
    pub rows: &'a R,
    /// Calls that this run may still make.
    pub budget: Budget,
}

/// The run has done what the platform lets one run do.
const SPENT: Unavailable = Unavailable("ledger_budget_spent");

/// What the list of a user must be told: that these sessions have ended, or all of the user.
struct Notice {
    user: SubjectKey,
    user_logout: Option<Logout>,
    ids: Vec<SessionId>,
}

impl<W, K, L, R> Object<'_, W, K, L, R>
where
    W: World,
    K: Kv,
    L: Ledger,
    R: Rows<Error = Unavailable>,
{
    /// Answers a command.
    ///
    /// # Errors
    /// [`Unavailable`]: the command must be repeated.
    pub async fn answer(&self, command: &Command) -> Result<Answer, Unavailable> {
        let answer = self.obey(command).await;
        if let Err(Unavailable(code)) = answer {
            // Who asks learns only that it failed.
            self.world.record(&Event::new(code, None));
        }
        answer
    }

    async fn obey(&self, command: &Command) -> Result<Answer, Unavailable> {
        let now = self.world.now();
        Ok(match command {
            Command::Admit { list, birth } => {
                Answer::Admitted(ledger::admit(self.rows, *list, birth)?)
            }
            Command::Alive(id) => Answer::Alive(ledger::is_alive(self.rows, id)?),
            Command::End(order) => Answer::Ended(self.end(order, now).await?),
            Command::EndSome(ids) => {
                let ended = ledger::end_some(self.rows, ids, now)?;
                self.carry_out_for_now(None).await?;
                ledger::settle(self.rows, now)?;
                Answer::EndedSome(ended)
            }
            Command::Survey { scope, logout } => {
                let (counts, rows) = ledger::survey(self.rows, *scope, logout)?;
                let listed = |row: &Row| Listed {
                    id: row.id,
                    other: row.other,
                    login: row.login,
                    expires: row.expires,
                };
                Answer::Surveyed(Surveyed {
                    counts,
                    sessions: rows.iter().map(listed).collect(),
                })
            }
        })
    }

    /// What is to be done when the alarm goes off. Gives when the next is due; none if the list is
    /// empty, and can be deleted.
    ///
    /// # Errors
    /// [`Unavailable`] if the rows cannot be read or written.
    pub async fn alarm(&self) -> Result<Option<Timestamp>, Unavailable> {
        self.rows.write(&Change::Expire(self.world.now()))?;
        let elsewhere = Cell::default();
        let work = self.carry_out(self.ended()?, None, &elsewhere);
        let outcome = within(self.world, limits::SWEEP_DEADLINE, work).await;
        self.report(outcome)?;
        let Elsewhere {
            ended,
            of_other_subject,
        } = elsewhere.get();
        if ended > 0 {
            let ended = Ended {
                matched: ended,
                of_other_subject,
                ..Ended::default()
            };
            self.world
                .record(&Event::new("logout_finished_late", None).ended(ended));
        }
        let now = self.world.now();
        let next = match outcome {
            // Nothing has failed: there is only much to do.
            Err(SPENT) => Some(now.plus(limits::LEDGER_RETRY_MIN)),
            _ => ledger::next_look(self.rows, now)?,
        };
        if let Some(next) = next {
            self.rows.write(&Change::Wake(next))?;
        }
        Ok(next)
    }

    async fn end(&self, order: &Order, now: Timestamp) -> Result<Outcome, Unavailable> {
        let Order {
            scope,
            logout,
            takes_users,
            subject,
        } = order;
        let here = ledger::end(self.rows, *scope, logout, *takes_users, now)?;
        let elsewhere = self.carry_out_for_now(*subject).await?;
        Ok(Outcome {
            here,
            elsewhere,
            is_left: ledger::settle(self.rows, now)?,
        })
    }

    /// Rows whose end demands something: so many as are looked at together.
    fn ended(&self) -> Result<Vec<Row>, Unavailable> {
        let some = |table: &Table| table.ended().take(limits::LEDGER_BATCH).copied().collect();
        self.rows.read(some)
    }

    /// Carries out what can be done before the answer; the alarm takes up the rest.
    async fn carry_out_for_now(
        &self,
        subject: Option<SubjectKey>,
    ) -> Result<Elsewhere, Unavailable> {
        let elsewhere = Cell::default();
        let mut rows = self.ended()?;
        let outcome = match rows.first().map(|row| row.other) {
            None => return Ok(elsewhere.get()),
            Some(List::User(_)) => {
                let work = self.carry_out(rows, subject, &elsewhere);
                within(self.world, limits::LEDGER_INLINE, work).await
            }
            Some(List::Sid(_)) => {
                rows.truncate(limits::LEDGER_ENTRIES_INLINE);
                let work = self.delete_entries(&rows);
                within(self.world, limits::LEDGER_ENTRIES_DEADLINE, work).await
            }
        };
        self.report(outcome)?;
        Ok(elsewhere.get())
    }

    /// Says what went wrong: more than untidy is only what another list does not know yet.
    fn report(&self, outcome: Result<(), Unavailable>) -> Result<(), Unavailable> {
        let Err(failed @ Unavailable(code)) = outcome else {
            return Ok(());
        };
        let event = Event::new(code, None);
        let is_of_sid = |table: &Table| table.ended().any(|row| matches!(row.other, List::User(_)));
        if self.rows.read(is_of_sid)? {
            self.world.record(&event.class(Class::LogoutPending));
        } else if failed != SPENT {
            self.world.record(&event);
        }
        Ok(())
    }

    /// Does what the ends of sessions demand, of these and then of others, as far as the budget reaches.
    async fn carry_out(
        &self,
        mut rows: Vec<Row>,
        subject: Option<SubjectKey>,
        elsewhere: &Cell<Elsewhere>,
    ) -> Result<(), Unavailable> {
        while !rows.is_empty() {
            let mut outcome = self.delete_entries(&rows).await;
            // One that fails holds up no other.
            for notice in notices(&rows) {
                let ended = match self.tell(&notice).await {
                    Ok(ended) => ended,
                    Err(failed) => {
                        outcome = Err(failed);
                        continue;
                    }
                };
                let mut counts = elsewhere.get();
                counts.ended = counts.ended.saturating_add(ended);
                if subject.is_some_and(|subject| subject != notice.user) {
                    counts.of_other_subject = counts.of_other_subject.saturating_add(ended);
                }
                elsewhere.set(counts);
            }
            outcome?;
            if rows.len() < limits::LEDGER_BATCH {
                break;
            }
            rows = self.ended()?;
        }
        Ok(())
    }

    /// In the list of a user: the sessions' entries go from KV.
    async fn delete_entries(&self, rows: &[Row]) -> Result<(), Unavailable> {
        let of_user = |row: &Row| match row.other {
            List::Sid(sid) => Some((sid, row.id)),
            List::User(_) => None,
        };
        let rows: Vec<_> = rows.iter().filter_map(of_user).collect();
        let affordable = self.budget.take_times(1, rows.len());
        let is_cut = affordable < rows.len();
        // Each that has begun is finished, whatever becomes of the others.
        stream::iter(rows.into_iter().take(affordable))
            .map(async |(sid, id)| {
                self.kv.delete(&entry::key(sid, &id)).await?;
                self.rows.write(&Change::Remove(id))
            })
            .buffer_unordered(limits::KV_PARALLEL_DELETES)
            .fold(Ok(()), async |all: Result<(), Unavailable>, one| {
                all.and(one)
            })
            .await?;
        if is_cut { Err(SPENT) } else { Ok(()) }
    }

    /// In the list of a `sid`: the list of a user hears that sessions have ended. Gives how many
    /// lived until then.
    async fn tell(&self, notice: &Notice) -> Result<usize, Unavailable> {
        let calls = if notice.user_logout.is_some() { 2 } else { 1 };
        if !self.budget.take(calls) {
            return Err(SPENT);
        }
        let list = List::User(notice.user);
        // By name in any case: that list may have heard of the logout before they came, and nobody
        // would find them there when this one has let them go.
        let by_name = self.ledger.end_some(list, notice.ids.clone()).await?;
        let others = match notice.user_logout {
            None => 0,
            Some(logout) => {
                let order = Order {
                    scope: Scope::All,
                    logout,
                    takes_users: false,
                    subject: None,
                };
                self.ledger.end(list, order).await?.here.ended
            }
        };
        for id in &notice.ids {
            self.rows.write(&Change::Remove(*id))?;
        }
        Ok(by_name.saturating_add(others))
    }
}

fn notices(rows: &[Row]) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for row in rows {
        let (List::User(user), Some(ending)) = (row.other, row.ended) else {
            continue;
        };
        let user_logout = ending.user_logout;
        let same = |notice: &&mut Notice| (notice.user, notice.user_logout) == (user, user_logout);
        match notices.iter_mut().find(same) {
            Some(notice) => notice.ids.push(row.id),
            None => notices.push(Notice {
                user,
                user_logout,
                ids: vec![row.id],
            }),
        }
    }
    notices
}
