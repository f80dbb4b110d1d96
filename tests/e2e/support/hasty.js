// The built Worker with records of codes whose minute is nearly over when they are made: an entry module
// for tests. A GET of /tables tells what a record has in its storage.
import Worker, { AuthorizationCode as BuiltCode } from './index.js';

export * from './index.js';

const AHEAD = 53_000;

export class AuthorizationCode {
  constructor(state, env) {
    this.state = state;
    this.record = new BuiltCode(state, env);
  }

  async fetch(request) {
    if (request.url.endsWith('/tables')) {
      return Response.json(this.state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '_cf_%'").toArray());
    }
    const { now } = Date;
    Date.now = () => now() - AHEAD;
    try {
      return await this.record.fetch(request);
    } finally {
      Date.now = now;
    }
  }

  alarm() {
    return this.record.alarm();
  }
}

export default Worker;
