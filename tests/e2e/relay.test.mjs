// Apps that announce nothing: the token relay.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MODE, startWorld } from './support/world.mjs';

const RELAY = '/.edge-logout/relay/SHOP';
const FORM = 'application/x-www-form-urlencoded';

let world, op;
/** What the OP's token endpoint was sent. */
let asked;
/** What the app was sent, and what its back end heard of the relay. */
let seen, heard;
before(async () => {
  world = await startWorld({
    bindings: (app) => ({
      APP_SHOP: { ...app('shop'), announce: { from: 'relay' }, login_paths: ['/shop/callback'] },
    }),
  });
  op = world.op;
});
after(() => world?.stop());
beforeEach(async () => {
  await world.store();
  await world.takeLogs();
  asked = [];
  seen = [];
  heard = [];
  op.token = answerWith(async () => ({ id_token: await op.idToken() }));
  world.app = app();
});

const codes = async () => (await world.takeLogs()).map(({ code }) => code);
const unique = () => crypto.randomUUID();

/** A token endpoint that answers so; `more` are status and headers. */
const answerWith =
  (tokens, { status = 200, headers = {} } = {}) =>
  async (req, res) => {
    const body = Buffer.concat(await req.toArray()).toString();
    asked.push({ method: req.method, headers: req.headers, body });
    const answer = JSON.stringify({ access_token: 'secret', token_type: 'Bearer', ...(await tokens(body)) });
    res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
    res.end(answer);
  };

/** A request of the app's back end to the relay. */
async function redeem(fields, { path = `${RELAY}/token`, ...options } = {}) {
  const answer = await world.request(path, {
    method: 'POST',
    body: new URLSearchParams(fields).toString(),
    ...options,
    headers: { 'content-type': FORM, ...options.headers },
  });
  heard.push(answer);
  return answer;
}

const grant = (code, more) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: 'http://app.test/shop/callback',
  client_id: 'shop',
  client_secret: 'secret',
  ...more,
});

/** An app that redeems the code in its callback, and sets a new cookie if it got an ID token. */
const app =
  ({ redeems = (code) => redeem(grant(code)), status = 302, value = 'secret' } = {}) =>
  async (req, res) => {
    seen.push(req);
    const url = new URL(req.url, 'http://app.test');
    if (url.pathname !== '/shop/callback') return res.end('app');
    const form = new URLSearchParams(Buffer.concat(await req.toArray()).toString());
    const code = url.searchParams.get('code') ?? form.get('code');
    const answer = code && (await redeems(code));
    const cookie = answer?.status === 200 || status !== 302 ? [`shop.sid=${value}; Path=/shop; HttpOnly`] : [];
    res.writeHead(status, { location: '/shop', 'set-cookie': cookie }).end();
  };

const callback = (query, options) => world.request(`/shop/callback?${query}`, options);
const cookieOf = (answer) => answer.setCookies[0].split(';')[0];

/** What the app is sent with this cookie. */
async function sent(cookie, path = '/shop/page') {
  seen = [];
  const answer = await world.request(path, { headers: { cookie } });
  assert.equal(answer.status, 200);
  return seen[0].headers.cookie;
}

/** Nobody is logged in: no session anywhere. */
const assertNobody = async () => assert.deepEqual(await world.contents(), {});

describe('a login through the relay', () => {
  test('binds the cookie of the callback’s answer; the logout ends it', async () => {
    const answer = await callback(`code=${unique()}&state=s`);
    assert.equal(answer.status, 302);
    assert.equal(heard[0].status, 200);
    assert.match(cookieOf(answer), /^shop\.sid=el1\./);
    const keys = Object.keys(await world.contents());
    assert.equal(keys.filter((key) => key.startsWith('session/')).length, 1);
    assert.deepEqual(await codes(), ['login_relayed', 'session_began']);
    assert.equal(await sent(cookieOf(answer)), 'shop.sid=secret');

    const token = await op.logoutToken({ sid: 's1' });
    assert.equal((await world.logout(token)).status, 200);
    assert.equal((await codes()).at(-1), 'logout_done');
    const sessions = Object.keys(await world.contents({ pending: false }));
    assert.deepEqual(sessions.filter((key) => key.startsWith('session/')), []);
    assert.equal(await sent(cookieOf(answer)), undefined);
  });

  test('passes byte for byte, there and back', async () => {
    const code = unique();
    // PKCE, unusual order, encoding and signs: nothing is read and written again.
    const body = `client_id=shop&code=${code}&grant_type=authorization%5Fcode&code_verifier=a~b-%7e&x=%C3%BC+%20&empty=&redirect_uri=http://app.test/shop/callback`;
    const answered = `{ "id_token" : "${await op.idToken()}",\n"\\u0061ccess_token":"secret", "scope": "openid ü" } `;
    op.token = async (req, res) => {
      asked.push({ headers: req.headers, body: Buffer.concat(await req.toArray()).toString() });
      res.writeHead(200, {
        'content-type': 'application/json;charset=UTF-8',
        'content-encoding': 'gzip',
        'set-cookie': 'op=1',
        'x-op': 'yes',
        'strict-transport-security': 'max-age=1',
        pragma: 'no-cache',
      });
      res.end(gzipSync(answered));
    };
    world.app = app({
      redeems: () =>
        redeem({}, {
          body,
          headers: {
            authorization: `Basic ${btoa('shop:s%20cret')}`,
            accept: 'application/json',
            'user-agent': 'client/1',
            cookie: 'a=b',
            'x-forwarded-for': '192.0.2.1',
            'cf-connecting-ip': '192.0.2.1',
          },
        }),
    });
    assert.equal((await callback(`code=${code}`)).status, 302);
    const [{ headers, body: passed }] = asked;
    assert.equal(passed, body);
    assert.equal(headers.authorization, `Basic ${btoa('shop:s%20cret')}`);
    assert.equal(headers.accept, 'application/json');
    assert.equal(headers['content-type'], FORM);
    assert.equal(headers['user-agent'], 'client/1');
    for (const name of ['cookie', 'x-forwarded-for']) assert.equal(headers[name], undefined, name);
    assert.equal(headers.host, new URL(op.origin).host);
    const [answer] = heard;
    assert.equal(answer.body.toString(), answered);
    assert.equal(answer.headers['content-type'], 'application/json;charset=UTF-8');
    assert.equal(answer.headers.pragma, 'no-cache');
    for (const name of ['set-cookie', 'x-op', 'strict-transport-security']) {
      assert.equal(answer.headers[name], undefined, 'on the app’s host that would be the app’s');
    }
    assert.match(answer.headers['content-security-policy'], /default-src 'none'/);
    assert.match((await codes()).join(), /login_relayed,session_began/);
  });

  test('in two tabs at once: each cookie has its own session', async () => {
    const sids = { a: unique(), b: unique() };
    const [a, b] = [`a${unique()}`, `b${unique()}`];
    op.token = answerWith(async (body) => {
      const code = new URLSearchParams(body).get('code');
      return { id_token: await op.idToken({ sid: sids[code[0]] }) };
    });
    // Neither is answered before both have redeemed.
    let both = 0;
    let go;
    const ready = new Promise((resolve) => (go = resolve));
    world.app = (req, res) =>
      app({
        value: req.url.includes(a) ? 'of-a' : 'of-b',
        redeems: async (code) => {
          const answer = await redeem(grant(code));
          if (++both === 2) go();
          await ready;
          return answer;
        },
      })(req, res);
    const answers = await Promise.all([callback(`code=${a}`), callback(`code=${b}`)]);
    world.app = app();
    assert.deepEqual(await Promise.all(answers.map((answer) => sent(cookieOf(answer)))).then((all) => all.length), 2);
    assert.equal((await world.logout(await op.logoutToken({ sid: sids.a }))).status, 200);
    assert.equal(await sent(cookieOf(answers[0])), undefined);
    assert.equal(await sent(cookieOf(answers[1])), 'shop.sid=of-b');
  });

  for (const [how, request] of Object.entries({
    'in a form': (code) => ['', { method: 'POST', body: `state=s&code=${code}`, headers: { 'content-type': FORM } }],
    'in the claims of a JARM response': (code) => {
      const claims = Buffer.from(JSON.stringify({ iss: op.issuer, code })).toString('base64url');
      return [`response=e30.${claims}.c2ln&code_of_the_test=${code}`, {}];
    },
  })) {
    test(`finds the code ${how}`, async () => {
      const code = unique();
      const inner = app({ redeems: () => redeem(grant(code)) });
      world.app = (req, res) => {
        if (req.url.includes('response=')) req.url += `&code=${code}`;
        return inner(req, res);
      };
      const answer = await callback(...request(code));
      assert.equal(answer.status, 302);
      assert.deepEqual(await codes(), ['login_relayed', 'session_began']);
      assert.equal(await sent(cookieOf(answer)), 'shop.sid=secret');
    });
  }

  test('reaches the app with its form unread', async () => {
    const body = `code=${unique()}&state=${'s'.repeat(40_000)}`;
    world.app = async (req, res) => res.end(Buffer.concat(await req.toArray()));
    const answer = await callback('', { method: 'POST', body, headers: { 'content-type': FORM } });
    assert.equal(answer.body.toString(), body);
    const large = await callback('', { method: 'POST', body: 'x='.padEnd(70_000, 'x'), headers: { 'content-type': FORM } });
    assert.equal(large.status, 400);
    assert.deepEqual(await codes(), ['body_too_large']);
    // What is no form brings no code, and is none of our business.
    const json = await callback('', { method: 'POST', body: '{}'.padEnd(70_000), headers: { 'content-type': 'application/json' } });
    assert.equal(json.body.length, 70_000);
  });
});

describe('nobody is logged in', () => {
  const refusedWith = async (code, error = 'invalid_grant') => {
    const answer = heard.at(-1);
    assert.equal(answer.status, 400);
    assert.deepEqual(JSON.parse(answer.body), { error, error_description: `edge-logout: ${code}` });
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(await codes(), [code]);
    await assertNobody();
  };

  test('by a code that no callback brought', async () => {
    await redeem(grant(unique()));
    await refusedWith('code_without_callback');
    assert.equal(asked.length, 1);
  });

  test('by a code that is redeemed after the callback was answered', async () => {
    const code = unique();
    world.app = app({ redeems: () => {}, status: 200 });
    const answer = await callback(`code=${code}`);
    assert.match(cookieOf(answer), /^shop\.sid=el1\./);
    await redeem(grant(code));
    await refusedWith('code_without_callback');
  });

  test('by a code that is redeemed twice, or called back with twice', async () => {
    const code = unique();
    world.app = app({
      async redeems() {
        const again = await callback(`code=${code}`, { headers: { cookie: 'shop.sid=x' } });
        assert.equal(again.status, 303);
        assert.equal(again.headers.location, '/shop');
        return redeem(grant(code));
      },
    });
    const answer = await callback(`code=${code}`);
    assert.equal(seen.length, 1, 'the second never reached the app');
    assert.match((await codes()).join(), /callback_repeated,login_relayed,session_began/);
    assert.equal(await sent(cookieOf(answer)), 'shop.sid=secret');
    await redeem(grant(code));
    assert.equal(heard.at(-1).status, 400);
    assert.equal((await callback(`code=${code}`)).status, 303);
    assert.equal(await sent(cookieOf(answer)), 'shop.sid=secret', 'and the login lives on');
  });

  test('by fresh tokens', async () => {
    op.token = answerWith(async () => ({ id_token: await op.idToken(), refresh_token: 'secret' }));
    const answer = await redeem({ grant_type: 'refresh_token', refresh_token: 'secret', client_id: 'shop' });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).refresh_token, 'secret');
    assert.deepEqual(await codes(), []);
    await assertNobody();
  });

  test('where the OP refuses the code: its answer is the app’s', async () => {
    op.token = answerWith(() => ({ error: 'invalid_grant', access_token: undefined }), {
      status: 400,
      headers: { 'www-authenticate': 'Basic' },
    });
    await callback(`code=${unique()}`);
    assert.equal(heard[0].status, 400);
    assert.equal(JSON.parse(heard[0].body).error, 'invalid_grant');
    assert.equal(heard[0].headers['www-authenticate'], 'Basic');
    assert.deepEqual(await codes(), []);
    await assertNobody();
  });

  for (const [what, code, tokens] of [
    ['no ID token', 'id_token_missing', () => ({})],
    ['one for another client', 'aud_mismatch', async () => ({ id_token: await op.idToken({ aud: 'wiki' }) })],
    ['an expired one', 'expired', async () => ({ id_token: await op.idToken({ exp: op.now() - 600 }) })],
    ['one that is not signed', 'signature_invalid', async () => {
      const token = await op.idToken();
      return { id_token: `${token.slice(0, -8)}AAAAAAAA` };
    }],
    ['a logout token', 'not_an_id_token', async () => ({ id_token: await op.logoutToken({ sub: 'alice', sid: 's1' }) })],
    ['an encrypted one', 'token_encrypted', () => ({ id_token: 'e30.a.b.c.d' })],
  ]) {
    test(`by an answer with ${what}: it is kept back`, async () => {
      op.token = answerWith(tokens);
      await callback(`code=${unique()}`);
      assert.doesNotMatch(heard[0].body.toString(), /secret/);
      await refusedWith(code);
    });
  }

  test('where the app shows a page instead', async () => {
    world.app = async (req, res) => {
      await redeem(grant(new URL(req.url, 'http://app.test').searchParams.get('code')));
      res.writeHead(403).end('not you');
    };
    const answer = await callback(`code=${unique()}`);
    assert.equal(answer.status, 403);
    assert.equal(answer.body.toString(), 'not you');
    assert.deepEqual(await codes(), ['login_relayed']);
    await assertNobody();
  });

  test('where another user is signed in: that session ends, too', async () => {
    const cookie = cookieOf(await callback(`code=${unique()}`));
    await codes();
    op.token = answerWith(async () => ({ id_token: await op.idToken({ sub: 'user-subject', sid: 's2' }) }));
    // An app that refuses the login may set the cookie of the session anew.
    world.app = app({ value: 'secret of alice' });
    const answer = await callback(`code=${unique()}`, { headers: { cookie } });
    assert.equal(answer.status, 409);
    assert.match(answer.setCookies.join(), /^shop\.sid=;.*Max-Age=0/i);
    assert.deepEqual(await codes(), ['login_relayed', 'session_replaced', 'login_as_another_user']);
    const sessions = Object.keys(await world.contents()).filter((key) => key.startsWith('session/'));
    assert.deepEqual(sessions, []);
    // KV alone knows of it by what is missing, which counts three minutes later.
    if (MODE === 'ledger') assert.equal(await sent(cookie), undefined);
  });

  test('by a login path in another spelling', async () => {
    for (const path of ['/shop/%63allback', '/shop/Callback', '/shop//callback', '/shop/callback;x=y']) {
      const answer = await world.request(`${path}?code=${unique()}`);
      assert.equal(answer.status, 400, path);
      assert.deepEqual(await codes(), ['authorization_response_ambiguous']);
    }
    assert.deepEqual(seen, []);
  });
});

describe('the relay takes', () => {
  const other = (fields, options) => redeem({ ...grant(unique()), ...fields }, options);

  for (const [what, ask, error, code] of [
    ['no other client', () => other({ client_id: 'wiki' }), 'invalid_client', 'client_mismatch'],
    ['no other client in the header', () => other({}, { headers: { authorization: `Basic ${btoa('wiki:s')}` } }), 'invalid_client', 'client_mismatch'],
    ['nobody without a name', () => redeem({ grant_type: 'authorization_code', code: 'c' }), 'invalid_client', 'client_mismatch'],
    ['no bearer', () => other({}, { headers: { authorization: 'Bearer x' } }), 'invalid_client', 'client_authentication_unknown'],
    ['no parameter twice', () => redeem([...Object.entries(grant('a')), ['code', 'b']]), 'invalid_request', 'parameter_repeated'],
    ['no DPoP proof', () => other({}, { headers: { dpop: 'e30.e30.x' } }), 'invalid_dpop_proof', 'proof_for_relay'],
    ['no JSON', () => other({}, { headers: { 'content-type': 'application/json' } }), 'invalid_request', 'content_type_not_form'],
    ['no large body', () => other({ x: 'x'.repeat(70_000) }), 'invalid_request', 'body_too_large'],
    ['no GET', () => redeem({}, { method: 'GET', body: undefined }), 'invalid_request', 'method_not_post'],
  ]) {
    test(what, async () => {
      const answer = await ask();
      assert.equal(answer.status, 400);
      assert.deepEqual(JSON.parse(answer.body), { error, error_description: `edge-logout: ${code}` });
      assert.deepEqual(asked, [], 'the OP was not asked');
      assert.deepEqual(await codes(), [code]);
    });
  }

  test('an assertion that is for the OP, and none that is for the relay', async () => {
    const assertion = (aud) => {
      const claims = JSON.stringify({ iss: 'shop', sub: 'shop', aud, jti: unique() });
      return `e30.${Buffer.from(claims).toString('base64url')}.c2ln`;
    };
    const ask = (aud) =>
      redeem({
        grant_type: 'refresh_token',
        refresh_token: 'secret',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion(aud),
      });
    const relay = `http://app.test${RELAY}/token`;
    assert.equal((await ask(op.issuer)).status, 200);
    assert.equal((await ask([`${op.origin}/token`, relay])).status, 200);
    assert.equal(asked.length, 2);
    const refused = await ask(relay);
    assert.equal(refused.status, 400);
    assert.match(refused.body.toString(), /invalid_client.*assertion_for_relay/);
    assert.equal(asked.length, 2);
  });

  test('nothing at other paths, apps or hosts', async () => {
    for (const path of [
      '/.edge-logout/relay/WIKI/token',
      '/.edge-logout/relay/shop/token',
      '/.edge-logout/relay/SHOP',
      `${RELAY}/tokens`,
      `${RELAY}/token/`,
    ]) {
      const { status } = await redeem(grant('c'), { path });
      assert.ok([400, 404, 405].includes(status), `${path}: ${status}`);
    }
    const elsewhere = await redeem(grant('c'), { headers: { host: world.originHost } });
    assert.ok([404, 405].includes(elsewhere.status));
    const encoded = await redeem(grant('c'), { path: `${RELAY}/%74oken` });
    assert.equal(encoded.status, 400);
    assert.deepEqual(asked, []);
  });

  for (const [what, answer, code] of [
    ['no redirect', (req, res) => res.writeHead(307, { location: '/elsewhere' }).end(), 'token_endpoint_redirects'],
    ['no endless answer', (req, res) => res.end('x'.repeat(300_000)), 'token_answer_too_large'],
    ['no status that is none', (req, res) => res.writeHead(600).end('{}'), 'token_endpoint_unreachable'],
    [
      'no coding that nobody undoes',
      (req, res) => res.writeHead(200, { 'content-encoding': 'deflate' }).end('{}'),
      'token_endpoint_unreachable',
    ],
    ['no broken connection', (req) => req.destroy(), 'token_endpoint_unreachable'],
  ]) {
    test(`of the OP ${what}: 503`, async () => {
      op.token = answer;
      const refused = await redeem(grant(unique()));
      assert.equal(refused.status, 503);
        assert.match(refused.body.toString(), new RegExp(`temporarily_unavailable.*${code}`));
      assert.deepEqual(await codes(), [code]);
    });
  }
});

test('the metadata are the OP’s, with the relay’s token endpoint', async () => {
  const path = `${RELAY}/.well-known/openid-configuration`;
  const { status, headers, body } = await world.request(path);
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(body), {
    ...JSON.parse(op.document('/.well-known/openid-configuration')),
    token_endpoint: `http://app.test${RELAY}/token`,
  });
  assert.equal((await world.request(path, { method: 'POST' })).status, 405);
});
