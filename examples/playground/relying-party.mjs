// Sign-in with the code flow and PKCE, as any app does it. Nothing here knows of logout tokens.
import * as oidc from 'openid-client';

/** The OIDC part of the app `name`; its state lives in the session object that it is given. */
export function relyingParty({ name, issuer, publicUrl }) {
  const base = `${publicUrl}/${name}`;
  let discovered;
  const config = () =>
    (discovered ??= oidc.discovery(new URL(issuer), name, `the secret of ${name}`, undefined, {
      // Everything is http here.
      execute: [oidc.allowInsecureRequests],
    }));
  return {
    /** Where to send the browser to sign in. */
    async begin(session) {
      session.verifier = oidc.randomPKCECodeVerifier();
      session.state = oidc.randomState();
      return oidc.buildAuthorizationUrl(await config(), {
        redirect_uri: `${base}/oauth2client`,
        scope: 'openid',
        code_challenge: await oidc.calculatePKCECodeChallenge(session.verifier),
        code_challenge_method: 'S256',
        state: session.state,
      });
    },
    /** The user and the ID token, from the request to the callback. */
    async complete(session, originalUrl) {
      const tokens = await oidc.authorizationCodeGrant(
        await config(),
        // The address that the browser used, not the one behind the proxy.
        new URL(originalUrl, publicUrl),
        { pkceCodeVerifier: session.verifier, expectedState: session.state },
      );
      return { user: tokens.claims().sub, idToken: tokens.id_token };
    },
    /** Where to send the browser to log out at the OP. */
    async end(idToken) {
      return oidc.buildEndSessionUrl(await config(), { id_token_hint: idToken });
    },
  };
}
