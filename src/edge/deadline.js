// Time. A request waits for many things, each no longer than it may, and nearly all of them come in time: to set a
// timer for each and clear it would cost more than what is done in between. So a request has one.
import { isTelling } from './http.js';
import { workNow } from './life.js';
import { forgetOf, tellOf } from './promises.js';

/** Milliseconds after which the timer looks what is due: less than most waits, so that it need not be set anew. */
const LOOK = 1500;

/** Who waits for the answer to a request, and what the request waits for. */
export class Client {
  /** Until when, by the numbers that the module has given. */
  #waits = new Map();
  #timer;
  /** `Infinity` while there is no timer. */
  #looksAt = Infinity;
  #isAnswered = false;
  #resolve;
  answered = new Promise((resolve) => (this.#resolve = resolve));
  #context;
  #release;

  /** @param context what the runtime gives with the request */
  constructor(context) {
    this.#context = context;
  }

  /** Keeps the runtime from giving the request's work up, though its client has left or been answered. */
  hold() {
    this.#context.waitUntil(new Promise((resolve) => (this.#release = resolve)));
  }

  /** Lets it. */
  release() {
    this.#release();
  }

  /** Gives the client what it gets; it counts once. */
  answer(answer) {
    this.#resolve(answer);
    this.#isAnswered = true;
    if (this.#waits.size === 0) this.#stop();
  }

  /** Gives the client the app's answer as it comes; or tells the module, if it tells something, or there is none. */
  handOver(answer, number) {
    const work = workNow();
    work.awaits(number);
    const tell = (came, isKept) => tellOf(work, number, came, isKept) || this.#giveUp();
    answer.then(
      (came) => {
        if (isTelling(came)) return tell(came, true);
        this.answer(came);
        if (!forgetOf(work, number)) this.#giveUp();
      },
      (error) => tell(error, false),
    );
  }

  /** Has the module told when `span` milliseconds have passed. */
  wait(span, number) {
    const now = Date.now();
    const work = workNow();
    work.awaits(number);
    this.#waits.set(number, now + span);
    this.#lookIn(work, span, now);
  }

  /** Nobody waits for it any more. The timer stays: more is likely to come. */
  lift(number) {
    workNow().waits?.delete(number);
    this.#waits.delete(number);
    if (this.#isAnswered && this.#waits.size === 0) this.#stop();
  }

  #stop() {
    if (this.#looksAt === Infinity) return;
    callOff(this.#timer);
    this.#looksAt = Infinity;
  }

  #lookIn(work, span, now) {
    const milliseconds = Math.min(span, LOOK);
    const at = now + milliseconds;
    if (this.#looksAt <= at) return;
    this.#stop();
    this.#looksAt = at;
    // By number: what stands for a timer may hold what it calls, and the module holds this.
    this.#timer = Number(setTimeout(() => this.#look(work), milliseconds));
  }

  #look(work) {
    this.#stop();
    const now = Date.now();
    for (const [number, until] of this.#waits) {
      if (until > now) continue;
      try {
        tellOf(work, number, undefined, true);
      } catch {
        // It has died of that, as it has told the log. The others are still waited for.
      }
      // An instance that lives has lifted it.
      if (this.#waits.delete(number)) this.#giveUp();
    }
    if (this.#waits.size > 0) this.#lookIn(work, Math.min(...this.#waits.values()) - now, now);
  }

  /** The instance has died while it waited: nobody else is left to answer, and of its work nothing goes on. */
  #giveUp() {
    if (!this.#isAnswered) this.answer(unavailable());
    this.#release?.();
  }
}

/** Has the module told when `span` milliseconds have passed. Gives the timer's number, which holds nothing. */
export function after(span, number) {
  const work = workNow();
  work.awaits(number);
  return Number(setTimeout(() => tellOf(work, number, undefined, true), span));
}

/** Calls a timer off, by its number. */
export function callOff(timer) {
  try {
    clearTimeout(timer);
  } catch {
    // Outside of requests there are no timers: that of a request that was given up is gone.
  }
}

function unavailable() {
  console.error(JSON.stringify({ code: 'instance_lost' }));
  return new Response('Temporarily unavailable. Please try again.\n', {
    status: 503,
    headers: { 'Cache-Control': 'no-store', 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': '2' },
  });
}
