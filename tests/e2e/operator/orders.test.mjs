// What an operator sees and does, and what becomes of the sessions: by what KV holds, and by the gate.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { entryKeyOf, text } from '../support/format.mjs';
import { HEADERS, TAG, startOffice, withGate } from '../support/operator.mjs';
import { startWorld } from '../support/world.mjs';

let world, op;
before(async () => {
  world = await startOffice({
    more: (app) => ({ APP_EPOCH: app('epoch'), APP_BORN: app('born') }),
  });
  op = world.op;
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
});

const audits = async () => (await world.takeLogs()).filter((line) => line.class === 'audit');

test('the overview tells what there is', async () => {
  const { now, issuers, apps, ...rest } = await world.told('/overview');
  assert.ok(Math.abs(now - Date.now()) < 5000);
  assert.deepEqual(rest, {
    mode: 'ledger',
    desk: true,
    guarantee: 'A logout takes effect at once, everywhere: the ledger says what lives.',
  });
  assert.deepEqual(issuers, [
    { name: 'TEST', issuer: op.issuer, logout_alg: 'RS256', dry_run: false, breaker: null },
  ]);
  // The one without `origin` has a host of its own.
  assert.deepEqual(apps.map(({ name }) => name), ['BORN', 'EPOCH', 'SHOP', 'WIKI']);
  assert.deepEqual(apps[2], {
    name: 'SHOP',
    issuer: op.issuer,
    client_id: 'shop',
    routes: ['app.test/shop'],
    backchannel_logout_uri: 'http://app.test/shop/bclogout',
    backchannel_logout_session_required: true,
    announce: 'header',
    relay: null,
    ended_before: null,
    code: null,
  });
});

test('the self-test looks at the provider and the stores', async () => {
  const outcomes = async () => {
    const { checks } = await world.told('/test?app=SHOP');
    for (const { detail } of checks) assert.match(detail, /^[A-Z].*\.$/);
    return Object.fromEntries(checks.map(({ check, outcome }) => [check, outcome]));
  };
  const good = {
    discovery: 'pass',
    issuer: 'pass',
    backchannel_logout_supported: 'warn',
    backchannel_logout_session_supported: 'warn',
    clock: 'pass',
    keys: 'pass',
    id_token_keys: 'pass',
    kv: 'pass',
    ledger: 'pass',
    mode: 'pass',
    routes: 'unknown',
    logout_path: 'pass',
  };
  assert.deepEqual(await outcomes(), good);
  const publish = (metadata, headers = {}) => {
    op.answer = (req, res) => {
      const document = JSON.parse(op.document(req.url));
      const isMetadata = req.url.endsWith('openid-configuration');
      res.writeHead(200, headers).end(JSON.stringify({ ...document, ...(isMetadata && metadata) }));
    };
  };
  try {
    publish({ backchannel_logout_supported: true, backchannel_logout_session_supported: true });
    assert.deepEqual(await outcomes(), {
      ...good,
      backchannel_logout_supported: 'pass',
      backchannel_logout_session_supported: 'pass',
    });
    publish({ issuer: 'https://other.example' });
    assert.deepEqual(await outcomes(), { ...good, issuer: 'fail', keys: 'fail', id_token_keys: 'fail' });
    publish({}, { date: new Date(Date.now() - 30_000).toUTCString() });
    assert.equal((await outcomes()).clock, 'warn');
    publish({}, { date: new Date(Date.now() + 90_000).toUTCString() });
    assert.equal((await outcomes()).clock, 'fail');
    publish({}, { date: 'yesterday' });
    assert.equal((await outcomes()).clock, 'unknown');
    op.answer = (req, res) => res.writeHead(500).end();
    const down = await outcomes();
    assert.deepEqual([down.discovery, down.issuer, down.keys, down.kv], ['fail', 'unknown', 'fail', 'pass']);
  } finally {
    op.answer = undefined;
  }
  await world.faults({ from: 0, count: 1000, effect: 'before' });
  assert.equal((await outcomes()).kv, 'fail');
  await world.faults({ ledger: 'unreachable', count: 100 });
  assert.equal((await outcomes()).ledger, 'fail');
  await world.faults();
});

describe('sessions', () => {
  test('are found by user and sid, raw or hashed, and by nothing else', async () => {
    const [one, two, other] = [
      world.sessionOf('alice', { sid: 'a1', ago: 60 }),
      world.sessionOf('alice', { sid: 'a2', ago: 30 }),
      world.sessionOf('bob', { sid: 'b1' }),
    ];
    await world.store(one, two, other);
    const shown = ({ id, subject, sid, login, expires }) => ({
      id: text(id), subject: text(subject), sid: text(sid), login: login * 1000, expires: expires * 1000,
    });
    const all = { count: 2, sessions: [shown(two), shown(one)] };
    assert.deepEqual(await world.told('/sessions', { app: 'SHOP', sub: 'alice' }), all);
    assert.deepEqual(await world.told('/sessions', { app: 'SHOP', subject: text(one.subject) }), all);
    for (const by of [{ sid: 'a1' }, { sid_hash: text(one.sid) }]) {
      assert.deepEqual(await world.told('/sessions', { app: 'SHOP', ...by }), { count: 1, sessions: [shown(one)] });
    }
    for (const nobody of [{ app: 'SHOP', sub: 'a1' }, { app: 'WIKI', sub: 'alice' }, { app: 'SHOP', sid: 'alice' }]) {
      assert.deepEqual(await world.told('/sessions', nobody), { count: 0, sessions: [] });
    }
    assert.deepEqual((await audits())[0], {
      code: 'operator_searched', class: 'audit', app: 'SHOP', of: text(one.subject).slice(0, 12), by: 'key',
    });
  });

  test('are listed up to a hundred, and counted all', async () => {
    const many = Array.from({ length: 130 }, (_, n) => world.sessionOf('many', { sid: `m${n}`, ago: 300 - n }));
    await world.store(...many);
    const { count, sessions } = await world.told('/sessions', { app: 'SHOP', sub: 'many' });
    assert.deepEqual([count, sessions.length], [130, 100]);
    assert.equal(sessions[0].id, text(many[129].id));
    assert.equal((await world.order('/end', { app: 'SHOP', sub: 'many' })).done.ended, 130);
  });
});

describe('an end', () => {
  let one, two, other;
  beforeEach(async () => {
    one = world.sessionOf('alice', { sid: 'a1', ago: 60 });
    two = world.sessionOf('alice', { sid: 'a2', ago: 30 });
    other = world.sessionOf('bob', { sid: 'b1' });
    await world.store(one, two, other);
  });
  const alive = async () => {
    const all = [];
    for (const bound of [one, two, other]) all.push(await world.gate(bound));
    return all;
  };

  for (const [name, body, left] of [
    ['of one session', () => ({ session: text(one.id), subject: text(one.subject) }), [false, true, true]],
    ['of a user', () => ({ sub: 'alice' }), [false, false, true]],
    ['of a user by hash', () => ({ subject: text(one.subject) }), [false, false, true]],
    ['of a sid', () => ({ sid: 'a2' }), [true, false, true]],
    ['of a sid by hash', () => ({ sid_hash: text(two.sid) }), [true, false, true]],
  ]) {
    test(`${name} is asked about first, and then done at once`, async () => {
      const expected = left.filter((lives) => !lives).length;
      const before = await world.contents();
      const asked = await world.told('/end', { app: 'SHOP', ...body() });
      assert.deepEqual(Object.keys(asked), ['confirm', 'expires', 'would_end']);
      assert.equal(asked.would_end, expected);
      assert.ok(Math.abs(asked.expires - Date.now() - 120_000) < 5000);
      assert.deepEqual(await world.contents(), before, 'nothing is done yet');
      assert.deepEqual(await alive(), [true, true, true]);
      const done = await world.told('/end', { app: 'SHOP', ...body(), confirm: asked.confirm });
      assert.deepEqual(done, { ended: expected });
      assert.deepEqual(await alive(), left);
      const remaining = [one, two, other].filter((_, n) => left[n]);
      assert.deepEqual(await world.contents(), world.stored(...remaining));
      const [first, second] = await audits();
      assert.deepEqual([first.code, second.code, second.matched, second.by], ['operator_asked', 'operator_ended', expected, 'key']);
      // Once more there is nothing to end.
      assert.deepEqual(await world.told('/end', { app: 'SHOP', ...body(), confirm: asked.confirm }), { ended: 0 });
    });
  }

  test('is confirmed by nothing but its own confirmation', async () => {
    const body = { app: 'SHOP', sub: 'alice' };
    const { confirm } = await world.told('/end', body);
    const access = {
      'edge-logout-operator': '1',
      'cf-access-jwt-assertion': await op.sign(
        { iss: op.origin, aud: [TAG], sub: 'somebody', iat: op.now(), exp: op.now() + 60 },
        { alg: 'RS256', kid: 'op-1' },
      ),
    };
    const flipped = Buffer.from(confirm, 'base64url');
    flipped[20] ^= 1;
    const postponed = Buffer.from(confirm, 'base64url');
    postponed.writeBigInt64BE(BigInt(Date.now() + 600_000));
    for (const [sent, headers = HEADERS] of [
      [{ ...body, sub: 'bob' }],
      [{ app: 'WIKI', sub: 'alice' }],
      [{ app: 'SHOP', sid: 'alice' }],
      [{ app: 'SHOP', session: text(one.id), subject: text(one.subject) }],
      [{ app: 'SHOP', before: Date.now() - 1000 }],
      [body, access],
      [{ ...body, confirm: flipped.toString('base64url') }],
      [{ ...body, confirm: postponed.toString('base64url') }],
      [{ ...body, confirm: confirm.slice(0, -1) }],
      [{ ...body, confirm: 'A' }],
      [{ ...body, confirm: '!' }],
    ]) {
      const { status, json } = await world.api('/end', { confirm, ...sent }, { headers });
      assert.deepEqual([status, json], [409, { error: 'confirmation_invalid' }], JSON.stringify(sent));
    }
    assert.deepEqual(await alive(), [true, true, true]);
    const codes = (await audits()).map(({ code, by }) => `${code} ${by === 'key'}`);
    assert.deepEqual(codes.slice(1), [
      ...Array(5).fill('operator_not_confirmed true'),
      'operator_not_confirmed false',
      ...Array(5).fill('operator_not_confirmed true'),
    ]);
  });

  test('that the store fails is told, audited, and can be repeated', async () => {
    const body = { app: 'SHOP', sub: 'alice' };
    const { confirm } = await world.told('/end', body);
    await world.faults({ ledger: 'unreachable', count: 100 });
    const { status, json, headers } = await world.api('/end', { ...body, confirm });
    assert.deepEqual([status, json], [503, { error: 'unavailable', code: 'ledger_failed' }]);
    assert.equal(headers['retry-after'], '2');
    const failed = await world.api('/end', body);
    assert.equal(failed.status, 503);
    await world.faults();
    assert.deepEqual((await audits()).map(({ code }) => code), ['operator_asked', 'ledger_failed', 'ledger_failed']);
    assert.deepEqual(await world.told('/end', { ...body, confirm }), { ended: 2 });
    assert.deepEqual(await alive(), [false, false, true]);
  });
});

describe('an end of all before a moment', () => {
  const of = { client: 'epoch' };

  test('ends what began up to then, at once where it was ordered, and nothing else', async () => {
    const old = world.sessionOf('alice', { ...of, ago: 120 });
    const young = world.sessionOf('bob', { ...of, ago: 10 });
    const elsewhere = world.sessionOf('alice', { ago: 120 });
    await world.store(old, young, elsewhere);
    assert.deepEqual([await world.gate(old, of), await world.gate(young, of)], [true, true]);
    await world.takeLogs();
    const before = (op.now() - 60) * 1000;
    const { asked, done } = await world.order('/end', { app: 'EPOCH', before });
    assert.deepEqual([asked.would_end, done], [null, { ended: null }]);
    assert.deepEqual([await world.gate(old, of), await world.gate(young, of), await world.gate(elsewhere)], [false, true, true]);
    const lines = await world.takeLogs();
    const ended = lines.find(({ code }) => code === 'ended_by_operator');
    assert.deepEqual(ended, { code: 'ended_by_operator', app: 'EPOCH', of: text(old.sid).slice(0, 12) });
    assert.ok(lines.some(({ code, by }) => code === 'operator_ended_before' && by === 'key'));
    const { apps } = await world.told('/overview');
    assert.deepEqual(
      apps.map(({ name, ended_before }) => [name, ended_before]).filter(([, at]) => at),
      [['EPOCH', before]],
    );
    // An earlier moment takes nothing back.
    await world.order('/end', { app: 'EPOCH', before: before - 60_000 });
    assert.equal(await world.gate(old, of), false);
    // The entries stay until their time is over.
    assert.ok(Object.keys(await world.contents()).includes(entryKeyOf(old)));
  });

  test('of an issuer concerns its apps on this host; and refuses logins from before', async () => {
    const before = (op.now() - 5) * 1000;
    await world.order('/end', { app: 'BORN', before });
    const login = async (iat) => {
      const token = await op.idToken({ aud: 'born', sid: `s of ${iat}`, iat });
      world.app = (_, res) =>
        res.writeHead(200, { 'edge-logout-id-token': token, 'set-cookie': `born.sid=${iat}; Path=/` }).end();
      return (await world.request('/born/')).status;
    };
    assert.deepEqual([await login(op.now() - 10), await login(op.now())], [409, 200]);
    assert.ok((await world.takeLogs()).some(({ code }) => code === 'birth_refused_logged_out'));
    const all = (op.now() - 600) * 1000;
    await world.order('/end', { issuer: 'TEST', before: all });
    const { apps } = await world.told('/overview');
    for (const { name, ended_before } of apps) assert.ok(ended_before >= all, name);
  });

  test('is believed for some seconds, and asked about once', async () => {
    // Without an operator, so that there is no journal to be told.
    const plain = withGate(await startWorld());
    try {
      const bound = plain.sessionOf('carol', { ago: 30 });
      await plain.store(bound);
      await plain.gate(bound);
      assert.equal((await plain.calls()).desk, 1);
      for (let n = 0; n < 10; n++) assert.equal(await plain.gate(bound), true);
      assert.equal((await plain.calls()).desk, undefined);
    } finally {
      await plain.stop();
    }
  });

  test('is not known where the desk has never answered: 503, and the cookie is kept', async () => {
    const fresh = await startOffice();
    try {
      const bound = fresh.sessionOf('alice');
      await fresh.store(bound);
      await fresh.faults({ desk: 'unreachable', count: 100 });
      assert.equal(await fresh.gate(bound), 503);
      await fresh.faults();
      assert.equal(await fresh.gate(bound), true);
      // Known once, it is believed for five minutes.
      await fresh.faults({ desk: 'hung', count: 100 });
      assert.equal(await fresh.gate(bound), true);
      assert.equal((await fresh.api('/journal?app=SHOP')).status, 503);
      await fresh.faults();
    } finally {
      await fresh.stop();
    }
  });

  test('of the future is refused', async () => {
    for (const before of [Date.now() + 60_000, -1, 1.5, '1', null, 1e300]) {
      const { status, json } = await world.api('/end', { app: 'EPOCH', before });
      assert.deepEqual([status, json], [400, { error: 'bad_request', field: 'before' }], `${before}`);
    }
  });
});

describe('the journal', () => {
  const journal = async (fits) => {
    for (const end = Date.now() + 10_000; Date.now() < end; ) {
      const { entries } = await world.told('/journal?app=WIKI');
      if (fits(entries)) return entries;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('not in the journal');
  };

  test('tells what came of logouts, once or several times, and what operators did', async () => {
    const bound = world.sessionOf('alice', { client: 'wiki' });
    await world.store(bound);
    const wiki = { client: 'wiki' };
    assert.equal((await world.logout(await op.logoutToken({ aud: 'wiki', sub: 'alice' }), wiki)).status, 200);
    for (let n = 0; n < 5; n++) await world.logout(await op.logoutToken({ aud: 'wiki', exp: 1, sub: 'x' }), wiki);
    const began = Date.now();
    await world.order('/end', { app: 'WIKI', sub: 'alice' });
    const entries = await journal((all) => all.some(({ code }) => code === 'operator_ended'));
    const of = text(bound.subject).slice(0, 12);
    const last = entries.find(({ code }) => code === 'logout_done');
    assert.deepEqual({ ...last, at: 0 }, { at: 0, code: 'logout_done', class: null, of, matched: 1, count: 1, by: null });
    const refused = entries.find(({ code }) => code === 'expired');
    assert.deepEqual({ ...refused, at: 0 }, { at: 0, code: 'expired', class: 'refused', of: null, matched: null, count: 5, by: null });
    assert.ok(Math.abs(refused.at - Date.now()) < 20_000);
    const ended = entries.find(({ code, at }) => code === 'operator_ended' && at >= began - 1);
    assert.deepEqual({ ...ended, at: 0 }, { at: 0, code: 'operator_ended', class: 'audit', of, matched: 0, count: 1, by: 'key' });
    assert.deepEqual(entries, entries.toSorted((a, b) => b.at - a.at));
  });

  test('that fails changes no outcome', async () => {
    const bound = world.sessionOf('dave', { client: 'wiki' });
    await world.store(bound);
    await world.faults({ desk: 'unreachable', count: 5 });
    const { status } = await world.logout(await op.logoutToken({ aud: 'wiki', sub: 'dave' }), { client: 'wiki' });
    assert.equal(status, 200);
    await world.faults();
    assert.equal(await world.gate(bound, { client: 'wiki' }), false);
  });
});
