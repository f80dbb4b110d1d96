// The built Worker with lists of the ledger that are far from each other: an entry module for tests. What
// one says to another takes up to `DISTANCE` milliseconds. After a POST to /hold it never arrives; a GET
// of /held tells how many times that was tried. A restart forgets both.
import Worker, { Ledger as List } from './index.js';

export * from './index.js';

let isHolding = false;
let held = 0;

const apart = (lists, distance = 0) =>
  new Proxy(lists, {
    get(target, property) {
      if (property !== 'getByName') return target[property];
      return (name) => ({
        async fetch(url) {
          if (isHolding) {
            held++;
            await new Promise(() => {});
          }
          await scheduler.wait(Math.random() * distance);
          return target.getByName(name).fetch(url);
        },
      });
    },
  });

export { Desk } from './index.js';

export class Ledger extends List {
  constructor(context, env) {
    super(context, { ...env, LEDGER: apart(env.LEDGER, env.DISTANCE) });
  }
}

export default {
  ...Worker,

  async fetch(request, env, context) {
    switch (new URL(request.url).pathname) {
      case '/hold':
        isHolding = true;
        return new Response();
      case '/held':
        return Response.json(held);
      default:
        return Worker.fetch(request, env, context);
    }
  },
};
