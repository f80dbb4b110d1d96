// The built Worker with lists whose alarms can be set off, or find no ledger bound, or a storage that cannot
// be read, and whose deletions from KV can be held: an entry module for tests.
import Worker, { Ledger as BuiltLedger } from './index.js';

export * from './index.js';

let isBound = true;
let isReadable = true;
let alarms = 0;
/** The next deletion waits until it is let go. */
let isHolding = false;
let letGo;

const around = ({ SESSIONS, ...env }) => ({
  ...env,
  SESSIONS: {
    ...Object.fromEntries(['get', 'put', 'list'].map((name) => [name, (...all) => SESSIONS[name](...all)])),
    async delete(key) {
      if (isHolding) {
        isHolding = false;
        await new Promise((resolve) => (letGo = resolve));
      }
      return SESSIONS.delete(key);
    },
  },
});

export { Desk } from './index.js';

export class Ledger {
  constructor(state, env) {
    const { LEDGER: _, ...without } = around(env);
    this.state = state;
    this.make = () => (this.list = new BuiltLedger(state, around(env)));
    this.make();
    this.unbound = () => new BuiltLedger(state, without);
  }

  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/setup':
        ({ isBound = true, isReadable = true, isHolding = false } = await request.json());
        alarms = 0;
        letGo = undefined;
        return new Response();
      case '/state': {
        const [{ tables }] = this.state.storage.sql.exec('SELECT count(*) AS tables FROM sqlite_master').toArray();
        const alarm = await this.state.storage.getAlarm();
        return Response.json({ tables, alarm, alarms, isHeld: letGo !== undefined });
      }
      case '/alarm':
        await this.alarm();
        return new Response();
      case '/letgo':
        letGo();
        return new Response();
      default:
        return this.list.fetch(request);
    }
  }

  async alarm() {
    alarms++;
    if (!isReadable) {
      const { sql } = this.state.storage;
      sql.exec = () => {
        throw new Error('disk failure');
      };
      // Nothing of it is in memory.
      this.make();
      try {
        return await this.list.alarm();
      } finally {
        delete sql.exec;
      }
    }
    return (isBound ? this.list : this.unbound()).alarm();
  }
}

export default Worker;
