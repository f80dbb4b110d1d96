// Lists that nobody asks any more leave nothing behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
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
async function listOf(setup, ...lifetimes) {
  const who = { issuer: op.issuer, client: 'shop', sub: `alice-${++users}` };
  const sessions = lifetimes.map((lifetime, n) => ({
    ...session({ ...who, sid: `s${n}`, login: op.now(), registeredAt: op.now() }),
    expires: op.now() + lifetime,
  }));
  const list = userList(sessions[0]);
  const stub = world.ledger.getByName(`u:${list.hash.toString('base64url')}`);
  const at = (path, init) => stub.fetch(`https://object/${path}`, init);
  await at('setup', { method: 'POST', body: JSON.stringify(setup) });
  for (const one of sessions) assert.equal(await ask(world.ledger, list, admit(list, one)), 'admitted');
  const state = async () => (await at('state')).json();
  return {
    sessions,
    at,
    state,
    end: (one) => ask(world.ledger, list, endSome(one)),
    /** Waits for a state that fits. */
    async until(fits) {
      for (const end = Date.now() + 20_000; Date.now() < end; ) {
        const found = await state();
        if (fits(found)) return found;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.fail(JSON.stringify(await state()));
    },
  };
}

test('an entry that was deleted late brings no list back', async () => {
  const list = await listOf({ isHolding: true }, 600);
  const ended = list.end(list.sessions[0]);
  await list.until(({ isHeld }) => isHeld);
  // The alarm finds the session too, and is faster.
  await list.at('alarm');
  assert.equal((await list.state()).tables, 0);
  await list.at('letgo');
  assert.equal(await ended, 1);
  const { tables, alarm, alarms } = await list.state();
  assert.deepEqual({ tables, alarm, alarms }, { tables: 0, alarm: null, alarms: 1 });
});

test('where the ledger is bound no more, its lists go when their sessions are over', async () => {
  const list = await listOf({ isBound: false }, 2, 4);
  const { alarm, alarms } = await list.until(({ tables }) => tables === 0);
  assert.equal(alarm, null);
  assert.ok(alarms <= 4, `${alarms}`);
});

test('a list that cannot be read when its alarm goes off is looked at again soon', async () => {
  const list = await listOf({ isReadable: false }, 3600);
  const before = await list.state();
  assert.ok(before.alarm > Date.now() + 3_000_000, 'it waits for the end of its session');
  assert.equal((await list.at('alarm')).status, 200);
  const { alarm, tables } = await list.state();
  assert.ok(alarm > Date.now() && alarm < before.alarm, `${alarm}`);
  assert.equal(tables, before.tables);
  // And it knows the session still.
  assert.equal(await list.end(list.sessions[0]), 1);
});
