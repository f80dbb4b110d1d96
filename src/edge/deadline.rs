//! Timers: see `deadline.js`.

use std::time::Duration;

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Response;

use super::promises::Outcome;

#[wasm_bindgen(raw_module = "./deadline.js")]
extern "C" {
    /// What the runtime gives with a request.
    pub type Context;

    /// Who waits for the answer to a request, and what the request waits for.
    pub(super) type Client;

    #[wasm_bindgen(constructor)]
    pub(super) fn new(context: &Context) -> Client;

    #[wasm_bindgen(method, getter)]
    pub(super) fn answered(this: &Client) -> Promise;

    /// Gives the client its answer, unless it has one.
    #[wasm_bindgen(method)]
    pub(super) fn answer(this: &Client, answer: Response);

    #[wasm_bindgen(method)]
    fn hold(this: &Client);

    #[wasm_bindgen(method)]
    fn release(this: &Client);

    #[wasm_bindgen(method)]
    fn wait(this: &Client, span: f64, number: u32);

    #[wasm_bindgen(method)]
    fn lift(this: &Client, number: u32);

    #[wasm_bindgen(method, js_name = handOver)]
    fn hand_over_to(this: &Client, answer: &Promise, number: u32);

    fn after(span: f64, number: u32) -> JsValue;

    #[wasm_bindgen(js_name = callOff)]
    fn call_off(timer: &JsValue);
}

/// A timer that is called off when nobody waits for it any more.
struct Timer(JsValue);

impl Drop for Timer {
    fn drop(&mut self) {
        call_off(&self.0);
    }
}

/// Keeps the runtime from giving up a request's work, though its client has left or been answered. A
/// request has one at most.
pub(super) struct Hold<'a>(&'a Client);

impl<'a> Hold<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        client.hold();
        Self(client)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Nobody waits any more.
struct Lifted<'a>(&'a Client, u32);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        self.0.lift(self.1);
    }
}

/// Comes after `span`.
pub(super) async fn sleep(span: Duration) {
    let outcome = Outcome::expected();
    let _timer = Timer(after(millis(span), outcome.number()));
    // It never fails.
    let _ = outcome.await;
}

impl Client {
    /// Comes after `span`. If the instance has died by then, the client is told.
    pub(super) async fn sleep(&self, span: Duration) {
        let outcome = Outcome::expected();
        let _lifted = Lifted(self, outcome.number());
        self.wait(millis(span), outcome.number());
        // It never fails.
        let _ = outcome.await;
    }

    /// Comes to nothing if the app's answer is not telling: it is the client's as it comes, and the work that waits
    /// here is over.
    ///
    /// # Errors
    /// As [`outcome`](super::promises::outcome).
    pub(super) async fn hand_over(
        &self,
        answer: Result<Promise, JsValue>,
    ) -> Result<JsValue, JsValue> {
        let outcome = Outcome::expected();
        self.hand_over_to(&answer?, outcome.number());
        outcome.await
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
