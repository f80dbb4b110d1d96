import NextAuth from 'next-auth';
import { authOptions } from '../../../../auth.mjs';

async function handler(request, context) {
  let idToken;
  const callbacks = {
    ...authOptions.callbacks,
    jwt({ token, account }) {
      // There is an account at login only.
      idToken = account?.id_token;
      return token;
    },
  };
  const response = await NextAuth(request, context, { ...authOptions, callbacks });
  // The one line for edge-logout.
  if (idToken) response.headers.set('edge-logout-id-token', idToken);
  return response;
}

export { handler as GET, handler as POST };
