// The kinds of request that are measured: what each takes, and what must have come of it.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { sendAll } from './load.mjs';

const PATH = '/shop/bclogout';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
/** Who begins and ends sessions; the others only look like it. */
const PRODUCTS = ['ts-jose', 'edge-logout, KV', 'edge-logout, ledger'];
/** Who makes their calls, and knows of no tokens. */
const STUBS = ['stub, KV', 'calls, KV', 'stub, ledger', 'calls, ledger'];
/** Who is asked for pages without a login. */
const PROXIES = ['pass-through', 'border'];
const LOGIN_AT_ONCE = 8;
/** So many sessions of a user everybody deletes at the same time. */
const SESSIONS_AT_ONCE = 32;

/** What a stub lists: one session. */
const LISTED_ONE = `session/${'h'.repeat(43)}/`;

const form = (token) => `logout_token=${token}`;
const statusIs = (expected) => ({ status }, number) => assert.equal(status, expected, `answer ${number}`);

/** As many people, with a login time, and what their app keeps in a cookie: 1 KB. */
const people = (count, subjectOf = () => randomUUID()) =>
  Array.from({ length: count }, (_, number) => ({
    sub: subjectOf(number),
    sid: randomUUID(),
    value: randomBytes(768).toString('base64url'),
  }));

/** Logs them in, at one contestant; gives the cookies that a browser would send. */
async function logIn(contestant, world, logins) {
  const cookies = [];
  const requests = logins.map(({ idToken, value, sid }) => ({
    path: '/shop/page',
    headers: STUBS.includes(contestant.name)
      ? { 'x-plan': 'begin', 'x-name': sid }
      : { host: world.origin, 'x-log-in': idToken, 'x-new-cookie': value },
  }));
  await sendAll(contestant.url, requests, {
    atOnce: LOGIN_AT_ONCE,
    check({ status, headers }, number) {
      assert.equal(status, 200, `a login at ${contestant.name}`);
      const cookie = headers['set-cookie']?.toString().split(';')[0];
      if (!STUBS.includes(contestant.name)) assert.match(cookie, /^shop\.sid=.{1000,}$/);
      cookies[number] = cookie;
    },
  });
  return cookies;
}

const sessionsIn = (contestant, world) => world.tell('size', { kv: contestant.kv, beginning: 'session/' });

/** Every entry is gone: at once, or where the ledger is asked, when its alarms have gone off. */
async function allGone(contestant, world) {
  const until = Date.now() + (contestant.name === 'edge-logout, ledger' ? 20_000 : 0);
  let left;
  while ((left = await sessionsIn(contestant, world)) > 0 && Date.now() < until) await setTimeout(100);
  assert.equal(left, 0, `entries left at ${contestant.name}`);
}

/** Logouts by `sid`, of one session each. */
const bySid = (name, count, atOnce) => ({
  name,
  atOnce,
  opening: 2 * atOnce,
  contestants: ['floor', ...STUBS, 'border', 'Apache', ...PRODUCTS],
  prepare(world) {
    const logins = people(this.opening + count).map((person) => ({ ...person, idToken: world.idToken(person) }));
    const tokens = logins.map(({ sid }) => world.logoutToken({ sid }));
    return { logins, tokens };
  },
  async requests(contestant, world, { logins, tokens }) {
    if (contestant.logIn) contestant.cookies = await contestant.logIn(logins);
    else if (['stub, KV', 'calls, KV', 'border'].includes(contestant.name)) {
      const metadata = JSON.stringify({ login: 1_764_000_000, other: 'h'.repeat(43) });
      // Another than those that they delete.
      const entry = [`${LISTED_ONE}${'j'.repeat(22)}`, '', metadata];
      await world.tell('put', { kv: contestant.kv, entries: [entry] });
    } else if (contestant.name !== 'floor') await logIn(contestant, world, logins);
    return tokens.map((token, number) => ({
      method: 'POST',
      path: contestant.logoutPath ?? PATH,
      headers: { host: contestant.host ?? world.origin, ...FORM, 'x-name': logins[number].sid, 'x-list': LISTED_ONE },
      body: form(token),
    }));
  },
  check: statusIs(200),
  async verify(contestant, world) {
    if (PRODUCTS.includes(contestant.name)) await allGone(contestant, world);
    // Of unknown sessions it says the same.
    for (const cookie of contestant.cookies?.slice(0, 20) ?? []) assert.equal(await contestant.lives(cookie), false);
  },
});

/** Logouts by `sub`, of as many sessions each. */
const bySub = (sessions, count) => ({
  name: `logout by sub, ${sessions.toLocaleString('en')} sessions`,
  atOnce: 1,
  opening: 1,
  contestants: ['stub, KV', ...PRODUCTS],
  prepare(world) {
    const [opener, ...subs] = Array.from({ length: this.opening + count }, () => randomUUID());
    const logins = [...people(SESSIONS_AT_ONCE, () => opener), ...people(count * sessions, (number) => subs[number % count])];
    return {
      logins: logins.map((person) => ({ ...person, idToken: world.idToken(person) })),
      tokens: [opener, ...subs].map((sub) => world.logoutToken({ sub })),
    };
  },
  async requests(contestant, world, { logins, tokens }) {
    const list = `by-sub/${'n'.repeat(40 - `${sessions}`.length)}${sessions}/`;
    if (PRODUCTS.includes(contestant.name)) await logIn(contestant, world, logins);
    else {
      const metadata = JSON.stringify({ login: 1_764_000_000, other: 'h'.repeat(43) });
      const entries = Array.from({ length: sessions }, (_, number) => [`${list}${String(number).padStart(22, 'i')}`, '', metadata]);
      await world.tell('put', { kv: contestant.kv, entries });
    }
    return tokens.map((token) => ({
      method: 'POST',
      path: PATH,
      headers: { host: world.origin, ...FORM, 'x-list': list },
      body: form(token),
    }));
  },
  check: statusIs(200),
  async verify(contestant, world) {
    // Of what one request may not delete in KV alone, a cron run deletes the rest.
    const isCron = contestant.name !== 'edge-logout, ledger' && sessions * 2 > 990;
    if (PRODUCTS.includes(contestant.name) && !isCron) await allGone(contestant, world);
  },
});

/** Tokens that are refused. */
const refused = (what, token, count) => ({
  name: `refused: ${what}`,
  atOnce: 8,
  opening: 8,
  contestants: ['floor', 'border', 'calls, KV', 'ts-jose', 'edge-logout, KV'],
  prepare(world) {
    return { tokens: Array(this.opening + count).fill(token(world)) };
  },
  requests: async (_, world, { tokens }) =>
    tokens.map((token) => ({ method: 'POST', path: PATH, headers: { host: world.origin, ...FORM }, body: form(token) })),
  check: (answer, number, { name }) => statusIs(name === 'floor' ? 200 : 400)(answer, number),
  verify: async () => {},
});

/** Tokens of which nothing is wrong but the signature: as it was made, the same token is taken. */
const badlySigned = (count) => ({
  ...refused('bad signature', undefined, count),
  contestants: ['floor', 'ts-jose', 'edge-logout, KV'],
  prepare(world) {
    const token = world.logoutToken({ sid: randomUUID() });
    return { token, tokens: Array(this.opening + count).fill(token.replace(/.{20}$/, 'A'.repeat(20))) };
  },
  async verify(contestant, world, { token }) {
    const [request] = await this.requests(contestant, world, { tokens: [token] });
    await sendAll(contestant.url, [request], { atOnce: 1, check: statusIs(200) });
  },
});

/** Pages of the app for nobody in particular. */
export function anonymous(world, count) {
  const headers = {
    host: world.origin,
    accept: 'text/html,*/*',
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    'accept-language': 'en',
  };
  return { list: Array.from({ length: count }, () => ({ path: '/shop/page', headers })), check: pageOf('nobody') };
}

const pageOf = (user) => ({ status, headers, bytes }, number) => {
  assert.equal(status, 200, `answer ${number}`);
  assert.deepEqual([bytes, headers['x-user']], [2048, user]);
};

/** Pages of the app: signed in with a cookie of 1 KB, or not. */
const gated = (isSignedIn, count) => ({
  name: `gated GET, ${isSignedIn ? 'signed in' : 'anonymous'}`,
  atOnce: 8,
  opening: 8,
  contestants: [...PROXIES, ...(isSignedIn ? STUBS : ['calls, KV']), ...PRODUCTS],
  prepare(world) {
    const logins = isSignedIn ? people(20) : [];
    return { logins: logins.map((person) => ({ ...person, idToken: world.idToken(person) })) };
  },
  async requests(contestant, world, { logins }) {
    const cookies = PROXIES.includes(contestant.name) || !isSignedIn ? [] : await logIn(contestant, world, logins);
    const { list } = anonymous(world, this.opening + count);
    if (!isSignedIn) return list;
    return list.map(({ path, headers }, number) => {
      const who = number % logins.length;
      const cookie = cookies[who] ?? `shop.sid=${logins[who].value}`;
      return { path, headers: { ...headers, 'x-plan': 'check', 'x-name': logins[who].sid, cookie } };
    });
  },
  check: pageOf(isSignedIn ? 'somebody' : 'nobody'),
  verify: async () => {},
});

const MEGABYTE = 1 << 20;
const BODY = Buffer.alloc(10 * MEGABYTE, 'x');

/** 10 MB, in one direction. */
const stream = (isUpload, count) => ({
  name: `10 MB ${isUpload ? 'up' : 'down'}`,
  atOnce: 1,
  contestants: ['pass-through', ...PRODUCTS],
  prepare: () => ({}),
  requests: async (_, world) =>
    Array.from({ length: count }, () =>
      isUpload
        ? { method: 'PUT', path: '/shop/upload', headers: { host: world.origin }, body: BODY }
        : { path: '/shop/download', headers: { host: world.origin } },
    ),
  check({ status, bytes }) {
    assert.deepEqual([status, bytes], isUpload ? [204, 0] : [200, 10 * MEGABYTE]);
  },
  verify: async () => {},
});

/**
 * All of it, in the order of the report, in groups for which fresh processes are started: none works with a heap that
 * other work has filled, or beside lists of the ledger that are put away. `share` of the requests of a whole run.
 * Rounds are long enough that for most of each the processor's caches hold the contestant's code, and there are many:
 * what disturbs the machine lasts for seconds, and contestants are compared within a round.
 * `times` is how many of them there are for one of the slowest; `warmUp` how many before those that count: as many as
 * it takes until V8 has compiled what is run all the time, which of wasm takes many thousands of requests.
 * That turns out some percent better in one process than in the next of the same Worker: there are several `starts`,
 * among which the rounds are divided.
 */
export function work(share = 1) {
  const some = (count) => Math.max(1, Math.round(count * share));
  const foreign = (world) => world.logoutToken({ sid: 'somebody', aud: 'another' });
  return [
    {
      starts: 3,
      rows: [
        { times: 5, warmUp: some(120), ...bySid('logout by sid', some(56), 8) },
        { times: 3, warmUp: 1, ...bySid('burst of 50 logouts by sid', 50, 50) },
        { times: 3, warmUp: some(40), ...bySub(20, some(4)) },
        { times: 2, warmUp: some(20), ...bySub(200, 1) },
        { times: 1, warmUp: 1, ...bySub(2000, 1) },
      ],
    },
    {
      starts: 5,
      rows: [
        { times: 15, warmUp: some(40), ...refused('garbage', () => 'garbage', some(600)) },
        { times: 15, warmUp: some(40), ...refused('wrong audience', foreign, some(600)) },
        { times: 15, warmUp: some(40), ...badlySigned(some(400)) },
      ],
    },
    { starts: 5, rows: [{ times: 15, warmUp: some(32), ...gated(false, some(400)) }] },
    {
      starts: 5,
      rows: [
        { times: 20, warmUp: 1, ...stream(false, some(6)) },
        { times: 20, warmUp: 1, ...stream(true, some(6)) },
      ],
    },
    { starts: 5, rows: [{ times: 10, warmUp: some(32), ...gated(true, some(400)) }] },
  ];
}
