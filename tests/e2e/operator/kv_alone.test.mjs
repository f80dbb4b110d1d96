// An operator where sessions live in KV alone, and there are no desks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { text } from '../support/format.mjs';
import { HEADERS, startOffice } from '../support/operator.mjs';

let world, op, one, two, other;
before(async () => {
  world = await startOffice({
    mode: 'kv',
    more: (app, op) => ({
      ISSUER_DRY: { issuer: `${op.origin}/dry/`, allow_insecure_http: true, dry_run: true },
      APP_DRY: { ...app('dry'), issuer: `${op.origin}/dry/` },
    }),
  });
  op = world.op;
});
after(() => world?.stop());

test('the overview says what that means', async () => {
  const { mode, desk, guarantee } = await world.told('/overview');
  assert.deepEqual([mode, desk], ['kv', false]);
  assert.match(guarantee, /when KV shows it/);
  const { checks } = await world.told('/test?app=SHOP');
  const outcomes = Object.fromEntries(checks.map(({ check, outcome }) => [check, outcome]));
  assert.deepEqual([outcomes.mode, outcomes.ledger, outcomes.kv], ['warn', 'unknown', 'pass']);
});

test('what needs a desk is told so', async () => {
  const unavailable = { error: 'unavailable', code: 'desk_not_bound' };
  for (const [path, body] of [
    ['/journal?app=SHOP'],
    ['/end', { app: 'SHOP', before: Date.now() - 1000 }],
    ['/held', { issuer: 'TEST', action: 'release' }],
  ]) {
    const { status, json } = await world.api(path, body, { headers: HEADERS });
    assert.deepEqual([status, json], [503, unavailable], path);
  }
});

test('sessions are found', async () => {
  one = world.sessionOf('alice', { sid: 'a1', ago: 400 });
  two = world.sessionOf('alice', { sid: 'a2', ago: 300 });
  other = world.sessionOf('bob', { ago: 300 });
  await world.store(one, two, other);
  const { count, sessions } = await world.told('/sessions', { app: 'SHOP', sub: 'alice' });
  assert.equal(count, 2);
  assert.deepEqual(sessions[1], {
    id: text(one.id), subject: text(one.subject), sid: text(one.sid), login: one.login * 1000, expires: one.expires * 1000,
  });
  const found = await world.told('/sessions', { app: 'SHOP', sid: 'a2' });
  assert.deepEqual(found, { count: 1, sessions: [sessions[0]] });
});

test('one of them ends, then a user', async () => {
  const body = { app: 'SHOP', session: text(one.id), subject: text(one.subject) };
  const { asked, done } = await world.order('/end', body);
  assert.deepEqual([asked.would_end, done], [1, { ended: 1 }]);
  assert.deepEqual(await world.contents(), world.stored(two, other));
  assert.deepEqual([await world.gate(one), await world.gate(two)], [false, true]);
  const all = await world.order('/end', { app: 'SHOP', sub: 'alice' });
  assert.deepEqual([all.asked.would_end, all.done], [1, { ended: 1 }]);
  assert.deepEqual([await world.gate(two), await world.gate(other)], [false, true]);
  assert.ok(`mark/${text(two.subject)}` in (await world.contents()));
  assert.deepEqual(await world.told('/sessions', { app: 'SHOP', sub: 'alice' }), { count: 0, sessions: [] });
});

test('a dry run changes nothing', async () => {
  const issuer = `${op.origin}/dry/`;
  const bound = world.sessionOf('alice', { client: 'dry', issuer });
  await world.store(bound);
  await world.takeLogs();
  const token = await op.logoutToken({ iss: issuer, aud: 'dry', sub: 'alice' });
  assert.equal((await world.logout(token, { client: 'dry' })).status, 200);
  const [{ code, matched }] = await world.takeLogs();
  assert.deepEqual([code, matched], ['logout_dry_run', 1]);
  assert.deepEqual(await world.contents(), world.stored(bound));
  assert.equal(await world.gate(bound, { client: 'dry', issuer }), true);
});

test('what KV does not show is an outage, not nothing', async () => {
  await world.faults({ from: 0, count: 100, effect: 'before' });
  for (const path of ['/sessions', '/end']) {
    const { status, json } = await world.api(path, { app: 'SHOP', sub: 'alice' });
    assert.deepEqual([status, json], [503, { error: 'unavailable', code: 'kv_failed' }], path);
  }
  await world.faults();
});
