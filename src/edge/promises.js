// Promises, as the module hears of them. Evaluated together with the module: each calls the other.
import { alive, life } from './life.js';
import { goOn, settle } from './module.js';

/** Calls the instance that asked to be called. If it has died, there is nobody to call. */
function tell(instanceId, call, ...given) {
  if (instanceId === life().instanceId) alive(call, ...given);
}

/** Has the module told what becomes of a promise, by the number that it has given it. */
export function hear(promise, number) {
  const { instanceId } = life();
  promise.then(
    (value) => tell(instanceId, settle, number, value, true),
    (error) => tell(instanceId, settle, number, error, false),
  );
}

/** What is called when a time has come, by its number. */
export function passed(number) {
  const { instanceId } = life();
  return () => tell(instanceId, settle, number, undefined, true);
}

/** Has the module told when `span` milliseconds have passed. Gives the timer. */
export const after = (span, number) => setTimeout(passed(number), span);

const turn = Promise.resolve();

/** Has the module go on with its work when this turn is over. */
export function soon() {
  const { instanceId } = life();
  turn.then(() => tell(instanceId, goOn));
}
