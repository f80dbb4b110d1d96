// The gate over the wire: logins, sealed cookies, ended sessions, pages; KV to the letter.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { holds, markOf, seal, session } from './support/format.mjs';
import { MODE, startWorld } from './support/world.mjs';

let world, op, who;
/** What the app was sent, since the last look. */
let seen;
before(async () => {
  world = await startWorld();
  op = world.op;
  who = { issuer: op.issuer, client: 'shop', sub: 'alice', sid: 's1' };
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
  answerWith({});
});

function answerWith({ status = 200, headers = {}, body = 'app' }) {
  seen = [];
  world.app = (req, res) => {
    seen.push(req);
    res.writeHead(status, headers).end(body);
  };
}

const PAGE = { 'sec-fetch-mode': 'navigate', accept: 'text/html' };
const get = (cookies, headers) =>
  world.request('/shop/page', { headers: { ...headers, ...(cookies && { cookie: cookies }) } });
const codes = async () => (await world.takeLogs()).map(({ code }) => code);
const cookieOf = (answer) => answer.setCookies[0].split(';')[0];

/** A cookie that the Worker would have made for this session. */
const sealed = (bound, value = 'secret') =>
  `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', value, bound)}`;

describe('a login', () => {
  const login = async (more) => {
    const token = await op.idToken(more);
    answerWith({
      status: 302,
      headers: {
        location: '/shop',
        'edge-logout-id-token': token,
        'set-cookie': ['shop.sid=secret; Path=/shop; HttpOnly; SameSite=Lax', 'theme=dark'],
      },
    });
    return get();
  };

  test('is registered; the app’s cookie leaves sealed, its announcement not at all', async () => {
    const iat = op.now() - 2;
    const earliest = op.now();
    const answer = await login({ iat });
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, '/shop');
    assert.equal(answer.headers['edge-logout-id-token'], undefined);
    assert.equal(answer.headers['cache-control'], 'private, no-cache');
    const [, value] = answer.setCookies[0].match(
      /^shop\.sid=(el1\.local\.[\w-]+); Path=\/shop; HttpOnly; SameSite=Lax$/,
    );
    assert.equal(answer.setCookies[1], 'theme=dark');
    assert.ok(holds(world.sealKeys, world.shop, 'shop.sid', value, 'secret'));

    const contents = await world.contents();
    const key = Object.keys(contents).find((name) => name.startsWith('session/'));
    const entry = JSON.parse(contents[key].value);
    assert.ok(entry.registered_at >= earliest && entry.registered_at <= op.now());
    const registered = {
      ...session({ ...who, login: iat, registeredAt: entry.registered_at }),
      id: Buffer.from(key.split('/')[2], 'base64url'),
    };
    assert.deepEqual(contents, world.stored(registered));
    assert.deepEqual(await codes(), ['session_began']);

    answerWith({});
    const next = await get(`${cookieOf(answer)}; theme=dark`);
    assert.equal(seen[0].headers.cookie, 'shop.sid=secret; theme=dark');
    assert.deepEqual(next.setCookies, []);
  });

  test('in a token that does not verify reaches nobody', async () => {
    await op.addKey('evil');
    const forged = await op.sign(
      { iss: op.issuer, aud: 'shop', sub: 'admin', sid: 's', iat: op.now(), exp: op.now() + 60 },
      { alg: 'RS256', kid: 'evil' },
    );
    const parts = (await op.idToken()).split('.');
    parts[2] = forged.split('.')[2];
    for (const [token, reason] of [
      [parts.join('.'), 'signature_invalid'],
      [forged, 'key_unknown'],
      [await op.logoutToken({ sub: 'alice', sid: 's1' }), 'not_an_id_token'],
      [await op.idToken({ aud: 'wiki' }), 'aud_mismatch'],
    ]) {
      answerWith({ headers: { 'edge-logout-id-token': token, 'set-cookie': 'shop.sid=secret' } });
      const answer = await get(undefined, PAGE);
      assert.equal(answer.status, 502, reason);
      assert.deepEqual(answer.setCookies, []);
      assert.match(answer.body.toString(), /cannot be shown now/);
      assert.deepEqual(await codes(), [reason, 'announcement_invalid']);
      assert.deepEqual(await world.contents(), {});
    }
  });

  test('after its logout shows “You were signed out” and leads back to the app', async () => {
    const iat = op.now();
    assert.equal((await world.logout(await op.logoutToken({ sid: 's1', iat }))).status, 200);
    answerWith({
      headers: { 'edge-logout-id-token': await op.idToken({ iat }), 'set-cookie': 'shop.sid=secret' },
    });
    const answer = await get(undefined, PAGE);
    assert.equal(answer.status, 409);
    assert.deepEqual(answer.setCookies, []);
    assert.match(answer.body.toString(), /You were signed out/);
    assert.match(answer.body.toString(), /<a class="button" href="\/shop">Continue<\/a>/);
    const left = await world.contents({ pending: false });
    assert.deepEqual(left, world.markOf({ ...who, sub: undefined }, iat));
    const again = { iat: iat + 3, auth_time: iat + 3 };
    assert.equal((await login(again)).status, 302, 'a newer authentication lives');
  });

  test('without a new session cookie is refused, so that no unbound one stays', async () => {
    answerWith({ headers: { 'edge-logout-id-token': await op.idToken() } });
    assert.equal((await get()).status, 502);
    assert.deepEqual(await codes(), ['login_without_new_cookie']);
    assert.deepEqual(await world.contents(), {});
  });

  test('announced by the client’s own request header is none', async () => {
    const token = await op.idToken();
    world.app = (req, res) => {
      seen.push(req);
      const reflected = req.headers['edge-logout-id-token'] ?? req.headers['edge_logout_id_token'];
      res.writeHead(200, { 'set-cookie': 'shop.sid=c', ...(reflected && { 'edge-logout-id-token': reflected }) });
      res.end();
    };
    await get(undefined, { 'Edge-Logout-Id-Token': token, edge_logout_id_token: token });
    assert.ok(!Object.keys(seen[0].headers).some((name) => /^edge.logout/.test(name)));
    assert.deepEqual(await world.contents(), {});
  });
});

describe('a session', () => {
  let alive;
  beforeEach(async () => {
    // Registered long enough ago for a missing entry to mean deletion.
    alive = session({ ...who, login: op.now() - 200, registeredAt: op.now() - 200 });
    await world.store(alive);
  });

  test('lives while nothing has ended it', async () => {
    await get(sealed(alive));
    assert.equal(seen[0].headers.cookie, 'shop.sid=secret');
  });

  test('is ended by the deletion of its entry alone, where KV is all there is', async () => {
    for (const key of Object.keys(world.stored(alive))) {
      if (key.startsWith('session/')) await world.kv.delete(key);
    }
    const answer = await get(sealed(alive));
    if (world.mode === 'ledger') return assert.equal(seen[0].headers.cookie, 'shop.sid=secret');
    assert.equal(seen[0].headers.cookie, undefined);
    assert.deepEqual(await codes(), ['ended_by_deletion']);
    assert.match(answer.setCookies[0], /^shop\.sid=; Path=\/; Max-Age=0/);
  });

  for (const kind of ['sid', 'sub']) {
    test(`is ended by a mark on its ${kind} alone, where KV is all there is`, async () => {
      const target = { ...who, [kind === 'sid' ? 'sub' : 'sid']: undefined };
      const [[key, value]] = Object.entries(markOf(target, op.now()));
      await world.kv.put(key, value);
      await get(sealed(alive));
      if (world.mode === 'ledger') return assert.equal(seen[0].headers.cookie, 'shop.sid=secret');
      assert.equal(seen[0].headers.cookie, undefined);
      assert.deepEqual(await codes(), ['ended_by_mark']);
      assert.deepEqual(await world.contents(), { ...world.stored(alive), [key]: value });
    });
  }

  test('is ended at once by a logout token, and its next request is anonymous and uncached', async () => {
    assert.equal((await world.logout(await op.logoutToken({ sub: 'alice' }))).status, 200);
    answerWith({ headers: { 'cache-control': 'max-age=600', etag: '"1"' } });
    const answer = await get(`${sealed(alive)}; theme=dark`, {
      'if-none-match': '"1"',
      'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT',
      range: 'bytes=0-1',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(seen[0].headers.cookie, 'theme=dark');
    for (const name of ['if-none-match', 'if-modified-since', 'range']) {
      assert.equal(seen[0].headers[name], undefined);
    }
  });

  for (const [name, headers, status] of [
    ['a form on a page', { ...PAGE }, 303],
    ['a fetch', { 'sec-fetch-mode': 'cors' }, 401],
    ['a client without fetch metadata', {}, 401],
  ]) {
    test(`that has ended: an unsafe request by ${name} never reaches the app`, async () => {
      await world.logout(await op.logoutToken({ sid: 's1' }));
      const answer = await world.request('/shop/buy?item=1', {
        method: 'POST',
        headers: { ...headers, cookie: sealed(alive) },
        body: 'confirm=yes',
      });
      assert.equal(answer.status, status);
      assert.equal(seen.length, 0);
      assert.match(answer.setCookies[0], /^shop\.sid=; .*Max-Age=0/);
      assert.equal(answer.headers['cache-control'], 'no-store');
      if (status === 303) assert.equal(answer.headers.location, 'http://app.test/shop/buy?item=1');
    });
  }

  test('is not carried by a seal that was made up, spoilt, moved or of another app', async () => {
    const good = sealed(alive).split('=')[1];
    const spoilt = `${good.slice(0, -4)}${good.slice(-4) === 'AAAA' ? 'BBBB' : 'AAAA'}`;
    const [version, id, body] = good.split('.');
    const otherKeys = JSON.stringify([{ id: 'local', key: Buffer.alloc(32).toString('base64') }]);
    for (const value of [
      'secret',
      spoilt,
      good.slice(0, -8),
      `${version}.other.${body}`,
      `${version}.${id}.x.${body}`,
      `${version}.${id}.`,
      `${version}~abcdefgh~2~${good}`,
      'el1.local.AAAA',
      seal(otherKeys, world.shop, 'shop.sid', 'secret', alive),
      seal(world.sealKeys, world.wiki, 'shop.sid', 'secret', alive),
      seal(world.sealKeys, world.shop, 'wiki.sid', 'secret', alive),
    ]) {
      seen = [];
      const answer = await get(`shop.sid=${value}; theme=dark`);
      assert.equal(answer.status, 200);
      assert.equal(seen[0].headers.cookie, 'theme=dark', value);
      assert.deepEqual(answer.setCookies, [], 'and no good cookie is removed for it');
    }
    assert.deepEqual(await world.contents(), world.stored(alive));
  });

  // Marks are in KV only where KV is all there is.
  const inKvAlone = MODE === 'kv' ? test : () => {};
  inKvAlone('whose mark cannot be read is an outage, and nothing passes', async () => {
    const [key] = Object.keys(markOf(who, 0));
    await world.kv.put(key, 'not a number');
    const answer = await get(sealed(alive), PAGE);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '5');
    assert.deepEqual(answer.setCookies, [], 'cookies are kept');
    assert.equal(seen.length, 0);
    assert.deepEqual(await codes(), ['kv_mark_unreadable']);
  });
});

describe('the Worker’s own paths', () => {
  test('pages have no script and a strict policy', async () => {
    const iat = op.now();
    await world.logout(await op.logoutToken({ sid: 's1', iat }));
    const token = await op.idToken({ iat });
    for (const [status, cookies] of [[409, ['shop.sid=c']], [502, []]]) {
      answerWith({ headers: { 'edge-logout-id-token': token, 'set-cookie': cookies } });
      const answer = await get(undefined, PAGE);
      assert.equal(answer.status, status);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.match(answer.headers['content-type'], /^text\/html/);
      assert.match(answer.headers['content-security-policy'], /^default-src 'none'; style-src 'self';/);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      const html = answer.body.toString();
      assert.doesNotMatch(html, /<script|<style|\sstyle=|\son\w+=/);
      assert.doesNotMatch(html, /[{}]/, 'no placeholder is left');
      const [, sheet] = html.match(/href="(\/\.edge-logout\/style\.css)"/);
      assert.equal((await world.request(sheet)).headers['content-type'], 'text/css; charset=utf-8');
    }
  });

  test('a path that might be an app’s is refused', async () => {
    for (const path of ['/%73hop/', '//shop/', '/x/..%2fshop', '/shop/..;/wiki', '/%2eedge-logout/health']) {
      const answer = await world.request(path);
      assert.equal(answer.status, 400, path);
      assert.equal(answer.headers['cache-control'], 'no-store');
    }
    assert.equal(seen.length, 0);
  });

  test('nothing else is there, on known hosts and unknown', async () => {
    for (const [path, headers] of [
      ['/', {}],
      ['/shopping', {}],
      ['/.edge-logout/', {}],
      ['/.edge-logout/nothing', {}],
      ['/.edge-logout/signed-out.html', {}],
      ['/.edge-logout/../wrangler.toml', {}],
      ['/shop', { host: 'other.test' }],
    ]) {
      const answer = await world.request(path, { headers });
      assert.equal(answer.status, 404, path);
    }
    assert.equal(seen.length, 0);
    assert.equal((await world.request('/.edge-logout/health')).status, 200);
    assert.equal((await world.request('/.edge-logout/health', { method: 'POST' })).status, 405);
  });
});
