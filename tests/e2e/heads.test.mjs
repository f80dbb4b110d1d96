// Heads go into the module line by line: nothing that a client sends in a header may look like a line.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({ bare: true });
});
after(() => world?.stop());

/** Sends a request with these header lines, as they are; gives the status. */
const send = (...lines) =>
  new Promise((resolve, reject) => {
    const socket = connect(world.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => (answer += data));
    socket.on('error', reject);
    socket.on('close', () => resolve(Number(answer.split(' ')[1])));
    socket.write(`${['GET /shop/ HTTP/1.1', 'host: app.test', ...lines, 'connection: close'].join('\r\n')}\r\n\r\n`);
  });

for (const [name, line] of [
  ['a folded line', 'x-a: b\r\n c'],
  ['a line folded by a tab', 'x-a: b\r\n\tc'],
  ['a bare line feed', 'x-a: b\nc'],
  ['a bare line feed before a header', 'x-a: b\nx-c: d'],
  ['a bare carriage return', 'x-a: b\rc'],
  ['a null', 'x-a: b\0c'],
  ['other white space', 'x-a: b\x0bc\x0c'],
  ['an empty value', 'x-a:'],
  ['a line separator', 'x-a: b\u2028c\u0085'],
  // The module has some room for heads; longer ones, counted in bytes, go another way.
  ['a head of about the size of that room', `x-a: ${'b'.repeat(8000)}`],
  ['one of that size only when it is encoded', `x-a: ${'\u00e9'.repeat(2100)}`],
  ['a long head', `x-a: ${'b'.repeat(12_000)}`],
]) {
  test(`${name} hides no cookie, and no announcement`, async () => {
    const seen = [];
    world.app = (req, res) => {
      seen.push([req.headers.cookie, req.headers['edge-logout-id-token']]);
      res.end();
    };
    for (const lines of [[line], [line, line]]) {
      const status = await send(...lines, 'cookie: shop.sid=raw', ...lines, 'edge-logout-id-token: token');
      assert.ok([200, 400].includes(status), `${status}`);
      if (status === 400) assert.deepEqual(seen, []);
      else assert.deepEqual(seen.splice(0), [[undefined, undefined]]);
    }
  });
}
