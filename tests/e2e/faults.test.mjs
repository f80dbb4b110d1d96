// KV alone failing on workerd, and an OP that never sends a token twice: the session must be dead.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { seal, session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

let world, op, loggedIn;
before(async () => {
  world = await startWorld({ mode: 'kv' });
  op = world.op;
  world.app = (req, res) => res.end(req.headers.cookie ?? 'nobody');
  // The key set, once and for all.
  await world.logout(await op.logoutToken({ sid: 'nobody' }));
});
after(() => world?.stop());
beforeEach(async () => {
  await world.faults();
  const who = { issuer: op.issuer, client: 'shop', sub: 'alice', sid: 's1' };
  loggedIn = session({ ...who, login: op.now() - 5 });
  await world.store(loggedIn);
  await world.takeLogs();
});

const seenByApp = async () => {
  const cookie = `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', 'c', loggedIn)}`;
  return (await world.request('/shop/', { headers: { cookie } })).body.toString();
};

test('the session lives while nothing happens', async () => {
  assert.equal(await seenByApp(), 'shop.sid=c');
});

for (const effect of ['before', 'after', 'hang']) {
  // Mark read, mark written, pending record written.
  for (const from of [0, 1, 2]) {
    test(`call ${from} fails (${effect}): 503, and the logout is finished after the answer`, async () => {
      const token = await op.logoutToken({ sid: 's1' });
      await world.faults({ from, count: 1, effect });
      const started = Date.now();
      const answer = await world.logout(token);
      assert.equal(answer.status, 503);
      assert.ok(Date.now() - started < 2500);
      await world.logged('logout_finished_late');
      assert.equal(await seenByApp(), 'nobody');
      assert.deepEqual(Object.keys(await world.contents({ pending: false })).length, 1, 'the mark');
    });
  }

  // List, and the first deletion.
  for (const from of [3, 4]) {
    test(`call ${from} fails (${effect}): 200, because the mark has ended the session`, async () => {
      const token = await op.logoutToken({ sid: 's1' });
      await world.faults({ from, count: 100, effect });
      const answer = await world.logout(token);
      assert.equal(answer.status, 200);
      const [line] = await world.takeLogs();
      assert.equal(line.deferred, true);
      await world.faults();
      assert.equal(await seenByApp(), 'nobody');
    });
  }
}

// What finds the session by its subject, and then the entry, by which it was found.
for (const [from, key] of [[4, 'by-sub'], [5, 'session']]) {
  for (const effect of ['before', 'after']) {
    test(`the deletion of ${key} fails (${effect}): the entry is found until the rest is gone`, async () => {
      const iat = op.now();
      const token = await op.logoutToken({ sid: 's1', iat });
      await world.faults({ from, count: 1, effect });
      assert.equal((await world.logout(token)).status, 200);
      const [line] = await world.takeLogs();
      assert.equal(line.deferred, true);
      await world.faults();
      const left = Object.keys(await world.contents()).map((each) => each.split('/')[0]);
      assert.equal(left.includes('session'), key !== 'session' || effect === 'before');
      if (effect === 'before') assert.ok(left.includes(key));
      assert.equal(await seenByApp(), 'nobody');
      // A repeat finds the rest.
      assert.equal((await world.logout(token)).status, 200);
      const marks = world.markOf({ issuer: op.issuer, client: 'shop', sid: 's1' }, iat);
      assert.deepEqual(await world.contents({ pending: false }), marks);
    });
  }
}

test('KV down for some seconds: the logout is finished all the same', async () => {
  await world.faults({ from: 0, count: 2, effect: 'before' });
  assert.equal((await world.logout(await op.logoutToken({ sub: 'alice' }))).status, 503);
  await world.logged('logout_finished_late');
  assert.equal(await seenByApp(), 'nobody');
});

test('the OP’s keys down when its only token comes: performed once they are back', async () => {
  await op.addKey('op-new');
  const token = await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid: 'op-new' });
  op.published.push('op-new');
  op.answer = (_, res) => res.writeHead(503).end();
  assert.equal((await world.logout(token)).status, 503);
  assert.equal(await seenByApp(), 'shop.sid=c');
  op.answer = undefined;
  await world.logged('logout_finished_late');
  assert.equal(await seenByApp(), 'nobody');
});

test('an OP that hangs up after its request is served all the same', async () => {
  const token = await op.logoutToken({ sid: 's1' });
  const body = `logout_token=${token}`;
  const req = world.open('/shop/bclogout', {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    },
  });
  req.on('error', () => {});
  await world.faults({ from: 0, count: 1, effect: 'before' });
  req.end(body, () => setTimeout(() => req.destroy(), 50));
  await world.logged('logout_finished_late');
  assert.equal(await seenByApp(), 'nobody');
});

test('a gated request while KV is down: 503, nothing forwarded, the cookie kept', async () => {
  for (const effect of ['before', 'after']) {
    await world.faults({ from: 0, count: 1, effect });
    const cookie = `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', 'c', loggedIn)}`;
    const answer = await world.request('/shop/', { headers: { cookie } });
    assert.equal(answer.status, 503);
    assert.deepEqual(answer.setCookies, []);
    assert.equal(await seenByApp(), 'shop.sid=c');
  }
  assert.deepEqual(await world.contents(), world.stored(loggedIn));
});

test('the cron trigger tidies up what was deferred, two minutes after', async () => {
  await world.faults({ from: 3, count: 100, effect: 'before' });
  assert.equal((await world.logout(await op.logoutToken({ sid: 's1' }))).status, 200);
  await world.faults();
  await world.takeLogs();
  await world.cron();
  const before = await world.contents();
  const pending = Object.keys(before).filter((key) => key.startsWith('pending/'));
  assert.equal(pending.length, 1);
  assert.equal(Object.keys(before).length, 4, 'not due yet');

  // As if two minutes had passed.
  const { metadata } = before[pending[0]];
  await world.kv.put(pending[0], '', { metadata: { ...metadata, due: op.now() } });
  await world.cron();
  const left = Object.keys(await world.contents());
  assert.deepEqual(left.map((key) => key.split('/')[0]), ['mark']);
  assert.deepEqual(await world.logged('sweep_done'), {
    code: 'sweep_done',
    finished: 1,
    deleted: 1,
    left: 0,
    unreadable: 0,
  });
});
