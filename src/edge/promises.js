// Promises, as the module hears of them. Evaluated together with the module: each calls the other.
import { alive, isDead, life, workNow } from './life.js';
import { forget, settle } from './module.js';

/**
 * What a call of the runtime began, and what it waits for, by the numbers that the module has given. Only those
 * who will tell the module to go on hold it: of a request that the runtime has given up, nobody does.
 */
class Work {
  instanceId = life().instanceId;
  waits;

  /** Work that waits for nothing need not be looked after. */
  awaits(number) {
    if (this.waits === undefined) {
      this.waits = new Set();
      abandoned.register(this, { ...this });
    }
    this.waits.add(number);
  }
}

const abandoned = new FinalizationRegistry((work) => {
  for (const number of work.waits) tell(work, forget, number);
});

/** Has the instance begin some work. */
export const begin = (call, ...given) => alive(new Work(), call, ...given);

/** Has the instance that began the work go on with it. If it has died, there is nobody to call: gives whether it lives. */
function tell(work, call, ...given) {
  const isThere = work.instanceId === life().instanceId && !isDead();
  if (isThere) alive(work, call, ...given);
  return isThere;
}

/** Tells what has become of a number. */
export function tellOf(work, number, value, isKept) {
  work.waits.delete(number);
  return tell(work, settle, number, value, isKept);
}

/** Nothing will become of a number: the work that waits for it is over. */
export function forgetOf(work, number) {
  work.waits.delete(number);
  return tell(work, forget, number);
}

/** Has the module told what becomes of a promise, by the number that it has given it. */
export function hear(promise, number) {
  const work = workNow();
  work.awaits(number);
  promise.then(
    (value) => tellOf(work, number, value, true),
    (error) => tellOf(work, number, error, false),
  );
}
