// WebSockets through the Worker, between two ends of the `ws` package.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { memoryOf, pidOfWorkerd } from './support/process.mjs';
import { WAYS, assertWay } from './support/ways.mjs';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({ bare: true });
});
after(() => world?.stop());

/** A client's end, not open yet. */
const connect = (way, { path = '/shop/socket', protocols = [], headers, ...options } = {}) => {
  const url = `ws://127.0.0.1:${world.port}${path}`;
  return new WebSocket(url, protocols, {
    ...options,
    headers: { host: 'app.test', ...way.sends, ...headers },
  });
};

/** Both ends of an open WebSocket, and how the app was asked for it and answered. */
async function meet(way, { server: serverOptions, ...options } = {}) {
  const server = new WebSocketServer({ noServer: true, ...serverOptions });
  server.on('headers', (lines) => lines.push(...way.sets.map((line) => `Set-Cookie: ${line}`)));
  const accepted = Promise.withResolvers();
  world.upgrade = (seen, socket, head) =>
    server.handleUpgrade(seen, socket, head, (app) => accepted.resolve({ app, seen }));
  const client = connect(way, options);
  const [[answer]] = await Promise.all([once(client, 'upgrade'), once(client, 'open')]);
  return { client, answer, ...(await accepted.promise) };
}

/** Sends them all, then collects as many: what was sent, and whether as binary. */
async function send(from, to, messages) {
  const got = [];
  const all = new Promise((resolve) => {
    to.on('message', (data, isBinary) => {
      if (got.push(isBinary ? data : data.toString()) === messages.length) resolve();
    });
  });
  for (const message of messages) from.send(message);
  await all;
  to.removeAllListeners('message');
  return got;
}

for (const [name, enter] of Object.entries(WAYS)) {
  describe(`a WebSocket ${name}`, { timeout: 30_000 }, () => {
    let way;
    before(async () => {
      way = await enter(world);
    });

    test('is asked for and accepted as without us', async () => {
      const headers = { origin: 'https://app.test' };
      const { client, seen, answer } = await meet(way, { path: '/shop/socket?a=%20', headers });
      assertWay(way, seen, answer.headers['set-cookie'] ?? []);
      assert.equal(seen.url, '/shop/socket?a=%20');
      assert.equal(seen.headers.origin, 'https://app.test');
      assert.equal(seen.headers['x-forwarded-host'], 'app.test');
      client.terminate();
    });

    test('carries text and binary, empty, short and long, in order, both ways', async () => {
      const { client, app } = await meet(way);
      const messages = ['', 'text', 'é€😀', Buffer.alloc(0), randomBytes(125), randomBytes(126)];
      messages.push(randomBytes(65_536), randomBytes(8 << 20), 'a'.repeat(1 << 20));
      messages.push(...Array.from({ length: 500 }, (_, i) => `${i}`));
      assert.deepEqual(await send(client, app, messages), messages);
      assert.deepEqual(await send(app, client, messages), messages);
      client.terminate();
    });

    test('carries what the app says at once', async () => {
      const server = new WebSocketServer({ noServer: true });
      server.on('headers', (lines) => lines.push(...way.sets.map((line) => `Set-Cookie: ${line}`)));
      world.upgrade = (seen, socket, head) =>
        server.handleUpgrade(seen, socket, head, (app) => {
          app.send('hello');
          app.close(1000, 'that was it');
        });
      const client = connect(way);
      const [[hello], [code, reason]] = await Promise.all([once(client, 'message'), once(client, 'close')]);
      assert.equal(`${hello} ${code} ${reason}`, 'hello 1000 that was it');
    });

    test('takes the subprotocol that the app takes', async () => {
      for (const [choice, chosen] of [
        [() => 'b', 'b'],
        [() => false, ''],
      ]) {
        const { client, app, seen } = await meet(way, {
          protocols: chosen ? ['a', 'b'] : [],
          server: { handleProtocols: choice },
        });
        assert.equal(seen.headers['sec-websocket-protocol'], chosen ? 'a,b' : undefined);
        assert.equal(client.protocol, chosen);
        assert.equal(app.protocol, chosen);
        client.terminate();
      }
    });

    for (const compresses of [true, false]) {
      test(`is compressed only if the app agrees: ${compresses}`, async () => {
        const { client, app } = await meet(way, {
          server: { perMessageDeflate: compresses && { threshold: 0 } },
        });
        assert.equal(client.extensions, compresses ? 'permessage-deflate' : '');
        const messages = ['long '.repeat(10_000), randomBytes(5000)];
        assert.deepEqual(await send(client, app, messages), messages);
        assert.deepEqual(await send(app, client, messages), messages);
        client.terminate();
      });
    }

    for (const end of ['client', 'app']) {
      const other = end === 'app' ? 'client' : 'app';

      for (const [code, reason] of [
        [1000, 'bye'],
        [1001, ''],
        [1008, 'é'],
        [1011, 'broken'],
        [3000, 'r'.repeat(123)],
        [4999, 'own'],
        [],
      ]) {
        test(`is closed by the ${end} with ${code}, and the ${other} hears it`, async () => {
          const ends = await meet(way);
          const closed = [once(ends[other], 'close'), once(ends[end], 'close')];
          ends[end].close(code, reason);
          // 1005 stands for none.
          for (const [heard, why] of await Promise.all(closed))
            assert.equal(`${heard} ${why}`, `${code ?? 1005} ${reason ?? ''}`);
        });
      }

      test(`is broken for the ${other} when the ${end} is gone`, async () => {
        const ends = await meet(way);
        const closed = once(ends[other], 'close');
        ends[end].terminate();
        assert.equal((await closed)[0], 1006);
      });

      test(`carries the pings of the ${end} to the ${other}`, async () => {
        const ends = await meet(way);
        const [ping, pong] = [once(ends[other], 'ping'), once(ends[end], 'pong')];
        ends[end].ping('alive?');
        for (const [data] of await Promise.all([ping, pong])) assert.equal(data.toString(), 'alive?');
        ends.client.terminate();
      });

      test(`holds up the ${end} while the ${other} does not read`, async () => {
        const ends = await meet(way);
        const workerd = pidOfWorkerd();
        const start = memoryOf(workerd);
        ends[other].pause();
        const message = randomBytes(1 << 20);
        let sent = 0;
        for (; sent < 100; sent += 1) {
          const written = new Promise((resolve) => ends[end].send(message, resolve));
          if ((await Promise.race([written, setTimeout(300, 'held up')])) === 'held up') break;
        }
        assert.ok(sent < 100, `the ${end} waits for the ${other}`);
        const grown = memoryOf(workerd) - start;
        assert.ok(grown < 40, `workerd grew by ${grown} MB`);
        ends.client.terminate();
        ends.app.terminate();
      });
    }

    test('is refused as the app refuses it', async () => {
      world.upgrade = (_, socket) => {
        const lines = [
          'HTTP/1.1 401 Unauthorized',
          'WWW-Authenticate: Bearer',
          'Content-Length: 4',
          'Connection: close',
        ];
        lines.push(...way.sets.map((line) => `Set-Cookie: ${line}`));
        socket.end(`${lines.join('\r\n')}\r\n\r\nnope`);
      };
      const client = connect(way);
      const [req, res] = await once(client, 'unexpected-response');
      assert.equal(res.statusCode, 401);
      assert.equal(res.headers['www-authenticate'], 'Bearer');
      assert.equal((res.headers['set-cookie'] ?? []).length, way.sets.length);
      assert.equal((await res.toArray()).join(''), 'nope');
      req.destroy();
    });

    test('is 502 if the app does not answer', async () => {
      world.upgrade = (_, socket) => socket.destroy();
      const [req, res] = await once(connect(way), 'unexpected-response');
      assert.equal(res.statusCode, 502);
      assert.equal((await world.logged('origin_unreachable')).app, 'SHOP');
      req.destroy();
    });
  });
}

test('a WebSocket without a configured origin goes to its own address', async () => {
  const way = { sends: { host: world.originHost }, sets: [] };
  const { client, app, seen } = await meet(way, { path: '/direct/socket' });
  assert.equal(seen.headers.host, world.originHost);
  assert.deepEqual(await send(client, app, ['up']), ['up']);
  assert.deepEqual(await send(app, client, ['down']), ['down']);
  client.terminate();
});
