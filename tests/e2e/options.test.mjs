// What an operator may choose about the gate, each app of this world chose something; and abuse.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { seal, session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

const ANNOUNCE_KEY = randomBytes(24).toString('hex');
const key = (id, more) => ({ id, key: randomBytes(32).toString('base64'), ...more });
const OLD = key('old');
const NEW = key('new', { seal_from: '2026-01-01T00:00:00Z' });
const FUTURE = key('future', { seal_from: '2200-01-01T00:00:00Z' });

let world, op;
/** What apps were sent, since the last look. */
let seen;
const served = [];
before(async () => {
  world = await startWorld({
    services: {
      async BEHIND(request) {
        served.push(`${request.method} ${request.url} ${request.headers.get('cookie')} ${await request.text()}`);
        return new Response('by the service', { status: 201, headers: { 'set-cookie': 'service.sid=s' } });
      },
    },
    bindings: (app) => ({
      SEAL_KEYS: JSON.stringify([FUTURE, OLD, NEW]),
      APP_BEARER: {
        ...app('bearer'),
        announce: { from: 'header', name: 'authorization', scheme: 'Bearer' },
        on_ended: 'unauthorized',
      },
      APP_COOKIE: {
        ...app('cookie'),
        announce: { from: 'cookie', name: 'IdToken' },
        on_ended: 'redirect',
        ended_location: '/cookie/login?again',
      },
      APP_VOUCHED: { ...app('vouched'), announce: { from: 'session' } },
      ANNOUNCE_KEY_VOUCHED: ANNOUNCE_KEY,
      APP_CUSTOM: { ...app('custom'), announce: { from: 'header', name: 'X-Login' } },
      APP_SERVICE: { ...app('service'), origin: 'service:BEHIND' },
      HOST_TEST: { host: 'app.test', unmatched: 'pass', origin: app('shop').origin },
    }),
  });
  op = world.op;
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
  answerWith({});
});

function answerWith({ status = 200, headers = {} }) {
  seen = [];
  world.app = (req, res) => {
    seen.push(req);
    const given = typeof headers === 'function' ? headers(req) : headers;
    res.writeHead(status, given).end('app');
  };
}

const PAGE = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const codes = async () => (await world.takeLogs()).map(({ code }) => code);
const sealed = (client, bound, { by = OLD, value = 'secret!', name = `${client}.sid` } = {}) =>
  `${name}=${seal(JSON.stringify([by]), { ...world.shop, name: client.toUpperCase(), client }, name, value, bound)}`;
const sessionAt = (client) =>
  session({ issuer: op.issuer, client, sub: 'alice', sid: 's1', login: op.now() - 5 });

describe('keys', () => {
  test('the newest that is due seals, and every one opens', async () => {
    answerWith({ headers: { 'set-cookie': 'shop.sid=c' } });
    const answer = await world.request('/shop/');
    assert.match(answer.setCookies[0], /^shop\.sid=el1\.new\./);
    const alive = sessionAt('shop');
    await world.store(alive);
    for (const by of [OLD, NEW, FUTURE]) {
      answerWith({});
      await world.request('/shop/', { headers: { cookie: sealed('shop', alive, { by }) } });
      assert.equal(seen[0].headers.cookie, 'shop.sid=secret!', by.id);
    }
    answerWith({});
    for (const by of [key('old'), key('unknown')]) {
      const cookie = sealed('shop', alive, { by });
      const { setCookies } = await world.request('/shop/', { headers: { cookie } });
      assert.deepEqual(setCookies, [], 'withheld, and never removed');
      assert.equal(seen.pop().headers.cookie, undefined);
    }
  });
});

describe('an announcement', () => {
  for (const [client, headers] of [
    ['bearer', (token) => ({ authorization: `Bearer ${token}`, 'set-cookie': 'bearer.sid=c' })],
    ['cookie', (token) => ({ 'set-cookie': [`IdToken=${token}; Path=/`, 'cookie.sid=c'] })],
    ['custom', (token) => ({ 'x-login': token, 'set-cookie': 'custom.sid=c' })],
    [
      'vouched',
      () => ({
        'edge-logout-session': 'sub="alice", sid="s1"',
        'edge-logout-key': ANNOUNCE_KEY,
        'set-cookie': 'vouched.sid=c',
      }),
    ],
  ]) {
    test(`of app ${client} begins a session, and nobody sees it`, async () => {
      answerWith({ headers: headers(await op.idToken({ aud: client })) });
      const answer = await world.request(`/${client}/`);
      assert.equal(answer.status, 200);
      assert.deepEqual(await codes(), ['session_began']);
      assert.equal(answer.setCookies.length, 1);
      assert.match(answer.setCookies[0], new RegExp(`^${client}\\.sid=el1\\.`));
      for (const name of Object.keys(answer.headers)) {
        assert.doesNotMatch(name, /^edge-logout|^authorization$|^x-login$/);
      }
      assert.equal((await world.logout(await op.logoutToken({ aud: client, sid: 's1' }), { client })).status, 200);
      answerWith({});
      const next = await world.request(`/${client}/`, { headers: { cookie: answer.setCookies[0].split(';')[0] } });
      if (['bearer', 'cookie'].includes(client)) assert.equal(next.status, 401);
      else assert.equal(seen[0].headers.cookie, undefined);
    });
  }

  test('that a client sends is taken out, but for its own credentials', async () => {
    const token = await op.idToken({ aud: 'custom' });
    const headers = { 'X-LOGIN': token, x_login: token, 'x.Login': token, 'Edge-Logout-Key': ANNOUNCE_KEY, authorization: 'Bearer mine' };
    await world.request('/custom/', { headers });
    const names = Object.keys(seen[0].headers).filter((name) => /login|edge|authorization/.test(name));
    assert.deepEqual(names, ['authorization']);
    await world.request('/bearer/', { headers });
    assert.equal(seen[1].headers.authorization, 'Bearer mine');
    assert.equal(seen[1].headers['x-login'], token);
  });

  test('that stands alone in an answer is seen by nobody, wherever it comes from', async () => {
    // Without any other header that would have the answer looked at.
    for (const name of ['Edge-Logout-Id-Token', 'edge-logout-session', 'EDGE-LOGOUT-KEY', 'X-Login']) {
      answerWith({ headers: { [name]: 'secret' } });
      for (const path of ['/custom/', '/elsewhere']) {
        const answer = await world.request(path);
        const isAnnouncement = name === 'X-Login' && path === '/custom/';
        assert.equal(answer.status, isAnnouncement ? 502 : 200, name);
        assert.equal(answer.headers[name.toLowerCase()], undefined, name);
      }
    }
  });

  test('without a time is of when the request came, however late the answer', async () => {
    const announcing = { 'edge-logout-session': 'sub="alice", sid="s1"', 'edge-logout-key': ANNOUNCE_KEY, 'set-cookie': 'vouched.sid=c' };
    const [asked, answered] = [Promise.withResolvers(), Promise.withResolvers()];
    world.app = async (req, res) => {
      asked.resolve();
      await answered.promise;
      res.writeHead(200, announcing).end('app');
    };
    const login = world.request('/vouched/');
    await asked.promise;
    // The time of a token is in whole seconds.
    await wait(1100);
    const token = await op.logoutToken({ aud: 'vouched', sub: 'alice' });
    assert.equal((await world.logout(token, { client: 'vouched' })).status, 200);
    // Longer than two moments may be taken for one: see KV_ORDER_MARGIN.
    await wait(2500);
    answered.resolve();
    assert.equal((await login).status, 409);
    assert.deepEqual(await codes(), ['logout_matched_nothing', 'birth_refused_logged_out']);
  });

  test('by a wrong key is none', async () => {
    const headers = { 'edge-logout-session': 'sub="alice", sid="s1"', 'set-cookie': 'vouched.sid=c' };
    answerWith({ headers: { ...headers, 'edge-logout-key': ANNOUNCE_KEY.replace(/^./, 'x') } });
    const answer = await world.request('/vouched/');
    assert.equal(answer.status, 502);
    assert.deepEqual(answer.setCookies, []);
    assert.deepEqual(await codes(), ['session_header_key_wrong', 'announcement_invalid']);
    assert.deepEqual(await world.contents(), {});
  });
});

test('an answer that says nothing but that cookies are to be forgotten ends the session', async () => {
  for (const types of ['"cookies"', '"cache", "*"', '"cache"']) {
    const alive = sessionAt('shop');
    await world.store(alive);
    answerWith({ headers: { 'Clear-Site-Data': types } });
    const answer = await world.request('/shop/', { headers: { cookie: sealed('shop', alive) } });
    assert.equal(answer.headers['clear-site-data'], types);
    const isOver = types !== '"cache"';
    assert.deepEqual(await codes(), isOver ? ['session_cleared_by_app'] : []);
    answerWith({});
    await world.request('/shop/', { headers: { cookie: sealed('shop', alive) } });
    assert.equal(seen[0].headers.cookie, isOver ? undefined : 'shop.sid=secret!', types);
    assert.equal(Object.keys(await world.contents()).length > 0, !isOver, 'in KV');
    await world.takeLogs();
  }
});

describe('an ended session', () => {
  const asked = async (client, options) => {
    const ended = sessionAt(client);
    await world.store(ended);
    const token = await op.logoutToken({ aud: client, sid: 's1' });
    assert.equal((await world.logout(token, { client })).status, 200);
    const headers = { ...options.headers, cookie: sealed(client, ended) };
    return world.request(`/${client}/page?q`, { ...options, headers });
  };

  test('is redirected where the app says, pages only, and never twice', async () => {
    const answer = await asked('cookie', { headers: PAGE });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, '/cookie/login?again');
    assert.equal(answer.headers['cache-control'], 'no-store');
    const [removal, marker] = answer.setCookies;
    assert.match(removal, /^cookie\.sid=; Path=\/; Max-Age=0/);
    const again = await asked('cookie', { headers: { ...PAGE } });
    assert.equal(again.status, 303, 'another browser');
    seen = [];
    const kept = sealed('cookie', session({ ...{ issuer: op.issuer, client: 'cookie', sub: 'alice', sid: 's1' }, login: op.now() - 5 }));
    const cookie = `${kept}; ${marker.split(';')[0]}`;
    const third = await world.request('/cookie/page', { headers: { ...PAGE, cookie } });
    assert.equal(third.status, 200);
    assert.equal(seen[0].headers.cookie, undefined);

    seen = [];
    for (const headers of [{ 'sec-fetch-mode': 'cors' }, { ...PAGE, 'sec-fetch-dest': 'iframe' }, {}]) {
      assert.equal((await asked('cookie', { headers })).status, 401);
    }
    assert.equal(seen.length, 0);
  });

  test('is refused where the app says, with a page for people', async () => {
    const answer = await asked('bearer', { headers: PAGE });
    assert.equal(answer.status, 401);
    assert.match(answer.body.toString(), /You were signed out/);
    assert.match(answer.setCookies[0], /^bearer\.sid=; /);
    const socket = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'x' };
    assert.equal((await asked('bearer', { headers: socket })).status, 401);
    assert.equal(seen.length, 0);
  });

  test('of a script elsewhere is told so by the app’s own CORS', async () => {
    const origin = 'https://spa.test';
    answerWith({
      headers: (req) =>
        req.method === 'OPTIONS' && req.headers.origin === origin && req.headers['access-control-request-method'] === 'PUT'
          ? { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', vary: 'Origin', 'x-else': '1' }
          : {},
    });
    const put = { method: 'PUT', headers: { 'sec-fetch-mode': 'cors', origin } };
    const answer = await asked('shop', put);
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['access-control-allow-origin'], origin);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.equal(answer.headers.vary, 'Origin');
    assert.equal(answer.headers['x-else'], undefined);
    assert.deepEqual(seen.map(({ method, url, headers }) => [method, url, headers.cookie]), [
      ['OPTIONS', '/shop/page', undefined],
    ]);

    seen = [];
    const strange = await asked('shop', { ...put, headers: { ...put.headers, origin: 'https://evil.test' } });
    assert.equal(strange.headers['access-control-allow-origin'], undefined);
    seen = [];
    await asked('shop', { ...put, headers: { ...put.headers, origin: 'http://app.test' } });
    assert.equal(seen.length, 0, 'its own scripts need no CORS');
  });
});

describe('a path of no app', () => {
  test('passes, without anything of a session', async () => {
    answerWith({
      headers: {
        'set-cookie': ['shop.sid=planted', 'wiki.sid=; Max-Age=0', 'seen=1; HttpOnly'],
        'edge-logout-key': ANNOUNCE_KEY,
        'x-login': 'token',
      },
    });
    const cookie = `a=1; ${sealed('shop')}; wiki.sid=raw; shop_sid=raw; other=el1.x; b=2`;
    const answer = await world.request('/.well-known/acme-challenge/x?y', { headers: { cookie } });
    assert.equal(answer.body.toString(), 'app');
    assert.equal(seen[0].url, '/.well-known/acme-challenge/x?y');
    assert.equal(seen[0].headers.cookie, 'a=1; b=2');
    assert.equal(seen[0].headers['x-forwarded-host'], 'app.test');
    assert.deepEqual(answer.setCookies, ['seen=1; HttpOnly']);
    assert.equal(answer.headers['edge-logout-key'], undefined);
    assert.equal(answer.headers['x-login'], undefined);
    assert.deepEqual(await codes(), ['foreign_session_cookie_dropped']);
    assert.equal((await world.request('/x', { headers: { host: 'other.test' } })).status, 404);
  });
});

describe('a service binding', () => {
  test('is an origin like another', async () => {
    const alive = sessionAt('service');
    await world.store(alive);
    const answer = await world.request('/service/a?b', {
      method: 'POST',
      headers: { cookie: sealed('service', alive) },
      body: 'body',
    });
    assert.equal(answer.status, 201);
    assert.equal(answer.body.toString(), 'by the service');
    assert.match(answer.setCookies[0], /^service\.sid=el1\./);
    assert.deepEqual(served, ['POST http://app.test/service/a?b service.sid=secret! body']);
  });
});

describe('cookies', () => {
  test('of two headers, folded by the platform, are told apart where it matters', async () => {
    const alive = sessionAt('shop');
    await world.store(alive);
    await world.request('/shop/', { headers: { cookie: ['a=1', sealed('shop', alive), 'shop.sid=raw'] } });
    assert.equal(seen[0].headers.cookie, 'a=1; shop.sid=secret!');
  });

  test('larger than one cookie come and go in pieces', async () => {
    const value = '!'.repeat(3990);
    answerWith({ headers: { 'set-cookie': `shop.sid=${value}; Path=/shop; HttpOnly` } });
    const { setCookies } = await world.request('/shop/');
    const cookies = setCookies.map((line) => line.split(';')[0]);
    assert.deepEqual(cookies.map((cookie) => cookie.split('=')[0]), ['shop.sid', 'shop.sid~1']);
    assert.ok(cookies.every((cookie) => cookie.length <= 4097), 'name, = and value');
    answerWith({ headers: { 'set-cookie': 'shop.sid=!; Path=/shop' } });
    const smaller = await world.request('/shop/', { headers: { cookie: cookies.join('; ') } });
    assert.equal(seen[0].headers.cookie, `shop.sid=${value}`);
    assert.match(smaller.setCookies[1], /^shop\.sid~1=; Path=\/shop; HttpOnly; Max-Age=0/);
  });

  test('in a URL are taken out', async () => {
    await world.request('/shop/a;jsessionid=1?PHPSESSID=2&b=3');
    assert.equal(seen[0].url, '/shop/a?b=3');
    assert.deepEqual(await codes(), ['session_id_in_url_removed']);
  });
});

describe('abuse', () => {
  test('a hundred cookies and 32 KB of them never cost a good one', async () => {
    const alive = sessionAt('shop');
    await world.store(alive);
    const good = sealed('shop', alive);
    const bad = (n) => `x${n}=el1.old.${randomBytes(180).toString('base64url')}`;
    const cookie = [...Array.from({ length: 100 }, (_, n) => bad(n)), good].join('; ');
    assert.ok(cookie.length > 24_000);
    const answer = await world.request('/shop/', { headers: { cookie } });
    assert.equal(answer.status, 200);
    assert.equal(seen[0].headers.cookie, 'shop.sid=secret!');
    assert.deepEqual(answer.setCookies, []);
    const filled = `pad=${'x'.repeat(32_000)}; ${good}`;
    await world.request('/shop/', { headers: { cookie: filled } });
    assert.ok(seen[1].headers.cookie.endsWith('; shop.sid=secret!'));
    assert.deepEqual(await world.contents(), world.stored(alive));
  });

  test('cut, spliced and swapped seals are nobody’s, and remove nothing', async () => {
    const [alice, bob] = ['alice', 'bob'].map((sub) =>
      session({ issuer: op.issuer, client: 'shop', sub, sid: sub, login: op.now() - 5 }),
    );
    await world.store(alice, bob);
    const [a, b] = [alice, bob].map((bound) => sealed('shop', bound).slice('shop.sid='.length));
    const half = (text, from) => text.slice(from ? text.length >> 1 : 0, from ? undefined : text.length >> 1);
    for (const value of [
      half(a), `${half(a)}${half(b, true)}`, `${a}${b}`, `${a}.${b}`, `"${a}"`, ` ${a}`.slice(1, -1), a.toUpperCase(),
      `el1~${a.slice(8, 16)}~2~${a}`, `el1~x~999~${a}`, `${a}=`, encodeURIComponent(`${a}%`), 'el1.old.', 'el1..', 'el1.',
    ]) {
      seen = [];
      const answer = await world.request('/shop/', { headers: { cookie: `shop.sid=${value}; t=1` } });
      assert.equal(answer.status, 200, value);
      assert.equal(seen[0].headers.cookie, 't=1', value);
      assert.deepEqual(answer.setCookies, [], value);
    }
    for (const moved of [`wiki.sid=${a}`, `shop.sid2=${a}`]) {
      await world.request('/wiki/', { headers: { cookie: moved } });
      assert.equal(seen.pop().headers.cookie, undefined, moved);
    }
    assert.deepEqual(await world.contents(), world.stored(alice, bob));
  });
});
