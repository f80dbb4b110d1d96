// A client that signs assertions (private_key_jwt), a real OP, and the relay between them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import * as oidc from 'openid-client';
import { freePorts } from './support/recipes.mjs';
import { startWorld } from './support/world.mjs';

const RELAY = '/.edge-logout/relay/SHOP';

let world, server, issuer, key;
before(async () => {
  const [port] = await freePorts(1);
  issuer = `http://127.0.0.1:${port}`;
  key = await generateKeyPair('RS256', { extractable: true });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'shop',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...(await exportJWK(key.publicKey)), alg: 'RS256', use: 'sig' }] },
      },
    ],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  });
  server = provider.listen(port, '127.0.0.1');
  await once(server, 'listening');
  world = await startWorld({
    bindings: (app) => ({
      ISSUER_REAL: { issuer, allow_insecure_http: true },
      APP_SHOP: { ...app('shop'), issuer, announce: { from: 'relay' }, login_paths: ['/shop/callback'] },
    }),
  });
});
after(async () => {
  await world?.stop();
  server?.close();
});

/** The client, told of the relay by its metadata; `aud` replaces the audience of its assertions. */
async function client(aud) {
  const { body } = await world.request(`${RELAY}/.well-known/openid-configuration`);
  const modified = aud && { [oidc.modifyAssertion]: (_, payload) => Object.assign(payload, { aud }) };
  const authentication = oidc.PrivateKeyJwt(key.privateKey, modified || undefined);
  const configuration = new oidc.Configuration(JSON.parse(body), 'shop', undefined, authentication);
  oidc.allowInsecureRequests(configuration);
  // The relay's address, where the test's Worker listens.
  configuration[oidc.customFetch] = async (url, { method, headers, body }) => {
    const { pathname } = new URL(url);
    assert.equal(pathname, `${RELAY}/token`);
    const sent = { ...Object.fromEntries(new Headers(headers)), 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await world.request(pathname, { method, headers: sent, body: String(body) });
    return new Response(answer.body, { status: answer.status, headers: { 'content-type': answer.headers['content-type'] } });
  };
  return configuration;
}

test('an assertion for the issuer gets tokens', async () => {
  const tokens = await oidc.clientCredentialsGrant(await client());
  assert.ok(tokens.access_token.length > 10);
});

test('one for the provider’s own token endpoint, too', async () => {
  const tokens = await oidc.clientCredentialsGrant(await client(`${issuer}/token`));
  assert.ok(tokens.access_token.length > 10);
});

test('one for the relay is told why it gets none', async () => {
  const refused = oidc.clientCredentialsGrant(await client(`http://app.test${RELAY}/token`));
  await assert.rejects(refused, { error: 'invalid_client', error_description: 'edge-logout: assertion_for_relay' });
});
