// The app must not notice the Worker: a real HTTP origin, real sockets, workerd in between.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

describe('an answer', () => {
  test('streams: its first bytes arrive before its last are written', async () => {
    let finish;
    world.app = (_, res) => {
      res.write('first');
      finish = () => res.end('last');
    };
    const req = world.open('/shop/stream');
    req.end();
    const [res] = await once(req, 'response');
    const [chunk] = await once(res, 'data');
    assert.equal(chunk.toString(), 'first');
    finish();
    const [rest] = await once(res, 'data');
    assert.equal(rest.toString(), 'last');
  });

  test('streams even if its cookies are sealed', async () => {
    let finish;
    world.app = (_, res) => {
      res.writeHead(200, { 'set-cookie': 'shop.sid=1' });
      res.write('first');
      finish = () => res.end('last');
    };
    const req = world.open('/shop/stream');
    req.end();
    const [res] = await once(req, 'response');
    assert.match(res.headers['set-cookie'][0], /^shop\.sid=el1\./);
    const [chunk] = await once(res, 'data');
    assert.equal(chunk.toString(), 'first');
    finish();
    assert.equal((await res.toArray()).join(''), 'last');
  });

  for (const status of [200, 201, 204, 206, 301, 302, 303, 304, 307, 400, 404, 418, 500, 503, 599]) {
    test(`keeps its status ${status}, with and without a cookie to seal`, async () => {
      for (const cookies of [[], ['shop.sid=1; Path=/shop']]) {
        world.app = (_, res) => {
          res.writeHead(status, { location: 'https://elsewhere.test/', 'x-app': 'a', 'set-cookie': cookies });
          res.end();
        };
        const answer = await world.request('/shop/x');
        assert.equal(answer.status, status);
        assert.equal(answer.headers.location, 'https://elsewhere.test/', 'redirects are not followed');
        assert.equal(answer.headers['x-app'], 'a');
        assert.equal(answer.setCookies.length, cookies.length);
      }
    });
  }

  test('keeps several cookies, in order and to the letter', async () => {
    const cookies = ['a=1; Path=/; Expires=Wed, 01 Jan 2098 00:00:00 GMT', 'b="x y"; Priority=High', 'a=2'];
    world.app = (_, res) => res.writeHead(200, { 'set-cookie': cookies }).end();
    assert.deepEqual((await world.request('/shop/x')).setCookies, cookies);
  });

  test('compressed by the app arrives byte for byte, with and without a cookie to seal', async () => {
    const body = gzipSync(randomBytes(50_000).toString('hex'));
    for (const cookies of [[], ['shop.sid=1']]) {
      world.app = (_, res) =>
        res.writeHead(200, { 'content-encoding': 'gzip', 'set-cookie': cookies }).end(body);
      const answer = await world.request('/shop/x', { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(answer.headers['content-encoding'], 'gzip');
      assert.ok(answer.body.equals(body));
    }
  });

  test('that never comes is 502', async () => {
    world.app = (_, res) => res.destroy();
    const answer = await world.request('/shop/x', { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 502);
    assert.match(answer.body.toString(), /cannot be shown now/);
    assert.equal((await world.takeLogs()).at(-1).code, 'origin_unreachable');
  });
});

describe('a request', () => {
  test('streams: the app reads its first bytes before its last are sent', async () => {
    const got = [];
    let first;
    const arrived = new Promise((resolve) => (first = resolve));
    world.app = async (req, res) => {
      for await (const chunk of req) {
        got.push(chunk.toString());
        first();
      }
      res.end(got.join(''));
    };
    const req = world.open('/shop/upload', { method: 'POST' });
    req.write('first');
    await arrived;
    assert.deepEqual(got, ['first']);
    req.end('last');
    const [res] = await once(req, 'response');
    assert.equal((await res.toArray()).join(''), 'firstlast');
  });

  test('of 20 MB arrives whole', async () => {
    const body = randomBytes(20 << 20);
    world.app = async (req, res) => {
      const hash = createHash('sha256');
      for await (const chunk of req) hash.update(chunk);
      res.end(hash.digest('hex'));
    };
    const answer = await world.request('/shop/upload', { method: 'PUT', body });
    assert.equal(answer.body.toString(), createHash('sha256').update(body).digest('hex'));
  });

  for (const method of ['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL']) {
    test(`keeps its method ${method}, path and query`, async () => {
      let seen;
      world.app = (req, res) => {
        seen = req;
        res.end();
      };
      await world.request('/shop/a%2Fb;c/~d?q=%20&x=[1]&u=http://x/', { method });
      assert.equal(seen.method, method);
      assert.equal(seen.url, '/shop/a%2Fb;c/~d?q=%20&x=[1]&u=http://x/');
    });
  }

  test('tells the app where it was sent, whatever the client claims', async () => {
    let seen;
    world.app = (req, res) => {
      seen = req.headers;
      res.end();
    };
    await world.request('/shop/x', {
      headers: {
        'x-forwarded-host': 'evil.test',
        'x-forwarded-proto': 'gopher',
        'x-forwarded-port': '1',
        x_forwarded_host: 'evil.test',
        forwarded: 'host=evil.test',
        'x-other': 'kept',
        'if-none-match': '"1"',
      },
    });
    assert.equal(seen['x-forwarded-host'], 'app.test');
    assert.equal(seen['x-forwarded-proto'], 'http');
    assert.equal(seen['x-forwarded-port'], undefined);
    assert.equal(seen['x_forwarded_host'], undefined);
    assert.equal(seen.forwarded, undefined);
    assert.equal(seen['x-other'], 'kept');
    assert.equal(seen['if-none-match'], '"1"');
  });

  test('without a configured origin goes to its own address', async () => {
    let seen;
    world.app = (req, res) => {
      seen = req;
      res.writeHead(302, { location: '/direct/next', 'set-cookie': 'direct.sid=1; Path=/direct' }).end();
    };
    const answer = await world.request('/direct/a?b', {
      method: 'POST',
      headers: { host: world.originHost, 'x-forwarded-host': 'kept.test', cookie: 'direct.sid=raw; a=1' },
      body: 'body',
    });
    assert.equal(answer.status, 302);
    assert.match(answer.setCookies[0], /^direct\.sid=el1\./);
    assert.equal(`${seen.method} ${seen.headers.host}${seen.url}`, `POST ${world.originHost}/direct/a?b`);
    assert.equal(seen.headers['x-forwarded-host'], 'kept.test', 'Cloudflare’s own, in production');
    assert.equal(seen.headers.cookie, 'a=1');
  });

  test('to upgrade becomes a WebSocket that echoes', async () => {
    world.upgrade = (req, socket) => {
      const accept = createHash('sha1')
        .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSet-Cookie: shop.sid=1\r\n\r\n`,
      );
      // One short masked text frame in, the same unmasked out.
      socket.once('data', (frame) => {
        const mask = frame.subarray(2, 6);
        const text = frame.subarray(6).map((byte, at) => byte ^ mask[at % 4]);
        socket.end(Buffer.concat([Buffer.from([0x81, text.length]), text]));
      });
    };
    const req = world.open('/shop/socket', {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
    });
    req.end();
    const [res, socket] = await once(req, 'upgrade');
    assert.match(res.headers['set-cookie'][0], /^shop\.sid=el1\./);
    socket.write(Buffer.from([0x81, 0x82, 1, 2, 3, 4, 'h'.charCodeAt(0) ^ 1, 'i'.charCodeAt(0) ^ 2]));
    const [frame] = await once(socket, 'data');
    assert.equal(frame.subarray(2, 4).toString(), 'hi');
    socket.destroy();
  });
});
