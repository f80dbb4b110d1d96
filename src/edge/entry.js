// What workerd calls. In place of the entry that worker-build makes, which puts a class and three proxies
// around every request. If the module's instance has died, the next call begins with a new one, and the
// objects are made again in that.
import { alive, life } from './life.js';
import * as module from './module.js';

function enter(call) {
  if (life().criticalError) {
    console.log('Reinitializing Wasm application');
    module.__wbg_reset_state();
    life().criticalError = false;
  }
  return alive(call);
}

export default {
  fetch: (request, env, context) =>
    new Promise((answer) => enter(() => module.fetch(request, env, context, answer))),
  scheduled: (event, env, context) => enter(() => module.scheduled(event, env, context)),
};

const reviving = (Class) =>
  class {
    #make;
    #made;
    #instance;

    constructor(state, env) {
      this.#make = () => new Class(state, env);
      enter(() => this.#now());
    }

    #now() {
      if (this.#instance !== life().instanceId) {
        this.#made = this.#make();
        this.#instance = life().instanceId;
      }
      return this.#made;
    }

    fetch(request) {
      return enter(() => this.#now().fetch(request));
    }

    alarm() {
      return enter(() => this.#now().alarm());
    }
  };

export const Ledger = reviving(module.Ledger);
export const AuthorizationCode = reviving(module.AuthorizationCode);
export const Desk = reviving(module.Desk);
