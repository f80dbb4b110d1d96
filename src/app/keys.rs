//! Finding the keys that may verify a token: from the cache, or from the OP.

use std::{rc::Rc, time::Duration};

use super::ports::{Unavailable, World, within};
use crate::domain::{
    config::{Issuer, KeySource},
    jwks::{BadDocument, KeySet, PublicKey},
    key_cache::{Next, Wanted},
    limits,
    metadata::Metadata,
    time::Timestamp,
    url::HttpUrl,
};

/// The keys to try.
#[derive(Debug)]
pub struct Found {
    /// None if the issuer has no such key, proven by a set fetched after the token arrived.
    pub keys: Vec<Rc<PublicKey>>,
    /// When the fetch of their set began.
    fetched_at: Option<Timestamp>,
    /// Whether this very call fetched them.
    is_own_fetch: bool,
}

impl Found {
    /// Whether their set is newer than `moment`.
    #[must_use]
    pub fn is_newer_than(&self, moment: Timestamp) -> bool {
        self.is_own_fetch || self.fetched_at.is_some_and(|at| at > moment)
    }
}

/// Finds the keys that may verify a token.
///
/// A fetch is never shared with another request: workerd lets no request wait for the I/O of
/// another. Whoever comes while one is under way waits and looks again.
///
/// # Errors
/// [`Unavailable`] if the OP does not answer as it should, or not before `deadline`.
pub async fn find(
    world: &impl World,
    issuer: &Issuer,
    wanted: &Wanted<'_>,
    deadline: Timestamp,
) -> Result<Found, Unavailable> {
    loop {
        let now = world.now();
        let left = deadline.since(now);
        let (next, fetched_at) = world.with_key_cache(&issuer.issuer, |cache| {
            let next = cache.next(wanted, now);
            if next == Next::Fetch && !left.is_zero() {
                cache.fetching(now);
            }
            (next, cache.fetched_at())
        });
        let found = |keys| Found {
            keys,
            fetched_at,
            is_own_fetch: false,
        };
        match next {
            Next::Use(keys) => return Ok(found(keys)),
            Next::Unknown => return Ok(found(Vec::new())),
            _ if left.is_zero() => return Err(Unavailable("keys_not_in_time")),
            Next::Wait(span) => world.sleep(span.min(left)).await,
            Next::Fetch => {
                let limit = limits::OP_FETCH.min(left);
                let fetched = within(world, limit, fetch(world, issuer, limit)).await;
                return world.with_key_cache(&issuer.issuer, |cache| {
                    let outcome = fetched.map(|keys| cache.fetched(keys, now));
                    let keys = cache.candidates(wanted);
                    match outcome {
                        Ok(()) => Ok(Found {
                            keys,
                            fetched_at: cache.fetched_at(),
                            is_own_fetch: true,
                        }),
                        // The last good set serves while the OP is down, and proves nothing.
                        Err(_) if !keys.is_empty() && wanted.newer_than.is_none() => {
                            Ok(found(keys))
                        }
                        Err(unavailable) => Err(unavailable),
                    }
                });
            }
        }
    }
}

async fn fetch(
    world: &impl World,
    issuer: &Issuer,
    timeout: Duration,
) -> Result<KeySet, Unavailable> {
    let url = match &issuer.keys {
        KeySource::KeySet(url) => url.clone(),
        KeySource::Discovery(url) => {
            let metadata = fetch_metadata(world, issuer, url, timeout).await?;
            metadata.key_set_url(issuer.schemes).map_err(bad)?
        }
    };
    KeySet::parse(&world.fetch(&url, timeout).await?).map_err(bad)
}

/// The issuer's metadata: the last good ones, for a while, or while the OP is down.
///
/// # Errors
/// [`Unavailable`] if there are none and the OP does not answer as it should.
pub async fn metadata(
    world: &impl World,
    issuer: &Issuer,
    url: &HttpUrl,
) -> Result<Rc<Metadata>, Unavailable> {
    let now = world.now();
    let (known, is_due) = world.with_key_cache(&issuer.issuer, |cache| cache.metadata(now));
    if let Some(known) = known.clone().filter(|_| !is_due) {
        return Ok(known);
    }
    let fetched = fetch_metadata(world, issuer, url, limits::OP_FETCH);
    let fetched = within(world, limits::OP_FETCH, fetched).await;
    fetched.or_else(|unavailable| known.ok_or(unavailable))
}

async fn fetch_metadata(
    world: &impl World,
    issuer: &Issuer,
    url: &HttpUrl,
    timeout: Duration,
) -> Result<Rc<Metadata>, Unavailable> {
    let now = world.now();
    let document = world.fetch(url, timeout).await?;
    let metadata = Metadata::parse(&document, &issuer.issuer).map_err(bad)?;
    let metadata = Rc::new(metadata);
    world.with_key_cache(&issuer.issuer, |cache| {
        cache.fetched_metadata(metadata.clone(), now);
    });
    Ok(metadata)
}

const fn bad(document: BadDocument) -> Unavailable {
    Unavailable(document.code())
}
