//! Timers, and deadlines that hold even if this instance of the module dies: see `deadline.js`.

use std::time::Duration;

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Response;

use super::promises::outcome;

#[wasm_bindgen(raw_module = "./deadline.js")]
extern "C" {
    type Timer;

    #[wasm_bindgen(constructor)]
    fn new(span: f64) -> Timer;

    #[wasm_bindgen(method, getter)]
    fn comes(this: &Timer) -> Promise;

    #[wasm_bindgen(method)]
    fn cancel(this: &Timer);

    /// Who waits for the answer to a request.
    pub type Client;

    /// Gives the client its answer, unless it has one.
    #[wasm_bindgen(method)]
    pub(super) fn answer(this: &Client, answer: Response);

    #[wasm_bindgen(method)]
    fn wait(this: &Client, span: f64) -> Promise;

    #[wasm_bindgen(method)]
    fn lift(this: &Client);
}

/// Something that is called off when nobody waits for it any more.
struct CalledOff<F: Fn()>(F);

impl<F: Fn()> Drop for CalledOff<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Comes after `span`.
pub(super) async fn sleep(span: Duration) {
    let timer = Timer::new(millis(span));
    let _called_off = CalledOff(|| timer.cancel());
    // It never fails.
    let _ = outcome(Ok(timer.comes())).await;
}

impl Client {
    /// Comes after `span`. If the instance has died by then, the client is told.
    pub(super) async fn deadline(&self, span: Duration) {
        let _called_off = CalledOff(|| self.lift());
        let _ = outcome(Ok(self.wait(millis(span)))).await;
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
