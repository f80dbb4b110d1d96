// The last net under a request. The answer to the client hangs on this instance of the wasm module;
// if that dies while it waits for the store, nobody is left to answer. This is not in it.

/** Milliseconds in which an instance that lives says itself that its time is over. */
const GRACE = 250;

export class Deadline {
  #timer;
  #giveUp;

  /** What the client gets: the outcome of `work`, or 503 when a deadline has passed. */
  over(work) {
    return Promise.race([work, new Promise((resolve) => (this.#giveUp = resolve))]);
  }

  /** Comes when `span` milliseconds have passed. Until `lift` is called the client waits no longer. */
  set(span) {
    return new Promise((resolve) => {
      this.#timer = setTimeout(() => {
        resolve();
        this.#timer = setTimeout(() => this.#giveUp(unavailable()), GRACE);
      }, span);
    });
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
