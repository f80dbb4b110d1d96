//! What KV holds: keys, values and metadata.
//!
//! ```text
//! session/<hash>/<id>     a session's entry, found by its sid; metadata: its login, and the hash of its subject
//! by-sub/<hash>/<id>      finds it by subject; metadata: its login, and the hash of its sid
//! mark/<hash>             a logout: sessions with a login up to this moment have ended
//! pending/<hash>/<time>   a logout whose index is to be tidied up once more; metadata: what of
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    app::{
        entry,
        ports::{Page, Unavailable},
    },
    domain::{
        digest::Digest,
        limits,
        session::{Mark, Marks, Session, SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};

/// The metadata of a pending record.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) kind: Kind,
    pub(super) hash: String,
    pub(super) logout: i64,
    pub(super) due: i64,
    pub(super) lifetime: u64,
    /// Whether the users of the sessions found lose all their sessions.
    #[serde(default)]
    pub(super) widens: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Sid,
    Sub,
}

/// The sessions of one sid or one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) kind: Kind,
    pub(super) hash: Digest,
}

impl From<SidKey> for Index {
    fn from(SidKey(hash): SidKey) -> Self {
        Self {
            kind: Kind::Sid,
            hash,
        }
    }
}

impl From<SubjectKey> for Index {
    fn from(SubjectKey(hash): SubjectKey) -> Self {
        Self {
            kind: Kind::Sub,
            hash,
        }
    }
}

impl Index {
    pub(super) fn prefix(&self) -> String {
        self.key("")
    }

    /// The key of the session with that id, as it is written.
    pub(super) fn key(&self, id: &str) -> String {
        match self.kind {
            Kind::Sid => entry::key_of(SidKey(self.hash), id),
            Kind::Sub => ["by-sub/", &self.hash.letters(), "/", id].concat(),
        }
    }

    /// The keys of a session that this one found. Its own comes last: while that is there, a repeat finds the
    /// other.
    pub(super) fn keys(&self, found: &Found<'_>) -> [String; 2] {
        [
            self.other(found.other).key(found.name),
            found.key.to_owned(),
        ]
    }

    /// What a page of this one names; `None` for keys that we did not write, or cannot read.
    pub(super) fn found<'a>(&self, page: &'a Page) -> impl Iterator<Item = Option<Found<'a>>> {
        let prefix = self.prefix();
        page.keys.iter().map(move |(key, metadata)| {
            let name = key.strip_prefix(&prefix)?;
            let metadata: entry::Metadata<'_> = serde_json::from_str(metadata.as_ref()?).ok()?;
            Some(Found {
                key,
                name,
                id: SessionId::parse(name)?,
                login: Timestamp::from_seconds(metadata.login),
                other: Digest::parse(&metadata.other)?,
            })
        })
    }

    /// The other index of a session that this one found.
    pub(super) const fn other(&self, hash: Digest) -> Self {
        let kind = match self.kind {
            Kind::Sid => Kind::Sub,
            Kind::Sub => Kind::Sid,
        };
        Self { kind, hash }
    }

    pub(super) fn mark_key(&self) -> String {
        ["mark/", &self.hash.letters()].concat()
    }
}

pub(super) fn mark_keys(session: &Session) -> [String; 2] {
    [
        Index::from(session.sid).mark_key(),
        Index::from(session.subject).mark_key(),
    ]
}

/// A mark that cannot be read is an outage: it may cover anything.
pub(super) fn read_mark(value: Option<&String>) -> Result<Option<Mark>, Unavailable> {
    value
        .map(|text| {
            text.parse()
                .map(|seconds| Mark(Timestamp::from_seconds(seconds)))
                .map_err(|_| Unavailable("kv_mark_unreadable"))
        })
        .transpose()
}

pub(super) fn read_marks(values: &[Option<String>]) -> Result<Marks, Unavailable> {
    let [sid, subject] = values else {
        return Err(Unavailable("kv_answer_incomplete"));
    };
    Ok(Marks {
        sid: read_mark(sid.as_ref())?,
        subject: read_mark(subject.as_ref())?,
    })
}

/// One session that an index names.
pub(super) struct Found<'a> {
    pub(super) key: &'a str,
    /// The end of the key.
    pub(super) name: &'a str,
    pub(super) id: SessionId,
    pub(super) login: Timestamp,
    pub(super) other: Digest,
}

/// How long a mark must last: as long as any session it may cover. One can begin
/// [`limits::LOGIN_MAX_AGE`] after its login.
pub(super) fn mark_ttl(lifetime: Duration) -> Duration {
    lifetime
        .saturating_add(limits::LOGIN_MAX_AGE)
        .saturating_add(limits::CLOCK_SKEW_MAX)
        .saturating_add(limits::KV_MIN_TTL)
}
