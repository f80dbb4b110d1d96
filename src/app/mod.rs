//! The use cases, over ports that `edge` and the tests fill.
//!
//! The runtime is single-threaded: no future here need be `Send`.
#![expect(async_fn_in_trait, reason = "no caller needs bounds on these futures")]

use std::future::Future;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

pub mod audit;
pub mod budget;
pub mod desk;
pub mod entry;
pub mod front;
pub mod keys;
pub mod kv_sessions;
pub mod ledger;
pub mod logout;
pub mod operator;
pub mod ports;
pub mod relay;
pub mod verify;

/// Work off the way that every request goes, as a future of its own. V8 compiles a function when it is
/// first called, and a future is one function with all that it may come to: with the rare ways inside,
/// the first request of an isolate would wait for hundreds of kilobytes to be compiled.
pub(crate) fn apart<'a, F: Future + 'a>(work: F) -> LocalBoxFuture<'a, F::Output> {
    work.boxed_local()
}

#[cfg(test)]
#[allow(unreachable_pub)]
mod model;
#[cfg(test)]
#[allow(unreachable_pub)]
pub(crate) mod testkit;

#[cfg(test)]
mod tests;
