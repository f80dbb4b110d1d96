// Bodies flow through the Worker: at once, never kept, and broken where they break.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { filesOf, memoryOf, pidOfWorkerd } from './support/process.mjs';
import { WAYS, assertWay } from './support/ways.mjs';
import { startWorld } from './support/world.mjs';

let world;
let workerd;
before(async () => {
  world = await startWorld({ bare: true });
  workerd = pidOfWorkerd();
});
after(() => world?.stop());

const MB = 1 << 20;
const SIZE = 100;
const block = randomBytes(MB);
const whole = createHash('sha256')
  .update(Buffer.concat(Array(SIZE).fill(block)))
  .digest('hex');
/** Writes all 100 MB as fast as they are taken; calls `blocked` once they are not, or all are. */
async function pour(stream, blocked) {
  for (let i = 0; i < SIZE; i += 1) {
    if (stream.write(block)) continue;
    const drained = once(stream, 'drain');
    if ((await Promise.race([drained, setTimeout(300, 'late')])) === 'late') blocked(i);
    await drained;
  }
  stream.end();
  blocked(SIZE);
}

/** Carries 100 MB from one end to the other, which does not read before the first is held up. */
async function carry(from, to) {
  const start = memoryOf(workerd);
  const taken = await new Promise((blocked) => pour(from, blocked));
  assert.ok(taken < SIZE, 'the writer waits for the reader');
  const hash = createHash('sha256');
  let peak = memoryOf(workerd);
  let got = 0;
  for await (const chunk of to) {
    hash.update(chunk);
    const mb = Math.floor(got / MB);
    got += chunk.length;
    if (Math.floor(got / MB) > mb) peak = Math.max(peak, memoryOf(workerd));
  }
  assert.equal(hash.digest('hex'), whole);
  assert.ok(peak - start < 40, `workerd grew from ${start} MB to ${peak} MB`);
}

for (const [name, enter] of Object.entries(WAYS)) {
  // A Worker that keeps what it should hand on makes a test hang, not fail.
  describe(`an exchange ${name}`, { timeout: 60_000 }, () => {
    let way;
    before(async () => {
      way = await enter(world);
    });

    /** A request whose head is with the app: both ends of it. */
    const meet = async ({ headers, ...options } = {}) => {
      const asked = Promise.withResolvers();
      world.app = (seen, res) => {
        if (way.sets.length > 0) res.setHeader('set-cookie', way.sets);
        asked.resolve({ seen, res });
      };
      const req = world.open('/shop/stream', { ...options, headers: { ...way.sends, ...headers } });
      req.on('error', () => {}); // those that are broken on purpose
      req.flushHeaders();
      return { req, ...(await asked.promise) };
    };
    const answerTo = async (req) => (await once(req, 'response'))[0];

    test('streams down: events arrive one by one, each before the next is written', async () => {
      const { req, seen, res } = await meet();
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 0\n\n');
      const answer = await answerTo(req);
      assertWay(way, seen, answer.headers['set-cookie'] ?? []);
      for (let i = 0; i < 5; i += 1) {
        const [chunk] = await once(answer, 'data');
        assert.equal(chunk.toString(), `data: ${i}\n\n`);
        if (i < 4) res.write(`data: ${i + 1}\n\n`);
      }
      res.end();
      assert.deepEqual(await answer.toArray(), []);
    });

    test('streams up: the app reads each part before the next is sent', async () => {
      const { req, seen, res } = await meet({ method: 'POST' });
      for (let i = 0; i < 5; i += 1) {
        req.write(`part ${i}`);
        const [chunk] = await once(seen, 'data');
        assert.equal(chunk.toString(), `part ${i}`);
      }
      req.end();
      assert.deepEqual(await seen.toArray(), []);
      res.end('got it');
      const answer = await answerTo(req);
      assertWay(way, seen, answer.headers['set-cookie'] ?? []);
      assert.equal((await answer.toArray()).join(''), 'got it');
    });

    test('is answered before the request has been sent, if the app does so', async () => {
      const { req, res } = await meet({ method: 'POST' });
      res.end('enough');
      assert.equal((await (await answerTo(req)).toArray()).join(''), 'enough');
      req.destroy();
    });

    for (const framing of [{ 'content-length': SIZE * MB }, { 'transfer-encoding': 'chunked' }]) {
      test(`carries 100 MB down in little memory: ${Object.keys(framing)}`, async () => {
        const { req, res } = await meet();
        res.writeHead(200, framing).flushHeaders();
        await carry(res, await answerTo(req));
      });

      test(`carries 100 MB up in little memory: ${Object.keys(framing)}`, async () => {
        const { req, seen, res } = await meet({ method: 'PUT', headers: framing });
        await carry(req, seen);
        res.end();
        assert.equal((await answerTo(req)).statusCode, 200);
      });
    }

    test('breaks for the app where the client leaves a download', async () => {
      const { req, res } = await meet();
      res.write(block);
      const answer = await answerTo(req);
      await once(answer, 'data');
      answer.destroy();
      await once(res, 'close');
      assert.equal(res.writableFinished, false);
    });

    test('breaks for the app where the client does not wait for the answer', async () => {
      const { req, res } = await meet();
      // The mere end of what it sends does not end a connection, for the runtime.
      req.socket.resetAndDestroy();
      await once(res, 'close');
      assert.equal(res.writableFinished, false);
    });

    for (const headers of [{}, { 'content-length': 2 * MB }]) {
      test(`breaks for the app where the client leaves an upload ${Object.keys(headers)}`, async () => {
        const { req, seen } = await meet({ method: 'POST', headers });
        req.write(block);
        await once(seen, 'data');
        req.destroy();
        await assert.rejects(seen.toArray(), { code: 'ECONNRESET' });
        assert.equal(seen.complete, false, 'never taken for the whole');
      });
    }

    for (const headers of [{}, { 'content-length': 10 }]) {
      for (const end of ['destroy', 'resetAndDestroy']) {
        test(`breaks for the client where the app leaves it ${Object.keys(headers)} (${end})`, async () => {
          const { req, res } = await meet();
          res.writeHead(200, headers).write('half');
          const answer = await answerTo(req);
          const [chunk] = await once(answer, 'data');
          assert.equal(chunk.toString(), 'half');
          res.socket[end]();
          await assert.rejects(answer.toArray(), { code: 'ECONNRESET' });
          assert.equal(answer.complete, false, 'never taken for the whole');
        });
      }
    }

    test('leaves nothing open where it was broken, and the Worker serves on', async () => {
      const start = filesOf(workerd);
      for (let i = 0; i < 30; i += 1) {
        const { req, res } = await meet({ method: 'POST' });
        res.write('half');
        await answerTo(req);
        req.destroy();
      }
      for (const end = Date.now() + 5000; filesOf(workerd) > start + 10 && Date.now() < end;)
        await setTimeout(10);
      assert.ok(filesOf(workerd) <= start + 10, `${start} open files became ${filesOf(workerd)}`);
      const { req, res } = await meet();
      res.end('on');
      assert.equal((await (await answerTo(req)).toArray()).join(''), 'on');
    });

    const BREAKS = {
      'closes the connection': (res) => res.socket.end(),
      'resets the connection': (res) => res.socket.resetAndDestroy(),
      'sends half a head': (res) => res.socket.end('HTTP/1.1 200 OK\r\nContent-'),
      'speaks no HTTP': (res) => res.socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
    };
    for (const [what, breaks] of Object.entries(BREAKS)) {
      test(`is 502 if the app ${what} before it answers, and is not tried again`, async () => {
        let asked = 0;
        world.app = (_, res) => {
          asked += 1;
          breaks(res);
        };
        const headers = { ...way.sends, accept: 'text/html' };
        const answer = await world.request('/shop/x', { method: 'POST', headers, body: 'pay' });
        assert.equal(answer.status, 502);
        assert.match(answer.body.toString(), /cannot be shown now/);
        assert.equal((await world.logged('origin_unreachable')).app, 'SHOP');
        assert.equal(asked, 1);
      });
    }
  });
}

test('a slow app is waited for, whichever way', async () => {
  const ways = await Promise.all(Object.values(WAYS).map((enter) => enter(world)));
  world.app = (req, res) => {
    const { sets } = ways[Number(req.url.at(-1))];
    setTimeout(3000).then(() => res.writeHead(200, { 'set-cookie': sets }).end('late'));
  };
  const answers = ways.map(({ sends }, i) => world.request(`/shop/${i}`, { headers: sends }));
  for (const { status, body } of await Promise.all(answers)) assert.equal(`${status} ${body}`, '200 late');
});
