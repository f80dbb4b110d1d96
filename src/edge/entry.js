// What workerd calls. In place of the entry that worker-build makes, which puts a class and three proxies
// around every request. If the module's instance has died, the objects are made again in the next.
import { env } from 'cloudflare:workers';
import { life } from './life.js';
import * as module from './module.js';
import { enter, serve } from './serve.js';

module.prepare(env);

export default {
  fetch: (request, env, context) => serve(request, env, context, Date.now()),
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
