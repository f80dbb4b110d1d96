//! Finding the keys that may verify a token: from the cache, or from the OP.

use std::{rc::Rc, time::Duration};

use super::ports::{Unavailable, World, within};
use crate::domain::{
    config::{Issuer, KeySource},
    jwks::{self, KeySet, PublicKey},
    key_cache::{Next, Wanted},
    limits,
    time::Timestamp,
};

/// The keys to try; none if the issuer has no such key, proven by a set fetched after the token
/// arrived.
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
) -> Result<Vec<Rc<PublicKey>>, Unavailable> {
    loop {
        let now = world.now();
        let left = deadline.since(now);
        if left.is_zero() {
            return Err(Unavailable("keys_not_in_time"));
        }
        let next = world.with_key_cache(&issuer.issuer, |cache| {
            let next = cache.next(wanted, now);
            if next == Next::Fetch {
                cache.fetching(now);
            }
            next
        });
        match next {
            Next::Use(keys) => return Ok(keys),
            Next::Unknown => return Ok(Vec::new()),
            Next::Wait(span) => world.sleep(span.min(left)).await,
            Next::Fetch => {
                let limit = limits::OP_FETCH.min(left);
                let fetched = within(world, limit, fetch(world, issuer, limit)).await;
                return world.with_key_cache(&issuer.issuer, |cache| {
                    let outcome = fetched.map(|keys| cache.fetched(keys, now));
                    let candidates = cache.candidates(wanted);
                    match outcome {
                        // The last good set serves while the OP is down, and proves nothing.
                        Err(unavailable) if candidates.is_empty() => Err(unavailable),
                        _ => Ok(candidates),
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
    let bad = |document: jwks::BadDocument| Unavailable(document.code());
    let url = match &issuer.keys {
        KeySource::KeySet(url) => url.clone(),
        KeySource::Discovery(url) => {
            let metadata = world.fetch(url, timeout).await?;
            jwks::key_set_url(&metadata, &issuer.issuer, issuer.schemes).map_err(bad)?
        }
    };
    KeySet::parse(&world.fetch(&url, timeout).await?).map_err(bad)
}
