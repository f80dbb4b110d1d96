//! The use cases, over ports that `edge` and the tests fill.
//!
//! The runtime is single-threaded: no future here need be `Send`.
#![expect(async_fn_in_trait, reason = "no caller needs bounds on these futures")]

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

#[cfg(test)]
#[allow(unreachable_pub)]
mod model;
#[cfg(test)]
#[allow(unreachable_pub)]
pub(crate) mod testkit;

#[cfg(test)]
mod tests;
