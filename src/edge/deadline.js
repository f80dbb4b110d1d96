// Time. The answer to a client hangs on this instance of the wasm module; if that dies while it waits for
// the store, nobody is left to answer. A client's deadline is not in it.

/** Milliseconds in which an instance that lives says itself that its time is over. */
const GRACE = 250;

/** Who waits for the answer to a request. */
export class Client {
  #timer;
  /** Takes what the client gets; it counts once. */
  answer;
  answered = new Promise((resolve) => (this.answer = resolve));

  /** Says so when `span` milliseconds have passed. Until `lift` is called the client waits no longer. */
  wait(span, passed) {
    this.#timer = setTimeout(() => {
      // First: an instance that lives lifts it, within this call.
      this.#timer = setTimeout(() => this.answer(unavailable()), GRACE);
      passed();
    }, span);
  }

  lift() {
    clearTimeout(this.#timer);
  }
}

function unavailable() {
  console.error(JSON.stringify({ code: 'instance_lost' }));
  return new Response('Temporarily unavailable. Please try again.\n', {
    status: 503,
    headers: { 'Cache-Control': 'no-store', 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': '2' },
  });
}
