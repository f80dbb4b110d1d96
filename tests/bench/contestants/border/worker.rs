//! The calls that edge-logout makes for a page, a token that is refused, and a logout in KV alone, over its own
//! border between wasm and JavaScript: the floor of whatever is written in Rust like this. It decides nothing:
//! what edge-logout takes beyond it is what deciding costs, and what it takes beyond the same calls in JavaScript
//! is the border.
#![cfg(target_arch = "wasm32")]
#![allow(dead_code, unreachable_pub, reason = "it needs little of the product")]

#[path = "../../../../src/app/mod.rs"]
pub mod app;
#[path = "../../../../src/domain/mod.rs"]
pub mod domain;
mod edge;

#[global_allocator]
static MEMORY: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
