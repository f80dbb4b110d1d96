// The bench's OP: one RSA key, and tokens as real OPs send them.
import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const CLIENT = 'shop';

/** Starts what the contestants talk to; `kvs` is how many namespaces there are. */
export async function startBackends(kvs) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench-1', use: 'sig', alg: 'RS256' };
  const child = fork(fileURLToPath(new URL('backends.mjs', import.meta.url)));
  const waiting = new Map();
  let number = 0;
  child.on('message', ({ number, result }) => waiting.get(number)(result));
  const tell = (order, more) =>
    new Promise((resolve) => {
      waiting.set(++number, resolve);
      child.send({ number, order, ...more });
    });
  const addresses = await tell('start', { keySet: JSON.stringify({ keys: [jwk] }), kvs });
  const issuer = `http://${addresses.op}`;
  const header = base64url({ alg: 'RS256', kid: 'bench-1', typ: 'logout+jwt' });
  const idHeader = base64url({ alg: 'RS256', kid: 'bench-1' });
  const sign = (header, claims) => {
    const signed = `${header}.${base64url(claims)}`;
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url')}`;
  };
  const now = () => Math.floor(Date.now() / 1000);
  const world = {
    issuer,
    client: CLIENT,
    jwk,
    jwksUri: `${issuer}/jwks`,
    origin: addresses.origin,
    kvs: addresses.kvs,
    tell,
    /** Of `sub`, `sid` or both. */
    logoutToken: (more) =>
      sign(header, {
        iss: issuer, aud: CLIENT, iat: now(), exp: now() + 120, jti: randomUUID(),
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...more,
      }),
    idToken: ({ sub, sid, nonce }) =>
      sign(idHeader, { iss: issuer, aud: CLIENT, iat: now(), exp: now() + 600, auth_time: now(), sub, sid, nonce }),
    async stop() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
  world.token = world.logoutToken({ sid: randomUUID() });
  return world;
}
