// The back-channel endpoint as HTTP, and the OP's keys: rotation, outage, caching.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

let world, op, who, loggedIn;
before(async () => {
  world = await startWorld();
  op = world.op;
});
after(() => world?.stop());
beforeEach(async () => {
  op.answer = undefined;
  who = { issuer: op.issuer, client: 'shop', sub: 'alice', sid: 's1' };
  loggedIn = session({ ...who, login: op.now() - 5 });
  await world.store(loggedIn);
  await world.takeLogs();
  op.fetches.length = 0;
});

const untouched = async () => assert.deepEqual(await world.contents(), world.stored(loggedIn));

describe('the request', () => {
  for (const [name, options, code] of [
    ['GET', { method: 'GET', body: undefined }, 'method_not_post'],
    ['HEAD', { method: 'HEAD', body: undefined }, 'method_not_post'],
    ['OPTIONS', { method: 'OPTIONS', body: undefined }, 'method_not_post'],
    ['PUT', { method: 'PUT' }, 'method_not_post'],
    ['PROPFIND', { method: 'PROPFIND' }, 'method_not_post'],
  ]) {
    test(`${name} is refused and told what is allowed`, async () => {
      const answer = await world.logout(await op.logoutToken({ sid: 's1' }), options);
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.allow, 'POST');
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.deepEqual((await world.takeLogs()).map((line) => line.code), [code]);
      await untouched();
    });
  }

  const form = 'application/x-www-form-urlencoded';
  for (const [name, { type = form, encoding, body }, code] of [
    ['no content type', { type: 'text/plain' }, 'content_type_not_form'],
    ['JSON', { type: 'application/json' }, 'content_type_not_form'],
    ['a multipart form', { type: 'multipart/form-data; boundary=x' }, 'content_type_not_form'],
    ['an encoded body', { encoding: 'gzip' }, 'content_encoding_present'],
    ['no token', { body: 'token=x' }, 'token_missing'],
    ['an empty body', { body: '' }, 'token_missing'],
    ['the token twice', { body: (token) => `logout_token=${token}&logout_token=${token}` }, 'token_repeated'],
    ['a token of 17 KB', { body: `logout_token=${'a'.repeat(17 * 1024)}` }, 'token_too_large'],
    ['a body of 70 KB', { body: `x=${'a'.repeat(70 * 1024)}` }, 'body_too_large'],
    ['a body of 5 MB', { body: `x=${'a'.repeat(5 << 20)}` }, 'body_too_large'],
  ]) {
    test(`${name} is refused`, async () => {
      const token = await op.logoutToken({ sid: 's1' });
      const text = typeof body === 'function' ? body(token) : (body ?? `logout_token=${token}`);
      const headers = { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) };
      const answer = await world.logout('', { headers, body: text });
      assert.equal(answer.status, 400);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(JSON.parse(answer.body).error, 'invalid_request');
      // A large one may have been sent more than once: see `world.request`.
      assert.deepEqual([...new Set((await world.takeLogs()).map((line) => line.code))], [code]);
      assert.deepEqual(op.fetches, []);
      await untouched();
    });
  }

  for (const [name, { path = '/shop/bclogout', headers, body }] of [
    ['a charset parameter', { headers: { 'content-type': `${form}; charset=ISO-8859-1` } }],
    ['percent-encoded', { body: (token) => `a=%ff&logout%5Ftoken=${token.replaceAll('.', '%2E')}` }],
    ['a query on the endpoint', { path: '/shop/bclogout?tenant=7&logout_token=ignored' }],
    ['chunked', { headers: { 'content-type': form, 'transfer-encoding': 'chunked' } }],
  ]) {
    test(`${name} is taken`, async () => {
      const iat = op.now();
      const token = await op.logoutToken({ sid: 's1', iat });
      const answer = await world.request(path, {
        method: 'POST',
        headers: headers ?? { 'content-type': form },
        body: body?.(token) ?? `logout_token=${token}`,
      });
      assert.equal(answer.status, 200);
      assert.deepEqual(await world.contents({ pending: false }), world.markOf({ ...who, sub: undefined }, iat));
    });
  }

  test('a token for one client is refused at the endpoint of another', async () => {
    const answer = await world.logout(await op.logoutToken({ sid: 's1' }), { client: 'wiki' });
    assert.equal(answer.status, 400);
    assert.deepEqual(await world.takeLogs(), [{ code: 'aud_mismatch', class: 'refused', app: 'WIKI' }]);
    await untouched();
  });

  test('an ID token is no logout token', async () => {
    const answer = await world.logout(await op.idToken());
    assert.equal(answer.status, 400);
    assert.deepEqual((await world.takeLogs()).map((line) => line.code), ['event_missing']);
    await untouched();
  });
});

describe('the keys', () => {
  const outage = async (answer, codes) => {
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '2');
    assert.equal(answer.headers['cache-control'], 'no-store');
    const [{ code, ...line }] = await world.takeLogs();
    assert.deepEqual(line, { class: 'logout_pending', app: 'SHOP' });
    assert.ok(codes.includes(code), code);
    await untouched();
  };

  test('are fetched once, not per token', async () => {
    await world.logout(await op.logoutToken({ sid: 'x' }));
    op.fetches.length = 0;
    for (let n = 0; n < 5; n++) await world.logout(await op.logoutToken({ sid: 'x' }));
    assert.deepEqual(op.fetches, []);
  });

  test('a rotated key is found by one refetch', async () => {
    await op.addKey('op-2');
    op.published.push('op-2');
    const answer = await world.logout(await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid: 'op-2' }));
    assert.equal(answer.status, 200);
    assert.deepEqual(op.fetches, ['/.well-known/openid-configuration', '/jwks']);
  });

  for (const [name, respond] of [
    ['gzipped', (body, res) => res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body))],
    ['with a byte order mark', (body, res) => res.end(`\ufeff${body}`)],
    ['as jwk-set+json', (body, res) => res.writeHead(200, { 'content-type': 'application/jwk-set+json' }).end(body)],
  ]) {
    test(`are read ${name}`, async () => {
      const kid = `op-${name}`;
      await op.addKey(kid);
      op.published.push(kid);
      op.answer = (req, res) => respond(op.document(req.url), res);
      const token = await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid });
      assert.equal((await world.logout(token)).status, 200);
    });
  }

  test('two of one kid are both tried', async () => {
    await op.addKey('op-twice');
    op.published.push('op-twice');
    const token = await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid: 'op-twice' });
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const other = { ...publicKey.export({ format: 'jwk' }), kid: 'op-twice' };
    op.answer = (req, res) => {
      const document = JSON.parse(op.document(req.url));
      document.keys?.unshift(other);
      res.end(JSON.stringify(document));
    };
    assert.equal((await world.logout(token)).status, 200);
  });

  test('a kid that no key has is refused after one refetch', async () => {
    await op.addKey('op-3');
    const token = await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid: 'op-3' });
    const answer = await world.logout(token);
    assert.equal(answer.status, 400);
    assert.deepEqual((await world.takeLogs()).map((line) => line.code), ['key_unknown']);
    assert.equal(op.fetches.length, 2);
    await untouched();
  });

  test('many made-up kids at once cost the OP one fetch a second, and a genuine one passes', async () => {
    await op.addKey('op-4');
    op.published.push('op-4');
    const made = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const token = await op.logoutToken({ sid: 's1' });
        const [, claims, signature] = token.split('.');
        const header = Buffer.from(`{"alg":"RS256","kid":"made-up-${n}"}`).toString('base64url');
        return `${header}.${claims}.${signature}`;
      }),
    );
    const genuine = await op.logoutToken({ sid: 's1' }, { alg: 'RS256', kid: 'op-4' });
    const answers = await Promise.all([...made, genuine].map((token) => world.logout(token)));
    assert.equal(answers.pop().status, 200);
    for (const { status } of answers) assert.ok([400, 503].includes(status));
    assert.ok(op.fetches.length <= 2 * 3, `${op.fetches.length} fetches`);
  });

  for (const [name, respond, ...codes] of [
    ['down', (_, res) => res.destroy(), 'op_unreachable'],
    ['slow to finish', (_, res) => res.write('{'), 'op_unreachable', 'deadline_exceeded'],
    ['failing', (_, res) => res.writeHead(500).end(), 'op_answer_not_200'],
    ['redirecting', (_, res) => res.writeHead(302, { location: '/jwks' }).end(), 'op_answer_not_200'],
    ['sending HTML', (_, res) => res.end('<html>'), 'op_document_malformed'],
    [
      'without a key',
      (req, res) => res.end(req.url.endsWith('jwks') ? '{"keys":[]}' : op.document(req.url)),
      'jwks_without_usable_key',
    ],
    ['sending 10 MB', (_, res) => res.end('x'.repeat(10 << 20)), 'op_answer_too_large'],
    ['another issuer', (_, res) => res.end('{"issuer":"https://evil.example","jwks_uri":"x"}'), 'metadata_of_other_issuer'],
    ['sending too much', (_, res) => res.end('x'.repeat(70 * 1024)), 'op_answer_too_large'],
    ['silent', () => {}, 'op_unreachable', 'deadline_exceeded'],
  ]) {
    test(`an OP that is ${name}: 503 for an unknown key, known keys serve, and it is finished later`, async () => {
      const kid = `op-${name}`;
      await op.addKey(kid);
      op.answer = respond;
      const started = Date.now();
      const unknown = await op.logoutToken({ sid: 's2' }, { alg: 'RS256', kid });
      const answer = await world.logout(unknown);
      // An OP gives up after as little as 2.5 s.
      assert.ok(Date.now() - started < 2500);
      assert.ok(op.fetches.length > 0);
      await outage(answer, codes);
      const known = await world.logout(await op.logoutToken({ sid: 's1' }));
      assert.equal(known.status, 200);
      op.published.push(kid);
      op.answer = undefined;
      await world.logged('logout_finished_late');
    });
  }
});
