//! A session's entry in KV: its record, whoever says whether it lives. Its key begins with the hash of its `sid`,
//! so that a list finds the sessions of one.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::ports::{Kv, Unavailable};
use crate::domain::{
    digest::Digest,
    limits,
    session::{Session, SessionId, SidKey},
    time::Timestamp,
};

/// For a person who looks; the key's existence is what counts. In seconds.
#[derive(Serialize, Deserialize)]
struct Entry {
    login: i64,
    registered_at: i64,
    expires: i64,
}

/// What a list says of a session.
#[derive(Serialize, Deserialize)]
pub struct Metadata<'a> {
    /// In seconds.
    pub login: i64,
    /// The hash by which it is not listed: of its subject, or its `sid`.
    #[serde(borrow)]
    pub other: Cow<'a, str>,
}

impl Metadata<'_> {
    /// That of a session, as JSON.
    ///
    /// # Errors
    /// Those of [`encode`].
    pub fn of(session: &Session, other: Digest) -> Result<String, Unavailable> {
        encode(&Metadata {
            login: session.login.seconds(),
            other: other.to_string().into(),
        })
    }
}

/// With what the keys of the sessions of a `sid` begin.
#[must_use]
pub fn prefix(sid: SidKey) -> String {
    key_of(sid, "")
}

/// Its key.
#[must_use]
pub fn key(sid: SidKey, id: &SessionId) -> String {
    key_of(sid, &id.letters())
}

/// The key of the session with that id, as it is written.
#[must_use]
pub fn key_of(SidKey(sid): SidKey, id: &str) -> String {
    ["session/", &sid.letters(), "/", id].concat()
}

/// When the session of an entry ends by itself; `None` if we did not write it.
#[must_use]
pub fn expires(entry: &str) -> Option<Timestamp> {
    let entry: Entry = serde_json::from_str(entry).ok()?;
    Some(Timestamp::from_seconds(entry.expires))
}

/// How long what stands for a session lasts in KV.
#[must_use]
pub fn ttl(session: &Session, now: Timestamp) -> Duration {
    session.expires.since(now).max(limits::KV_MIN_TTL)
}

/// Writes it.
///
/// # Errors
/// [`Unavailable`]: it may have been written or not.
pub async fn write(kv: &impl Kv, session: &Session, now: Timestamp) -> Result<(), Unavailable> {
    let entry = encode(&Entry {
        login: session.login.seconds(),
        registered_at: session.registered_at.seconds(),
        expires: session.expires.seconds(),
    })?;
    let metadata = Metadata::of(session, session.subject.0)?;
    let key = key(session.sid, &session.id);
    kv.put(&key, &entry, Some(&metadata), ttl(session, now))
        .await
}

/// What is stored, as JSON.
///
/// # Errors
/// [`Unavailable`] if it cannot be encoded, which should not happen.
pub fn encode(value: &impl Serialize) -> Result<String, Unavailable> {
    serde_json::to_string(value).map_err(|_| Unavailable("kv_value_not_encodable"))
}
