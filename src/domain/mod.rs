//! The decisions of edge-logout: pure functions and the types they are made of.

pub mod claims;
pub mod config;
pub mod cookie;
pub mod digest;
pub mod form;
pub mod gate;
pub mod id_token;
pub mod jar;
pub mod jwks;
pub mod jws;
pub mod key_cache;
pub mod leases;
pub mod ledger;
pub mod limits;
pub mod logout_token;
pub mod packed;
pub mod pieces;
pub mod refusal;
pub mod route;
pub mod seal;
pub mod sender;
pub mod session;
pub mod session_header;
pub mod time;
pub mod url;
