//! Timers, and deadlines that hold even if this instance of the module dies: see `deadline.js`.

use std::time::Duration;

use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Response;

use super::promises::{self, Outcome};

#[wasm_bindgen(raw_module = "./deadline.js")]
extern "C" {
    /// Who waits for the answer to a request.
    pub type Client;

    /// Gives the client its answer, unless it has one.
    #[wasm_bindgen(method)]
    pub(super) fn answer(this: &Client, answer: Response);

    #[wasm_bindgen(method)]
    fn wait(this: &Client, span: f64, passed: Function);

    #[wasm_bindgen(method)]
    fn lift(this: &Client);
}

/// Nobody waits any more.
struct Lifted<'a>(&'a Client);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        self.0.lift();
    }
}

/// Comes after `span`.
pub(super) async fn sleep(span: Duration) {
    promises::sleep(millis(span)).await;
}

impl Client {
    /// Comes after `span`. If the instance has died by then, the client is told.
    pub(super) async fn deadline(&self, span: Duration) {
        let outcome = Outcome::expected();
        let _lifted = Lifted(self);
        self.wait(millis(span), outcome.passed());
        // It never fails.
        let _ = outcome.await;
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
