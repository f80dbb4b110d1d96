// What is counted in the dataset ANALYTICS: one data point per logout, login and refusal, and nothing of
// the people concerned.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld } from './support/world.mjs';

let world, op;
before(async () => {
  world = await startWorld({ entry: 'counted.js' });
  op = world.op;
});
after(() => world?.stop());

const points = async () => JSON.parse((await world.request('/points')).body);
const point = (code, kind, matched = 0) => ({
  indexes: ['SHOP'],
  blobs: [code, kind, 'SHOP', new URL(op.issuer).host],
  doubles: [1, matched],
});

/** Logs in, and gives the cookie. */
async function login(sid) {
  const idToken = await op.idToken({ sid });
  world.app = (_, res) =>
    res.writeHead(200, { 'set-cookie': `shop.sid=${sid}-secret; Path=/`, 'edge-logout-id-token': idToken }).end();
  const { status, setCookies } = await world.request('/shop/login');
  assert.equal(status, 200);
  world.app = (req, res) => res.end(req.headers.cookie);
  return setCookies[0].split(';')[0];
}

test('a login, a logout and a refusal are one point each, and a request is none', async () => {
  const cookie = await login('s1');
  assert.deepEqual(await points(), [point('session_began', '')]);

  const page = () => world.request('/shop', { headers: { cookie } });
  assert.equal((await page()).body.toString(), 'shop.sid=s1-secret');
  assert.deepEqual(await points(), []);

  const { status } = await world.logout(await op.logoutToken({ sid: 's1', sub: 'alice' }));
  assert.equal(status, 200);
  assert.deepEqual(await points(), [point('logout_done', '', 1)]);
  assert.equal((await page()).body.toString(), '');
  assert.deepEqual(await points(), []);

  const refused = await world.logout(await op.logoutToken({ sid: 's1', aud: 'wiki' }));
  assert.equal(refused.status, 400);
  assert.deepEqual(await points(), [point('aud_mismatch', 'refused')]);
});

test('a logout that waits for the keys is one point then, and one when it is done', async () => {
  await op.addKey('op-2');
  op.published.push('op-2');
  const token = await op.logoutToken({ sid: 's2' }, { alg: 'RS256', kid: 'op-2' });
  op.answer = (_, res) => res.writeHead(500).end();
  assert.equal((await world.logout(token)).status, 503);
  assert.deepEqual(await points(), [point('op_answer_not_200', 'logout_pending')]);
  op.answer = undefined;
  await world.logged('logout_finished_late');
  assert.deepEqual(await points(), [point('logout_finished_late', '')]);
});

test('a dataset that fails changes nothing', async () => {
  await world.request('/points', { method: 'POST' });
  const cookie = await login('s3');
  const { status } = await world.logout(await op.logoutToken({ sid: 's3' }));
  assert.equal(status, 200);
  assert.equal((await world.request('/shop', { headers: { cookie } })).body.toString(), '');
  assert.deepEqual(await points(), [point('session_began', ''), point('logout_done', '', 1)]);
  const codes = (await world.takeLogs()).map((line) => line.code);
  for (const code of ['session_began', 'logout_done']) assert.ok(codes.includes(code));
});
