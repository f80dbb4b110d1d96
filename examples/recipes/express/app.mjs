// An Express app with express-session: its sessions are on the server.
import { createHash } from 'node:crypto';
import { csrfSync } from 'csrf-sync';
import express from 'express';
import session from 'express-session';
import multer from 'multer';
import * as oidc from 'openid-client';

const { PORT, SECRET_KEY, OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET } = process.env;

const op = await oidc.discovery(new URL(OIDC_ISSUER), OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, undefined, {
  // Only where the OP is a demo on http.
  execute: OIDC_ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [],
});
const csrf = csrfSync({ getTokenFromRequest: (req) => req.body?.csrf });
const upload = multer({ limits: { fileSize: 10_000_000 } });

const app = express();
// The public address is in X-Forwarded-Host and -Proto.
app.set('trust proxy', 'loopback');
app.use(session({ secret: SECRET_KEY, resave: false, saveUninitialized: false }));
const pages = express.Router();
app.use('/express', pages);

const regenerate = (req) =>
  new Promise((done, failed) => req.session.regenerate((error) => (error ? failed(error) : done())));
const publicUrl = (req, path) => new URL(path, `${req.protocol}://${req.host}`);
const signedIn = (req, res, next) => (req.session.user ? next() : res.sendStatus(401));
const escape = (text = '') => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

pages.get('/', (req, res) => {
  const { user, note, uploaded } = req.session;
  const form = (action, fields, type = 'application/x-www-form-urlencoded') =>
    `<form method="post" action="/express/${action}" enctype="${type}">
     <input type="hidden" name="csrf" value="${csrf.generateToken(req)}">${fields}</form>`;
  res.send(`<!doctype html><html lang="en"><meta charset="utf-8"><title>express</title>
    <h1>express</h1><p class="user">Logged in user: ${escape(user ?? 'null')}</p>
    ${
      user
        ? `<p class="note">${escape(note)}</p>
           ${form('note', '<input name="note"> <button>Save</button>')}
           <p class="upload">${escape(uploaded)}</p>
           ${form('upload', '<input type="file" name="file"> <button>Upload</button>', 'multipart/form-data')}
           ${form('logout', '<button>Log out</button>')}`
        : '<p><a href="/express/login">Log in</a></p>'
    }</html>`);
});

pages.get('/login', async (req, res) => {
  const codeVerifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  req.session.login = { codeVerifier, state };
  const url = oidc.buildAuthorizationUrl(op, {
    redirect_uri: publicUrl(req, '/express/callback').href,
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state,
  });
  res.redirect(url.href);
});

pages.get('/callback', async (req, res) => {
  const { codeVerifier, state } = req.session.login ?? {};
  const tokens = await oidc.authorizationCodeGrant(op, publicUrl(req, req.originalUrl), {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
  });
  await regenerate(req);
  req.session.user = tokens.claims().sub;
  // The one line for edge-logout.
  res.set('edge-logout-id-token', tokens.id_token);
  res.redirect('/express');
});

const body = express.urlencoded({ extended: false });

pages.post('/note', signedIn, body, csrf.csrfSynchronisedProtection, (req, res) => {
  req.session.note = req.body.note;
  res.redirect(303, '/express');
});

// The form's fields are read with the file, the CSRF token among them.
pages.post('/upload', signedIn, upload.single('file'), csrf.csrfSynchronisedProtection, (req, res) => {
  const digest = createHash('sha256').update(req.file.buffer).digest('hex');
  req.session.uploaded = `${req.file.size} bytes, sha256 ${digest}`;
  res.redirect(303, '/express');
});

pages.post('/logout', body, csrf.csrfSynchronisedProtection, (req, res, next) => {
  req.session.destroy((error) => {
    if (error) return next(error);
    res.clearCookie('connect.sid');
    res.redirect(303, '/express');
  });
});

app.listen(PORT, '127.0.0.1');
