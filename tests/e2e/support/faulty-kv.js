// The built Worker with a KV binding that fails on demand: the entry module of the fault tests.
// A POST to /faults says which KV calls fail from then on: `{ from, count, effect }`, where the
// effect is `before` (nothing was done), `after` (it was done) or `hang`.
import Worker from './index.js';

let plan = null;
let calls = 0;

async function call(work) {
  const number = calls++;
  const fails = plan && number >= plan.from && number < plan.from + plan.count;
  if (fails && plan.effect === 'before') throw new Error('KV is down');
  if (fails && plan.effect === 'hang') await scheduler.wait(20_000);
  const result = await work();
  if (fails) throw new Error('KV is down');
  return result;
}

const faulty = (kv) =>
  Object.fromEntries(
    ['get', 'getWithMetadata', 'put', 'list', 'delete'].map((name) => [
      name,
      (...all) => call(() => kv[name](...all)),
    ]),
  );

export default class extends Worker {
  constructor(context, env) {
    super(context, { ...env, SESSIONS: faulty(env.SESSIONS) });
  }

  async fetch(request) {
    if (new URL(request.url).pathname !== '/faults') return super.fetch(request);
    plan = await request.json();
    calls = 0;
    return new Response();
  }
}
