//! OpenID Connect Back-Channel Logout at the edge.
//!
//! One Worker stands in front of web apps (relying parties). It receives the `OpenID` Provider's
//! logout tokens for them, ends the matching sessions in its store, and lets every request to an
//! app pass a gate that knows which sessions have ended. The apps stay as they are.
//!
//! Data flows one way:
//!
//! ```text
//! wasm entry ─► edge ─► app ─► domain
//!               adapters   use cases   decisions
//! ```
//!
//! - [`domain`]: pure. Bytes, configuration and `now` in, decision out. No I/O, no clock, no async.
//! - [`app`]: the use cases, async and generic over ports; tested natively with fakes.
//! - `edge`: the Workers runtime behind those ports. Only here do `worker`, `wasm_bindgen` and
//!   JavaScript occur, and no decision about tokens or sessions does. Nobody imports `edge`.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod app;
pub mod domain;
#[cfg(target_arch = "wasm32")]
mod edge;
