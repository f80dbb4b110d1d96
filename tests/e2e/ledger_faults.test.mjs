// The ledger failing on workerd, and an OP that never sends a token twice: the session must be dead.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWorld } from './support/world.mjs';

let world, op, who, cookie;
let users = 0;
before(async () => {
  world = await startWorld();
  op = world.op;
  // The key set, once and for all.
  await world.logout(await op.logoutToken({ sid: 'nobody' }));
});
after(() => world?.stop());
beforeEach(async () => {
  await world.faults();
  // A login that failed may leave its entry.
  await world.store();
  who = { sub: `alice-${++users}`, sid: `sid-${users}` };
  cookie = (await logIn()).setCookies[0].split(';')[0];
  await world.takeLogs();
  await world.calls();
});

/** Has the app log the user in. */
async function logIn() {
  const token = await op.idToken(who);
  world.app = (_, res) =>
    res.writeHead(200, { 'edge-logout-id-token': token, 'set-cookie': 'shop.sid=secret; Path=/' }).end();
  return world.request('/shop/');
}

/** What a request with the cookie comes to, and the cookies that the app saw if it was asked. */
async function visit() {
  const seen = [];
  world.app = (req, res) => {
    seen.push(req.headers.cookie ?? 'nobody');
    res.end();
  };
  const started = Date.now();
  const { status, setCookies } = await world.request('/shop/', { headers: { cookie } });
  return { status, setCookies, seen, took: Date.now() - started };
}

// Where nothing but the net answers, and without it nobody would.
const LIMIT = { timeout: 20_000 };

const ALIVE = { status: 200, setCookies: [], seen: ['shop.sid=secret'] };
const UNAVAILABLE = { status: 503, setCookies: [], seen: [] };

async function assertVisit(expected) {
  const { took, ...visited } = await visit();
  assert.deepEqual(visited, expected);
}

async function assertDead() {
  assert.deepEqual((await visit()).seen, ['nobody']);
}

/** Until then, the session must end by itself; nothing more is sent. */
async function dies() {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if ((await visit()).seen[0] === 'nobody') return;
  }
  assert.fail('it lives');
}

const entries = async () => Object.keys(await world.contents());

const codes = async () => (await world.takeLogs()).map(({ code }) => code);

/** What a logout comes to. */
async function logOut(target = { sid: who.sid }) {
  const token = await op.logoutToken(target);
  const started = Date.now();
  const { status, headers } = await world.logout(token);
  const took = Date.now() - started;
  assert.ok(took < 2400, `${took} ms`);
  if (status === 503) assert.equal(headers['retry-after'], '2');
  return status;
}

for (const [ledger, count] of [
  ['unreachable', 1],
  // For the list's alarm too: it comes before the answer.
  ['hung', 2],
  ['storage', 1],
]) {
  test(`the list of the user ${ledger} to that of the sid: 503, and finished`, async () => {
    await world.faults({ ledger, list: 'u', count });
    assert.equal(await logOut(), 503);
    if (ledger === 'storage') await world.logged('ledger_storage_failed');
    await world.logged('ledger_unconfirmed');
    await world.logged('logout_finished_late');
    await assertDead();
    assert.deepEqual(await entries(), []);
  });
}

// How it fails, how often, the code that tells so, and the calls that the request makes.
const FAILURES = [
  ['overloaded', 1, 'ledger_overloaded', 1],
  ['unreachable', 1, 'ledger_failed', 1],
  ['restarted', 2, 'ledger_failed', 2],
  ['empty', 1, 'ledger_not_understood', 1],
  ['rubbish', 1, 'ledger_not_understood', 1],
  ['other', 1, 'ledger_not_understood', 1],
  ['newer', 1, 'ledger_not_understood', 1],
  ['storage', 1, 'ledger_failed', 1],
  ['unreadable', 1, 'ledger_failed', 1],
];

for (const [ledger, count, code, calls] of FAILURES) {
  for (const kind of ['sid', 'sub']) {
    test(`a logout by ${kind}, ledger ${ledger}: 503, and finished after the answer`, async () => {
      await world.faults({ ledger, count });
      assert.equal(await logOut({ [kind]: who[kind] }), 503);
      assert.equal((await world.logged(code)).class, 'logout_pending');
      await world.logged('logout_finished_late');
      await assertDead();
      assert.deepEqual(await entries(), []);
    });
  }

  for (const list of ['u', 's']) {
    test(`a login, the list of ${list} ${ledger}: 503, no cookie, and the next one counts`, async () => {
      assert.equal(await logOut(), 200);
      who = { sub: `alice-${++users}`, sid: `sid-${users}` };
      await world.faults({ ledger, count, list });
      const { status, setCookies } = await logIn();
      assert.deepEqual([status, setCookies], [503, []]);
      assert.ok((await codes()).includes(code));
      cookie = (await logIn()).setCookies[0].split(';')[0];
      await assertVisit(ALIVE);
      assert.equal(await logOut(), 200);
      await assertDead();
    });
  }

  // A list that has been read knows it without its storage.
  if (ledger === 'storage') continue;
  test(`a request, ledger ${ledger}: 503, not forwarded, the cookie kept`, async () => {
    await world.faults({ ledger, count });
    await assertVisit(UNAVAILABLE);
    assert.equal((await world.calls()).ledger, calls);
    assert.ok((await codes()).includes(code));
    await assertVisit(ALIVE);
    assert.equal((await entries()).length, 1);
    assert.equal(await logOut(), 200);
  });
}

test('a request to a list that has been read, and cannot be written: it knows what lives', async () => {
  await assertVisit(ALIVE);
  await world.faults({ ledger: 'storage', count: 2 });
  await assertVisit(ALIVE);
  assert.equal(await logOut(), 503);
  await world.logged('logout_finished_late');
  await assertDead();
});

test('a ledger restarted under a call: asked once more, and nobody notices', async () => {
  await world.faults({ ledger: 'restarted', count: 1 });
  await assertVisit(ALIVE);
  assert.equal((await world.calls()).ledger, 2);
  await world.faults({ ledger: 'restarted', count: 1 });
  assert.equal(await logOut(), 200);
  await assertDead();
});

test('an answer of the ledger lost: 503, though the session is dead', async () => {
  await world.faults({ ledger: 'lost', count: 1 });
  assert.equal(await logOut(), 503);
  await assertDead();
  await world.logged('logout_finished_late');
  await world.faults({ ledger: 'lost', count: 1 });
  assert.deepEqual(await visit().then(({ status, seen }) => [status, seen]), [503, []]);
});

test('a ledger that hangs: 503 in two seconds, and finished after the answer', async () => {
  await world.faults({ ledger: 'hung', count: 1 });
  assert.equal(await logOut(), 503);
  await world.logged('deadline_exceeded');
  await world.logged('logout_finished_late');
  await assertDead();
});

for (const death of ['panic', 'cut']) {
  test(`the instance dies in the list of the sid: 503 in time, and the next request is served (${death})`, LIMIT, async () => {
    await world.faults({ ledger: death, list: 's', count: 1 });
    assert.equal(await logOut(), 503);
    await world.logged('instance_lost');
    await assertVisit(ALIVE);
    assert.equal(await logOut(), 200);
    await assertDead();
  });

  test(`the instance dies in the list of the user: the list of the sid goes on by itself (${death})`, LIMIT, async () => {
    await world.faults({ ledger: death, list: 'u', count: 1 });
    assert.equal(await logOut(), 503);
    await world.logged('instance_lost');
    await dies();
    assert.deepEqual(await entries(), []);
  });
}

// All at once, because it takes its time.
test('the gate waits ten seconds for the ledger, and as long as it takes for the app', LIMIT, async () => {
  const waitingFor = async (fits) => {
    for (const end = Date.now() + 5000; Date.now() < end; ) if (fits(await world.calls())) return;
    assert.fail('nothing came of it');
  };
  const atApp = [];
  const asks = async (path) => {
    const started = Date.now();
    const { status, setCookies, body } = await world.request(path, { headers: { cookie } });
    return { status, setCookies, body: body.toString(), took: Date.now() - started };
  };
  world.app = async (req, res) => {
    atApp.push(req.url);
    if (req.url === '/shop/slow') {
      await sleep(12_000);
      return res.end('at last');
    }
    for (let part = 0; part < 12; part++) {
      res.write(`${part} `);
      await sleep(1000);
    }
    res.end();
  };

  await world.faults({ ledger: 'panic', count: 1 });
  const dead = asks('/shop/dead');
  await waitingFor(({ ledger }) => ledger === 1);
  // The next request comes to a new instance.
  const slow = asks('/shop/slow');
  const stream = asks('/shop/stream');
  for (const end = Date.now() + 5000; atApp.length < 2 && Date.now() < end; ) await sleep(10);
  await world.faults({ ledger: 'hung', count: 1 });
  const hung = asks('/shop/hung');

  for (const asked of [dead, hung]) {
    const { status, setCookies, took } = await asked;
    assert.deepEqual([status, setCookies], [503, []]);
    assert.ok(took > 9900 && took < 11_000, `${took} ms`);
  }
  await world.logged('instance_lost');
  assert.deepEqual(
    await Promise.all([slow, stream]).then((all) => all.map(({ status, body }) => [status, body])),
    [[200, 'at last'], [200, '0 1 2 3 4 5 6 7 8 9 10 11 ']],
  );
  assert.deepEqual(atApp.toSorted(), ['/shop/slow', '/shop/stream'], 'nothing else was forwarded');
  await assertVisit(ALIVE);
  assert.equal(await logOut(), 200);
  await assertDead();
});

test('no timer stays set', async () => {
  let timers;
  for (const end = Date.now() + 5000; timers?.set !== 0 && Date.now() < end; ) {
    timers = JSON.parse((await world.request('/timers')).body);
  }
  assert.deepEqual(timers, { set: 0, clearedInVain: 0 });
});
