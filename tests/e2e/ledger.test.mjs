// The lists of the ledger over SQL: the vectors that the native tests run over rows in memory, and
// a user with thousands of sessions.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { entryOf, seal, session } from './support/format.mjs';
import { admit, alive, ask, end, endSome, userList } from './support/ledger.mjs';
import { startWorld } from './support/world.mjs';

const vectors = JSON.parse(readFileSync(new URL('../vectors/ledger.json', import.meta.url)));

let world, op;
before(async () => {
  world = await startWorld({ bindings: () => ({ LIMITS: { kv_operations: 1000 } }) });
  op = world.op;
});
after(() => world?.stop());

for (const { name, steps } of vectors.rows) {
  test(name, async () => {
    // An issuer of its own, so that no row sees the lists of another.
    const who = { issuer: name, client: 'shop' };
    const now = op.now();
    const sessions = Object.fromEntries(
      Object.entries(vectors.sessions).map(([key, { login, authenticated, ...of }]) => {
        const begun = session({ ...who, ...of, login: now + login, registeredAt: now });
        return [key, { ...begun, authenticated: authenticated === undefined ? undefined : now + authenticated }];
      }),
    );
    const subjectOf = (sub) => session({ ...who, sub, login: 0 }).subject;
    const listOf = (text) => {
      const [kind, of] = text.split(':');
      if (kind === 'u') return { tag: 0, hash: subjectOf(of) };
      return { tag: 1, hash: session({ ...who, sub: '', sid: of, login: 0 }).sid };
    };
    const commandOf = (list, step) => {
      if (step.admit) return admit(list, sessions[step.admit]);
      if (step.alive) return alive(sessions[step.alive]);
      if (step.end_some) return endSome(...step.end_some.map((key) => sessions[key]));
      return end(now + step.end, {
        of: step.scope && sessions[step.scope].sid,
        takesUsers: step.takes_users,
        subject: step.subject && subjectOf(step.subject),
      });
    };
    for (const step of steps) {
      const list = listOf(step.to);
      const answer = await ask(world.ledger, list, commandOf(list, step));
      const nothing = { ended: 0, later: 0, elsewhere: 0, of_other_subject: 0, left: false };
      const expected = typeof step.answer === 'object' ? { ...nothing, ...step.answer } : step.answer;
      assert.deepEqual(answer, expected, JSON.stringify(step));
    }
  });
}

test('what is said in another version is not understood, and nothing happens', async () => {
  const stub = world.ledger.get(world.ledger.idFromName('u:x'));
  for (const path of ['2/AA', '1/', '1/!', '1/_____w']) {
    assert.equal((await stub.fetch(`https://object/${path}`)).status, 400, path);
  }
});

test('five thousand sessions of a user end by one token, at once, and KV is cleaned behind', async () => {
  const who = { issuer: op.issuer, client: 'shop', sub: 'alice' };
  const sessions = Array.from({ length: 5000 }, (_, n) => session({ ...who, sid: `s${n}`, login: op.now() - 60 }));
  const list = userList(sessions[0]);
  await world.store();
  for (let at = 0; at < sessions.length; at += 100) {
    const some = sessions.slice(at, at + 100);
    await Promise.all(some.map((one) => ask(world.ledger, list, admit(list, one))));
    const entries = some.flatMap((one) => Object.entries(entryOf(one)));
    await Promise.all(entries.map(([key, [value, metadata]]) => world.kv.put(key, value, { metadata })));
  }
  await world.takeLogs();
  const token = await op.logoutToken({ sub: 'alice' });
  const started = Date.now();
  assert.equal((await world.logout(token)).status, 200);
  assert.ok(Date.now() - started < 2000, `${Date.now() - started} ms`);
  const done = (await world.takeLogs()).find(({ code }) => code === 'logout_done');
  assert.deepEqual([done.matched, done.deferred], [5000, true]);

  const seen = [];
  world.app = (req, res) => res.end(`${seen.push(req.headers.cookie)}`);
  for (const one of [sessions[0], sessions[2500], sessions[4999]]) {
    const cookie = `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', 'secret', one)}`;
    await world.request('/shop/', { headers: { cookie } });
  }
  assert.deepEqual(seen, [undefined, undefined, undefined]);
  const left = async () => (await world.kv.list({ prefix: 'session/' })).keys.length;
  for (const until = Date.now() + 60_000; (await left()) > 0; ) {
    assert.ok(Date.now() < until, `${await left()} entries or more are left`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
