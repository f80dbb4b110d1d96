// Calls of the module from outside, and requests that go on without it.
import { isTelling } from './http.js';
import { isDead, life } from './life.js';
import * as module from './module.js';
import { begin } from './promises.js';

/** Has the module begin some work: in a new instance, if the last has died. */
export function enter(call, ...given) {
  if (isDead()) {
    console.log('Reinitializing Wasm application');
    module.__wbg_reset_state();
    life().criticalError = false;
  }
  return begin(call, ...given);
}

/** Has the module serve a request; with the app's answer, if it has been sent on before. */
export const serve = (request, env, context, arrived, answer) =>
  enter(module.fetch, request, request.method, request.url, arrived, env, context, answer);

/**
 * The app's answer to a request about which nobody had to be asked, as it comes. One that tells something, or none,
 * is the module's: as if the request were still there.
 */
export function unlessTelling(answer, request, env, context, arrived) {
  const look = () => serve(request, env, context, arrived, answer);
  return answer.then((came) => (isTelling(came) ? look() : came), look);
}
