// Promises, as the module hears of them. Evaluated together with the module: each calls the other.
import { alive, isDead, life } from './life.js';
import { forget, goOn, settle } from './module.js';

/** Calls the instance that asked to be called. If it has died, there is nobody to call. */
export function tell(instanceId, call, ...given) {
  if (instanceId === life().instanceId && !isDead()) alive(call, ...given);
}

/** Of a request that the runtime has given up nothing is called any more: nothing becomes of what was waited for. */
export const abandoned = new FinalizationRegistry(({ instanceId, numbers }) => {
  for (const number of numbers) tell(instanceId, forget, number);
});

/** Has the module told what becomes of a promise, by the number that it has given it. */
export function hear(promise, number) {
  const { instanceId } = life();
  const kept = (value) => tell(instanceId, settle, number, value, true);
  promise.then(kept, (error) => tell(instanceId, settle, number, error, false));
  abandoned.register(kept, { instanceId, numbers: [number] });
}

const turn = Promise.resolve();

/** Has the module go on with its work when this turn is over. */
export function soon() {
  const { instanceId } = life();
  turn.then(() => tell(instanceId, goOn));
}
