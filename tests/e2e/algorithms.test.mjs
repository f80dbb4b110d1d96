// Every algorithm, signed by jose and verified by the Worker: one per issuer, and no other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA',
];

let world, op;
before(async () => {
  world = await startWorld({
    bindings: (app, op) =>
      Object.fromEntries(
        ALGORITHMS.flatMap((alg) => {
          const issuer = `${op.origin}/${alg}/`;
          return [
            [`ISSUER_${alg}`, { issuer, allow_insecure_http: true, logout_alg: alg, id_token_alg: alg }],
            [
              `APP_${alg}`,
              {
                ...app('shop'),
                issuer,
                routes: [`app.test/${alg}`],
                logout_path: `/${alg}/bclogout`,
                session_cookies: [`${alg}.sid`],
              },
            ],
          ];
        }),
      ),
  });
  op = world.op;
  for (const alg of ALGORITHMS) {
    await op.addKey(`key-${alg}`, alg);
    op.published.push(`key-${alg}`);
  }
});
after(() => world?.stop());

const issuerOf = (alg) => `${op.origin}/${alg}/`;
const signed = (alg, claims) => op.sign(claims, { alg, kid: `key-${alg}` });

for (const alg of ALGORITHMS) {
  test(`${alg}: taken where it is configured, for logout and login`, async () => {
    const who = { issuer: issuerOf(alg), client: 'shop', sid: 's1' };
    const loggedIn = session({ ...who, sub: 'alice', login: op.now() - 5 });
    await world.store(loggedIn);
    const iat = op.now();
    const token = await signed(alg, op.claims({ iss: issuerOf(alg), sid: 's1', iat }));
    assert.equal((await world.logout(token, { client: alg })).status, 200);
    assert.deepEqual(await world.contents({ pending: false }), world.markOf(who, iat));

    const idToken = await signed(alg, {
      iss: issuerOf(alg), aud: 'shop', sub: 'alice', sid: 's2', iat, exp: iat + 60,
    });
    world.app = (_, res) =>
      res.writeHead(200, { 'edge-logout-id-token': idToken, 'set-cookie': `${alg}.sid=c` }).end();
    assert.equal((await world.request(`/${alg}/`)).status, 200);
    assert.equal((await world.logout(tampered(token), { client: alg })).status, 400);
  });

  test(`${alg}: refused where another is configured, valid signature and published key or not`, async () => {
    await world.takeLogs();
    for (const configured of ALGORITHMS.filter((other) => other !== alg)) {
      const who = { issuer: issuerOf(configured), client: 'shop', sub: 'alice', sid: 's1' };
      const loggedIn = session({ ...who, login: op.now() - 5 });
      await world.store(loggedIn);
      const token = await signed(alg, op.claims({ iss: issuerOf(configured), sid: 's1' }));
      const answer = await world.logout(token, { client: configured });
      assert.equal(answer.status, 400, configured);
      assert.deepEqual(await world.contents(), world.stored(loggedIn));
    }
    const codes = (await world.takeLogs()).map(({ code }) => code);
    assert.deepEqual(new Set(codes), new Set(['alg_not_configured']));
  });
}

function tampered(token) {
  const [header, payload, signature] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[bytes.length >> 1] ^= 1;
  return `${header}.${payload}.${bytes.toString('base64url')}`;
}

test('a point off its curve, and a signature of the wrong length, verify nothing', async () => {
  const x = Buffer.alloc(32, 1).toString('base64url');
  op.publish({ kty: 'EC', crv: 'P-256', x, y: x, kid: 'off-curve' });
  const token = await signed('ES256', op.claims({ iss: issuerOf('ES256'), sid: 's1' }));
  const [, payload, signature] = token.split('.');
  const header = Buffer.from('{"alg":"ES256","kid":"off-curve"}').toString('base64url');
  for (const forged of [
    `${header}.${payload}.${signature}`,
    `${token.slice(0, token.lastIndexOf('.'))}.${signature.slice(0, 80)}`,
    `${token.slice(0, token.lastIndexOf('.'))}.`,
  ]) {
    await world.takeLogs();
    const answer = await world.logout(forged, { client: 'ES256' });
    assert.equal(answer.status, 400);
    assert.deepEqual((await world.takeLogs()).map(({ code }) => code), ['signature_invalid']);
  }
  assert.equal((await world.logout(token, { client: 'ES256' })).status, 200, 'the others serve');
});
