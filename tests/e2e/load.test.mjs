// Load and abuse, on workerd: floods of what is not genuine cost little, and no logout; an account
// that many share is one session asked about all the time.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memoryOf, pidOfWorkerd } from './support/process.mjs';
import { startWorld } from './support/world.mjs';

const form = { 'content-type': 'application/x-www-form-urlencoded' };

/** Calls `work` that often, so many at a time, and on as long as `goesOn`; gives how often. */
async function many(count, atOnce, work, goesOn = () => false) {
  let next = 0;
  const run = async () => {
    while (next < count || goesOn()) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  return next;
}

/** What looks like a token of `claims` by a key that the OP calls `kid`. */
const forged = (claims, kid = 'op-1') => {
  const parts = [{ alg: 'RS256', kid }, claims].map((part) => JSON.stringify(part));
  return [...parts, 'x'.repeat(256)].map((part) => Buffer.from(part).toString('base64url')).join('.');
};

/** Logs in; gives the cookie as the browser sends it. */
async function logIn(world, sid, client = 'shop') {
  const token = await world.op.idToken({ aud: client, sub: sid, sid });
  const headers = { 'edge-logout-id-token': token, 'set-cookie': `${client}.sid=secret; Path=/` };
  world.app = (_, res) => res.writeHead(200, headers).end();
  const { status, setCookies } = await world.request(`/${client}/`);
  assert.equal(status, 200);
  world.app = (req, res) => res.end(req.headers.cookie ?? 'nobody');
  return setCookies[0].split(';')[0];
}

/** Whether the app still sees the session. */
async function lives(world, cookie, client = 'shop') {
  const { status, body } = await world.request(`/${client}/`, { headers: { cookie } });
  assert.equal(status, 200);
  return body.toString() !== 'nobody';
}

describe('a flood', () => {
  const LOGOUTS = 5;
  // In MB. workerd takes some 15 KB for any request until it collects what it no longer needs, at
  // some 600 MB: more than that, per request, would be ours.
  const GARBAGE = 150;
  let world, op, pid;
  before(async () => {
    world = await startWorld({ bare: true });
    op = world.op;
    pid = pidOfWorkerd();
    await world.logout(await op.logoutToken({ sid: 'nobody' }));
  });
  after(() => world?.stop());

  /** What a flood costs besides the logouts sent meanwhile, each of which must be performed. */
  async function costOf(name, count, atOnce, work) {
    const sids = Array.from({ length: LOGOUTS }, (_, number) => `${name} ${number}`);
    const cookies = [];
    for (const sid of sids) cookies.push(await logIn(world, sid));
    await world.calls();
    op.fetches.length = 0;
    const atFirst = memoryOf(pid);
    const started = Date.now();
    let isMeanwhile = true;
    const flood = many(count, atOnce, work, () => isMeanwhile);
    const statuses = [];
    try {
      for (const sid of sids) statuses.push((await world.logout(await op.logoutToken({ sid }))).status);
    } finally {
      isMeanwhile = false;
    }
    const sent = await flood;
    const seconds = (Date.now() - started) / 1000;
    assert.deepEqual(statuses, sids.map(() => 200));
    const { ledger, verify = 0, fetch = 0, 'kv.delete': deleted, ...others } = await world.calls();
    assert.equal(deleted, LOGOUTS, 'an entry for each');
    const memory = memoryOf(pid) - atFirst;
    for (const cookie of cookies) assert.equal(await lives(world, cookie), false);
    await world.takeLogs();
    const told = `${Math.round(sent / seconds)}/s, ${Math.round(memory)} MB more`;
    // Each logout is said to two lists.
    return { ledger: ledger - 2 * LOGOUTS, verify: verify - LOGOUTS, fetch, others, seconds, memory, told };
  }

  const claims = (more) => op.claims({ sid: 's1', ...more });
  for (const [name, count, atOnce, body] of [
    ['garbage', 2000, 50, (i) => `logout_token=${'%00.'.repeat(i % 100)}`],
    ['unknown issuers', 2000, 50, (i) => `logout_token=${forged(claims({ iss: `https://${i}.example` }))}`],
    ['other audiences', 2000, 50, (i) => `logout_token=${forged(claims({ aud: `client ${i}` }))}`],
    ['bodies of 1 MB', 300, 50, () => 'x'.repeat(1 << 20)],
  ]) {
    test(`of ${name} calls nothing`, async (t) => {
      const { seconds, memory, told, ...calls } = await costOf(name, count, atOnce, async (i) => {
        const sent = { method: 'POST', headers: form, body: body(i) };
        assert.equal((await world.request('/shop/bclogout', sent)).status, 400);
      });
      t.diagnostic(told);
      assert.deepEqual(calls, { ledger: 0, verify: 0, fetch: 0, others: {} });
      assert.ok(memory < GARBAGE, `${memory} MB`);
    });
  }

  for (const [name, count, atOnce, kid, perFetch] of [
    ['bad signatures', 2000, 50, () => 'op-1', 10],
    // Each may wait for the next fetch, up to a second.
    ['made-up key ids', 1500, 500, (i) => `key ${i}`, 1],
  ]) {
    test(`of ${name} costs a handful of fetches`, async (t) => {
      const cost = await costOf(name, count, atOnce, async (i) =>
        assert.equal((await world.logout(forged(claims(), kid(i)))).status, 400),
      );
      const { seconds, memory, told, verify, fetch, ...calls } = cost;
      const fetched = op.fetches.filter((path) => path === '/jwks').length;
      t.diagnostic(`${told}, ${fetched} key sets`);
      assert.deepEqual(calls, { ledger: 0, others: {} });
      assert.equal(fetch, op.fetches.length);
      assert.ok(fetched <= seconds / perFetch + 1, `${fetched} in ${seconds} s`);
      assert.ok(memory < GARBAGE, `${memory} MB`);
    });
  }

  test('of bodies that never end ties up no logout', async (t) => {
    const { seconds, memory, told, ...calls } = await costOf('slow bodies', 200, 200, async () => {
      const headers = { ...form, 'content-length': 1000 };
      const req = world.open('/shop/bclogout', { method: 'POST', headers, agent: false });
      const drip = setInterval(() => req.write('x'), 500);
      req.on('error', () => {});
      const status = await new Promise((resolve) => {
        req.on('response', (res) => resolve(res.resume().statusCode));
        req.on('close', () => resolve('closed'));
      });
      clearInterval(drip);
      req.destroy();
      assert.equal(status, 400);
    });
    t.diagnostic(`${told}, all refused after ${seconds} s`);
    assert.deepEqual(calls, { ledger: 0, verify: 0, fetch: 0, others: {} });
    assert.ok(memory < GARBAGE, `${memory} MB`);
  });
});

test('a sender of forged tokens is limited, and no other on its address is', async () => {
  const LIMIT = 5;
  const simple = { limit: LIMIT, period: 60 };
  const world = await startWorld({ bare: true, ratelimits: { LOGOUT_LIMIT: { namespace_id: '1', simple } } });
  const { op } = world;
  const from = (zone, token) =>
    world.logout(token, { headers: { ...form, 'cf-connecting-ip': '2a06:98c0:3600::103', 'cf-worker': zone } });
  let answer;
  let refused = 0;
  // The period may end meanwhile, once.
  for (; (answer = await from('stranger.example', forged(op.claims({ sid: 's1' })))).status === 400; refused++) {
    assert.ok(refused < 2 * (LIMIT + 1));
  }
  assert.ok(refused > LIMIT);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers['retry-after'], '2');
  assert.equal((await world.takeLogs()).at(-1).code, 'rate_limited');
  for (let sent = 0; sent < 10 * LIMIT; sent++) {
    assert.equal((await from('op.example', await op.logoutToken({ sid: 's1' }))).status, 200);
  }
  await world.stop();
});

describe('a session that is asked about all the time', () => {
  const LEASE = 2;
  const REQUESTS = 2000;
  const AT_ONCE = 50;
  let world;
  before(async () => {
    world = await startWorld({
      entry: 'instrumented.js',
      bare: true,
      bindings: (app) => ({ APP_WIKI: { ...app('wiki'), ledger_lease_seconds: LEASE } }),
    });
  });
  after(() => world?.stop());
  const logout = async (client) => {
    const token = await world.op.logoutToken({ aud: client, sid: 's1' });
    assert.equal((await world.logout(token, { client })).status, 200);
  };
  /** Requests of the session: how often the ledger was asked, and how long they took. */
  const ask = async (cookie, client) => {
    await world.calls();
    const started = Date.now();
    await many(REQUESTS, AT_ONCE, async () => assert.ok(await lives(world, cookie, client)));
    const { ledger } = await world.calls();
    return { ledger, seconds: (Date.now() - started) / 1000 };
  };
  const told = ({ ledger, seconds }) => `${Math.round(REQUESTS / seconds)}/s, ${ledger} calls`;

  test('without a lease each request is one call, and a logout takes effect at once', async (t) => {
    const cookie = await logIn(world, 's1');
    const asked = await ask(cookie);
    t.diagnostic(told(asked));
    assert.equal(asked.ledger, REQUESTS);
    await logout('shop');
    assert.equal(await lives(world, cookie), false);
  });

  test('with one there is a call now and then, and a logout takes effect with its end', async (t) => {
    const cookie = await logIn(world, 's1', 'wiki');
    const asked = await ask(cookie, 'wiki');
    t.diagnostic(told(asked));
    // Those that come before the answer ask too: none can wait for another's.
    assert.ok(asked.ledger <= AT_ONCE * Math.ceil(asked.seconds / LEASE + 1), `${asked.ledger}`);
    assert.ok(asked.ledger < REQUESTS / 10, `${asked.ledger}`);
    await logout('wiki');
    const bound = Date.now() + LEASE * 1000;
    let sent = Date.now();
    for (; await lives(world, cookie, 'wiki'); sent = Date.now()) assert.ok(sent <= bound);
    t.diagnostic(`dead ${sent + LEASE * 1000 - bound} ms after the answer`);
    assert.equal(await lives(world, cookie, 'wiki'), false);
  });
});
