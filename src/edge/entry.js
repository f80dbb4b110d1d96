// What workerd calls. In place of the entry that worker-build makes, which puts a class and three proxies
// around every request. The module's instance may die, by a panic: then the next call begins with a new
// one, and the objects are made again in that.
import * as module from './module.js';

// workerd's own is native code, a fifth of what an anonymous request takes; a promise's reaction is not.
globalThis.queueMicrotask = undefined;

const life = module.__worker_init_state();

addEventListener('error', ({ error }) => note(error));

function note(error) {
  if (error instanceof WebAssembly.RuntimeError) {
    console.error('Critical', error);
    life.criticalError = true;
  }
}

/** Calls what belongs to an instance that lives. */
function alive(call) {
  if (life.criticalError) {
    console.log('Reinitializing Wasm application');
    module.__wbg_reset_state();
    life.criticalError = false;
    life.instanceId++;
  }
  try {
    return call();
  } catch (error) {
    note(error);
    throw error;
  }
}

export default {
  fetch: (request, env, context) =>
    new Promise((answer) => alive(() => module.fetch(request, env, context, answer))),
  scheduled: (event, env, context) => alive(() => module.scheduled(event, env, context)),
};

const reviving = (Class) =>
  class {
    #make;
    #made;
    #instance;

    constructor(state, env) {
      this.#make = () => new Class(state, env);
      alive(() => this.#now());
    }

    #now() {
      if (this.#instance !== life.instanceId) {
        this.#made = this.#make();
        this.#instance = life.instanceId;
      }
      return this.#made;
    }

    fetch(request) {
      return alive(() => this.#now().fetch(request));
    }

    alarm() {
      return alive(() => this.#now().alarm());
    }
  };

export const Ledger = reviving(module.Ledger);
export const AuthorizationCode = reviving(module.AuthorizationCode);
export const Desk = reviving(module.Desk);
