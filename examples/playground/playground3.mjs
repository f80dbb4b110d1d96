// A sample app that keeps everything in an encrypted cookie, renewed with every answer
// (iron-session). It has no way to forget a session by itself.
import express from 'express';
import { getIronSession } from 'iron-session';
import { listen } from './listen.mjs';
import { appPage } from './page.mjs';
import { relyingParty } from './relying-party.mjs';

export function startPlayground3({ port, issuer, publicUrl }) {
  const op = relyingParty({ name: 'playground3', issuer, publicUrl });
  const app = express();
  const password = crypto.randomUUID();
  app.use(async (req, res, next) => {
    req.session = await getIronSession(req, res, {
      cookieName: 'playground3',
      password,
      cookieOptions: { path: '/playground3', httpOnly: true, sameSite: 'lax', secure: false },
    });
    next();
  });
  app.get('/playground3', async (req, res) => {
    if (req.session.user) await req.session.save();
    res.send(appPage('playground3', req.session.user));
  });
  app.get('/playground3/login', async (req, res) => {
    const url = await op.begin(req.session);
    await req.session.save();
    res.redirect(url.href);
  });
  app.get('/playground3/oauth2client', async (req, res) => {
    const login = await op.complete(req.session, req.originalUrl);
    Object.assign(req.session, { ...login, verifier: undefined, state: undefined });
    await req.session.save();
    // The one line for edge-logout.
    res.set('edge-logout-id-token', login.idToken);
    res.redirect('/playground3');
  });
  app.post('/playground3/logout', async (req, res) => {
    const url = await op.end(req.session.idToken);
    req.session.destroy();
    res.redirect(303, url.href);
  });
  return listen(app, port);
}
