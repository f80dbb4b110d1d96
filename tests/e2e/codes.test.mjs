// What is left of authorization codes: nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { codeOf } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({
    entry: 'hasty.js',
    bindings: (app) => ({
      APP_SHOP: { ...app('shop'), announce: { from: 'relay' }, login_paths: ['/shop/callback'] },
    }),
  });
  const { op } = world;
  op.token = async (_, res) => res.end(JSON.stringify({ id_token: await op.idToken() }));
});
after(() => world?.stop());

/** What the record of a code has stored. */
async function tables(code) {
  const stub = world.codes.get(world.codes.idFromName(codeOf(world.shop, code)));
  return (await stub.fetch('https://object/tables')).json();
}

const redeem = (code) =>
  world.request('/.edge-logout/relay/SHOP/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `grant_type=authorization_code&code=${code}&client_id=shop`,
  });

test('a record deletes itself when its minute is over', async () => {
  world.app = async (_, res) => {
    assert.equal((await redeem('c1')).status, 200);
    res.writeHead(200, { 'set-cookie': 'shop.sid=secret; Path=/shop' }).end();
  };
  const answer = await world.request('/shop/callback?code=c1');
  assert.match(answer.setCookies[0], /^shop\.sid=el1\./);
  assert.deepEqual(await tables('c1'), [{ name: 'code' }]);
  for (const end = Date.now() + 30_000; (await tables('c1')).length > 0; ) {
    assert.ok(Date.now() < end, 'it is still there');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  world.app = (_, res) => res.end('page');
  assert.equal((await world.request('/shop/page')).status, 200, 'and the isolate goes on');
});

test('a code that no callback brought leaves no record', async () => {
  assert.equal((await redeem('c2')).status, 400);
  assert.deepEqual(await tables('c2'), []);
});
