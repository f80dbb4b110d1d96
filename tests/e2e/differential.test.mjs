// A second implementation of the validation, over jose, judges the same random tokens: the Worker
// must take what it takes and refuse what it refuses.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { LOGOUT_EVENT } from './support/op.mjs';
import { startWorld } from './support/world.mjs';

const TOKENS = 500;

let world, op;
before(async () => {
  world = await startWorld();
  op = world.op;
  await op.addKey('op-2');
  op.published.push('op-2');
});
after(() => world?.stop());

/** Without a `kid` each fitting key is tried. */
async function verify(token, keys, options) {
  try {
    return await jwtVerify(token, keys, options);
  } catch (error) {
    if (error.code !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error;
    for await (const key of error) {
      const verified = await jwtVerify(token, key, options).catch(() => undefined);
      if (verified) return verified;
    }
    throw error;
  }
}

/** Back-Channel Logout 1.0 section 2.6, written by somebody else. */
async function accepts(token, keys) {
  try {
    const { payload, protectedHeader } = await verify(token, keys, {
      algorithms: ['RS256'],
      issuer: op.issuer,
      audience: 'shop',
      clockTolerance: 60,
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
    });
    const text = (value) => typeof value === 'string' && value !== '';
    const object = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
    const { typ, cty, zip } = protectedHeader;
    const plain = typ?.toLowerCase().replace(/^application\//, '');
    return (
      [undefined, 'jwt', 'logout+jwt'].includes(plain) &&
      cty === undefined &&
      zip === undefined &&
      [payload.aud].flat().every((aud) => aud === 'shop') &&
      (!('azp' in payload) || payload.azp === 'shop') &&
      payload.iat <= op.now() + 60 &&
      text(payload.jti) &&
      object(payload.events) &&
      object(payload.events[LOGOUT_EVENT]) &&
      !('nonce' in payload) &&
      ('sub' in payload || 'sid' in payload) &&
      (!('sub' in payload) || text(payload.sub)) &&
      (!('sid' in payload) || text(payload.sid))
    );
  } catch {
    return false;
  }
}

/** Repeatable randomness (mulberry32), so that a failure can be looked at again. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`${TOKENS} random tokens get the same verdict from both`, async () => {
  const next = random(20261122);
  const pick = (values) => values[Math.floor(next() * values.length)];
  const odd = () => pick([null, '', 0, 5, true, [], {}, ['s1'], 'x', { a: 1 }]);
  const now = op.now();
  const changes = [
    (header) => (header.typ = pick(['JWT', 'logout+jwt', 'application/JWT', 'at+jwt', 'dpop+jwt'])),
    (header) => (header.cty = pick(['JWT', 'json'])),
    (header) => (header.kid = pick(['op-1', 'op-2', 'op-9'])),
    (header) => delete header.kid,
    (header) => (header.jku = 'https://evil.example/'),
    (header) => (header.extra = odd()),
    (_, claims) => (claims.iss = pick([op.issuer, `${op.issuer}x`, op.issuer.slice(0, -1)])),
    (_, claims) => (claims.aud = pick(['shop', ['shop'], ['shop', 'shop'], ['shop', 'x'], 'x', []])),
    (_, claims) => (claims.azp = pick(['shop', 'x', ''])),
    (_, claims) => (claims.exp = now + pick([-3600, -90, -30, 10, 0.5, 1e6])),
    (_, claims) => (claims.nbf = now + pick([-100, 0, 30, 120])),
    (_, claims) => (claims.iat = now + pick([-1e6, -100, 0.25, 30, 120])),
    (_, claims) => (claims.events = pick([{}, { [LOGOUT_EVENT]: { a: 1 }, x: 1 }, { x: {} }])),
    (_, claims) => (claims.events = { [LOGOUT_EVENT]: odd() }),
    (_, claims) => (claims.events = odd()),
    (_, claims) => (claims.nonce = odd()),
    (_, claims) => (claims.sub = odd()),
    (_, claims) => (claims.sid = odd()),
    (_, claims) => (claims.jti = odd()),
    (_, claims) => (claims.extra = odd()),
    (_, claims) => (claims.typ = 'Logout'),
    (_, claims) =>
      delete claims[pick(['iss', 'aud', 'exp', 'iat', 'jti', 'events', 'sub', 'sid'])],
  ];
  const keys = createLocalJWKSet(JSON.parse(op.document('/jwks')));
  const verdicts = { accepted: 0, refused: 0 };
  for (let n = 0; n < TOKENS; n++) {
    const header = { alg: 'RS256', kid: 'op-1' };
    const claims = op.claims({ sub: 'alice', sid: 's1' });
    for (let changed = Math.floor(next() * 3); changed >= 0; changed--) pick(changes)(header, claims);
    const signed = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = await op.signBytes(signed, header.kid === 'op-2' ? 'op-2' : 'op-1');
    if (next() < 0.05) signature[100] ^= 1;
    const token = `${signed}.${signature.toString('base64url')}`;

    const expected = await accepts(token, keys);
    const { status } = await world.logout(token);
    assert.ok([200, 400].includes(status), `${status}`);
    assert.equal(status === 200, expected, JSON.stringify({ n, header, claims }));
    verdicts[expected ? 'accepted' : 'refused']++;
  }
  // Both verdicts must be well represented, or the comparison says little.
  assert.ok(verdicts.accepted > TOKENS / 5 && verdicts.refused > TOKENS / 5, JSON.stringify(verdicts));
});
