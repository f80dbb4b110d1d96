//! The use cases, over ports that `edge` and the tests fill.

pub mod audit;
pub mod front;
pub mod keys;
pub mod kv_sessions;
pub mod logout;
pub mod ports;
pub mod sealing;
pub mod verify;

#[cfg(test)]
pub mod testkit;
