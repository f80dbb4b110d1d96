// Who is an operator: the key, or Cloudflare Access; and nobody through somebody else's page.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { HEADERS, KEY, TAG, startOffice } from '../support/operator.mjs';
import { startWorld } from '../support/world.mjs';

let world, op;
before(async () => {
  world = await startOffice();
  op = world.op;
  await op.addKey('foreign');
});
after(() => world?.stop());
beforeEach(() => world.takeLogs());

const { authorization, ...MARKED } = HEADERS;
const unauthorized = (answer, message) => {
  const { date: _, ...headers } = answer.headers;
  assert.deepEqual(
    [answer.status, answer.json, headers],
    [
      401,
      { error: 'unauthorized' },
      {
        'cache-control': 'no-store',
        'content-length': '24',
        'content-type': 'application/json',
        'www-authenticate': 'Bearer',
        'x-content-type-options': 'nosniff',
      },
    ],
    message,
  );
};

describe('the key', () => {
  test('opens, whatever the case of the scheme', async () => {
    for (const scheme of ['Bearer', 'bearer']) {
      const headers = { ...MARKED, authorization: `${scheme} ${KEY}` };
      assert.equal((await world.api('/overview', undefined, { headers })).status, 200);
    }
  });

  test('that is missing or wrong gets one and the same answer', async () => {
    const last = KEY.at(-1) === '0' ? '1' : '0';
    for (const given of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      KEY,
      `Basic ${KEY}`,
      `Bearer ${KEY}0`,
      `Bearer ${KEY.slice(0, -1)}`,
      `Bearer ${KEY.slice(0, -1)}${last}`,
      `Bearer  ${KEY}`,
      `Bearer ${KEY.toUpperCase()}`,
      `Bearer ${'0'.repeat(64)}`,
    ]) {
      const headers = given === undefined ? MARKED : { ...MARKED, authorization: given };
      for (const [path, body] of [['/overview'], ['/nothing'], ['/end', { app: 'SHOP', sub: 'alice' }]]) {
        unauthorized(await world.api(path, body, { headers }), `${given} ${path}`);
      }
    }
    const lines = await world.takeLogs();
    assert.ok(lines.length > 0);
    for (const line of lines) assert.deepEqual(line, { code: 'operator_unauthorized', class: 'refused' });
  });
});

describe('Access', () => {
  const claims = (more) => ({
    iss: op.origin,
    aud: [TAG],
    sub: 'somebody',
    email: 'alice@example.com',
    iat: op.now(),
    exp: op.now() + 60,
    ...more,
  });
  const ask = (assertion, more) =>
    world.api('/overview', undefined, {
      headers: { ...MARKED, 'cf-access-jwt-assertion': assertion, ...more },
    });
  const HEADER = { alg: 'RS256', kid: 'op-1' };
  const signed = async (more, header = HEADER) => op.sign(claims(more), header);

  test('lets in whom it let in: people, and service tokens', async () => {
    for (const more of [{}, { aud: TAG }, { aud: ['other', TAG] }, { sub: '', common_name: 'a.access' }]) {
      assert.equal((await ask(await signed(more))).status, 200, JSON.stringify(more));
    }
    assert.equal((await ask(await signed(), { authorization: 'Bearer wrong' })).status, 200);
  });

  test('does not let in anybody else', async () => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${encode({ alg: 'none' })}.${encode(claims())}`;
    const symmetric = `${encode({ alg: 'HS256', kid: 'op-1' })}.${encode(claims())}`;
    const hmac = createHmac('sha256', op.document('/jwks')).update(symmetric).digest('base64url');
    const [header, payload, signature] = (await signed()).split('.');
    const assertions = {
      'another application': await signed({ aud: ['other'] }),
      'no application': await signed({ aud: [] }),
      'another team': await signed({ iss: `${op.origin}/` }),
      'no team': await signed({ iss: undefined }),
      'expired': await signed({ exp: op.now() - 61 }),
      'without an end': await signed({ exp: undefined }),
      'without a beginning': await signed({ iat: undefined }),
      'from the future': await signed({ iat: op.now() + 400, exp: op.now() + 500 }),
      'not valid yet': await signed({ nbf: op.now() + 400 }),
      'nobody': await signed({ sub: '' }),
      'a number': await signed({ sub: 1 }),
      'unsigned': `${unsigned}.`,
      'signed with what is public': `${symmetric}.${hmac}`,
      'a foreign key': await op.sign(claims(), { ...HEADER, kid: 'foreign' }),
      'a foreign key by our name': (await op.sign(claims(), { ...HEADER, kid: 'foreign' })).replace(/^[^.]+/, header),
      'other claims': `${header}.${encode(claims({ sub: 'root' }))}.${signature}`,
      'no signature': `${header}.${payload}.`,
      'a logout token': await op.logoutToken({ sub: 'somebody' }),
      'an ID token': await op.idToken(),
      'garbage': 'garbage',
      'nothing': '',
    };
    for (const [name, assertion] of Object.entries(assertions)) unauthorized(await ask(assertion), name);
  });

  test('whose keys cannot be had is our outage, and nobody gets in', async () => {
    op.answer = (req, res) => res.writeHead(500).end();
    try {
      const other = await startOffice();
      other.op.answer = (req, res) => res.writeHead(500).end();
      try {
        const assertion = await other.op.sign(
          { iss: other.op.origin, aud: [TAG], sub: 's', iat: op.now(), exp: op.now() + 60 },
          HEADER,
        );
        const headers = { ...MARKED, 'cf-access-jwt-assertion': assertion };
        const { status, json } = await other.api('/overview', undefined, { headers });
        assert.deepEqual([status, json], [503, { error: 'unavailable', code: 'op_answer_not_200' }]);
      } finally {
        await other.stop();
      }
    } finally {
      op.answer = undefined;
    }
  });
});

describe("another site's page", () => {
  test('cannot ask: 403, whatever credentials come along', async () => {
    for (const headers of [
      { authorization },
      { ...HEADERS, 'edge-logout-operator': '2' },
      { ...HEADERS, 'edge-logout-operator': '' },
      { ...HEADERS, origin: 'https://app.test' },
      { ...HEADERS, origin: 'http://app.test:8080' },
      { ...HEADERS, origin: 'http://evil.test' },
      { ...HEADERS, origin: 'null' },
      { ...HEADERS, 'sec-fetch-site': 'cross-site' },
      { ...HEADERS, 'sec-fetch-site': 'same-site' },
      { ...HEADERS, origin: 'http://app.test', 'sec-fetch-site': 'cross-site' },
    ]) {
      for (const [path, body] of [['/overview'], ['/end', { app: 'SHOP', sub: 'alice' }]]) {
        const answer = await world.api(path, body, { headers });
        assert.deepEqual([answer.status, answer.json], [403, { error: 'forbidden' }], JSON.stringify(headers));
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
      }
    }
    assert.deepEqual(new Set((await world.takeLogs()).map(({ code }) => code)), new Set(['operator_forbidden']));
  });

  test('is told nothing when it asks whether it may', async () => {
    const headers = {
      origin: 'https://evil.test',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'edge-logout-operator',
    };
    const answer = await world.api('/end', undefined, { method: 'OPTIONS', headers });
    assert.equal(answer.status, 403);
    assert.deepEqual(Object.keys(answer.headers).filter((name) => name.startsWith('access-control')), []);
  });

  test('cannot post a form or text', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '']) {
      const headers = { ...HEADERS, 'content-type': type };
      const answer = await world.api('/end', { app: 'SHOP', sub: 'alice' }, { headers });
      assert.deepEqual([answer.status, answer.json], [400, { error: 'bad_request' }], type);
    }
  });

  test("of our own may: its origin is the one that was asked", async () => {
    for (const more of [{ origin: 'http://app.test' }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) {
      assert.equal((await world.api('/overview', undefined, { headers: { ...HEADERS, ...more } })).status, 200);
    }
  });
});

test('a method that is not for a path is refused, and the right one named', async () => {
  for (const [path, method, allow] of [['/overview', 'POST', 'GET'], ['/end', 'GET', 'POST'], ['/held', 'DELETE', 'POST']]) {
    const answer = await world.api(path, undefined, { method });
    assert.deepEqual([answer.status, answer.json], [405, { error: 'method_not_allowed' }]);
    assert.equal(answer.headers.allow, allow);
  }
});

describe('the pages', () => {
  test('need no credentials, and may run nothing but their own scripts', async () => {
    const { status, headers } = await world.request('/.edge-logout/operator');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/html/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.match(headers['content-security-policy'], /default-src 'none'; script-src 'self'/);
    assert.match(headers['content-security-policy'], /require-trusted-types-for 'script'/);
  });

  test('are what there is and nothing else', async () => {
    for (const path of ['/', '/index.html', '/nothing.js', '/../error.html', '/%2e%2e/error.html', '//x']) {
      const { status } = await world.request(`/.edge-logout/operator${path}`);
      assert.ok([400, 404].includes(status), `${path} ${status}`);
    }
    const { status } = await world.request('/.edge-logout/operator', { method: 'POST' });
    assert.equal(status, 405);
  });
});

describe('without an operator', () => {
  const PATHS = ['/operator', '/operator/index.html', '/operator/console.js', '/api', '/api/overview', '/api/end'];

  test('there is nothing', async () => {
    const lonely = await startWorld();
    try {
      for (const path of PATHS) {
        const answer = await lonely.request(`/.edge-logout${path}`, { headers: HEADERS });
        assert.deepEqual([answer.status, answer.body.toString()], [404, 'Not found.\n'], path);
      }
      const posted = await lonely.request('/.edge-logout/api/end', { method: 'POST', headers: HEADERS, body: '{}' });
      const unknown = await lonely.request('/.edge-logout/unknown', { method: 'POST', headers: HEADERS, body: '{}' });
      assert.deepEqual([posted.status, posted.body], [unknown.status, unknown.body]);
      assert.deepEqual(await lonely.takeLogs(), []);
    } finally {
      await lonely.stop();
    }
  });

  test('there is nothing on a host without apps', async () => {
    for (const path of PATHS) {
      const headers = { ...HEADERS, host: 'other.test' };
      assert.equal((await world.request(`/.edge-logout${path}`, { headers })).status, 404, path);
    }
  });
});
