//! Deadlines that hold even if this instance of the module dies: see `deadline.js`.

use std::time::Duration;

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(module = "/src/edge/deadline.js")]
extern "C" {
    /// That of one request.
    #[derive(Clone)]
    pub(super) type Deadline;

    #[wasm_bindgen(constructor)]
    pub(super) fn new() -> Deadline;

    /// The answer to the client: what `work` comes to, or 503 if a deadline passes and nobody is
    /// left to say so.
    #[wasm_bindgen(method)]
    pub(super) fn over(this: &Deadline, work: &Promise) -> Promise;

    #[wasm_bindgen(method)]
    fn set(this: &Deadline, span: f64) -> Promise;

    #[wasm_bindgen(method)]
    fn lift(this: &Deadline);
}

impl Deadline {
    /// Comes after `span`; lifted when it is dropped.
    pub(super) async fn passes(&self, span: Duration) {
        struct Lifted<'a>(&'a Deadline);
        impl Drop for Lifted<'_> {
            fn drop(&mut self) {
                self.0.lift();
            }
        }
        let _lifted = Lifted(self);
        // It never fails.
        let _ = JsFuture::from(self.set(span.as_secs_f64() * 1000.0)).await;
    }
}
