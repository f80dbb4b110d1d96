// The built Worker with lists whose alarms can find no ledger bound, and whose deletions from KV take
// their time: an entry module for tests.
import Worker, { Ledger as BuiltLedger } from './index.js';

/** Milliseconds that the next deletions take, and how often alarms went off. */
let deletions = [];
let isBound = true;
let alarms = 0;

const around = ({ SESSIONS, ...env }) => ({
  ...env,
  SESSIONS: {
    ...Object.fromEntries(['get', 'put', 'list'].map((name) => [name, (...all) => SESSIONS[name](...all)])),
    async delete(key) {
      await scheduler.wait(deletions.shift() ?? 0);
      return SESSIONS.delete(key);
    },
  },
});

export class Ledger {
  constructor(state, env) {
    const { LEDGER: _, ...without } = around(env);
    this.state = state;
    this.list = new BuiltLedger(state, around(env));
    this.unbound = () => new BuiltLedger(state, without);
  }

  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/setup':
        ({ deletions = [], isBound = true } = await request.json());
        alarms = 0;
        return new Response();
      case '/state': {
        const [{ tables }] = this.state.storage.sql.exec('SELECT count(*) AS tables FROM sqlite_master').toArray();
        return Response.json({ tables, alarm: await this.state.storage.getAlarm(), alarms });
      }
      default:
        return this.list.fetch(request);
    }
  }

  alarm() {
    alarms++;
    return (isBound ? this.list : this.unbound()).alarm();
  }
}

export default Worker;
