// The eight modules of the OpenID Foundation's certification profile "Back-Channel RP",
// re-enacted: same tokens, same key set, same statuses. It is not the suite, and no certificate.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomInt, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { LOGOUT_EVENT } from './support/op.mjs';
import { session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

let world;
before(async () => {
  world = await startWorld({ issuerPath: '/test/a/edge-logout/' });
});
after(() => world?.stop());

const pick = (count, characters) =>
  Array.from({ length: count }, () => characters[randomInt(characters.length)]).join('');
const PRINTABLE = String.fromCharCode(...Array.from({ length: 95 }, (_, code) => code + 32));

/** 20 letters, 10 digits, 5 punctuation marks of any kind. */
const newSid = () =>
  pick(20, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ') +
  pick(10, '0123456789') +
  pick(5, PRINTABLE.replace(/[A-Za-z0-9]/g, ''));

/** A fresh key set, as every module has one: new kids under the same issuer. */
async function newKeySet() {
  const { op } = world;
  op.published.length = 0;
  const kids = { RS256: randomUUID(), ES256: randomUUID() };
  await op.addKey(kids.RS256, 'RS256', { use: 'sig' });
  await op.addKey(kids.ES256, 'ES256', { use: 'sig' });
  op.published.push(kids.RS256, kids.ES256);
  for (const [type, options, use] of [
    ['rsa', { modulusLength: 2048 }, 'sig'],
    ['ec', { namedCurve: 'P-256' }, 'sig'],
    ['ec', { namedCurve: 'secp256k1' }, 'sig'],
    ['ed25519', {}, 'sig'],
    ['rsa', { modulusLength: 2048 }, 'enc'],
    ['ec', { namedCurve: 'P-256' }, 'enc'],
  ]) {
    const { publicKey } = generateKeyPairSync(type, options);
    const alg = { rsa: 'RSA-OAEP', ec: 'ECDH-ES' }[type];
    op.publish({
      ...publicKey.export({ format: 'jwk' }),
      kid: randomUUID(),
      use,
      ...(use === 'enc' && { alg }),
    });
  }
  return kids;
}

const base64url = (value) => Buffer.from(value).toString('base64url');

for (const [suffix, status, change] of [
  ['', 200],
  ['-alg-none', 400, { none: true }],
  ['-wrong-alg', 400, { alg: 'ES256' }],
  ['-wrong-iss', 400, { claims: (own) => ({ iss: `${own.iss}INVALID` }) }],
  ['-wrong-aud', 400, { claims: (own) => ({ aud: `${own.aud}INVALID` }) }],
  ['-no-event', 400, { claims: () => ({ events: undefined }) }],
  [
    '-wrong-event',
    400,
    { claims: () => ({ events: { 'http://schemas.openid.net/event/foobar': {} } }) },
  ],
  ['-with-nonce', 400, { claims: () => ({ nonce: 'logout_tokens_must_not_contain_a_nonce' }) }],
]) {
  test(`oidcc-client-test-rp-backchannel-rpinitlogout${suffix}: ${status}`, async () => {
    const { op } = world;
    const kids = await newKeySet();
    const who = {
      issuer: op.issuer,
      client: 'shop',
      sub: 'user-subject-1234531',
      sid: newSid(),
    };
    const loggedIn = session({ ...who, login: op.now() - 5 });
    await world.store(loggedIn);

    const iat = op.now();
    const own = {
      iss: op.issuer,
      sub: who.sub,
      aud: 'shop',
      jti: randomUUID(),
      sid: who.sid,
      events: { [LOGOUT_EVENT]: {} },
      iat,
      exp: iat + 120,
      ignored_claim: 'This claim is to be ignored by the relying party.',
    };
    const claims = { ...own, ...change?.claims?.(own) };
    const alg = change?.alg ?? 'RS256';
    const token = change?.none
      ? `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(claims))}.`
      : await op.sign(claims, { alg, kid: kids[alg] });

    const answer = await world.logout(token);

    assert.equal(answer.status, status);
    const directives = answer.headers['cache-control'].split(',').map((part) => part.trim());
    assert.ok(directives.includes('no-store'));
    if (status === 200) assert.deepEqual(await world.contents({ pending: false }), world.markOf({ ...who, sub: undefined }, iat));
    else assert.deepEqual(await world.contents(), world.stored(loggedIn));
  });
}
