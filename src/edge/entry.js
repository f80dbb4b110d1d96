// What workerd calls. In place of the entry that worker-build makes, which puts a class and three proxies
// around every request. If the module's instance has died, the next call begins with a new one, and the
// objects are made again in that.
import { env } from 'cloudflare:workers';
import { Client } from './deadline.js';
import { isDead, life } from './life.js';
import * as module from './module.js';
import { begin } from './promises.js';

function enter(call, ...given) {
  if (isDead()) {
    console.log('Reinitializing Wasm application');
    module.__wbg_reset_state();
    life().criticalError = false;
  }
  return begin(call, ...given);
}

module.prepare(env);

export default {
  fetch(request, env, context) {
    const client = new Client(context);
    enter(module.fetch, request, request.method, request.url, env, client);
    return client.answered;
  },
  scheduled: (_, env) => enter(module.scheduled, env),
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
