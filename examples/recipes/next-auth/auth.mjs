/** The options of NextAuth: any OpenID Provider, sessions in NextAuth's encrypted cookie. */
export const authOptions = {
  secret: process.env.SECRET_KEY,
  providers: [
    {
      id: 'op',
      name: 'OP',
      type: 'oauth',
      // The OP's metadata with the Worker's token endpoint: nothing else is there for edge-logout.
      wellKnown: process.env.OIDC_METADATA,
      clientId: process.env.OIDC_CLIENT_ID,
      clientSecret: process.env.OIDC_CLIENT_SECRET,
      authorization: { params: { scope: 'openid' } },
      idToken: true,
      checks: ['pkce', 'state'],
      profile: ({ sub }) => ({ id: sub }),
    },
  ],
  callbacks: {
    session: ({ session, token }) => ({ ...session, user: { id: token.sub } }),
  },
};
