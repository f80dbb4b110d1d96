// Promises, as the module hears of them. Evaluated together with the module: each calls the other.
import { alive, life } from './life.js';
import { forget, goOn, settle } from './module.js';

/** Calls the instance that asked to be called. If it has died, there is nobody to call. */
function tell(instanceId, call, ...given) {
  if (instanceId === life().instanceId) alive(call, ...given);
}

// Nothing becomes of the promises and timers of a request that the runtime has given up.
const abandoned = new FinalizationRegistry(({ instanceId, number }) => tell(instanceId, forget, number));

/** Has the module told what becomes of a promise, by the number that it has given it. */
export function hear(promise, number) {
  const { instanceId } = life();
  const kept = (value) => tell(instanceId, settle, number, value, true);
  promise.then(kept, (error) => tell(instanceId, settle, number, error, false));
  abandoned.register(kept, { instanceId, number });
}

/** What is called when a time has come, by its number. */
export function passed(number) {
  const { instanceId } = life();
  const over = () => tell(instanceId, settle, number, undefined, true);
  abandoned.register(over, { instanceId, number });
  return over;
}

/** Has the module told when `span` milliseconds have passed. Gives the timer. */
export const after = (span, number) => setTimeout(passed(number), span);

const turn = Promise.resolve();

/** Has the module go on with its work when this turn is over. */
export function soon() {
  const { instanceId } = life();
  turn.then(() => tell(instanceId, goOn));
}
