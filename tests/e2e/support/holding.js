// The built Worker with the lists of `sid`s held up, on demand, on their way to the lists of users: an
// entry module for tests. A POST to /hold holds up whatever they say from then on; a GET of /held tells
// how many times they have tried. A restart forgets both.
import Worker, { Ledger as List } from './index.js';

let isHolding = false;
let held = 0;

const holding = (lists) =>
  new Proxy(lists, {
    get(target, property) {
      if (property !== 'getByName') return target[property];
      return (name) => ({
        fetch(url) {
          if (!isHolding || !name.startsWith('u:')) return target.getByName(name).fetch(url);
          held++;
          return new Promise(() => {});
        },
      });
    },
  });

export class Ledger extends List {
  constructor(context, env) {
    super(context, { ...env, LEDGER: holding(env.LEDGER) });
  }
}

export default class extends Worker {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/hold':
        isHolding = true;
        return new Response();
      case '/held':
        return Response.json(held);
      default:
        return super.fetch(request);
    }
  }
}
