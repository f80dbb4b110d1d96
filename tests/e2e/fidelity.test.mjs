// The app must not notice the Worker: a real HTTP origin, real sockets, workerd in between.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import * as zlib from 'node:zlib';
import { WAYS, assertWay } from './support/ways.mjs';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({ bare: true });
});
after(() => world?.stop());

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

const text = Buffer.from(randomBytes(20_000).toString('hex'));
/** Bodies by `Content-Encoding`; nobody but the browser may look into them. */
const ENCODED = {
  gzip: zlib.gzipSync(text),
  br: zlib.brotliCompressSync(text),
  zstd: zlib.zstdCompressSync(text),
  deflate: zlib.deflateSync(text),
  'gzip, br': zlib.brotliCompressSync(zlib.gzipSync(text)),
  GZIP: Buffer.from('not even gzip'),
};

/** As long as Cloudflare lets through: 128 KB of headers, a URL of 16 KB. */
const MANY = Object.fromEntries(
  Array.from({ length: 500 }, (_, i) => [`x-many-${i}`, `${i} ${'v'.repeat(200)}`]),
);
const LONG = `/shop/x?${'long'.repeat(4000)}`;

for (const [name, enter] of Object.entries(WAYS)) {
  describe(`an exchange ${name}`, { timeout: 30_000 }, () => {
    let way;
    before(async () => {
      way = await enter(world);
    });

    /** One exchange: what the app sees, and what the client gets. */
    const exchange = async (answer, { path = '/shop/x', headers, ...options } = {}) => {
      const seen = [];
      world.app = async (req, res) => {
        if (way.sets.length > 0) res.setHeader('set-cookie', way.sets);
        seen.push(req);
        req.bytes = Buffer.concat(await req.toArray());
        answer(res, req);
      };
      const got = await world.request(path, { ...options, headers: { ...way.sends, ...headers } });
      assert.equal(seen.length, 1, 'asked once');
      assertWay(way, seen[0], got.setCookies);
      return { seen: seen[0], got };
    };

    for (const status of [
      200, 201, 202, 203, 204, 205, 206, 226, 300, 304, 400, 401, 402, 403, 404, 409, 410, 412, 416, 418, 429,
      451, 500, 502, 503, 511, 599,
    ]) {
      test(`keeps the status ${status}, its reason and headers`, async () => {
        const { got } = await exchange((res) => {
          const headers = { 'x-app': 'a', 'retry-after': '7', 'www-authenticate': 'Basic' };
          res.writeHead(status, 'As The App Says', headers).end();
        });
        assert.equal(`${got.status} ${got.statusText}`, `${status} As The App Says`);
        assert.equal(got.headers['x-app'], 'a');
        assert.equal(got.headers['retry-after'], '7');
        assert.equal(got.headers['www-authenticate'], 'Basic');
        assert.equal(got.body.length, 0);
      });
    }

    for (const status of [600, 999]) {
      test(`has a status ${status} as it is, or 502 where the runtime cannot make it`, async () => {
        world.app = (_, res) => res.writeHead(status, { 'set-cookie': way.sets }).end('odd');
        const got = await world.request('/shop/x', { headers: way.sends });
        if (way.sets.length === 0) {
          assert.equal(`${got.status} ${got.body}`, `${status} odd`);
        } else {
          assert.equal(got.status, 502);
          assert.deepEqual(got.setCookies, [], 'the app’s own cookie least of all');
          assert.equal((await world.logged('answer_not_rebuildable')).app, 'SHOP');
        }
      });
    }

    for (const status of [301, 302, 303, 307, 308]) {
      test(`leaves the redirect ${status} to the browser`, async () => {
        for (const location of [
          `http://${world.originHost}/shop/next`,
          '../next?a#b',
          'https://elsewhere.test/%7e',
        ]) {
          const { seen, got } = await exchange((res) => res.writeHead(status, { location }).end('moved'), {
            method: 'POST',
            body: 'form',
          });
          assert.equal(seen.method, 'POST');
          assert.equal(`${got.status} ${got.headers.location} ${got.body}`, `${status} ${location} moved`);
        }
      });
    }

    // What the runtime knows; it answers others with 501 itself.
    const METHODS =
      'GET POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH PURGE QUERY';
    for (const method of METHODS.split(' ')) {
      test(`keeps the method ${method}, with and without a body`, async () => {
        for (const body of [undefined, 'a body']) {
          const { seen, got } = await exchange((res, req) => res.end(`got ${req.bytes}`), {
            method,
            body,
            headers: body && { 'content-length': '6' },
          });
          assert.equal(seen.method, method);
          assert.equal(got.body.toString(), `got ${body ?? ''}`);
          if (body) assert.equal(seen.headers['content-length'], '6');
          assert.equal(seen.headers['transfer-encoding'], undefined);
        }
      });
    }

    test('keeps HEAD, and the length of what is not sent', async () => {
      const { seen, got } = await exchange(
        (res) =>
          res.writeHead(200, { 'content-length': '12345', 'content-encoding': 'gzip', etag: '"1"' }).end(),
        { method: 'HEAD' },
      );
      assert.equal(seen.method, 'HEAD');
      assert.equal(got.headers['content-length'], '12345');
      assert.equal(got.headers['content-encoding'], 'gzip');
      assert.equal(got.headers.etag, '"1"');
    });

    test('keeps how both bodies are framed', async () => {
      for (const framing of [{ 'content-length': '4' }, { 'transfer-encoding': 'chunked' }]) {
        const { seen, got } = await exchange((res) => res.writeHead(200, framing).end('body'), {
          method: 'POST',
          headers: framing,
          body: 'body',
        });
        for (const { headers } of [seen, got]) {
          for (const header of ['content-length', 'transfer-encoding'])
            assert.equal(headers[header], framing[header]);
        }
        assert.equal(`${seen.bytes} ${got.body}`, 'body body');
      }
    });

    for (const [coding, body] of Object.entries(ENCODED)) {
      test(`hands on ${coding} byte for byte, both ways`, async () => {
        const headers = { 'content-encoding': coding, 'content-type': 'text/plain' };
        const { seen, got } = await exchange((res) => res.writeHead(200, headers).end(body), {
          method: 'POST',
          headers,
          body,
        });
        assert.equal(seen.headers['content-encoding'], coding);
        assert.equal(digest(seen.bytes), digest(body));
        assert.equal(got.headers['content-encoding'], coding);
        assert.equal(digest(got.body), digest(body));
      });
    }

    // In production Cloudflare itself says what it takes.
    for (const coding of [undefined, 'zstd, deflate;q=0.5', 'identity']) {
      test(`asks for the encoding ${coding}, as the client does`, async () => {
        const { seen } = await exchange((res) => res.end(), {
          headers: coding && { 'accept-encoding': coding },
        });
        assert.equal(seen.headers['accept-encoding'], coding);
      });
    }

    const CONDITIONS = {
      206: [
        { range: 'bytes=1-2', 'if-range': '"1"' },
        { 'content-range': 'bytes 1-2/5', 'content-length': '2', etag: '"1"' },
        'bc',
      ],
      304: [
        { 'if-none-match': 'W/"1", "2"', 'if-modified-since': 'Sun, 22 Nov 2026 00:00:00 GMT' },
        { etag: '"2"', 'cache-control': 'private, max-age=9' },
        '',
      ],
      412: [
        { 'if-match': '"0"', 'if-unmodified-since': 'Sun, 22 Nov 2026 00:00:00 GMT' },
        { etag: '"1"' },
        'changed',
      ],
      416: [{ range: 'bytes=9-' }, { 'content-range': 'bytes */5' }, ''],
    };
    for (const [status, [conditions, headers, body]] of Object.entries(CONDITIONS)) {
      test(`keeps the conditions that ${status} answers`, async () => {
        const { seen, got } = await exchange((res) => res.writeHead(status, headers).end(body), {
          headers: conditions,
        });
        for (const [header, value] of Object.entries(conditions)) assert.equal(seen.headers[header], value);
        assert.equal(got.status, Number(status));
        for (const [header, value] of Object.entries(headers)) assert.equal(got.headers[header], value);
        assert.equal(got.body.toString(), body);
      });
    }

    test('keeps header values that are not ASCII, empty, or several', async () => {
      const headers = {
        'x-latin': 'caf\xe9 \xff',
        'x-utf-8': Buffer.from('é€').toString('latin1'),
        'x-empty': '',
        'x-two': ['1', '2'],
        vary: ['A', 'B'],
      };
      const { seen, got } = await exchange((res) => res.writeHead(200, headers).end(), { headers });
      for (const side of [seen, got]) {
        for (const [header, value] of Object.entries(headers))
          assert.equal(side.headers[header], [value].flat().join(', '));
      }
    });

    test('keeps 100 KB of headers', async () => {
      const { seen, got } = await exchange((res) => res.writeHead(200, MANY).end(), { headers: MANY });
      for (const side of [seen, got]) {
        for (const [header, value] of Object.entries(MANY)) assert.equal(side.headers[header], value);
      }
    });

    for (const path of [
      '/shop',
      '/shop?',
      '/shop//a//',
      '/shop/a%2Fb;c/~d',
      '/shop/a/%2e%2e%2fx/%zz/%E9',
      "/shop/a'b|c!$()*,:@[]",
      '/shop/x?q=%20&x=[1]&u=http://x/',
      '/shop/x?x=%zz&y=%E9&+=a+b&&=&z={}|^`\\!$()*,;:@~',
      LONG,
    ]) {
      test(`keeps the address ${path.slice(0, 60)}`, async () => {
        const { seen } = await exchange((res) => res.end(), { path });
        assert.equal(seen.url, path);
      });
    }

    test('may be told to continue, and have early hints', async () => {
      world.app = async (req, res) => {
        res.writeProcessing();
        res.writeEarlyHints({ link: '</a.css>; rel=preload' });
        const [body] = await req.toArray();
        res.writeHead(200, { 'set-cookie': way.sets }).end(body);
      };
      const headers = { ...way.sends, expect: '100-continue', 'content-length': '4' };
      const req = world.open('/shop/x', { method: 'POST', headers });
      // The runtime itself says so; it keeps 102 and 103 of the app to itself.
      await once(req, 'continue');
      req.end('body');
      const [res] = await once(req, 'response');
      assert.equal(`${res.statusCode} ${await res.toArray()}`, '200 body');
    });

    test('loses its trailers, as the runtime has none', async () => {
      world.app = async (req, res) => {
        const body = await req.toArray();
        res.writeHead(200, { trailer: 'x-sum', 'set-cookie': way.sets });
        res.write(`${body} ${JSON.stringify(req.trailers)}`);
        res.addTrailers({ 'x-sum': '1' });
        res.end();
      };
      const req = world.open('/shop/x', {
        method: 'POST',
        headers: { ...way.sends, te: 'trailers', trailer: 'x-sum' },
      });
      req.write('body');
      req.addTrailers({ 'x-sum': '1' });
      req.end();
      const [res] = await once(req, 'response');
      assert.equal((await res.toArray()).join(''), 'body {}');
      assert.deepEqual(res.trailers, {});
    });
  });
}
