// Lists that nobody asks any more leave nothing behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { session } from './support/format.mjs';
import { admit, ask, endSome, userList } from './support/ledger.mjs';
import { startWorld } from './support/world.mjs';

let world, op;
before(async () => {
  world = await startWorld({ entry: 'lonely.js', mode: 'ledger' });
  op = world.op;
});
after(() => world?.stop());

let users = 0;
/** A user's list with these sessions, each of so many seconds. */
async function listOf(...lifetimes) {
  const who = { issuer: op.issuer, client: 'shop', sub: `alice-${++users}` };
  const sessions = lifetimes.map((lifetime, n) => ({
    ...session({ ...who, sid: `s${n}`, login: op.now(), registeredAt: op.now() }),
    expires: op.now() + lifetime,
  }));
  const list = userList(sessions[0]);
  const stub = world.ledger.getByName(`u:${list.hash.toString('base64url')}`);
  const at = async (path, init) => stub.fetch(`https://ledger/${path}`, init);
  await at('setup', { method: 'POST', body: '{}' });
  for (const one of sessions) assert.equal(await ask(world.ledger, list, admit(list, one)), 'admitted');
  return {
    sessions,
    setup: (body) => at('setup', { method: 'POST', body: JSON.stringify(body) }),
    state: async () => (await at('state')).json(),
    end: (one) => ask(world.ledger, list, endSome(one)),
  };
}

test('an entry that was deleted late brings no list back', async () => {
  const list = await listOf(600, 600);
  // The alarm of the first end finds the second session too, and is faster.
  await list.setup({ deletions: [0, 500, 0] });
  assert.equal(await list.end(list.sessions[0]), 1);
  await sleep(850);
  assert.equal(await list.end(list.sessions[1]), 1);
  await sleep(500);
  const { tables, alarm, alarms } = await list.state();
  assert.deepEqual({ tables, alarm, alarms }, { tables: 0, alarm: null, alarms: 1 });
});

test('where the ledger is bound no more, its lists go when their sessions are over', async () => {
  const list = await listOf(2, 4);
  await list.setup({ isBound: false });
  await sleep(5500);
  const { tables, alarm, alarms } = await list.state();
  assert.deepEqual({ tables, alarm }, { tables: 0, alarm: null });
  assert.ok(alarms <= 4, `${alarms}`);
});
