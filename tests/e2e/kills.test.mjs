// The ledger and power cuts: what was answered stays true, and what was noted is done, though workerd
// is killed in between.
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { entryKeyOf, ownerOf, session } from './support/format.mjs';
import { admit, alive, sidList, userList } from './support/ledger.mjs';
import { newFolder, soak } from './support/soak.mjs';
import { startWorld } from './support/world.mjs';

/** Waits until it holds. */
async function until(what, holds) {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`not in time: ${what}`);
}

/** A world whose storage outlives workerd. */
async function startLasting(t, setup) {
  const persist = newFolder();
  const world = await startWorld({ persist, ...setup });
  t.after(async () => {
    await world.stop();
    rmSync(persist, { recursive: true });
  });
  /** Logs in; gives the cookie as the browser sends it, and the session's hashes. */
  world.logIn = async (claims) => {
    const token = await world.op.idToken(claims);
    world.app = (_, res) =>
      res.writeHead(200, { 'edge-logout-id-token': token, 'set-cookie': 'shop.sid=secret; Path=/' }).end();
    const { setCookies } = await world.request('/shop/');
    world.app = (req, res) => res.end(req.headers.cookie ?? 'nobody');
    const cookie = setCookies[0].split(';')[0];
    const owner = ownerOf(world.sealKeys, world.shop, 'shop.sid', cookie.slice('shop.sid='.length));
    return { cookie, owner };
  };
  world.see = async ({ cookie }) => String((await world.request('/shop/', { headers: { cookie } })).body);
  /** What its two lists say. */
  world.lives = async ({ owner }) => ({
    user: await world.ask(userList(owner), alive(owner)),
    sid: await world.ask(sidList(owner), alive(owner)),
  });
  /** The tables of all lists on the disk. */
  world.tables = () => {
    const folder = `${persist}/do/edge-logout-Ledger`;
    const files = readdirSync(folder).filter((name) => /^[0-9a-f]+\.sqlite$/.test(name));
    return files.flatMap((name) => {
      // The Worker may have locked it for a moment.
      const file = new DatabaseSync(`${folder}/${name}`, { readOnly: true, timeout: 5000 });
      const tables = file.prepare("SELECT name FROM sqlite_master WHERE name IN ('session', 'logout')").all();
      file.close();
      return tables.map((table) => table.name);
    });
  };
  return world;
}

for (const [when, tries] of [['before the user’s list is told', 1], ['while the alarm tells the user’s list', 2]]) {
  test(`a logout that was noted is finished, though workerd is killed ${when}`, async (t) => {
    const world = await startLasting(t, { entry: 'distant.js' });
    const ours = await world.logIn({ sub: 'alice', sid: 's1' });
    await world.request('/hold', { method: 'POST' });
    const answer = world.logout(await world.op.logoutToken({ sid: 's1' })).catch(() => ({ status: 0 }));
    // A list says only what it has stored.
    await until('the logout is noted', async () => !(await world.lives(ours)).sid);
    await until(`try ${tries}`, async () => JSON.parse((await world.request('/held')).body) >= tries);
    assert.deepEqual(await world.lives(ours), { user: true, sid: false });
    assert.equal(await world.see(ours), 'shop.sid=secret');
    await world.crash();
    assert.notEqual((await answer).status, 200);

    // From here on nobody says a word to the list of the `sid`.
    await world.logged('logout_finished_late');
    assert.equal(await world.see(ours), 'nobody');
    assert.deepEqual(await world.lives(ours), { user: false, sid: false });
    assert.deepEqual(await world.contents(), {});
  });
}

test('sessions, their ends and their entries outlive workerd', async (t) => {
  const world = await startLasting(t);
  const [one, other] = [await world.logIn({ sid: 's1' }), await world.logIn({ sid: 's2' })];
  await world.crash();
  assert.equal(await world.see(one), 'shop.sid=secret');
  assert.equal((await world.logout(await world.op.logoutToken({ sid: 's1' }))).status, 200);
  await world.crash();
  assert.equal(await world.see(one), 'nobody');
  assert.equal(await world.see(other), 'shop.sid=secret');
  assert.deepEqual(Object.keys(await world.contents()), [entryKeyOf(other.owner)]);
});

test('a list deletes itself when its last session is over, though workerd was killed before', async (t) => {
  const world = await startLasting(t);
  const ours = session({ ...world.shop, sub: 'alice', sid: 's1', login: world.op.now(), lifetime: 8 });
  const list = userList(ours);
  assert.equal(await world.ask(list, admit(list, ours)), 'admitted');
  await world.crash();
  assert.equal(await world.ask(list, alive(ours)), true);
  assert.deepEqual(world.tables().sort(), ['logout', 'session']);
  await until('the list is gone', () => world.tables().length === 0);
  assert.equal(await world.ask(list, alive(ours)), false);
  assert.deepEqual(world.tables(), [], 'asking makes no new list');
});

test('nobody who was logged out comes back, and nobody else is logged out', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const { kills, wrong, counts } = await soak({ seconds: 12, kills: 6, seed });
  assert.deepEqual(
    wrong,
    { 'alive that should be dead': [], 'dead that should live': [], 'entries left in KV': [] },
    `with SEED=${seed}`,
  );
  assert.ok(kills >= 6);
  assert.ok(counts.logins > 50);
});
