//! Sessions in a KV namespace alone; its keys are in [`layout`].
//!
//! KV is eventually consistent and has no compare-and-set. So the mark is the authority: it is
//! written first, lives as long as a session can, and is read with every check. Deleting the
//! entries follows, and ends a session too. Lists lag, and one request may do so many operations
//! only: so every logout leaves a `pending/` record, and [`KvSessions::sweep`] goes over its index
//! again.

mod layout;
mod survey;
mod sweep;

use std::time::Duration;

use futures_util::future::{join, join_all};

use self::layout::{Index, Pending, mark_keys, mark_ttl, read_mark, read_marks};
pub use self::sweep::Swept;
use super::{
    budget::Budget,
    entry,
    ports::{Ended, Kv, Sessions, Survey, Unavailable, World, within},
};
use crate::domain::{
    limits,
    logout_token::Logout,
    session::{self, Birth, BirthRefused, EndedBy, Life, Mark, Scope, Session, SubjectKey},
    time::Timestamp,
};

/// The sessions of one app in `kv`.
pub struct KvSessions<'a, W, K> {
    /// For the clock.
    pub world: &'a W,
    /// The namespace.
    pub kv: &'a K,
    /// The app's `session_lifetime`.
    pub lifetime: Duration,
    /// What this request may still spend on tidying up.
    pub budget: Budget,
}

/// Deletions per session: its entry, and what finds it by its subject.
const DELETIONS: usize = 2;

/// An index that a logout goes over.
struct Target {
    index: Index,
    /// With which subject the sessions found are compared, for the log.
    compared: Option<SubjectKey>,
    /// Whether the users of the sessions found lose all their sessions.
    widens: bool,
}

impl From<Index> for Target {
    fn from(index: Index) -> Self {
        Self {
            index,
            compared: None,
            widens: false,
        }
    }
}

impl Target {
    fn of(scope: &Scope) -> Vec<Self> {
        let (sid, sub, widens) = match *scope {
            Scope::Subject(subject) => return vec![Index::from(subject).into()],
            Scope::Sid { sid, sub, widens } => (sid, sub, widens),
        };
        let mut targets = vec![Self {
            index: sid.into(),
            compared: sub.map(|sub| sub.subject),
            widens,
        }];
        if let Some(sub) = sub {
            let without_sid = sub.without_sid.map(Index::from);
            let of_user = widens.then_some(Index::from(sub.subject));
            targets.extend(without_sid.into_iter().chain(of_user).map(Self::from));
        }
        targets
    }
}

impl<W: World, K: Kv> KvSessions<'_, W, K> {
    /// Marks a logout, unless a later one is marked: that covers whatever this one does, for as long
    /// as it must.
    async fn write_mark(
        &self,
        index: &Index,
        logout: Timestamp,
        lifetime: Duration,
    ) -> Result<(), Unavailable> {
        let key = index.mark_key();
        let stored = self.kv.get_many(std::slice::from_ref(&key)).await?;
        let stored = read_mark(stored.first().and_then(Option::as_ref))?;
        if stored.is_some_and(|stored| stored >= Mark(logout)) {
            return Ok(());
        }
        let value = logout.seconds().to_string();
        self.kv.put(&key, &value, None, mark_ttl(lifetime)).await
    }

    async fn write_pending(
        &self,
        target: &Target,
        logout: Timestamp,
        lifetime: Duration,
    ) -> Result<(), Unavailable> {
        let index = &target.index;
        let pending = entry::encode(&Pending {
            kind: index.kind,
            hash: index.hash.to_string(),
            logout: logout.seconds(),
            due: self.world.now().plus(limits::KV_LIST_LAG).seconds(),
            lifetime: lifetime.as_secs(),
            widens: target.widens,
        })?;
        // The time in the key keeps a later logout's record apart from one that is being removed.
        let key = format!("pending/{}/{}", index.hash, logout.seconds());
        let ttl = mark_ttl(lifetime);
        self.kv.put(&key, "", Some(&pending), ttl).await
    }

    /// The subjects of the sessions that `index` finds.
    async fn subjects(&self, index: &Index) -> Result<Vec<Index>, Unavailable> {
        let mut subjects = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.kv.list(&index.prefix(), cursor).await?;
            for found in index.found(&page).flatten() {
                let subject = index.other(found.other);
                if !subjects.contains(&subject) {
                    subjects.push(subject);
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(subjects);
            }
        }
    }

    /// Deletes what `index` finds and the logout ends, as far as the budget reaches.
    async fn clean(
        &self,
        index: &Index,
        logout: Timestamp,
        subject: Option<SubjectKey>,
        ended: &mut Ended,
    ) -> Result<(), Unavailable> {
        let mut cursor = None;
        loop {
            if !self.budget.take(1) {
                return Err(Unavailable("kv_budget_spent"));
            }
            let page = self.kv.list(&index.prefix(), cursor).await?;
            let mut doomed = Vec::new();
            for found in index.found(&page) {
                match found {
                    None => ended.unreadable = ended.unreadable.saturating_add(1),
                    Some(found) if !Mark(logout).covers(found.login, limits::KV_ORDER_MARGIN) => {
                        ended.later = ended.later.saturating_add(1);
                    }
                    Some(found) => {
                        ended.matched = ended.matched.saturating_add(1);
                        if subject.is_some_and(|SubjectKey(hash)| hash != found.other) {
                            ended.of_other_subject = ended.of_other_subject.saturating_add(1);
                        }
                        doomed.push(index.keys(&found));
                    }
                }
            }
            let affordable = self.budget.take_times(DELETIONS, doomed.len());
            let is_cut = affordable < doomed.len();
            doomed.truncate(affordable);
            self.kv.delete_pairs(doomed).await?;
            if is_cut {
                return Err(Unavailable("kv_budget_spent"));
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

impl<W: World, K: Kv> Sessions for KvSessions<'_, W, K> {
    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable> {
        let session = &birth.session;
        let marks = read_marks(&self.kv.get_many(&mark_keys(session)).await?)?;
        if let Err(refused) = session::admit(birth, &marks, limits::KV_ORDER_MARGIN) {
            return Ok(Err(refused));
        }
        // The entry comes first: a logout that finds it by its subject deletes it, and no write that is
        // still under way brings it back. (One that finds it by its sid before then leaves the other key
        // behind, until its time is over. It says nothing of whether a session lives.)
        let now = self.world.now();
        entry::write(self.kv, session, now).await?;
        let by_subject = Index::from(session.subject).key(&session.id.letters());
        let metadata = entry::Metadata::of(session, session.sid.0)?;
        let ttl = entry::ttl(session, now);
        self.kv.put(&by_subject, "", Some(&metadata), ttl).await?;
        Ok(Ok(()))
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        let now = self.world.now();
        if session.is_over(self.lifetime, now) {
            return Ok(Life::Ended(EndedBy::Lifetime));
        }
        let [sid_mark, subject_mark] = mark_keys(session);
        let entry = entry::key(session.sid, &session.id);
        let keys = [entry, sid_mark, subject_mark];
        let values = self.kv.get_many(&keys).await?;
        let [entry, marks @ ..] = values.as_slice() else {
            return Err(Unavailable("kv_answer_incomplete"));
        };
        let marks = read_marks(marks)?;
        Ok(session::judge(
            session,
            self.lifetime,
            entry.is_some(),
            &marks,
            now,
        ))
    }

    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        deadline: Timestamp,
    ) -> Result<Ended, Unavailable> {
        let logout = logout.at;
        let mut targets = Target::of(scope);
        if let Some(sid) = targets.iter().find(|target| target.widens) {
            for subject in self.subjects(&sid.index).await? {
                if !targets.iter().any(|target| target.index == subject) {
                    targets.push(subject.into());
                }
            }
        }
        // Marks read and written, and records written.
        self.budget.take_times(3, targets.len());
        let marks = targets
            .iter()
            .map(|target| self.write_mark(&target.index, logout, self.lifetime));
        // Either finishes the logout should this run end here: the mark at once, the record when
        // the cron trigger takes it up.
        let records = targets
            .iter()
            .map(|target| self.write_pending(target, logout, self.lifetime));
        let (marks, records) = join(join_all(marks), join_all(records)).await;
        marks
            .into_iter()
            .chain(records)
            .collect::<Result<(), _>>()?;
        // Every session has ended now. What follows tidies up.

        let mut ended = Ended::default();
        let time = deadline
            .minus(limits::KV_ANSWER_MARGIN)
            .since(self.world.now());
        let cleaning = async {
            for target in &targets {
                self.clean(&target.index, logout, target.compared, &mut ended)
                    .await?;
            }
            Ok(())
        };
        let outcome = within(self.world, time, cleaning).await;
        ended.deferred = outcome.is_err();
        Ok(ended)
    }

    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable> {
        self.survey_of(scope, logout.at).await
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        let entry = entry::key(session.sid, &session.id);
        let by_subject = Index::from(session.subject).key(&session.id.letters());
        self.kv.delete_pairs(vec![[entry, by_subject]]).await
    }
}
