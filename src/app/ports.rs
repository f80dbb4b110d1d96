//! What the use cases need from the world.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream,
};
use serde::Serialize;

use super::{
    audit::Event,
    ledger::{Answer, Command, Order, Outcome, Surveyed},
};
use crate::domain::{
    authorization_code::{self, CallbackId, CodeKey},
    desk::Notes,
    digest::Digest,
    jwks::PublicKey,
    jws::Algorithm,
    key_cache::KeyCache,
    leases::{Leases, Suspects},
    ledger::{self, List},
    limits,
    logout_token::Logout,
    opened::Opened,
    refusal::Refusal,
    session::{Attested, Birth, BirthRefused, Life, Scope, Session, SessionId},
    time::Timestamp,
    url::HttpUrl,
};

/// Something of ours, or the OP, does not answer now: answered with 503, worth repeating. Holds a
/// stable code for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable(pub &'static str);

/// The clock, timers, randomness, cryptography, network and log of the runtime.
pub trait World {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Waits. If nobody is left to go on when the time has come, a client that waits for its answer gets 503.
    async fn sleep(&self, span: Duration);

    /// Fresh random bytes.
    ///
    /// # Errors
    /// [`Unavailable`] if the runtime has none.
    fn random<const N: usize>(&self) -> Result<[u8; N], Unavailable>;

    /// Fetches a document of the OP: status 200 only, no redirects, at most
    /// [`crate::domain::limits::OP_DOCUMENT_BYTES`], within `timeout`.
    ///
    /// # Errors
    /// [`Unavailable`] for everything else.
    async fn fetch(&self, url: &HttpUrl, timeout: Duration) -> Result<Vec<u8>, Unavailable> {
        Ok(self.fetch_dated(url, timeout).await?.0)
    }

    /// As [`World::fetch`], with the `Date` of the answer if it has one.
    ///
    /// # Errors
    /// As of [`World::fetch`].
    async fn fetch_dated(
        &self,
        url: &HttpUrl,
        timeout: Duration,
    ) -> Result<(Vec<u8>, Option<Timestamp>), Unavailable>;

    /// Whether `signature` over `signed` is `key`'s. A key that the runtime cannot use verifies
    /// nothing.
    async fn verifies(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        signed: &[u8],
        signature: &[u8],
    ) -> bool;

    /// What is known of `issuer`'s keys; lives as long as the isolate. Never borrowed across an
    /// `await`.
    fn with_key_cache<T>(&self, issuer: &str, use_it: impl FnOnce(&mut KeyCache) -> T) -> T;

    /// What lists of the ledger have said lately; lives as long as the isolate. Never borrowed across
    /// an `await`.
    fn with_leases<T>(&self, use_it: impl FnOnce(&mut Leases) -> T) -> T;

    /// Senders whose last token was not genuine; lives as long as the isolate. Never borrowed across
    /// an `await`.
    fn with_suspects<T>(&self, use_it: impl FnOnce(&mut Suspects) -> T) -> T;

    /// Seals that were opened before; lives as long as the isolate. Never borrowed across an `await`.
    fn with_opened<T>(&self, use_it: impl FnOnce(&mut Opened) -> T) -> T;

    /// Whether there is an operator's desk that will be told what was noted.
    fn has_journal(&self) -> bool;

    /// What is kept in mind of desks; lives as long as the isolate. Never borrowed across an `await`.
    fn with_notes<T>(&self, use_it: impl FnOnce(&mut Notes) -> T) -> T;

    /// Whether the rate limit, if there is one, leaves room for one more token of this sender;
    /// counts it.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing is known.
    async fn has_room(&self, sender: &Digest) -> Result<bool, Unavailable>;

    /// Whether this isolate hears of `fact` for the first time.
    fn is_news(&self, fact: String) -> bool;

    /// Writes one line to the log, and counts what is to be counted.
    fn record(&self, event: &Event<'_>);
}

/// A key-value namespace. A storage error is never "absent".
pub trait Kv {
    /// The values of `keys`, in their order, read in one operation with the shortest cache time.
    ///
    /// # Errors
    /// [`Unavailable`]; also if the answer does not say about each key whether it exists.
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable>;

    /// Writes a value with JSON metadata, for `ttl` (at least a minute).
    ///
    /// # Errors
    /// [`Unavailable`]: it may have been written or not.
    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        ttl: Duration,
    ) -> Result<(), Unavailable>;

    /// Deletes a key; one that does not exist is deleted already.
    ///
    /// # Errors
    /// [`Unavailable`]: it may have been deleted or not.
    async fn delete(&self, key: &str) -> Result<(), Unavailable>;

    /// Deletes pairs of keys: of each the one, and when that is gone the other; some pairs at a time, and all of
    /// them, whatever becomes of one. Nobody knows how many are if this is dropped.
    ///
    /// # Errors
    /// [`Unavailable`]: each key may have been deleted or not, the second of a pair only if the first is gone.
    async fn delete_pairs(&self, pairs: Vec<[String; 2]>) -> Result<(), Unavailable> {
        stream::iter(pairs)
            .map(async |[first, last]| {
                self.delete(&first).await?;
                self.delete(&last).await
            })
            .buffer_unordered(limits::KV_PARALLEL_DELETES)
            .fold(Ok(()), async |all: Result<(), Unavailable>, one| {
                all.and(one)
            })
            .await
    }

    /// One page of the keys that begin with `prefix`; a page may be empty and not the last.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn list(&self, prefix: &str, cursor: Option<String>) -> Result<Page, Unavailable>;
}

/// One page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Names and, as JSON text, metadata.
    pub keys: Vec<(String, Option<String>)>,
    /// Where the next page begins; none after the last.
    pub cursor: Option<String>,
}

/// Where sessions live.
pub trait Sessions {
    /// Begins a session, unless a logout covers it.
    ///
    /// # Errors
    /// [`Unavailable`]: the session may exist or not, and nobody has its cookies.
    async fn register(&self, birth: &Birth) -> Result<Result<(), BirthRefused>, Unavailable>;

    /// Whether a session lives.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn alive(&self, session: &Session) -> Result<Life, Unavailable>;

    /// Ends the sessions of a scope that began up to `logout`. On success every one of them has
    /// ended, and what is left to tidy up is noted or done. Repeating it does no harm.
    ///
    /// # Errors
    /// [`Unavailable`]: it must be repeated until it succeeds.
    async fn end(
        &self,
        scope: &Scope,
        logout: &Logout,
        deadline: Timestamp,
    ) -> Result<Ended, Unavailable>;

    /// What [`Sessions::end`] would end now. Changes nothing.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn survey(&self, scope: &Scope, logout: &Logout) -> Result<Survey, Unavailable>;

    /// Ends one session, because the app or a new login replaced it.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn end_one(&self, session: &Session) -> Result<(), Unavailable>;
}

/// The lists of the ledger.
pub trait Ledger {
    /// Says something to a list.
    ///
    /// # Errors
    /// [`Unavailable`]: it may have been done or not, and can be repeated.
    async fn ask(&self, list: List, command: Command) -> Result<Answer, Unavailable>;

    /// [`Command::Admit`].
    ///
    /// # Errors
    /// As of [`Ledger::ask`].
    async fn admit(
        &self,
        list: List,
        birth: &Birth,
    ) -> Result<Result<(), BirthRefused>, Unavailable> {
        let birth = *birth;
        match self.ask(list, Command::Admit { list, birth }).await? {
            Answer::Admitted(admitted) => Ok(admitted),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`Command::Alive`].
    ///
    /// # Errors
    /// As of [`Ledger::ask`].
    async fn alive(&self, list: List, id: SessionId) -> Result<bool, Unavailable> {
        match self.ask(list, Command::Alive(id)).await? {
            Answer::Alive(alive) => Ok(alive),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`Command::End`].
    ///
    /// # Errors
    /// As of [`Ledger::ask`].
    async fn end(&self, list: List, order: Order) -> Result<Outcome, Unavailable> {
        match self.ask(list, Command::End(order)).await? {
            Answer::Ended(outcome) => Ok(outcome),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`Command::EndSome`].
    ///
    /// # Errors
    /// As of [`Ledger::ask`].
    async fn end_some(&self, list: List, ids: Vec<SessionId>) -> Result<usize, Unavailable> {
        match self.ask(list, Command::EndSome(ids)).await? {
            Answer::EndedSome(ended) => Ok(ended),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`Command::Survey`].
    ///
    /// # Errors
    /// As of [`Ledger::ask`].
    async fn survey(
        &self,
        list: List,
        scope: ledger::Scope,
        logout: Logout,
    ) -> Result<Surveyed, Unavailable> {
        match self.ask(list, Command::Survey { scope, logout }).await? {
            Answer::Surveyed(surveyed) => Ok(surveyed),
            _ => Err(OTHER_ANSWER),
        }
    }
}

/// What a logout would end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Sessions that would end.
    pub matched: usize,
    /// Sessions of the scope that began after the logout.
    pub later: usize,
    /// Of those that would end the first [`crate::domain::limits::SESSIONS_LISTED`], the latest
    /// first. When they were registered is not known; their login stands for it.
    pub sessions: Vec<Session>,
}

/// What is known of authorization codes: one record each, in one place.
pub trait Codes {
    /// Says something to the record of a code.
    ///
    /// # Errors
    /// [`Unavailable`]: it may have been done or not, and can be repeated.
    async fn tell(
        &self,
        code: &CodeKey,
        command: &authorization_code::Command,
    ) -> Result<authorization_code::Answer, Unavailable>;

    /// [`authorization_code::Command::Open`].
    ///
    /// # Errors
    /// As of [`Codes::tell`].
    async fn open(&self, code: &CodeKey, id: CallbackId) -> Result<bool, Unavailable> {
        match self
            .tell(code, &authorization_code::Command::Open(id))
            .await?
        {
            authorization_code::Answer::Opened(is_first) => Ok(is_first),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`authorization_code::Command::Redeem`].
    ///
    /// # Errors
    /// As of [`Codes::tell`].
    async fn redeem(&self, code: &CodeKey, login: Attested) -> Result<bool, Unavailable> {
        match self
            .tell(code, &authorization_code::Command::Redeem(login))
            .await?
        {
            authorization_code::Answer::Redeemed(is_awaited) => Ok(is_awaited),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// [`authorization_code::Command::Close`].
    ///
    /// # Errors
    /// As of [`Codes::tell`].
    async fn close(&self, code: &CodeKey, id: CallbackId) -> Result<Option<Attested>, Unavailable> {
        match self
            .tell(code, &authorization_code::Command::Close(id))
            .await?
        {
            authorization_code::Answer::Closed(login) => Ok(login),
            _ => Err(OTHER_ANSWER),
        }
    }
}

/// Worker and list are of different versions.
pub const OTHER_ANSWER: Unavailable = Unavailable("ledger_not_understood");

/// What a logout found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Sessions ended.
    pub matched: usize,
    /// Sessions of the scope that began after the logout, and were left alone.
    pub later: usize,
    /// Sessions whose subject is not the token's.
    pub of_other_subject: usize,
    /// Entries that we did not write, or cannot read; left alone.
    pub unreadable: usize,
    /// Whether entries of ended sessions are still there, for a later run to delete.
    pub deferred: bool,
}

impl Ended {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            matched: self.matched.saturating_add(other.matched),
            later: self.later.saturating_add(other.later),
            of_other_subject: self.of_other_subject.saturating_add(other.of_other_subject),
            unreadable: self.unreadable.saturating_add(other.unreadable),
            deferred: self.deferred || other.deferred,
        }
    }
}

/// The body of a request.
pub trait Body {
    /// Reads it whole.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] as soon as more than `limit` bytes have come,
    /// [`Refusal::BodyUnreadable`] if it breaks off.
    async fn read(self, limit: usize) -> Result<Vec<u8>, Refusal>;
}

/// Reads a body whole, unless it takes too long to come.
///
/// # Errors
/// Those of [`Body::read`], or [`Refusal::BodyTooSlow`].
pub async fn read_in_time(
    world: &impl World,
    body: impl Body,
    limit: usize,
) -> Result<Vec<u8>, Refusal> {
    let reading = pin!(body.read(limit));
    match select(reading, pin!(world.sleep(limits::BODY_DEADLINE))).await {
        Either::Left((read, _)) => read,
        Either::Right(((), _)) => Err(Refusal::BodyTooSlow),
    }
}

/// `work`, unless it takes longer than `span`.
///
/// # Errors
/// Those of `work`, or [`Unavailable`] with the code `deadline_exceeded`.
pub async fn within<T>(
    world: &impl World,
    span: Duration,
    work: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    match select(pin!(work), pin!(world.sleep(span))).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => Err(Unavailable("deadline_exceeded")),
    }
}
