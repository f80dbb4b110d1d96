// The built Worker with its calls to the platform counted, and a KV binding that fails on demand: an
// entry module for tests.
// A POST to /faults says which KV calls fail from then on: `{ from, count, effect }`, where the
// effect is `before` (nothing was done), `after` (it was done) or `hang`.
// A GET of /calls tells the calls since the last one, by name.
import Worker from './index.js';

let plan = null;
let kvCalls = 0;
let calls = {};

const count = (name) => (calls[name] = (calls[name] ?? 0) + 1);

/** Counts the calls of a method from now on. */
function watch(object, name, as) {
  const method = object[name].bind(object);
  object[name] = (...all) => {
    count(as);
    return method(...all);
  };
}
watch(globalThis, 'fetch', 'fetch');
watch(crypto.subtle, 'verify', 'verify');
watch(crypto.subtle, 'importKey', 'importKey');

async function call(name, work) {
  count(`kv.${name}`);
  const number = kvCalls++;
  const fails = plan && number >= plan.from && number < plan.from + plan.count;
  if (fails && plan.effect === 'before') throw new Error('KV is down');
  if (fails && plan.effect === 'hang') await scheduler.wait(20_000);
  const result = await work();
  if (fails) throw new Error('KV is down');
  return result;
}

const instrumented = (kv) =>
  Object.fromEntries(
    ['get', 'getWithMetadata', 'put', 'list', 'delete'].map((name) => [
      name,
      (...all) => call(name, () => kv[name](...all)),
    ]),
  );

export default class extends Worker {
  constructor(context, env) {
    super(context, { ...env, SESSIONS: instrumented(env.SESSIONS) });
  }

  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/faults':
        plan = await request.json();
        kvCalls = 0;
        return new Response();
      case '/calls': {
        const told = calls;
        calls = {};
        return Response.json(told);
      }
      default:
        return super.fetch(request);
    }
  }
}
