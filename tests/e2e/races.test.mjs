// What crosses a logout, on workerd: logins, answers, repeats. Which mechanism holds each is said at
// the native tests, which run every order of the steps; here the clocks and lists are the real ones.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { seal, session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

let world, op;
before(async () => {
  world = await startWorld();
  op = world.op;
  // The keys are fetched.
  await world.logout(await op.logoutToken({ sid: 'nobody' }));
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
});

const cookieOf = ({ setCookies: [line] }) => line.split(';')[0];

/** Logs in with an ID token of these claims. */
async function logIn(claims, value = 'secret') {
  const token = await op.idToken(claims);
  world.app = (_, res) =>
    res.writeHead(200, { 'edge-logout-id-token': token, 'set-cookie': `shop.sid=${value}; Path=/` }).end();
  return world.request('/shop/');
}

/** What the app is sent with a cookie. */
async function seenWith(cookie) {
  let seen;
  world.app = (req, res) => {
    seen = req.headers.cookie;
    res.end();
  };
  await world.request('/shop/', { headers: { cookie } });
  return seen;
}

/** A request whose answer waits until `meanwhile` is over. */
async function whileAnswering(headers, answer, meanwhile) {
  const asked = Promise.withResolvers();
  world.app = (req, res) => asked.resolve([req, res]);
  const request = world.request('/shop/', { headers });
  const [req, res] = await asked.promise;
  await meanwhile();
  res.writeHead(200, answer).end();
  return [await request, req.headers.cookie];
}

const logOut = async (more) => assert.equal((await world.logout(await op.logoutToken(more))).status, 200);

describe('a login', () => {
  test('whose logout has come already is not delivered', async () => {
    const iat = op.now();
    for (const target of [{ sid: 's1' }, { sub: 'alice' }]) {
      await world.store();
      await logOut({ ...target, iat });
      const answer = await logIn({ iat });
      assert.equal(answer.status, 409);
      assert.deepEqual(answer.setCookies, []);
      assert.deepEqual(await world.contents(), {});
    }
  });

  test('whose logout comes before its answer is not delivered', async () => {
    const announcement = { 'edge-logout-id-token': await op.idToken(), 'set-cookie': 'shop.sid=secret' };
    const [answer] = await whileAnswering({}, announcement, () => logOut({ sid: 's1' }));
    assert.equal(answer.status, 409);
    assert.deepEqual(answer.setCookies, []);
    assert.deepEqual(await world.contents(), {});
  });

  test('that runs into its logout is dead or refused, whichever comes first', async () => {
    for (let round = 0; round < 20; round++) {
      const [sub, sid] = [`alice-${round}`, `s-${round}`];
      // Of one second: a login of the next would be after the logout.
      const iat = op.now();
      const token = await op.logoutToken({ iat, ...(round % 2 ? { sub } : { sid }) });
      const [answer, { status }] = await Promise.all([logIn({ sub, sid, iat }), world.logout(token)]);
      assert.equal(status, 200);
      if (answer.status === 200) assert.equal(await seenWith(cookieOf(answer)), undefined);
      else assert.equal(answer.status, 409);
      assert.deepEqual(await world.contents(), {});
    }
  });

  test('of another sid beside a logout lives', async () => {
    for (let round = 0; round < 10; round++) {
      const old = await logIn({ sid: `a-${round}`, iat: op.now() - 5 }, 'old');
      const token = await op.logoutToken({ sid: `a-${round}` });
      const [answer, { status }] = await Promise.all([logIn({ sid: `b-${round}` }, 'new'), world.logout(token)]);
      assert.deepEqual([answer.status, status], [200, 200]);
      assert.equal(await seenWith(cookieOf(answer)), 'shop.sid=new');
      assert.equal(await seenWith(cookieOf(old)), undefined);
    }
  });

  for (const [name, since, claims, status] of [
    ['10 s after, by silent sign-on', 10, { auth_time: -100 }, 409],
    ['10 s after, and the provider does not say how', 10, {}, 409],
    ['10 s after, authenticated anew', 10, { auth_time: -5 }, 200],
    ['10 s after, with a new sid', 10, { sid: 's2' }, 200],
    ['60 s after', 60, {}, 409],
    ['61 s after', 61, {}, 200],
  ]) {
    test(`with the sid of a logout, ${name}: ${status}`, async () => {
      const now = op.now();
      await logOut({ sid: 's1', iat: now - since });
      const { auth_time, ...more } = claims;
      const answer = await logIn({ iat: now, ...more, ...(auth_time && { auth_time: now + auth_time }) });
      assert.equal(answer.status, status);
      if (status === 200) assert.equal(await seenWith(cookieOf(answer)), 'shop.sid=secret');
    });
  }

  test('with an ID token older than ten minutes is none', async () => {
    assert.equal((await logIn({ iat: op.now() - 620 })).status, 409);
    const [{ code }] = await world.takeLogs();
    assert.equal(code, 'birth_refused_login_too_old');
  });
});

describe('a session', () => {
  test('whose answer was under way gets a cookie that is as dead', async () => {
    const cookie = cookieOf(await logIn({}));
    const rolled = { 'set-cookie': 'shop.sid=rolled; Path=/' };
    const [answer, sent] = await whileAnswering({ cookie }, rolled, () => logOut({ sid: 's1' }));
    assert.equal(sent, 'shop.sid=secret');
    assert.match(answer.setCookies[0], /^shop\.sid=el1\./);
    assert.equal(await seenWith(cookieOf(answer)), undefined);
  });

  test('that is announced again keeps its login time', async () => {
    const iat = op.now() - 60;
    const cookie = cookieOf(await logIn({ iat }));
    const refreshed = await op.idToken();
    world.app = (_, res) => res.writeHead(200, { 'edge-logout-id-token': refreshed }).end();
    await world.request('/shop/', { headers: { cookie } });
    await logOut({ sid: 's1', iat: iat + 1 });
    assert.equal(await seenWith(cookie), undefined);
  });

  for (const [ahead, seen] of [[10, undefined], [11, 'shop.sid=secret']]) {
    test(`whose login seems ${ahead} s later than a logout that came after it: ${seen ? 'lives' : 'ends'}`, async () => {
      const now = op.now();
      const cookie = cookieOf(await logIn({ iat: now }));
      await logOut({ sid: 's1', iat: now - ahead });
      assert.equal(await seenWith(cookie), seen);
    });
  }

  test('that came after a logout outlives its repeats', async () => {
    const now = op.now();
    const tokens = [{ sid: 's1' }, { sub: 'alice' }].map((who) => op.logoutToken({ ...who, iat: now - 5 }));
    await logIn({ iat: now - 60 }, 'old');
    for (const token of tokens) assert.equal((await world.logout(await token)).status, 200);
    const cookie = cookieOf(await logIn({ iat: now, auth_time: now }));
    for (const token of tokens) assert.equal((await world.logout(await token)).status, 200);
    assert.equal(await seenWith(cookie), 'shop.sid=secret');
  });

  test('ends by one token that comes twenty times at once: each 200, and one has ended it', async () => {
    for (const who of [{ sid: 's1' }, { sub: 'alice' }]) {
      await world.store();
      const cookie = cookieOf(await logIn({ iat: op.now() - 5 }));
      await world.takeLogs();
      const token = await op.logoutToken(who);
      const answers = await Promise.all(Array.from({ length: 20 }, () => world.logout(token)));
      assert.deepEqual(answers.map(({ status }) => status), Array(20).fill(200));
      const lines = await world.takeLogs();
      assert.equal(lines.reduce((sum, { matched }) => sum + matched, 0), 1);
      assert.equal(await seenWith(cookie), undefined);
      assert.deepEqual(await world.contents(), {});
    }
  });

  test('ends by two logouts at once, of its sid and its user, as one', async () => {
    const cookie = cookieOf(await logIn({ iat: op.now() - 5 }));
    await world.takeLogs();
    const tokens = await Promise.all([op.logoutToken({ sid: 's1' }), op.logoutToken({ sub: 'alice' })]);
    const answers = await Promise.all(tokens.map((token) => world.logout(token)));
    assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
    assert.equal((await world.takeLogs()).reduce((sum, { matched }) => sum + matched, 0), 1);
    assert.equal(await seenWith(cookie), undefined);
  });
});

test('a change of the mode signs everybody in again, in both directions', async () => {
  const kvAlone = await startWorld({ mode: 'kv', sealKeys: world.sealKeys });
  try {
    for (const [before, after] of [[world, kvAlone], [kvAlone, world]]) {
      // One app in both: they differ in the provider's port only.
      const who = { issuer: after.op.issuer, client: 'shop', sub: 'alice', sid: 's1' };
      const bound = session({ ...who, login: op.now() - 5 });
      await after.store(bound);
      const sealed = (mode) => seal(world.sealKeys, { ...after.shop, mode }, 'shop.sid', 'secret', bound);
      const seen = [];
      after.app = (req, res) => res.end(`${seen.push(req.headers.cookie)}`);
      for (const mode of [before.mode, after.mode]) {
        const answer = await after.request('/shop/', { headers: { cookie: `shop.sid=${sealed(mode)}` } });
        assert.deepEqual(answer.setCookies, []);
      }
      assert.deepEqual(seen.map(String), ['undefined', 'shop.sid=secret']);
    }
  } finally {
    await kvAlone.stop();
  }
});
