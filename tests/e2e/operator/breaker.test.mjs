// Logouts that only say what they would do, and logouts that are held until somebody has looked.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { text } from '../support/format.mjs';
import { HEADERS, startOffice } from '../support/operator.mjs';
import { startWorld } from '../support/world.mjs';

let world, op;
before(async () => {
  world = await startOffice({
    more: (app, op) => {
      const issuer = (path, more) => ({ issuer: op.origin + path, allow_insecure_http: true, ...more });
      const at = (client, path) => ({ ...app(client), issuer: op.origin + path });
      return {
        ISSUER_DRY: issuer('/dry/', { dry_run: true }),
        APP_DRY: at('dry', '/dry/'),
        ISSUER_SWITCH: issuer('/switch/', { breaker: { sessions: 3, seconds: 3600 } }),
        APP_SWITCH: at('switch', '/switch/'),
        ISSUER_SILENT: issuer('/silent/', { breaker: { sessions: 1, seconds: 3600 } }),
        APP_SILENT: at('silent', '/silent/'),
        ISSUER_MANY: issuer('/many/', { breaker: { sessions: 10, seconds: 3600 } }),
        APP_MANY: at('many', '/many/'),
      };
    },
  });
  op = world.op;
});
after(() => world?.stop());

const at = (client) => ({ client, issuer: `${op.origin}/${client}/` });
const sessionsOf = (client, ...subs) => subs.map((sub) => world.sessionOf(sub, at(client)));
const logout = async (client, target, more) => {
  const token = await op.logoutToken({ iss: at(client).issuer, aud: client, ...target, ...more });
  return (await world.logout(token, { client })).status;
};
const alive = async (client, sessions) => {
  const all = [];
  for (const bound of sessions) all.push(await world.gate(bound, at(client)));
  return all;
};
const standing = async (name) => (await world.told('/overview')).issuers.find((issuer) => issuer.name === name);

describe('a dry run', () => {
  test('answers 200, says what it would have ended, and ends nothing', async () => {
    const sessions = [
      ...sessionsOf('dry', 'alice', 'bob'),
      world.sessionOf('alice', { ...at('dry'), sid: 'another' }),
    ];
    await world.store(...sessions);
    const before = await world.contents();
    await world.takeLogs();
    const iat = op.now();
    for (const [target, matched] of [[{ sub: 'alice' }, 2], [{ sid: 'sid of bob' }, 1], [{ sub: 'nobody' }, 0], [{ sub: 'alice' }, 2]]) {
      assert.equal(await logout('dry', target, { iat }), 200);
      const [line] = await world.takeLogs();
      assert.deepEqual([line.code, line.class, line.app, line.matched], ['logout_dry_run', undefined, 'DRY', matched]);
    }
    assert.deepEqual(await world.contents(), before);
    assert.deepEqual(await alive('dry', sessions), [true, true, true]);
    assert.equal(await logout('dry', { sub: 'alice' }, { exp: 1 }), 400, 'what is refused is refused');
  });

  test('is what overview, self-test and journal show', async () => {
    assert.equal((await standing('DRY')).dry_run, true);
    const { checks } = await world.told('/test?app=DRY');
    const mode = checks.find(({ check }) => check === 'mode');
    assert.deepEqual([mode.outcome, mode.detail], ['warn', 'dry_run is on: logouts are answered with 200 and end nothing.']);
    for (const end = Date.now() + 10_000; ; ) {
      const { entries } = await world.told('/journal?app=DRY');
      if (entries.some(({ code, matched }) => code === 'logout_dry_run' && matched === 2)) break;
      assert.ok(Date.now() < end, 'not in the journal');
    }
  });

  test('an operator ends sessions all the same', async () => {
    const [bound] = sessionsOf('dry', 'carol');
    await world.store(bound);
    assert.deepEqual((await world.order('/end', { app: 'DRY', sub: 'carol' })).done, { ended: 1 });
    assert.deepEqual(await alive('dry', [bound]), [false]);
  });
});

describe('a breaker', () => {
  let sessions;

  test('lets through what may end, a repeat included', async () => {
    sessions = sessionsOf('switch', 'a', 'b', 'c', 'd', 'e');
    await world.store(...sessions);
    await world.takeLogs();
    const iat = op.now();
    for (const sub of ['a', 'a', 'b', 'nobody', 'c']) assert.equal(await logout('switch', { sub }, { iat }), 200);
    assert.deepEqual(await alive('switch', sessions), [false, false, false, true, true]);
    assert.deepEqual((await standing('SWITCH')).breaker, {
      sessions: 3, seconds: 3600, tripped_at: null, held: 0, code: null,
    });
    await world.takeLogs();
  });

  test('holds everything from the first on that would be too much, and tries nothing again', async () => {
    for (const sub of ['d', 'd', 'e']) assert.equal(await logout('switch', { sub }), 503);
    assert.equal(await logout('switch', { sub: 'nobody else' }), 200, 'what ends nobody is performed');
    const lines = await world.takeLogs();
    const held = lines.filter(({ code }) => code === 'logout_held');
    assert.deepEqual(held[0], {
      code: 'logout_held', class: 'logout_pending', app: 'SWITCH', of: text(sessions[3].subject).slice(0, 12),
    });
    assert.equal(held.length, 3);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual((await world.takeLogs()).filter(({ app }) => app === 'SWITCH'), []);
    assert.deepEqual(await alive('switch', sessions), [false, false, false, true, true]);
    const { breaker } = await standing('SWITCH');
    assert.ok(Math.abs(breaker.tripped_at - Date.now()) < 60_000);
    assert.ok(breaker.held === 2 || breaker.held === 3, 'a repeat of one second is one');
  });

  test('concerns its own issuer only, and no operator', async () => {
    const [bound] = sessionsOf('switch', 'f');
    await world.store(...sessions.slice(3), bound);
    assert.deepEqual((await world.order('/end', { app: 'SWITCH', sub: 'f' })).done, { ended: 1 });
    assert.equal(await logout('many', { sub: 'nobody' }), 200);
  });

  test('that is released performs what it held', async () => {
    const { asked, done } = await world.order('/held', { issuer: 'SWITCH', action: 'release' });
    assert.equal(asked.would_end, null);
    assert.deepEqual([done.released >= 2, done.ended, done.left], [true, 2, false]);
    assert.deepEqual(await alive('switch', sessions.slice(3)), [false, false]);
    const { breaker } = await standing('SWITCH');
    assert.deepEqual([breaker.tripped_at, breaker.held], [null, 0]);
    const lines = await world.takeLogs();
    assert.equal(lines.filter(({ code }) => code === 'logout_released').length, done.released);
    assert.ok(lines.some(({ code, by, matched }) => code === 'operator_released' && by === 'key' && matched === 2));
  });

  test('that is closed lets through again, and what is discarded is forgotten', async () => {
    const more = sessionsOf('switch', 'g', 'h', 'i', 'j', 'k');
    await world.store(...more);
    for (const sub of ['g', 'h', 'i']) assert.equal(await logout('switch', { sub }), 200);
    for (const sub of ['j', 'k']) assert.equal(await logout('switch', { sub }), 503);
    const { done } = await world.order('/held', { issuer: 'SWITCH', action: 'discard' });
    assert.deepEqual(done, { discarded: 2 });
    assert.deepEqual(await alive('switch', more), [false, false, false, true, true]);
    assert.equal(await logout('switch', { sub: 'j' }), 200, 'the provider may send it again');
    assert.deepEqual(await alive('switch', more.slice(3)), [false, true]);
  });

  test('counts logouts right that come at the same time', async () => {
    const many = Array.from({ length: 40 }, (_, n) => sessionsOf('many', `m${n}`)[0]);
    await world.store(...many);
    const statuses = await Promise.all(many.map((_, n) => logout('many', { sub: `m${n}` })));
    assert.equal(statuses.filter((status) => status === 200).length, 10);
    assert.equal(statuses.filter((status) => status === 503).length, 30);
    const left = await alive('many', many);
    assert.deepEqual(left, statuses.map((status) => status === 503));
    assert.equal((await standing('MANY')).breaker.held, 30);
  });

  test('that was released goes on by itself where one run is not enough', async () => {
    const { done } = await world.order('/held', { issuer: 'MANY', action: 'release' });
    // The budget of one run: 45 operations, of 4 each.
    assert.deepEqual([done.released, done.left], [11, true]);
    for (const end = Date.now() + 60_000; (await standing('MANY')).breaker.held > 0; ) {
      assert.ok(Date.now() < end, 'held logouts are left');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.deepEqual(await world.contents(), {});
  });

  test('whose desk does not answer lets through: no logout is lost by it', async () => {
    const both = sessionsOf('silent', 'a', 'b');
    await world.store(...both);
    await alive('silent', both);
    await world.takeLogs();
    for (const [desk, sub] of [['unreachable', 'a'], ['hung', 'b']]) {
      await world.faults({ desk, list: 'i', count: 1 });
      assert.equal(await logout('silent', { sub }), 200);
    }
    await world.faults();
    const codes = (await world.takeLogs()).map(({ code }) => code);
    assert.deepEqual(codes, ['desk_failed', 'logout_done', 'deadline_exceeded', 'logout_done']);
    assert.deepEqual(await alive('silent', both), [false, false]);
  });

  test('of an issuer that has none cannot be released: there is nothing', async () => {
    const { done } = await world.order('/held', { issuer: 'TEST', action: 'release' });
    assert.deepEqual(done, { released: 0, ended: 0, left: false });
    for (const [body, field] of [
      [{ issuer: 'NOBODY', action: 'release' }, 'issuer'],
      [{ issuer: 'SWITCH', action: 'forget' }, 'action'],
      [{ issuer: 'SWITCH' }, 'action'],
      [{ action: 'release' }, 'issuer'],
    ]) {
      const { status, json } = await world.api('/held', body, { headers: HEADERS });
      assert.deepEqual([status, json], [400, { error: 'bad_request', field }]);
    }
  });
});

test('a breaker without the binding DESK is a problem of the configuration', async () => {
  const lonely = await startWorld({
    mode: 'kv',
    bindings: (app, op) => ({
      ISSUER_TEST: { issuer: op.issuer, allow_insecure_http: true, breaker: { sessions: 3, seconds: 60 } },
    }),
  });
  try {
    assert.equal((await lonely.request('/shop')).status, 500);
    const { problem } = await lonely.logged('configuration_wrong');
    assert.equal(problem, 'ISSUER_TEST.breaker: needs the binding DESK');
  } finally {
    await lonely.stop();
  }
});
