// Apps that announce nothing: ID tokens that the OP posts.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startWorld } from './support/world.mjs';

const FORM = 'application/x-www-form-urlencoded';

let world, op;
/** What the app was sent. */
let seen;
before(async () => {
  world = await startWorld({
    bindings: (app) => ({
      APP_WIKI: { ...app('wiki'), announce: { from: 'form_post' }, login_paths: ['/wiki/callback'] },
    }),
  });
  op = world.op;
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
  seen = [];
});

const codes = async () => (await world.takeLogs()).map(({ code }) => code);
const cookieOf = (answer) => answer.setCookies[0].split(';')[0];

/** What the app is sent with this cookie. */
async function sent(cookie, path) {
  seen = [];
  assert.equal((await world.request(path, { headers: { cookie } })).status, 200);
  return seen[0].headers.cookie;
}

describe('a posted ID token', () => {
  const post = (fields, { cookie, query = '' } = {}) =>
    world.request(`/wiki/callback${query}`, {
      method: 'POST',
      headers: { 'content-type': FORM, ...(cookie && { cookie }) },
      body: new URLSearchParams({ state: 's', ...fields }).toString(),
    });
  const idToken = (more) => op.idToken({ aud: 'wiki', ...more });
  /** An app that takes the token itself: its answers set this cookie. */
  const sets = (value) => async (req, res) => {
    req.text = Buffer.concat(await req.toArray()).toString();
    seen.push(req);
    res.writeHead(200, value ? { 'set-cookie': `wiki.sid=${value}; Path=/wiki; HttpOnly` } : {}).end();
  };

  test('is a login; the app reads it too', async () => {
    world.app = sets('secret');
    const token = await idToken();
    const answer = await post({ id_token: token });
    assert.equal(new URLSearchParams(seen[0].text).get('id_token'), token);
    assert.deepEqual(await codes(), ['session_began']);
    world.app = sets();
    assert.equal(await sent(cookieOf(answer), '/wiki/page'), 'wiki.sid=secret');
    const logout = await op.logoutToken({ aud: 'wiki', sid: 's1' });
    assert.equal((await world.logout(logout, { client: 'wiki' })).status, 200);
    assert.equal(await sent(cookieOf(answer), '/wiki/page'), undefined);
  });

  test('on top of a session of the same user takes its cookie over, whatever else the answer says', async () => {
    world.app = sets('secret');
    let cookie = cookieOf(await post({ id_token: await idToken() }));
    for (const [directives, expected] of [[undefined, 'private, no-cache'], ['no-store', 'no-store'], ['public', 'private, no-cache']]) {
      world.app = (_, res) => res.writeHead(200, directives && { 'cache-control': directives }).end();
      const answer = await post({ id_token: await idToken({ sid: `after ${directives}` }) }, { cookie });
      assert.equal(answer.headers['cache-control'], expected);
      cookie = cookieOf(answer);
      world.app = sets();
      assert.equal(await sent(cookie, '/wiki/page'), 'wiki.sid=secret');
    }
  });

  test('that is not genuine is no login, and costs nobody a session', async () => {
    world.app = sets('secret');
    const cookie = cookieOf(await post({ id_token: await idToken() }));
    const before = await world.contents();
    await codes();
    world.app = sets();
    for (const [token, code] of [
      ['garbage', 'token_malformed'],
      [await op.idToken(), 'aud_mismatch'],
      [`${(await idToken()).slice(0, -8)}AAAAAAAA`, 'signature_invalid'],
    ]) {
      assert.equal((await post({ id_token: token }, { cookie })).status, 200);
      assert.deepEqual(await codes(), [code]);
    }
    assert.deepEqual(await world.contents(), before);
    assert.equal(await sent(cookie, '/wiki/page'), 'wiki.sid=secret');
  });

  test('of one’s own does not keep another’s session alive', async () => {
    world.app = sets('secret');
    const cookie = cookieOf(await post({ id_token: await idToken({ sub: 'alice', sid: 'a1' }) }));
    await codes();
    seen = [];
    const answer = await post({ id_token: await idToken({ sub: 'user-subject', sid: 'm1' }) }, { cookie });
    assert.equal(answer.status, 409);
    assert.deepEqual(seen, [], 'it never reached the app');
    assert.deepEqual(await codes(), ['session_replaced', 'login_as_another_user']);
  });

  test('is posted in a form, or not at all', async () => {
    world.app = sets('secret');
    seen = [];
    const token = await idToken();
    for (const [type, body] of [
      ['application/json', JSON.stringify({ id_token: token })],
      ['multipart/form-data; boundary=x', `--x\r\nContent-Disposition: form-data; name="id_token"\r\n\r\n${token}\r\n--x--`],
      [`${FORM}; charset=utf-16`, `id_token=${token}`],
      [`${FORM}, text/plain`, `id_token=${token}`],
    ]) {
      for (const method of ['POST', 'PUT']) {
        const answer = await world.request('/wiki/callback', { method, headers: { 'content-type': type }, body });
        assert.equal(answer.status, 400, type);
        assert.deepEqual(await codes(), ['content_type_not_form']);
      }
    }
    assert.deepEqual(seen, []);
  });

  test('that servers may read differently reaches none', async () => {
    seen = [];
    world.app = sets('secret');
    const token = await idToken();
    for (const [fields, query] of [
      [{ id_token: token }, '?id_token=x'],
      [{ id_token: token, ID_TOKEN: 'x' }],
      [{ 'id.token': token }],
    ]) {
      assert.equal((await post(fields, { query })).status, 400);
      assert.deepEqual(await codes(), ['authorization_response_ambiguous']);
    }
    assert.deepEqual(seen, []);
  });
});
