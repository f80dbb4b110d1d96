//! The module's work, and the promises that it waits for. In place of `wasm-bindgen-futures`, which has two
//! closures cross the border for each promise, and goes on a turn later: here a promise is a number.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(raw_module = "./promises.js")]
extern "C" {
    fn hear(promise: &Promise, number: u32);
}

#[wasm_bindgen]
extern "C" {
    /// A promise, and who keeps it.
    type Kept;

    #[wasm_bindgen(js_namespace = Promise, js_name = withResolvers)]
    fn to_be_kept() -> Kept;

    #[wasm_bindgen(method, getter)]
    fn promise(this: &Kept) -> Promise;

    #[wasm_bindgen(method)]
    fn resolve(this: &Kept, value: &JsValue);

    #[wasm_bindgen(method)]
    fn reject(this: &Kept, error: &JsValue);
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What is known by a number: few things at a time, the last of them the likeliest. A number is not given again
/// before four billion others: who is woken late must not wake another request's work, which may do nothing in
/// this one's turn.
struct Numbered<T> {
    last: u32,
    known: Vec<(u32, T)>,
}

impl<T> Numbered<T> {
    const fn new() -> Self {
        Self {
            last: 0,
            known: Vec::new(),
        }
    }

    fn add(&mut self, thing: T) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.known.push((self.last, thing));
        self.last
    }

    fn position(&self, number: u32) -> Option<usize> {
        self.known.iter().rposition(|(known, _)| *known == number)
    }

    fn get(&mut self, number: u32) -> Option<&mut T> {
        let position = self.position(number)?;
        self.known.get_mut(position).map(|(_, thing)| thing)
    }

    fn take(&mut self, number: u32) -> Option<T> {
        let position = self.position(number)?;
        Some(self.known.swap_remove(position).1)
    }
}

enum State {
    /// With what waits for it, and the number of the task that does.
    Pending(Option<(Waker, u32)>),
    Settled(Result<JsValue, JsValue>),
}

thread_local! {
    /// `None` in the place of one that is at work, or over.
    static TASKS: RefCell<Numbered<Option<Task>>> = const { RefCell::new(Numbered::new()) };
    static READY: RefCell<VecDeque<Arc<Number>>> = RefCell::default();
    static PROMISES: RefCell<Numbered<State>> = const { RefCell::new(Numbered::new()) };
    /// The task that is at work.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    /// Whether somebody looks at `READY` before the call of the module ends.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// The number of a task, as its waker. A task that nobody can wake any more is over.
struct Number(u32);

impl Drop for Number {
    fn drop(&mut self) {
        // Dropped outside: it may hold anything.
        drop(TASKS.with_borrow_mut(|tasks| tasks.take(self.0)));
    }
}

impl Wake for Number {
    /// The module is at work then: [`settle`] wakes what waited, and work may wake its own parts. A promise that
    /// somebody else waits by would wake it at another time, as nobody's work: see `.clippy.toml`.
    fn wake(self: Arc<Self>) {
        READY.with_borrow_mut(|ready| ready.push_back(self));
    }
}

/// Begins some work, at once; it goes on whenever what it waits for has come.
pub(super) fn spawn(work: impl Future<Output = ()> + 'static) {
    let number = TASKS.with_borrow_mut(|tasks| tasks.add(Some(Box::pin(work))));
    READY.with_borrow_mut(|ready| ready.push_back(Arc::new(Number(number))));
    // What is at work looks at it next.
    if !IS_AT_WORK.replace(true) {
        go_on();
    }
}

fn go_on() {
    while let Some(number) = READY.with_borrow_mut(VecDeque::pop_front) {
        // Taken out meanwhile: it may begin other work.
        let task = TASKS.with_borrow_mut(|tasks| tasks.get(number.0)?.take());
        let Some(mut task) = task else {
            continue;
        };
        CURRENT.set(number.0);
        let waker = Waker::from(number.clone());
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            TASKS.with_borrow_mut(|tasks| {
                if let Some(place) = tasks.get(number.0) {
                    *place = Some(task);
                }
            });
        }
    }
    IS_AT_WORK.set(false);
}

/// What became of a promise.
#[wasm_bindgen]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn settle(number: u32, value: JsValue, is_kept: bool) {
    let outcome = if is_kept { Ok(value) } else { Err(value) };
    let before = PROMISES.with_borrow_mut(|promises| {
        Some(mem::replace(promises.get(number)?, State::Settled(outcome)))
    });
    let Some(State::Pending(Some((waker, _)))) = before else {
        return;
    };
    let is_first = !IS_AT_WORK.replace(true);
    waker.wake();
    if is_first {
        go_on();
    }
}

/// Nothing more is to become of a promise, nor of the task that waits for it: its parts may hold each other.
#[wasm_bindgen]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn forget(number: u32) {
    let forgotten = PROMISES.with_borrow_mut(|promises| promises.take(number));
    if let Some(State::Pending(Some((_, task)))) = &forgotten {
        // Dropped outside: it may hold anything.
        drop(TASKS.with_borrow_mut(|tasks| tasks.take(*task)));
    }
}

/// What will become of a promise, or a timer.
pub(super) struct Outcome(u32);

impl Outcome {
    pub(super) fn expected() -> Self {
        Self(PROMISES.with_borrow_mut(|promises| promises.add(State::Pending(None))))
    }

    /// By which it is settled.
    pub(super) const fn number(&self) -> u32 {
        self.0
    }
}

impl Future for Outcome {
    type Output = Result<JsValue, JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        PROMISES.with_borrow_mut(|promises| {
            if let Some(State::Pending(waker)) = promises.get(self.0) {
                *waker = Some((context.waker().clone(), CURRENT.get()));
                return Poll::Pending;
            }
            match promises.take(self.0) {
                Some(State::Settled(outcome)) => Poll::Ready(outcome),
                _ => Poll::Pending,
            }
        })
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        // Dropped outside: what it holds may be anybody's.
        drop(PROMISES.with_borrow_mut(|promises| promises.take(self.0)));
    }
}

/// What becomes of a promise, of a call that may fail at once.
///
/// # Errors
/// What the call threw, or the promise was rejected with.
pub(super) async fn outcome(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    let outcome = Outcome::expected();
    // Not kept: a promise holds whom it tells, and nobody would see that it never will.
    hear(&promise?, outcome.0);
    outcome.await
}

/// A promise of what comes of some work.
pub(super) fn promise(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let kept = to_be_kept();
    let promise = kept.promise();
    spawn(async move {
        match work.await {
            Ok(value) => kept.resolve(&value),
            Err(error) => kept.reject(&error),
        }
    });
    promise
}
