// Whoever sends a request and hangs up: tokens are performed all the same, and nothing is left of the rest.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { seal, session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

// Requests are collected when the test says so.
process.env.MINIFLARE_WORKERD_V8_FLAGS = '--expose-gc';

/** Opens a connection, sends `text`, and breaks it off as soon as `arrived` says that the Worker is at work. */
const sendAndLeave = (world, text, arrived) =>
  new Promise((resolve, reject) => {
    const socket = connect(world.port, '127.0.0.1');
    const leaving = setInterval(() => arrived() && socket.resetAndDestroy(), 2);
    socket.on('error', reject);
    socket.on('close', () => {
      clearInterval(leaving);
      resolve();
    });
    socket.write(text);
  });

test('a token whose OP does not wait for the answer ends its session', async () => {
  const world = await startWorld({ bare: true });
  try {
    const { op } = world;
    await world.store(session({ issuer: op.issuer, client: 'shop', sub: 'alice', sid: 's1', login: op.now() - 5 }));
    // The Worker knows no keys yet: it has the token when it asks for them, and they come when the OP has left.
    let asked;
    op.answer = (req, res) => (asked = [req, res]);
    const body = `logout_token=${await op.logoutToken({ sid: 's1' })}`;
    const head = ['POST /shop/bclogout HTTP/1.1', 'host: app.test', 'content-type: application/x-www-form-urlencoded'];
    const text = `${head.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    await sendAndLeave(world, text, () => asked);
    op.answer = undefined;
    const [req, res] = asked;
    res.end(op.document(req.url));
    await world.logged('logout_done');
    assert.deepEqual(await world.contents({ pending: false }), {});
  } finally {
    await world.stop();
  }
});

/** How many requests the Worker still holds, when it has had time to let go of them. */
async function leftAt(world, isOver) {
  let left;
  for (const end = Date.now() + 20_000; (left !== 0 || !isOver()) && Date.now() < end; ) {
    left = Number((await world.request('/left')).body);
  }
  return left;
}

for (const [whose, cookie] of [['that go on without the module', ''], ['that the module waits for', 'cookie: theme=dark\r\n']]) {
  test(`nothing is left of requests ${whose}, when their clients have left`, async () => {
    const world = await startWorld({ bare: true, entry: 'leaving.js' });
    try {
      let [atApp, gone] = [0, 0];
      // An app that never answers.
      world.app = (req) => {
        atApp++;
        req.socket.on('close', () => gone++);
      };
      const text = `GET /shop/hangs HTTP/1.1\r\nhost: app.test\r\nx-watched: yes\r\n${cookie}\r\n`;
      for (let number = 0; number < 50; number++) await sendAndLeave(world, text, () => atApp > number);
      const left = await leftAt(world, () => gone === atApp);
      assert.deepEqual([atApp, gone, left], [50, 50, 0]);
    } finally {
      await world.stop();
    }
  });
}

test('nor of one whose client leaves while the session that it has left is deleted', async () => {
  const world = await startWorld({ bare: true, entry: 'leaving.js', mode: 'kv' });
  try {
    const { op } = world;
    const alive = session({ issuer: op.issuer, client: 'shop', sub: 'alice', sid: 's1', login: op.now() - 5 });
    await world.store(alive);
    const cookie = `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', 'c', alive)}`;
    let deleting = 0;
    world.app = (req, res) => {
      if (req.url === '/deleting') deleting++;
      else res.writeHead(200, { 'set-cookie': 'shop.sid=; Path=/; Max-Age=0' }).end();
    };
    const text = `GET /shop/ HTTP/1.1\r\nhost: app.test\r\nx-watched: deletes\r\ncookie: ${cookie}\r\n\r\n`;
    for (let number = 0; number < 20; number++) await sendAndLeave(world, text, () => deleting > number);
    assert.deepEqual([deleting, await leftAt(world, () => true)], [20, 0]);
  } finally {
    await world.stop();
  }
});
