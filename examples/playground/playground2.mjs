// A sample app that keeps its sessions on the server (express-session).
import express from 'express';
import session from 'express-session';
import { listen } from './listen.mjs';
import { appPage } from './page.mjs';
import { relyingParty } from './relying-party.mjs';

export function startPlayground2({ port, issuer, publicUrl }) {
  const op = relyingParty({ name: 'playground2', issuer, publicUrl });
  const app = express();
  app.use(
    session({
      name: 'playground2.sid',
      secret: crypto.randomUUID(),
      resave: false,
      saveUninitialized: false,
      cookie: { path: '/playground2', httpOnly: true, sameSite: 'lax' },
    }),
  );
  app.get('/playground2', (req, res) => {
    res.send(appPage('playground2', req.session.user));
  });
  app.get('/playground2/login', async (req, res) => {
    const url = await op.begin(req.session);
    res.redirect(url.href);
  });
  app.get('/playground2/oauth2client', async (req, res) => {
    const login = await op.complete(req.session, req.originalUrl);
    // A fresh session id at login, as every app should.
    await new Promise((done, failed) => req.session.regenerate((e) => (e ? failed(e) : done())));
    Object.assign(req.session, login);
    // The one line for edge-logout.
    res.set('edge-logout-id-token', login.idToken);
    res.redirect('/playground2');
  });
  app.post('/playground2/logout', async (req, res) => {
    const url = await op.end(req.session.idToken);
    await new Promise((done) => req.session.destroy(done));
    res.clearCookie('playground2.sid', { path: '/playground2' });
    res.redirect(303, url.href);
  });
  return listen(app, port);
}
