// The ledger on workerd: at once, everywhere, and nothing left behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld } from './support/world.mjs';

let world, op;
before(async () => {
  world = await startWorld({ ledger: true });
  op = world.op;
});
after(() => world?.stop());

const seen = () => {
  const requests = [];
  world.app = (req, res) => {
    requests.push(req.headers.cookie);
    res.end('app');
  };
  return requests;
};

/** Logs in; gives the cookie as the browser sends it. */
async function logIn(claims, value = 'secret') {
  const token = await op.idToken(claims);
  world.app = (_, res) =>
    res.writeHead(200, { 'edge-logout-id-token': token, 'set-cookie': `shop.sid=${value}; Path=/` }).end();
  const { status, setCookies } = await world.request('/shop/');
  assert.equal(status, 200);
  return setCookies[0].split(';')[0];
}

test('a session lives until its logout, and not after', async () => {
  const cookie = await logIn({ sub: 'alice', sid: 's1' });
  let requests = seen();
  await world.request('/shop/', { headers: { cookie } });
  assert.deepEqual(requests, ['shop.sid=secret']);
  console.log(await world.contents());
  assert.equal((await world.logout(await op.logoutToken({ sid: 's1' }))).status, 200);
  requests = seen();
  await world.request('/shop/', { headers: { cookie } });
  assert.deepEqual(requests, [undefined]);
  console.log(await world.contents());
  console.log(await world.takeLogs());
});
