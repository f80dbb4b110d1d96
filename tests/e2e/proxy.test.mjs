// What the Worker changes on the way to an app and back, and what it leaves beside that.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WAYS } from './support/ways.mjs';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({ bare: true });
});
after(() => world?.stop());

describe('an answer', () => {
  test('keeps several cookies, in order and to the letter', async () => {
    const cookies = [
      'a=1; Path=/; Expires=Wed, 01 Jan 2098 00:00:00 GMT',
      'b="x y"; Priority=High',
      'a=2',
      'é=café',
    ];
    const utf8 = cookies.map((line) => Buffer.from(line).toString('latin1'));
    for (const [sets, sealed] of [
      [utf8, false],
      [utf8.toSpliced(1, 0, 'shop.sid=1'), true],
    ]) {
      world.app = (_, res) => res.writeHead(200, { 'set-cookie': sets }).end();
      const { setCookies } = await world.request('/shop/x');
      if (sealed) assert.match(setCookies.splice(1, 1)[0], /^shop\.sid=el1\./);
      assert.deepEqual(setCookies, utf8);
    }
  });

  test('keeps cookies in other encodings than UTF-8 only where nothing is sealed', async () => {
    // The runtime reads headers as UTF-8: what is none cannot be read, nor written again.
    for (const [sets, expected] of [
      [['a=caf\xe9'], 'a=caf\xe9'],
      [['a=caf\xe9', 'shop.sid=1'], 'a=caf\xef\xbf\xbd'],
    ]) {
      world.app = (_, res) => res.writeHead(200, { 'set-cookie': sets }).end();
      assert.equal((await world.request('/shop/x')).setCookies[0], expected);
    }
  });
});

describe('a request', () => {
  test('has the headers that only we may set from us alone, however the client spells its own', async () => {
    let seen;
    world.app = (req, res) => {
      seen = req.headers;
      res.end();
    };
    await world.request('/shop/x', {
      headers: {
        'X-Forwarded-Host': ['evil.test', 'evil.test'],
        x_forwarded_host: 'evil.test',
        'X_FORWARDED-host': 'evil.test',
        'X-FORWARDED-PROTO': 'evil',
        'x-forwarded_proto': 'evil',
        'x-forwarded-for': ['evil', 'evil'],
        'X-Forwarded-For_': 'evil',
        'x.forwarded.host': 'evil.test',
        'x~forwarded!proto': 'evil',
        'x-forwarded-port': 'evil',
        'x-forwarded-prefix': 'evil',
        'x-forwarded-user': 'evil',
        Forwarded: ['host=evil', 'host=evil'],
        'Edge-Logout-Id-Token': ['evil', 'evil'],
        EDGE_LOGOUT_ID_TOKEN: 'evil',
        'edge-logout_other': 'evil',
        'edge.logout~key': 'evil',
        'EDGE!LOGOUT|': 'evil',
        'cf-connecting-ip': '203.0.113.7',
        'x-other': 'kept',
        x_other: 'kept',
      },
    });
    const { host, connection, ...rest } = seen;
    assert.deepEqual(rest, {
      'cf-connecting-ip': '203.0.113.7',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'app.test',
      'x-forwarded-proto': 'http',
      'x-other': 'kept',
      x_other: 'kept',
    });
    assert.equal(host, world.originHost);
  });

  const cookiesSeen = async (cookie) => {
    let seen;
    world.app = (req, res) => {
      seen = req.headers.cookie;
      res.end();
    };
    await world.request('/shop/x', { headers: { cookie } });
    return seen;
  };

  test('keeps its other cookies, to the letter where none is opened or dropped', async () => {
    const others = 'a=1;b="x y"; c = 3; noname; e=; a=2; \xc3\xa9=caf\xc3\xa9';
    assert.equal(await cookiesSeen(others), others);
    const { sends } = await WAYS['of a live session'](world);
    const beside = 'a=1; b="x y"; e=; a=2; \xc3\xa9=caf\xc3\xa9';
    assert.equal(await cookiesSeen(`${beside}; ${sends.cookie}`), `${beside}; shop.sid=secret`);
    assert.equal(await cookiesSeen(`${beside}; shop.sid=raw`), beside);
  });

  test('never has a session cookie made of anything but a seal', async () => {
    const { sends } = await WAYS['of a live session'](world);
    for (const smuggled of ['=shop.sid=raw', '==shop.sid=raw', 'a=b\tshop.sid=raw', 'a=b shop.sid=raw', 'shop%2esid=raw', '"shop.sid"=raw']) {
      for (const other of ['theme=dark', 'shop.sid=raw', sends.cookie]) {
        assert.doesNotMatch((await cookiesSeen(`${smuggled}; ${other}`)) ?? '', /sid=raw/);
      }
    }
  });

  // What is sent to an `origin` is a URL of the standard, which escapes more than HTTP asks for.
  for (const [path, expected] of [
    ['/shop/a/./b/../c', '/shop/a/c'],
    ['/shop/"{a}^', '/shop/%22%7Ba%7D%5E'],
    ["/shop/x?a='b'", '/shop/x?a=%27b%27'],
  ]) {
    test(`for ${path} asks the app for ${expected}`, async () => {
      let seen;
      world.app = (req, res) => {
        seen = req.url;
        res.end();
      };
      await world.request(path);
      assert.equal(seen, expected);
    });
  }

  // workerd leaves these in request.url: judged as they stand they would be the shop's, but they
  // would be sent to the wiki's place.
  for (const path of ['/shop/%2e%2e/wiki/x', '/shop/\\..\\..\\wiki\\x', '/shop/.%2E/elsewhere']) {
    test(`for ${path} goes nowhere`, async () => {
      world.app = () => assert.fail('asked');
      assert.equal((await world.request(path, { headers: { cookie: 'wiki.sid=raw' } })).status, 400);
    });
  }

  test('without a configured origin goes to its own address', async () => {
    let seen;
    world.app = (req, res) => {
      seen = req;
      res.writeHead(302, { location: '/direct/next', 'set-cookie': 'direct.sid=1; Path=/direct' }).end();
    };
    const answer = await world.request('/direct/a?b', {
      method: 'POST',
      headers: {
        host: world.originHost,
        'x-forwarded-host': 'kept.test',
        edge_logout_x: 'evil',
        cookie: 'direct.sid=raw; a=1',
      },
      body: 'body',
    });
    assert.equal(answer.status, 302);
    assert.match(answer.setCookies[0], /^direct\.sid=el1\./);
    assert.equal(`${seen.method} ${seen.headers.host}${seen.url}`, `POST ${world.originHost}/direct/a?b`);
    assert.equal(seen.headers['x-forwarded-host'], 'kept.test', 'Cloudflare’s own, in production');
    assert.equal(seen.headers.edge_logout_x, undefined);
    assert.equal(seen.headers.cookie, 'a=1');
  });

  test('of a method that the runtime does not know never comes so far: it says 501 itself', async () => {
    world.app = () => assert.fail();
    assert.equal((await world.request('/shop/x', { method: 'BREW' })).status, 501);
  });
});
