// Random and half-right requests to the API. Whatever comes, the answer is one of those that are
// documented, says nothing of what was sent, and nothing is changed that nobody confirmed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { text } from '../support/format.mjs';
import { HEADERS, KEY, startOffice } from '../support/operator.mjs';

const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const REQUESTS = 1500;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let world, op, bound;
before(async () => {
  world = await startOffice({
    more: (app, op) => ({
      ISSUER_TEST: { issuer: op.issuer, allow_insecure_http: true, breaker: { sessions: 1, seconds: 3600 } },
    }),
  });
  op = world.op;
});
after(() => world?.stop());

test(`nothing comes of it (SEED=${SEED})`, async () => {
  const next = random(SEED);
  const one = (list) => list[Math.floor(next() * list.length)];
  const chance = (part) => next() < part;
  const noise = () =>
    Array.from({ length: Math.floor(next() * 40) }, () => String.fromCharCode(1 + Math.floor(next() * 126))).join('');

  bound = world.sessionOf('alice');
  const held = world.sessionOf('bob');
  await world.store(bound, held);
  assert.equal(await world.gate(bound), true);
  // One logout is held.
  await world.logout(await op.logoutToken({ sub: 'somebody' }));
  const more = world.sessionOf('somebody');
  await world.store(bound, held, more, world.sessionOf('somebody', { sid: 'another' }));
  assert.equal((await world.logout(await op.logoutToken({ sub: 'somebody' }))).status, 503);
  const contents = await world.contents();
  const overview = async () => {
    const { now: _, ...all } = await world.told('/overview');
    return all;
  };
  const standing = await overview();
  assert.equal(standing.issuers[0].breaker.held, 1);

  const MARK = 'echo-7f3a';
  const values = {
    app: ['SHOP', 'WIKI', 'shop', 'NOBODY', '', 1, null, ['SHOP']],
    issuer: ['TEST', op.issuer, '', {}],
    sub: ['alice', MARK, '', 7, null, 'x'.repeat(9000)],
    sid: ['sid of alice', MARK, [], ''],
    subject: [text(bound.subject), 'A'.repeat(43), 'A'.repeat(42), '!', 0],
    sid_hash: [text(bound.sid), `${text(bound.sid)}=`, MARK],
    session: [text(bound.id), 'A'.repeat(22), 'A', MARK],
    before: [0, 1, -1, Date.now(), 2 ** 53, 1e300, '0', null],
    action: ['release', 'discard', MARK, 1],
    confirm: [MARK, 'A'.repeat(54), 'A', '', 1, null],
    [MARK]: [MARK],
    __proto__: [{}],
  };
  const object = () => {
    const names = Object.keys(values).filter(() => chance(0.25));
    return Object.fromEntries(names.map((name) => [name, one(values[name])]));
  };
  /** One that is nearly right. */
  const plausible = () => {
    const target = one(['sub', 'sid', 'subject', 'sid_hash', 'session', 'before', 'action']);
    const names = [target, ...(target === 'session' ? ['subject'] : []), ...(chance(0.5) ? ['confirm'] : [])];
    const of = target === 'action' ? { issuer: 'TEST' } : { app: 'SHOP' };
    return { ...of, ...Object.fromEntries(names.map((name) => [name, values[name][0]])) };
  };
  const body = () => {
    const json = JSON.stringify(chance(0.5) ? plausible() : object());
    return one([
      () => json,
      () => json,
      () => json,
      () => json.slice(0, Math.floor(next() * json.length)),
      () => `[${json}]`,
      () => json.replace('{', '{"app":"SHOP","app":"WIKI",'),
      () => noise(),
      () => '',
      () => 'null',
      () => `${'['.repeat(5000)}`,
      () => `{"sub":"${'x'.repeat(17_000)}"}`,
      () => Buffer.from([0xff, 0xfe, 0x7b, 0x7d]),
    ])();
  };
  const paths = ['/overview', '/test', '/journal', '/sessions', '/end', '/held', '', '/', '/x', '/end/', '//end', '/%65nd', `/${MARK}`];
  const queries = ['', '', '?app=SHOP', '?app=%53HOP', '?app=', '?app=NOBODY', `?app=${MARK}`, '?app=%ff', '?x'];
  const methods = ['GET', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND'];
  const STATUSES = { 200: undefined, 400: 'bad_request', 401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 405: 'method_not_allowed', 409: 'confirmation_invalid' };
  const seen = {};

  for (let n = 0; n < REQUESTS; n++) {
    const isNear = chance(0.4);
    const method = isNear ? 'POST' : one(methods);
    const headers = { ...HEADERS };
    if (chance(0.1)) delete headers[one(Object.keys(headers))];
    if (chance(0.1)) headers.authorization = one(['Bearer x', `Bearer ${KEY}x`, MARK, 'Bearer']);
    if (chance(0.1)) headers['cf-access-jwt-assertion'] = one([MARK, 'a.b.c', 'e30.e30.e30', `eyJhbGciOiJSUzI1NiJ9.${MARK}.x`]);
    if (chance(0.1)) headers.origin = one(['http://app.test', 'null', `http://${MARK}.test`]);
    if (chance(0.9)) headers['content-type'] = one(['application/json', 'application/json', 'application/json; charset=utf-8', 'text/plain', MARK]);
    if (chance(0.05)) headers['content-encoding'] = 'gzip';
    const sent = ['GET', 'HEAD'].includes(method) ? undefined : body();
    // Of some methods the client would not say where the body ends.
    if (sent !== undefined) headers['content-length'] = Buffer.byteLength(sent);
    const path = isNear ? one(['/sessions', '/end', '/held']) : one(paths) + one(queries);
    const answer = await world.request(`/.edge-logout/api${path}`, { method, headers, body: sent });
    const told = `${method} ${path} ${answer.status} ${answer.body}`;
    const isElsewhere = /^Ambiguous path\.\n$/.test(answer.body);
    seen[answer.status] = (seen[answer.status] ?? 0) + 1;
    assert.ok(answer.status in STATUSES, told);
    assert.equal(answer.headers['cache-control'], 'no-store', told);
    assert.ok(!`${answer.body}${JSON.stringify(answer.headers)}`.includes(MARK), told);
    if (method === 'HEAD' || isElsewhere) continue;
    const json = JSON.parse(answer.body);
    assert.equal(json.error, STATUSES[answer.status], told);
    if (answer.status === 200) assert.ok(json.confirm ?? json.checks ?? json.entries ?? json.issuers ?? json.sessions, told);
    assert.ok(!('ended' in json || 'released' in json || 'discarded' in json), told);
  }
  assert.ok([200, 400, 401, 403, 404, 405, 409].every((status) => seen[status] > 0), JSON.stringify(seen));

  assert.deepEqual(await world.contents(), contents);
  assert.deepEqual(await overview(), standing);
  assert.equal(await world.gate(bound), true);
  for (const { code } of await world.takeLogs()) assert.match(code, /^[a-z_]+$/);
});
