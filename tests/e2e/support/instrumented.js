// The built Worker with its calls to the platform counted, and with a store that fails on demand: an
// entry module for tests.
// A POST to /faults says what fails from then on: `{ from, count, effect }` which KV calls, where the
// effect is `before` (nothing was done), `after` (it was done) or `hang`; `{ ledger, list, count }`
// how many calls of the ledger fail and how, see `WAYS` and `Ledger`; `list` is `u` or `s`, for lists
// of users or of `sid`s only.
// `{ desk, count }` is for calls of desks, likewise.
// A POST to /forget empties every list of the ledger.
// A GET of /calls tells the calls since the last one, by name; one of /timers how many are set,
// and how many went off although they had been cleared.
import Worker, { Desk as BuiltDesk, Ledger as BuiltLedger } from './index.js';

export * from './index.js';

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
for (const name of Object.getOwnPropertyNames(SubtleCrypto.prototype)) {
  if (name !== 'constructor' && typeof crypto.subtle[name] === 'function') watch(crypto.subtle, name, name);
}

// By number: that is what the built Worker keeps of them.
const timers = new Set();
let clearedInVain = 0;
const { setTimeout: set, clearTimeout: clear } = globalThis;
globalThis.setTimeout = (work, ...rest) => {
  const timer = set(() => {
    if (!timers.delete(Number(timer))) clearedInVain++;
    work();
  }, ...rest);
  timers.add(Number(timer));
  return timer;
};
globalThis.clearTimeout = (timer) => {
  timers.delete(Number(timer));
  clear(timer);
};

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

/** Whether this call of a list or desk goes wrong, in one of these ways: which. */
function fault(ways, name, kind = 'ledger') {
  if (!plan?.count || !(plan[kind] in ways) || !name.startsWith(plan.list ?? '')) return undefined;
  plan.count--;
  return plan[kind];
}

/** What a call may come to on its way. */
const WAYS = {
  overloaded: async () => Promise.reject(Object.assign(new Error('busy'), { overloaded: true, retryable: true })),
  restarted: async () => Promise.reject(Object.assign(new Error('moved'), { retryable: true })),
  unreachable: async () => Promise.reject(new Error('lost')),
  hung: () => new Promise(() => {}),
  lost: async (ask) => {
    await ask();
    throw new Error('lost');
  },
  empty: async () => new Response(),
  rubbish: async () => new Response(null, { headers: { answer: 'rubbish' } }),
  other: async () => new Response(null, { headers: { answer: 'AwE' } }),
  newer: async () => new Response(null, { status: 400 }),
};

/** Has the name of the real one, because the built Worker looks at that. */
class DurableObjectNamespace {
  #real;
  #kind;

  constructor(real, kind) {
    this.#real = real;
    this.#kind = kind;
  }

  getByName(name) {
    const stub = this.#real.getByName(name);
    const fetch = (...all) => {
      count(this.#kind);
      const ask = () => stub.fetch(...all);
      const way = fault(WAYS, name, this.#kind);
      return way ? WAYS[way](ask) : ask();
    };
    return { fetch };
  }
}

const around = (env) => ({
  ...env,
  SESSIONS: instrumented(env.SESSIONS),
  ...(env.LEDGER && { LEDGER: new DurableObjectNamespace(env.LEDGER, 'ledger') }),
  ...(env.CODES && { CODES: new DurableObjectNamespace(env.CODES, 'codes') }),
  ...(env.DESK && { DESK: new DurableObjectNamespace(env.DESK, 'desk') }),
});

/** Does something when the module next looks at the clock. */
function onNextLook(work) {
  const { now } = Date;
  Date.now = () => {
    Date.now = now;
    work();
    return now();
  };
  return () => {};
}

const INSIDE = {
  /** Every statement fails. */
  storage: ({ state }) => {
    state.storage.sql.exec = () => {
      throw new Error('disk full');
    };
    return () => delete state.storage.sql.exec;
  },
  /** The same in a list that knows nothing yet. */
  unreadable: (ledger) => {
    ledger.make();
    return INSIDE.storage(ledger);
  },
  /** The instance of the module dies, as by a panic. */
  panic: () =>
    onNextLook(() => {
      throw new WebAssembly.RuntimeError('unreachable');
    }),
  /** The runtime cuts the call off, as one that has taken too much time: nothing is unwound. */
  cut: ({ state }) => onNextLook(() => state.abort('cut off')),
};

/** The ids of the lists there have been. */
const lists = new Set();

export class Ledger {
  constructor(state, env) {
    lists.add(state.id.toString());
    this.state = state;
    this.make = () => (this.list = new BuiltLedger(state, around(env)));
    this.make();
  }

  async fetch(request) {
    if (request.url.endsWith('/forget')) return this.#forget();
    const way = fault(INSIDE, this.state.id.name);
    const repair = way && INSIDE[way](this);
    try {
      return await this.list.fetch(request);
    } finally {
      repair?.();
    }
  }

  alarm() {
    return this.list.alarm();
  }

  #forget() {
    const { sql } = this.state.storage;
    const tables = sql.exec("SELECT name FROM sqlite_master WHERE name IN ('session', 'logout')");
    for (const { name } of tables.toArray()) sql.exec(`DELETE FROM ${name}`);
    // What it knew is in its memory, too.
    this.make();
    return new Response();
  }
}

export class Desk extends BuiltDesk {
  constructor(state, env) {
    super(state, around(env));
  }
}

/** What the Worker is handed instead: the same for every request, as workerd has it. */
let handed;

export default {
  ...Worker,

  async fetch(request, env, context) {
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
      case '/forget': {
        const forget = (id) => env.LEDGER.get(env.LEDGER.idFromString(id)).fetch('https://ledger/forget');
        await Promise.all([...lists].map(forget));
        return new Response();
      }
      case '/timers':
        return Response.json({ set: timers.size, clearedInVain });
      default:
        return Worker.fetch(request, (handed ??= around(env)), context);
    }
  },

  scheduled: (event, env, context) => Worker.scheduled(event, (handed ??= around(env)), context),
};
