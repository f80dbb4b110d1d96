// What each kind of request costs: exactly these calls to the platform, none more.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { seal, session } from './support/format.mjs';
import { MODE, startWorld } from './support/world.mjs';

let world, op, alive, ended;
before(async () => {
  world = await startWorld({
    bindings: (app) => ({
      APP_SHOP: { ...app('shop'), anonymous_paths: ['/shop/static'] },
      APP_WIKI: { ...app('wiki'), announce: { from: 'relay' }, login_paths: ['/wiki/callback'] },
      HOST_TEST: { host: 'app.test', unmatched: 'pass', origin: app('shop').origin },
    }),
  });
  op = world.op;
  const who = { issuer: op.issuer, client: 'shop', sub: 'alice' };
  alive = session({ ...who, sid: 's1', login: op.now() - 5 });
  ended = session({ ...who, sid: 's2', login: op.now() - 200 });
  // The keys are fetched and imported once, and the desk is asked every ten seconds: see
  // operator.test.mjs.
  await world.logout(await op.logoutToken({ sid: 'nobody' }));
});
after(() => world?.stop());

const callsMade = async () => {
  const { desk: _, ...calls } = await world.calls();
  return calls;
};

const cookie = (bound, value = 'c') =>
  `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', value, bound)}`;
const announcing = async (more, line = 'shop.sid=new; Path=/') => ({
  'edge-logout-id-token': await op.idToken(more),
  'set-cookie': line,
});

/** What is done for a session; calls from list to list count too. */
const COSTS = {
  ledger: {
    check: { ledger: 1 },
    begin: { 'kv.put': 1, ledger: 2 },
    leave: { ledger: 1, 'kv.delete': 1 },
    // The list of the sid, and from there that of the user.
    endSid: { ledger: 2, 'kv.delete': 1 },
    endUser: { ledger: 1, 'kv.delete': 1 },
    endAgain: { ledger: 1 },
  },
  kv: {
    check: { 'kv.get': 1 },
    begin: { 'kv.get': 1, 'kv.put': 2 },
    leave: { 'kv.delete': 2 },
    endSid: { 'kv.get': 1, 'kv.put': 2, 'kv.list': 1, 'kv.delete': 2 },
    endUser: { 'kv.get': 1, 'kv.put': 2, 'kv.list': 1, 'kv.delete': 2 },
    endAgain: { 'kv.get': 1, 'kv.put': 1, 'kv.list': 1 },
  },
};
const { check, begin, leave, endSid, endUser, endAgain } = COSTS[MODE];
const all = (...costs) => {
  const sum = {};
  for (const [name, calls] of costs.flatMap(Object.entries)) sum[name] = (sum[name] ?? 0) + calls;
  return sum;
};

const HOP = { fetch: 1 };
const CHECKED = all(HOP, check);
const VERIFIED = { verify: 1 };
const PAGE = { 'sec-fetch-mode': 'navigate' };

for (const [name, path, { method, headers, cookies, answer }, status, calls] of [
  ['a page of nobody', '/shop/', {}, 200, HOP],
  ['an anonymous page', '/shop/', { cookies: () => 'theme=dark' }, 200, HOP],
  ['a page before the login', '/shop/', { cookies: () => cookie() }, 200, HOP],
  ['a static file', '/shop/static/x', { cookies: () => cookie(alive) }, 200, HOP],
  ['a cookie that nobody sealed', '/shop/', { cookies: () => 'shop.sid=raw' }, 200, HOP],
  ['an answer that sets a cookie', '/shop/', { answer: () => ({ 'set-cookie': 'shop.sid=c' }) }, 200, HOP],
  ['a page of a session', '/shop/', { cookies: () => cookie(alive) }, 200, CHECKED],
  ['an upload of a session', '/shop/', { method: 'PUT', cookies: () => cookie(alive) }, 200, CHECKED],
  [
    'a value that rolls', '/shop/',
    { cookies: () => cookie(alive), answer: () => ({ 'set-cookie': 'shop.sid=next' }) }, 200, CHECKED,
  ],
  [
    'a repeated announcement', '/shop/',
    { cookies: () => cookie(alive), answer: () => announcing({ sid: 's1' }) }, 200, CHECKED,
  ],
  ['a page of an ended session', '/shop/', { cookies: () => cookie(ended) }, 200, CHECKED],
  ['an order of an ended session', '/shop/', { method: 'POST', cookies: () => cookie(ended) }, 401, check],
  ['a form of an ended session', '/shop/', { method: 'POST', headers: PAGE, cookies: () => cookie(ended) }, 303, check],
  [
    'a login', '/shop/', { answer: () => announcing({ sid: 's3' }) }, 200,
    all(HOP, VERIFIED, begin),
  ],
  [
    'a login on top of another', '/shop/',
    { cookies: () => cookie(alive), answer: () => announcing({ sid: 's4' }) }, 200,
    all(CHECKED, VERIFIED, begin, leave),
  ],
  [
    'a logout at the app', '/shop/',
    { cookies: () => cookie(alive), answer: () => ({ 'set-cookie': 'shop.sid=; Path=/; Max-Age=0' }) }, 200,
    all(CHECKED, leave),
  ],
  ['a login without a new cookie', '/shop/', { answer: () => announcing({}, []) }, 502, all(HOP, VERIFIED)],
  ['a token of another client', '/shop/', { answer: () => announcing({ aud: 'wiki' }) }, 502, HOP],
  ['a path of no app', '/robots.txt', {}, 200, HOP],
  ['an ambiguous path', '/%73hop', {}, 400, {}],
  ['a sign of life', '/.edge-logout/health', {}, 200, {}],
]) {
  test(`${name}: ${JSON.stringify(calls)}`, async () => {
    await world.store(alive);
    const answerHeaders = (await answer?.()) ?? {};
    world.app = (_, res) => res.writeHead(200, answerHeaders).end();
    await world.calls();
    const sent = { ...headers, ...(cookies && { cookie: cookies() }) };
    assert.equal((await world.request(path, { method, headers: sent })).status, status);
    assert.deepEqual(await callsMade(), calls);
  });
}

for (const [name, token, status, calls] of [
  ['garbage', () => 'garbage', 400, {}],
  ['for another client', () => op.logoutToken({ sid: 's1', aud: 'wiki' }), 400, {}],
  ['expired', () => op.logoutToken({ sid: 's1', exp: 1 }), 400, {}],
  ['badly signed', async () => (await op.logoutToken({ sid: 's1' })).replace(/.{20}$/, 'A'.repeat(20)), 400, VERIFIED],
  [
    'for one session', () => op.logoutToken({ sid: 's1' }), 200,
    all(VERIFIED, endSid),
  ],
  [
    'for a user', () => op.logoutToken({ sub: 'alice' }), 200,
    all(VERIFIED, endUser),
  ],
  [
    'once more', () => op.logoutToken({ sid: 'nobody', iat: op.now() - 30 }), 200,
    all(VERIFIED, endAgain),
  ],
]) {
  test(`a logout token, ${name}: ${JSON.stringify(calls)}`, async () => {
    await world.store(alive);
    if (name === 'once more') await world.logout(await op.logoutToken({ sid: 'nobody' }));
    const sent = await token();
    await world.calls();
    assert.equal((await world.logout(sent)).status, status);
    assert.deepEqual(await callsMade(), calls);
  });
}

const SWEPT = { 'kv.list': 2, 'kv.get': 1, 'kv.delete': 1 };

// The records are listed, and of each the mark is read and its sessions are listed once more.
if (MODE === 'kv') {
  test(`going over a logout once more, where KV is all there is: ${JSON.stringify(SWEPT)}`, async () => {
    await world.store(alive);
    await world.logout(await op.logoutToken({ sid: 's1' }));
    const [[key, { metadata }]] = Object.entries(await world.contents()).filter(([name]) => name.startsWith('pending/'));
    await world.kv.put(key, '', { metadata: { ...metadata, due: op.now() } });
    await world.calls();
    await world.cron();
    await world.logged('sweep_done');
    assert.deepEqual(await callsMade(), SWEPT);
  });
}

// Open and close at the gate; at the relay the OP is asked, and the code redeemed.
const RELAYED = all(HOP, { codes: 2 }, { fetch: 1, codes: 1 }, VERIFIED, begin);

test(`a login through the relay: ${JSON.stringify(RELAYED)}`, async () => {
  const relay = '/.edge-logout/relay/WIKI';
  op.token = async (_, res) => res.end(JSON.stringify({ id_token: await op.idToken({ aud: 'wiki' }) }));
  world.app = async (_, res) => {
    const { status } = await world.request(`${relay}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=authorization_code&code=c&client_id=wiki',
    });
    assert.equal(status, 200);
    res.writeHead(200, { 'set-cookie': 'wiki.sid=new; Path=/' }).end();
  };
  // The metadata are known for a while.
  await world.request(`${relay}/.well-known/openid-configuration`);
  await world.store();
  await world.calls();
  assert.equal((await world.request('/wiki/callback?code=c')).status, 200);
  assert.deepEqual(await callsMade(), RELAYED);
  assert.equal(Object.keys(await world.contents()).filter((key) => key.startsWith('session/')).length, 1);
});
