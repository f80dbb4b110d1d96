//! Sessions in a KV namespace alone.
//!
//! ```text
//! session/<id>            the session's entry
//! by-sid/<hash>/<id>      finds it by sid; metadata: its login, and the other index's hash
//! by-sub/<hash>/<id>      finds it by subject; likewise
//! mark/<hash>             a logout: sessions with a login up to this moment have ended
//! ```
//!
//! KV is eventually consistent and has no compare-and-set. So the mark is the authority: it is
//! written first, lives as long as a session can, and is read with every check. Deleting the
//! entries follows, and ends a session too.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join3, stream};
use serde::{Deserialize, Serialize};

use super::ports::{Ended, Kv, Page, Sessions, Unavailable, World};
use crate::domain::{
    digest::Digest,
    limits,
    session::{self, BirthRefused, Life, Mark, Scope, Session, SessionId, SidKey, SubjectKey},
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
}

/// The value of `session/<id>`: for a person who looks; the key's existence is what counts.
#[derive(Serialize)]
struct Entry {
    login: i64,
    registered_at: i64,
    expires: i64,
}

/// The metadata of an index key.
#[derive(Serialize, Deserialize)]
struct IndexMetadata {
    login: i64,
    other: String,
}

enum Index {
    Sid(SidKey),
    Subject(SubjectKey),
}

impl Index {
    fn prefix(&self) -> String {
        match self {
            Self::Sid(SidKey(hash)) => format!("by-sid/{hash}/"),
            Self::Subject(SubjectKey(hash)) => format!("by-sub/{hash}/"),
        }
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix())
    }

    /// The other index of a session that this one found.
    fn other(&self, hash: Digest) -> Self {
        match self {
            Self::Sid(_) => Self::Subject(SubjectKey(hash)),
            Self::Subject(_) => Self::Sid(SidKey(hash)),
        }
    }

    fn mark_key(&self) -> String {
        match self {
            Self::Sid(SidKey(hash)) | Self::Subject(SubjectKey(hash)) => format!("mark/{hash}"),
        }
    }
}

fn entry_key(id: &SessionId) -> String {
    format!("session/{id}")
}

fn mark_keys(session: &Session) -> [String; 2] {
    [
        Index::Sid(session.sid).mark_key(),
        Index::Subject(session.subject).mark_key(),
    ]
}

/// A mark that cannot be read is an outage: it may cover anything.
fn read_mark(value: Option<&String>) -> Result<Option<Mark>, Unavailable> {
    value
        .map(|text| {
            text.parse()
                .map(|seconds| Mark(Timestamp::from_seconds(seconds)))
                .map_err(|_| Unavailable("kv_mark_unreadable"))
        })
        .transpose()
}

impl<W: World, K: Kv> KvSessions<'_, W, K> {
    /// How long a mark must last: as long as any session it may cover. One can begin
    /// [`limits::LOGIN_MAX_AGE`] after its login.
    fn mark_ttl(&self) -> Duration {
        self.lifetime
            .saturating_add(limits::LOGIN_MAX_AGE)
            .saturating_add(limits::CLOCK_SKEW)
            .saturating_add(limits::KV_MIN_TTL)
    }

    async fn marks(&self, keys: &[String]) -> Result<Vec<Option<Mark>>, Unavailable> {
        let values = self.kv.get_many(keys).await?;
        values
            .iter()
            .map(|value| read_mark(value.as_ref()))
            .collect()
    }

    async fn write_mark(&self, index: &Index, logout: Timestamp) -> Result<(), Unavailable> {
        let key = index.mark_key();
        let stored = self.marks(std::slice::from_ref(&key)).await?;
        // The later of the two: a logout that arrives late takes nothing back. Even where it
        // changes nothing the mark is written again, so that it lasts long enough.
        let latest = stored
            .into_iter()
            .flatten()
            .map(|Mark(at)| at)
            .fold(logout, Timestamp::max);
        let value = latest.seconds().to_string();
        self.kv.put(&key, &value, None, self.mark_ttl()).await
    }

    /// The keys of the sessions that a page of an index names and a logout ends.
    fn doomed(
        index: &Index,
        page: &Page,
        mark: Mark,
        subject: Option<SubjectKey>,
        ended: &mut Ended,
    ) -> Vec<[String; 3]> {
        let mut doomed = Vec::new();
        for (key, metadata) in &page.keys {
            let id = key.rsplit('/').next().unwrap_or_default();
            let Some((metadata, other)) = metadata
                .as_ref()
                .and_then(|text| serde_json::from_str::<IndexMetadata>(text).ok())
                .and_then(|metadata| {
                    let other = Digest::parse(&metadata.other)?;
                    Some((metadata, other))
                })
            else {
                ended.unreadable = ended.unreadable.saturating_add(1);
                continue;
            };
            if !mark.covers(Timestamp::from_seconds(metadata.login)) {
                ended.later = ended.later.saturating_add(1);
                continue;
            }
            ended.matched = ended.matched.saturating_add(1);
            if subject.is_some_and(|SubjectKey(hash)| hash != other) {
                ended.of_other_subject = ended.of_other_subject.saturating_add(1);
            }
            // The index by which it was found goes last: while it is there, a repeat of the
            // logout finds the rest.
            doomed.push([
                format!("session/{id}"),
                index.other(other).key(id),
                key.clone(),
            ]);
        }
        doomed
    }

    async fn delete(&self, keys: &[String; 3]) -> Result<(), Unavailable> {
        for key in keys {
            self.kv.delete(key).await?;
        }
        Ok(())
    }
}

impl<W: World, K: Kv> Sessions for KvSessions<'_, W, K> {
    async fn register(&self, session: &Session) -> Result<Result<(), BirthRefused>, Unavailable> {
        let marks = self.marks(&mark_keys(session)).await?;
        if let Err(refused) = session::admit(session, &marks) {
            return Ok(Err(refused));
        }
        let id = session.id.to_string();
        let ttl = session
            .expires
            .since(self.world.now())
            .max(limits::KV_MIN_TTL);
        let entry = encode(&Entry {
            login: session.login.seconds(),
            registered_at: session.registered_at.seconds(),
            expires: session.expires.seconds(),
        })?;
        let (by_sid, by_subject) = (Index::Sid(session.sid), Index::Subject(session.subject));
        let metadata = |other: Digest| {
            encode(&IndexMetadata {
                login: session.login.seconds(),
                other: other.to_string(),
            })
        };
        let (of_sid, of_subject) = (metadata(session.subject.0)?, metadata(session.sid.0)?);
        let (entry_key, sid_key, subject_key) =
            (entry_key(&session.id), by_sid.key(&id), by_subject.key(&id));
        try_join3(
            self.kv.put(&entry_key, &entry, None, ttl),
            self.kv.put(&sid_key, "", Some(&of_sid), ttl),
            self.kv.put(&subject_key, "", Some(&of_subject), ttl),
        )
        .await?;
        Ok(Ok(()))
    }

    async fn alive(&self, session: &Session) -> Result<Life, Unavailable> {
        let [sid_mark, subject_mark] = mark_keys(session);
        let values = self
            .kv
            .get_many(&[entry_key(&session.id), sid_mark, subject_mark])
            .await?;
        let [entry, marks @ ..] = values.as_slice() else {
            return Err(Unavailable("kv_answer_incomplete"));
        };
        let marks = marks
            .iter()
            .map(|value| read_mark(value.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(session::judge(
            session,
            self.lifetime,
            entry.is_some(),
            &marks,
            self.world.now(),
        ))
    }

    async fn end(&self, scope: &Scope, logout: Timestamp) -> Result<Ended, Unavailable> {
        let (index, subject) = match scope {
            Scope::Sid(sid, subject) => (Index::Sid(*sid), *subject),
            Scope::Subject(subject) => (Index::Subject(*subject), None),
        };
        self.write_mark(&index, logout).await?;

        let mut ended = Ended::default();
        let mut cursor = None;
        loop {
            let page = self.kv.list(&index.prefix(), cursor).await?;
            let doomed = Self::doomed(&index, &page, Mark(logout), subject, &mut ended);
            stream::iter(doomed)
                .map(|keys| async move { self.delete(&keys).await })
                .buffer_unordered(limits::KV_PARALLEL_DELETES)
                .try_collect::<()>()
                .await?;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(ended);
            }
        }
    }

    async fn end_one(&self, session: &Session) -> Result<(), Unavailable> {
        let id = session.id.to_string();
        self.delete(&[
            entry_key(&session.id),
            Index::Subject(session.subject).key(&id),
            Index::Sid(session.sid).key(&id),
        ])
        .await
    }
}

fn encode(value: &impl Serialize) -> Result<String, Unavailable> {
    serde_json::to_string(value).map_err(|_| Unavailable("kv_value_not_encodable"))
}
