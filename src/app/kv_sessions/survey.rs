//! What a logout would end, as far as KV shows it now.

use super::{
    Kv, KvSessions, Survey, Target, Unavailable, World,
    layout::{Index, Kind, read_mark},
};
use crate::{
    app::entry,
    domain::{
        limits,
        session::{Mark, Scope, Session, SidKey, SubjectKey},
        time::Timestamp,
    },
};

impl<W: World, K: Kv> KvSessions<'_, W, K> {
    pub(super) async fn survey_of(
        &self,
        scope: &Scope,
        logout: Timestamp,
    ) -> Result<Survey, Unavailable> {
        let targets = Target::of(scope);
        let mut indexes: Vec<_> = targets.iter().map(|target| target.index).collect();
        if let Some(sid) = targets.iter().find(|target| target.widens) {
            // Those of the users are all there is then.
            indexes.retain(|index| index.kind == Kind::Sub);
            for subject in self.subjects(&sid.index).await? {
                if !indexes.contains(&subject) {
                    indexes.push(subject);
                }
            }
        }
        let mut survey = Survey::default();
        for index in &indexes {
            self.survey_index(index, logout, &mut survey).await?;
        }
        self.complete(survey).await
    }

    /// Adds what an index shows and no mark of its own has ended.
    async fn survey_index(
        &self,
        index: &Index,
        logout: Timestamp,
        survey: &mut Survey,
    ) -> Result<(), Unavailable> {
        self.afford(1)?;
        let marked = self.kv.get_many(&[index.mark_key()]).await?;
        let marked = read_mark(marked.first().and_then(Option::as_ref))?;
        let mut cursor = None;
        loop {
            self.afford(1)?;
            let page = self.kv.list(&index.prefix(), cursor).await?;
            for found in index.found(&page).flatten() {
                let (login, margin) = (found.login, limits::KV_ORDER_MARGIN);
                if marked.is_some_and(|mark| mark.covers(login, margin)) {
                    continue;
                }
                if !Mark(logout).covers(login, margin) {
                    survey.later = survey.later.saturating_add(1);
                    continue;
                }
                survey.matched = survey.matched.saturating_add(1);
                let (subject, sid) = match index.kind {
                    Kind::Sub => (index.hash, found.other),
                    Kind::Sid => (found.other, index.hash),
                };
                if survey.sessions.len() < limits::SESSIONS_LISTED {
                    survey.sessions.push(Session {
                        id: found.id,
                        subject: SubjectKey(subject),
                        sid: SidKey(sid),
                        login,
                        registered_at: login,
                        expires: login,
                    });
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks the entries when the sessions end by themselves, and leaves out those without one.
    async fn complete(&self, mut survey: Survey) -> Result<Survey, Unavailable> {
        if survey.sessions.is_empty() {
            return Ok(survey);
        }
        self.afford(1)?;
        let sessions = survey.sessions.iter();
        let keys: Vec<_> = sessions
            .map(|session| entry::key(session.sid, &session.id))
            .collect();
        let entries = self.kv.get_many(&keys).await?;
        let before = survey.sessions.len();
        let found = survey.sessions.drain(..).zip(entries);
        survey.sessions = found
            .filter_map(|(session, entry)| {
                let expires = entry::expires(&entry?).unwrap_or(session.expires);
                Some(Session { expires, ..session })
            })
            .collect();
        let gone = before.saturating_sub(survey.sessions.len());
        survey.matched = survey.matched.saturating_sub(gone);
        survey
            .sessions
            .sort_by_key(|session| (std::cmp::Reverse(session.login), session.id));
        Ok(survey)
    }
}
