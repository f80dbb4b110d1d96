// OPs that hang up as soon as they have sent a token: it is performed all the same.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

const LOGOUTS = 20;
let world, op;
before(async () => {
  world = await startWorld({ bare: true });
  op = world.op;
  await world.logout(await op.logoutToken({ sid: 'nobody' }));
});
after(() => world?.stop());

/** Sends a token over a connection of its own, and closes that at once. */
const sendAndLeave = (token) =>
  new Promise((resolve, reject) => {
    const body = `logout_token=${token}`;
    const head = ['POST /shop/bclogout HTTP/1.1', 'host: app.test', 'content-type: application/x-www-form-urlencoded'];
    const socket = connect(world.port, '127.0.0.1');
    socket.on('error', reject);
    socket.on('close', resolve);
    socket.write(`${head.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`, () => socket.resetAndDestroy());
  });

test('a token whose OP does not wait for the answer ends its session', async () => {
  const sids = Array.from({ length: LOGOUTS }, (_, number) => `s${number}`);
  await world.store(...sids.map((sid) => session({ issuer: op.issuer, client: 'shop', sub: sid, sid, login: op.now() - 5 })));
  await world.takeLogs();
  for (const sid of sids) await sendAndLeave(await op.logoutToken({ sid }));
  for (let done = 0; done < LOGOUTS; done++) await world.logged('logout_done');
  assert.deepEqual(await world.contents({ pending: false }), {});
});

test('nothing is left of requests whose clients have left', async () => {
  const world = await startWorld({ bare: true, entry: 'leaving.js' });
  try {
    let [atApp, gone] = [0, 0];
    // An app that never answers.
    world.app = (req) => {
      atApp++;
      req.socket.on('close', () => gone++);
    };
    const leave = () =>
      new Promise((resolve, reject) => {
        const socket = connect(world.port, '127.0.0.1');
        socket.on('error', reject);
        socket.on('close', resolve);
        socket.write('GET /shop/hangs HTTP/1.1\r\nhost: app.test\r\nx-watched: yes\r\n\r\n');
        const before = atApp;
        const poll = setInterval(() => {
          if (atApp === before) return;
          clearInterval(poll);
          socket.resetAndDestroy();
        }, 5);
      });
    for (let number = 0; number < 50; number++) await leave();
    let left;
    for (const end = Date.now() + 20_000; left !== 0 && Date.now() < end; ) {
      left = Number((await world.request('/left')).body);
    }
    assert.deepEqual([atApp, gone, left], [50, 50, 0]);
  } finally {
    await world.stop();
  }
});
