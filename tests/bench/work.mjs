// The kinds of request that are measured: what each takes, and what must have come of it.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { sendAll } from './load.mjs';

const PATH = '/shop/bclogout';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
/** Who begins and ends sessions; the others only look like it. */
const PRODUCTS = ['ts-jose', 'edge-logout, KV', 'edge-logout, ledger'];
const STUBS = ['stub, KV', 'stub, ledger'];
const LOGIN_AT_ONCE = 8;

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

/** Logouts by `sid`, of one session each. */
const bySid = (name, count, atOnce) => ({
  name,
  atOnce,
  contestants: ['floor', ...STUBS, ...PRODUCTS],
  prepare(world) {
    const logins = people(count).map((person) => ({ ...person, idToken: world.idToken(person) }));
    const tokens = logins.map(({ sid }) => world.logoutToken({ sid }));
    return { logins, tokens };
  },
  async requests(contestant, world, { logins, tokens }) {
    if (contestant.kv !== undefined) {
      if (contestant.name !== 'stub, KV') await logIn(contestant, world, logins);
      else await world.tell('put', { kv: contestant.kv, entries: [[`by-sid/${'h'.repeat(43)}/one`, '', '{"login":1764000000,"other":"h"}']] });
    }
    return tokens.map((token, number) => ({
      method: 'POST',
      path: PATH,
      headers: { host: world.origin, ...FORM, 'x-name': logins[number].sid, 'x-list': `by-sid/${'h'.repeat(43)}/` },
      body: form(token),
    }));
  },
  check: statusIs(200),
  async verify(contestant, world) {
    if (PRODUCTS.includes(contestant.name)) assert.equal(await sessionsIn(contestant, world), 0, 'every entry is gone');
  },
});

/** Logouts by `sub`, of as many sessions each. */
const bySub = (sessions, count) => ({
  name: `logout by sub, ${sessions.toLocaleString('en')} sessions`,
  atOnce: 1,
  contestants: ['stub, KV', ...PRODUCTS],
  prepare(world) {
    const subs = Array.from({ length: count }, () => randomUUID());
    const logins = people(count * sessions, (number) => subs[number % count]);
    return {
      logins: logins.map((person) => ({ ...person, idToken: world.idToken(person) })),
      tokens: subs.map((sub) => world.logoutToken({ sub })),
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
    // Of more than a request may delete, a later run deletes the rest.
    if (!PRODUCTS.includes(contestant.name) || sessions * 3 > 1000) return;
    assert.equal(await sessionsIn(contestant, world), 0, 'every entry is gone');
  },
});

/** Tokens that are refused. */
const refused = (what, token, count) => ({
  name: `refused: ${what}`,
  atOnce: 8,
  contestants: ['floor', 'ts-jose', 'edge-logout, KV'],
  prepare: (world) => ({ tokens: Array.from({ length: count }, () => token(world)) }),
  requests: async (_, world, { tokens }) =>
    tokens.map((token) => ({ method: 'POST', path: PATH, headers: { host: world.origin, ...FORM }, body: form(token) })),
  check: ({ status }, number) => assert.ok([200, 204, 400].includes(status), `answer ${number}: ${status}`),
  verify: async () => {},
});

/** Pages of the app: signed in with a cookie of 1 KB, or not. */
const gated = (isSignedIn, count) => ({
  name: `gated GET, ${isSignedIn ? 'signed in' : 'anonymous'}`,
  atOnce: 8,
  contestants: ['pass-through', ...(isSignedIn ? STUBS : []), ...PRODUCTS],
  prepare(world) {
    const logins = isSignedIn ? people(20) : [];
    return { logins: logins.map((person) => ({ ...person, idToken: world.idToken(person) })) };
  },
  async requests(contestant, world, { logins }) {
    const isProxy = contestant.name === 'pass-through';
    const cookies = isProxy || !isSignedIn ? [] : await logIn(contestant, world, logins);
    return Array.from({ length: count }, (_, number) => ({
      path: '/shop/page',
      headers: {
        host: world.origin,
        accept: 'text/html,*/*',
        'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
        'accept-language': 'en',
        ...(isSignedIn && {
          'x-plan': 'check',
          'x-name': logins[number % logins.length].sid,
          cookie: cookies[number % logins.length] ?? `shop.sid=${logins[number % logins.length].value}`,
        }),
      },
    }));
  },
  check({ status, headers, bytes }, number) {
    assert.equal(status, 200, `answer ${number}`);
    assert.equal(bytes, 2048);
    assert.equal(headers['x-user'], isSignedIn ? 'somebody' : 'nobody');
  },
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

/** All of it; `share` of the requests of a whole run. */
export function work(share = 1) {
  const some = (count) => Math.max(1, Math.round(count * share));
  const foreign = (world) => world.logoutToken({ sid: 'somebody', aud: 'another' });
  const badlySigned = (world) => world.token.replace(/.{20}$/, 'A'.repeat(20));
  return [
    bySid('logout by sid', some(400), 8),
    bySid('burst of 50 logouts by sid', 50, 50),
    bySub(20, some(20)),
    bySub(200, some(6)),
    bySub(2000, 1),
    refused('garbage', () => 'garbage', some(2000)),
    refused('wrong audience', foreign, some(1000)),
    refused('bad signature', badlySigned, some(1000)),
    gated(true, some(1000)),
    gated(false, some(1000)),
    stream(false, some(20)),
    stream(true, some(20)),
  ];
}
