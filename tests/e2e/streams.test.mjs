// Bodies flow through the Worker: at once, never kept, and broken where they break.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { WAYS, assertWay } from './support/ways.mjs';
import { startWorld } from './support/world.mjs';

let world;
let workerd;
before(async () => {
  world = await startWorld({ bare: true });
  workerd = childNamed('workerd');
});
after(() => world?.stop());

/** The process id of our child of that name. */
function childNamed(name) {
  const isIt = (pid) => {
    try {
      // pid (name) state parent …
      const [, comm, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1').match(/\((.*)\) \S (\d+)/s);
      return comm === name && Number(parent) === process.pid;
    } catch {
      return false; // it has ended
    }
  };
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).find(isIt);
}

const MB = 1 << 20;
const SIZE = 100;
const block = randomBytes(MB);
const whole = () => {
  const hash = createHash('sha256');
  for (let i = 0; i < SIZE; i += 1) hash.update(block);
  return hash.digest('hex');
};
/** workerd's resident memory, in MB. */
const memory = () => Number(readFileSync(`/proc/${workerd}/status`, 'latin1').match(/VmRSS:\s+(\d+) kB/)[1]) / 1024;

/** Writes all 100 MB, as fast as it is taken; `onBlocked` whenever it is not taken for a while. */
async function pour(stream, onBlocked) {
  for (let i = 0; i < SIZE; i += 1) {
    if (stream.write(block)) continue;
    const timer = setTimeout(onBlocked, 300);
    await once(stream, 'drain');
    clearTimeout(timer);
  }
  stream.end();
}

/** Reads to the end: the digest, and the most memory that workerd had meanwhile. */
async function drink(stream) {
  const hash = createHash('sha256');
  let peak = memory();
  let got = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    if (Math.floor(got / MB) < Math.floor((got += chunk.length) / MB)) peak = Math.max(peak, memory());
  }
  return { digest: hash.digest('hex'), peak };
}

for (const [name, enter] of Object.entries(WAYS)) {
  describe(`an exchange ${name}`, () => {
    let way;
    before(async () => {
      way = await enter(world);
    });

    /** Opens a request; `answer` is what the app does with it. */
    const open = (answer, { path = '/shop/stream', headers, ...options } = {}) => {
      world.app = (req, res) => {
        if (way.sets.length > 0) res.setHeader('set-cookie', way.sets);
        return answer(req, res);
      };
      return world.open(path, { ...options, headers: { ...way.sends, ...headers } });
    };
    /** The answer's head. */
    const headOf = async (req) => (await once(req, 'response'))[0];

    test('streams down: events arrive one by one, each before the next is written', async () => {
      let app;
      const req = open((seen, res) => {
        app = { seen, res };
        res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
        res.write('data: 0\n\n');
      });
      req.end();
      const res = await headOf(req);
      assertWay(way, app.seen, res.headers['set-cookie'] ?? []);
      for (let i = 0; i < 5; i += 1) {
        const [chunk] = await once(res, 'data');
        assert.equal(chunk.toString(), `data: ${i}\n\n`);
        if (i < 4) app.res.write(`data: ${i + 1}\n\n`);
      }
      app.res.end();
      assert.deepEqual(await res.toArray(), []);
    });

    test('streams up: the app reads each part before the next is sent', async () => {
      let app;
      const asked = new Promise((resolve) => {
        const req = open((seen, res) => resolve((app = { req, seen, res })), { method: 'POST' });
        req.write('part 0');
      });
      const { req, seen, res } = await asked;
      for (let i = 0; i < 5; i += 1) {
        const [chunk] = await once(seen, 'data');
        assert.equal(chunk.toString(), `part ${i}`);
        if (i < 4) req.write(`part ${i + 1}`);
      }
      req.end();
      assert.deepEqual(await seen.toArray(), []);
      res.end('got it');
      const answer = await headOf(req);
      assertWay(way, app.seen, answer.headers['set-cookie'] ?? []);
      assert.equal((await answer.toArray()).join(''), 'got it');
    });

    test('may be answered before the request has been sent', async () => {
      const req = open((seen, res) => seen.once('data', () => res.end('enough')), { method: 'POST' });
      req.write('part');
      const res = await headOf(req);
      assert.equal((await res.toArray()).join(''), 'enough');
      req.on('error', () => {}).destroy();
    });

    for (const framing of [{ 'content-length': SIZE * MB }, { 'transfer-encoding': 'chunked' }]) {
      const framed = Object.keys(framing)[0];

      test(`carries 100 MB down in no memory (${framed}), however slowly they are read`, async () => {
        const blocked = Promise.withResolvers();
        let poured = false;
        const before = memory();
        const req = open((_, res) => {
          res.writeHead(200, framing);
          pour(res, blocked.resolve).then(() => (poured = true));
        });
        req.end();
        const res = await headOf(req);
        await blocked.promise;
        assert.equal(poured, false, 'the app waits for the client');
        const { digest, peak } = await drink(res);
        assert.equal(digest, whole());
        assert.ok(peak - before < 40, `${before} MB grew to ${peak} MB`);
      });

      test(`carries 100 MB up in no memory (${framed}), however slowly they are read`, async () => {
        const blocked = Promise.withResolvers();
        let poured = false;
        const before = memory();
        const req = open(async (seen, res) => {
          await blocked.promise;
          assert.equal(poured, false, 'the client waits for the app');
          const { digest, peak } = await drink(seen);
          res.end(JSON.stringify({ digest, peak }));
        }, { method: 'PUT', headers: framing });
        pour(req, blocked.resolve).then(() => (poured = true));
        const { digest, peak } = JSON.parse((await (await headOf(req)).toArray()).join(''));
        assert.equal(digest, whole());
        assert.ok(peak - before < 40, `${before} MB grew to ${peak} MB`);
      });
    }

    test('breaks for the app when the client goes in the middle of a download', async () => {
      const gone = Promise.withResolvers();
      const req = open((_, res) => {
        res.on('close', () => gone.resolve(res.writableFinished));
        res.write(block);
      });
      req.end();
      const res = await headOf(req);
      await once(res, 'data');
      res.destroy();
      assert.equal(await gone.promise, false);
    });

    test('breaks for the app when the client goes before there is an answer', async () => {
      const gone = Promise.withResolvers();
      const asked = Promise.withResolvers();
      const req = open((_, res) => {
        res.on('close', () => gone.resolve(res.writableFinished));
        asked.resolve();
      });
      req.on('error', () => {}).end();
      await asked.promise;
      req.destroy();
      assert.equal(await gone.promise, false);
    });

    for (const headers of [{}, { 'content-length': 2 * MB }]) {
      test(`breaks for the app when the client goes in the middle of an upload ${Object.keys(headers)}`, async () => {
        const gone = Promise.withResolvers();
        const asked = Promise.withResolvers();
        const req = open((seen) => {
          seen.on('error', () => {}).on('close', () => gone.resolve(seen.complete));
          seen.once('data', asked.resolve).resume();
        }, { method: 'POST', headers });
        req.on('error', () => {}).write(block);
        await asked.promise;
        req.destroy();
        assert.equal(await gone.promise, false, 'the app never takes it for the whole');
      });
    }

    for (const headers of [{}, { 'content-length': 10 }]) {
      for (const end of ['destroy', 'resetAndDestroy']) {
        test(`breaks for the client where the app breaks it ${Object.keys(headers)} (${end})`, async () => {
          let socket;
          const req = open((_, res) => {
            socket = res.socket;
            res.writeHead(200, headers).write('half');
          });
          req.end();
          const res = await headOf(req);
          const [chunk] = await once(res, 'data');
          assert.equal(chunk.toString(), 'half');
          socket[end]();
          await assert.rejects(res.toArray(), { code: 'ECONNRESET' });
          assert.equal(res.complete, false);
        });
      }
    }

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

    test('waits for a slow app', async () => {
      const req = open((_, res) => setTimeout(() => res.end('late'), 3000));
      req.end();
      const res = await headOf(req);
      assert.equal(res.statusCode, 200);
      assert.equal((await res.toArray()).join(''), 'late');
    });
  });
}
