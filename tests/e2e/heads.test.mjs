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

for (const [name, value, expected] of [
  ['a folded line', ' b\r\n c'],
  ['a line folded by a tab', ' b\r\n\tc'],
  ['a bare line feed', ' b\nc'],
  ['a bare line feed before a header', ' b\nx-c: d'],
  ['a bare carriage return', ' b\rc'],
  ['a null', ' b\0c', 400],
  ['other white space', ' b\x0bc\x0c'],
  ['an empty value', ''],
  ['a line separator', ' b\u2028c\u0085'],
  // The module has some room for texts; longer ones, counted in bytes, go another way.
  ['a value that twice has room there', ` a=${'b'.repeat(4080)}`, 200],
  ['a value that twice has none', ` a=${'b'.repeat(4090)}`, 200],
  ['a value that has none when it is encoded', ` a=${'\u00e9'.repeat(2100)}`, 200],
  ['a long value', ` a=${'b'.repeat(12_000)}`, 200],
]) {
  for (const header of ['x-a', 'cookie']) {
    test(`${name} of ${header} hides no cookie, and no announcement`, async () => {
      const line = `${header}:${value}`;
      const seen = [];
      world.app = (req, res) => {
        seen.push([req.headers.cookie, req.headers['edge-logout-id-token']]);
        res.end();
      };
      for (const lines of [[line], [line, line]]) {
        const status = await send(...lines, 'cookie: shop.sid=raw', ...lines, 'edge-logout-id-token: token');
        assert.ok(expected === undefined ? [200, 400].includes(status) : status === expected, `${status}`);
        const served = seen.splice(0);
        if (status === 400) {
          assert.deepEqual(served, []);
          continue;
        }
        const [cookies] = served[0];
        if (header === 'cookie') assert.doesNotMatch(cookies ?? '', /raw|shop/);
        else assert.equal(cookies, undefined);
        assert.deepEqual(served, [[cookies, undefined]]);
      }
    });
  }
}
