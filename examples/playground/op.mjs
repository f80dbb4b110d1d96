// The OpenID Provider: oidc-provider with back-channel logout, one user, a few registered apps.
import express from 'express';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import { PRODUCTS } from '../recipes/products.mjs';
import { listen } from './listen.mjs';
import { escape, page } from './page.mjs';

const USER = { login: 'admin', password: 'admin' };

const client = (workerUrl, [name, callback]) => ({
  client_id: name,
  client_secret: `the secret of ${name}`,
  redirect_uris: [`${workerUrl}/${name}/${callback}`],
  backchannel_logout_uri: `${workerUrl}/${name}/bclogout`,
  // Without this the OP puts no sid into any token.
  backchannel_logout_session_required: true,
});

const PLAYGROUND = { playground2: 'oauth2client', playground3: 'oauth2client' };
for (const [name, { callback }] of Object.entries(PRODUCTS)) PLAYGROUND[name] = callback;

/**
 * Starts the OP on `port`, for the apps behind the Worker at `workerUrl`; `apps` has their names,
 * each with the path of its callback.
 */
export async function startOp({ port, workerUrl, apps = PLAYGROUND, onEvent = () => {} }) {
  const issuer = `http://127.0.0.1:${port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const provider = new Provider(issuer, {
    clients: Object.entries(apps).map((app) => client(workerUrl, app)),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'op-1', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [crypto.randomUUID()] },
    claims: { openid: ['sub'] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    // Registered apps need no consent page.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({
        accountId: oidc.session.accountId,
        clientId: oidc.client.clientId,
      });
      grant.addOIDCScope('openid');
      await grant.save();
      return grant;
    },
    ttl: { Session: 24 * 3600, Grant: 24 * 3600, Interaction: 3600, IdToken: 3600, AccessToken: 3600 },
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.body = page('Log out', [
            '<h1>Log out</h1><p>Do you want to log out of all applications?</p>',
            form,
            '<p><button form="op.logoutForm" name="logout" value="yes">Yes, log me out</button>',
            '<button form="op.logoutForm" class="quiet">No, stay logged in</button></p>',
          ]);
        },
        postLogoutSuccessSource(ctx) {
          ctx.body = page('Logged out', [
            '<h1>You have been logged out successfully</h1>',
            '<p>Go back to the other application and refresh it.</p>',
          ]);
        },
      },
    },
    // The provider refuses private addresses, and here everything has one.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  });
  provider.on('backchannel.success', (_, to) => onEvent('backchannel.success', to.clientId));
  provider.on('backchannel.error', (_, error, to) => onEvent('backchannel.error', to.clientId));

  const app = express();
  app.get('/interaction/:uid', async (req, res) => {
    const { uid, params } = await provider.interactionDetails(req, res);
    res.send(
      page('Sign in', [
        `<h1>Sign in</h1><p>to continue to <b>${escape(params.client_id)}</b></p>`,
        `<form method="post" action="/interaction/${encodeURIComponent(uid)}">`,
        `<label>User <input name="login" autocomplete="username" value="${USER.login}" required></label>`,
        `<label>Password <input name="password" type="password" autocomplete="current-password" value="${USER.password}" required></label>`,
        '<button>Sign in</button></form>',
      ]),
    );
  });
  app.post('/interaction/:uid', express.urlencoded({ extended: false }), async (req, res) => {
    const { login, password } = req.body;
    const right = login === USER.login && password === USER.password;
    await provider.interactionFinished(
      req,
      res,
      right
        ? { login: { accountId: login } }
        : { error: 'access_denied', error_description: 'wrong user or password' },
    );
  });
  app.use(provider.callback());
  return listen(app, port);
}
