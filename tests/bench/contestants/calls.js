// All that edge-logout asks of the platform, in the least JavaScript that asks it: besides the stub's calls it
// looks at heads, waits no longer than it may, writes to the log, makes requests and answers. It decides
// nothing: what edge-logout takes beyond it is what deciding costs, in wasm.
import { DurableObject } from 'cloudflare:workers';
import { ask, keyOf, plans, verify } from './stub.js';

const RESERVED = /^edge[^a-z0-9\n]logout[^a-z0-9\n].*$/gm;

const OF_DELIVERIES = ['content-type', 'content-encoding', 'content-length', 'cf-connecting-ip', 'cf-worker'];
const OF_ANSWERS = ['set-cookie', 'clear-site-data', 'edge-logout-id-token', 'edge-logout-session', 'edge-logout-key'];

/** One timer for all that the work waits for. */
async function within(milliseconds, work) {
  const timer = setTimeout(() => {}, milliseconds);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

const REFUSED = '{"error":"invalid_request","error_description":"The logout token was not accepted."}';
const ENDED = { matched: 1, later: 0, of_other_subject: 0, unreadable: 0, deferred: false };

async function receive(request, env) {
  for (const name of OF_DELIVERIES) request.headers.get(name);
  await request.arrayBuffer();
  if (!request.headers.has('x-list')) {
    console.log(JSON.stringify({ code: 'token_malformed', class: 'refused', app: 'SHOP' }));
    return new Response(REFUSED, { status: 400, headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' } });
  }
  await verify(env);
  await plans[env.MODE].end(env, request);
  console.log(JSON.stringify({ code: 'logout_done', app: 'SHOP', of: 'h'.repeat(12), ...ENDED }));
  return new Response(null, { headers: { 'Cache-Control': 'no-store' } });
}

async function pass(request, names, env, isSignedIn) {
  let forward = request;
  const cookie = names.includes('cookie') ? request.headers.get('cookie') : undefined;
  names.join('\n').match(RESERVED);
  if (isSignedIn) {
    await plans[env.MODE].check(env, request);
    forward = new Request(request);
    forward.headers.set('cookie', cookie);
  }
  const answer = await fetch(forward);
  for (const name of OF_ANSWERS) answer.headers.has(name);
  return answer;
}

export default {
  async fetch(request, env, context) {
    if (request.method === 'GET') {
      const names = [...request.headers.keys()];
      const plan = names.includes('x-plan') ? request.headers.get('x-plan') : undefined;
      if (plan === 'begin') {
        await plans[env.MODE].begin?.(env, request);
        return new Response();
      }
      const passed = pass(request, names, env, plan === 'check');
      return plan === 'check' ? within(1500, passed) : passed;
    }
    const answer = within(1500, receive(request, env));
    context.waitUntil(answer);
    return answer;
  },
};

const ALL = new Uint8Array();
const ID = new Uint8Array(16);

/** A list: the statements that a list of edge-logout runs. */
export class Ledger extends DurableObject {
  #run(statement, ...values) {
    return this.ctx.storage.sql.exec(statement, ...values).raw().toArray();
  }

  constructor(state, env) {
    super(state, env);
    this.#run("SELECT name FROM sqlite_master WHERE name = 'logout'");
  }

  async fetch(request) {
    const [command, user] = request.url.slice('https://object/1/'.length).split('/');
    if (command === 'begin') await this.#begin();
    else if (command === 'end') await this.#end(user);
    return new Response(null, { headers: { answer: 'AQEB' } });
  }

  #begin() {
    this.#run(`CREATE TABLE IF NOT EXISTS session (id BLOB PRIMARY KEY, other BLOB NOT NULL, login INTEGER NOT NULL,
      expires INTEGER NOT NULL, seq INTEGER NOT NULL, ended INTEGER, logout INTEGER, valid_until INTEGER) WITHOUT ROWID`);
    this.#run(`CREATE TABLE IF NOT EXISTS logout (scope BLOB NOT NULL, time INTEGER NOT NULL, seq INTEGER NOT NULL,
      until INTEGER NOT NULL, PRIMARY KEY (scope, time)) WITHOUT ROWID`);
    this.#run('INSERT INTO session (id, other, login, expires, seq) VALUES (?, ?, ?, ?, ?)', ID, new Uint8Array(33), 1, 2, 0);
    // That alarms can be set is seen here; further ones are not waited for.
    return this.ctx.storage.setAlarm(Date.now() + 43_200_000);
  }

  async #end(user) {
    const { storage } = this.ctx;
    const ending = 'UPDATE session SET ended = ?, logout = ?, valid_until = ? WHERE ended IS NULL AND';
    if (user) {
      this.#run(
        `INSERT INTO logout (scope, time, seq, until) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET until = max(until, excluded.until)`, ALL, 1, 1, 2);
      this.#run(`${ending} (length(?) = 0 OR other = ?) AND login <= ? AND seq < ?`, 1, null, null, ALL, ALL, 5, 2);
    } else this.#run(`${ending} id = ?`, 1, null, null, ID);
    storage.setAlarm(Date.now() + 2000);
    await within(1200, user ? ask(this.env, `u:${user}`, 'end') : this.env.SESSIONS.delete(keyOf('session', 0)));
    this.#run('DELETE FROM session WHERE id = ?', ID);
    storage.setAlarm(Date.now() + 900_000);
  }

  /** None of these goes off in time, but without it none is set. */
  alarm() {}
}
