// An OP of the tests' own, with an independent signer (jose): it publishes keys and signs what it
// is told to. The real OP is in examples/playground.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { CompactSign, exportJWK, generateKeyPair } from 'jose';

export const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * Starts it; the issuer is the server's address and `path`. It publishes the same keys for every
 * issuer under its address.
 */
export async function startTestOp({ path = '/' } = {}) {
  const keys = {};
  const op = {
    fetches: [],
    published: [],
    /** Its token endpoint: a function of request and response. */
    token: undefined,
    /** Replaces the next answers: a function of request and response. */
    answer: undefined,
    now: () => Math.floor(Date.now() / 1000),
    /** Makes a key; it is published once its `kid` is in `published`. */
    async addKey(kid, alg = 'RS256', members = {}) {
      const pair = await generateKeyPair(alg, { extractable: true });
      const jwk = { ...(await exportJWK(pair.publicKey)), kid, ...members };
      keys[kid] = { privateKey: pair.privateKey, jwk };
    },
    /** Publishes a key that nobody signs with. */
    publish(jwk) {
      keys[jwk.kid] = { jwk };
      op.published.push(jwk.kid);
    },
    /** A token signed by jose. */
    sign: (claims, header) =>
      new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
        .setProtectedHeader(header)
        .sign(keys[header.kid].privateKey),
    /** An RS256 signature over anything, for what jose refuses to sign. */
    async signBytes(text, kid = 'op-1') {
      const { privateKey } = keys[kid];
      const signature = await crypto.subtle.sign(privateKey.algorithm, privateKey, Buffer.from(text));
      return Buffer.from(signature);
    },
    claims: (more = {}) => ({
      iss: op.issuer,
      aud: 'shop',
      iat: op.now(),
      exp: op.now() + 120,
      jti: crypto.randomUUID(),
      events: { [LOGOUT_EVENT]: {} },
      ...more,
    }),
    logoutToken: (more, header = { alg: 'RS256', kid: 'op-1' }) => op.sign(op.claims(more), header),
    idToken: (more) =>
      op.sign(
        { iss: op.issuer, aud: 'shop', iat: op.now(), exp: op.now() + 600, sub: 'alice', sid: 's1', ...more },
        { alg: 'RS256', kid: 'op-1' },
      ),
    /** What is published at a path. */
    document(path) {
      const [, base, file] = path.match(/^(\/.*?)(\.well-known\/openid-configuration|jwks)$/) ?? [];
      if (file === 'jwks') return JSON.stringify({ keys: op.published.map((kid) => keys[kid].jwk) });
      const issuer = `${op.origin}${base}`;
      return (
        file &&
        JSON.stringify({ issuer, jwks_uri: `${issuer}jwks`, token_endpoint: `${op.origin}/token` })
      );
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  await op.addKey('op-1');
  op.published.push('op-1');
  const server = createServer((req, res) => {
    if (req.url === '/token') return op.token(req, res);
    op.fetches.push(req.url);
    if (op.answer) return op.answer(req, res);
    const document = op.document(req.url);
    if (document === undefined) return res.writeHead(404).end();
    res.writeHead(200, { 'content-type': 'application/json' }).end(document);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  op.origin = `http://127.0.0.1:${server.address().port}`;
  op.issuer = `${op.origin}${path}`;
  return op;
}
