// `make doctor` finds nothing wrong with the Worker, and knows whoever answers in its place.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readAddress } from '../../.make/ask.mjs';
import { REFUSED } from '../../.make/culprit.mjs';
import { examine } from '../../.make/examine.mjs';
import { freePorts } from './support/recipes.mjs';
import { startWorld } from './support/world.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const servers = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** The address of a server that answers so; `options` make it one of TLS. */
async function serve(answer, options) {
  const server = options ? createTlsServer(options, answer) : createServer(answer);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${server.address().port}`;
}

/** The exit code of the doctor, and its lines by what they are about. */
async function doctor(env) {
  const child = spawn(process.execPath, ['.make/doctor.mjs'], { cwd: root, env: { PATH: process.env.PATH, ...env } });
  const [text, [code]] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  const lines = text.join('').trim().split('\n');
  return { code, lines };
}

/** The findings in this process, by check. */
async function findings(setup) {
  const found = {};
  for await (const { level, check, finding } of examine(setup)) found[check] = `${level}: ${finding}`;
  return found;
}

/** Answers as the Worker does, and otherwise as `more` says. */
const worker = (more) => (req, res) => {
  const json = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  const text = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
  if (more?.(req, res)) return;
  if (req.url === '/.edge-logout/health') res.writeHead(200, text).end('ok\n');
  else if (req.url.startsWith('/.edge-logout/')) res.writeHead(200, { 'x-content-type-options': 'nosniff' }).end();
  else if (req.url !== '/shop/bclogout') res.writeHead(400, text).end('Ambiguous path.\n');
  else if (req.method === 'POST') res.writeHead(400, json).end(REFUSED);
  else res.writeHead(405, { ...json, allow: 'POST' }).end(REFUSED);
};

/** Too long to be looked up. */
const NO_NAME = `${'a'.repeat(64)}.test`;
const HTTP = { URL: 'http://app.test/shop/bclogout' };

test('the Worker itself: nothing is wrong, and nothing reaches the app', async () => {
  const world = await startWorld();
  try {
    let asked = 0;
    world.app = (_, res) => {
      asked++;
      res.end();
    };
    const [closed] = await freePorts(1);
    const { code, lines } = await doctor({
      ...HTTP,
      CONNECT: `127.0.0.1:${world.port}`,
      WORKERS_DEV: `http://127.0.0.1:${closed}`,
      ORIGIN: `127.0.0.1:${closed}`,
    });
    // On a busy machine a warning.
    const [time] = lines.splice(5, 1);
    assert.match(time, /^(ok|warn) +the slowest of these answers: \d+ ms/);
    assert.deepEqual(lines, [
      'ok      a made-up token is refused: 400',
      'ok      a made-up token from a client without User-Agent is refused: 400',
      'ok      a made-up token from Java/17 is refused: 400',
      'ok      a made-up token from Go-http-client/2.0 is refused: 400',
      'ok      a made-up token from python-requests/2.32 is refused: 400',
      'ok      the answer to a token is not stored: no-store',
      // workerd sends none by itself.
      'unknown the clocks: the answer has no Date',
      'ok      a GET of the logout path: 405, POST is allowed',
      'ok      /.edge-logout/health: 200',
      'ok      the pages of `www`: nosniff',
      'ok      the ambiguous path /x/..;/shop/bclogout: 400',
      'ok      the ambiguous path /x%2f../shop/bclogout: 400',
      'unknown certificate: not checked: http',
      'unknown TLS: not checked: http',
      'unknown HSTS: not checked: http',
      'unknown plain http: not checked: http',
      'ok      workers.dev: the Worker does not answer there',
      'ok      the origin, by http: does not let this machine in (ECONNREFUSED)',
    ]);
    assert.equal(code, 0);
    assert.equal(asked, 0);
    const codes = (await world.takeLogs()).map((line) => line.code);
    assert.deepEqual(codes, [...Array(5).fill('iss_mismatch'), 'method_not_post']);
  } finally {
    await world.stop();
  }
});

test('a Worker whose configuration is wrong is told from an app', async () => {
  const world = await startWorld({ bindings: (app) => ({ APP_SHOP: { ...app('shop'), client_id: '' } }) });
  try {
    const { code, lines } = await doctor({ ...HTTP, CONNECT: `127.0.0.1:${world.port}` });
    assert.equal(code, 1);
    assert.match(lines[0], /^FAIL .* 500: the Worker, whose configuration is wrong/);
  } finally {
    await world.stop();
  }
});

describe('in place of the Worker answers', () => {
  const html = { 'content-type': 'text/html; charset=utf-8' };
  for (const [name, [status, headers, body = '<!doctype html>'], expected] of [
    ['a challenge', [403, { ...html, 'cf-mitigated': 'challenge' }], /403: Cloudflare challenges it/],
    ['Access', [302, { location: 'https://me.cloudflareaccess.com/cdn-cgi/access/login/app?kid=x' }], /302: Cloudflare Access/],
    ['a login page', [302, { location: '/login?state=secret' }], /302: a redirect to http:\/\/app\.test\/login, as to/],
    ['a redirect to https', [301, { location: 'https://app.test/shop/bclogout' }], /301: http is redirected to https/],
    ['a rule of the firewall', [403, html, '<span class="cf-error-code">1020</span>'], /403: Cloudflare's error 1020: a rule/],
    ['the same in text', [403, {}, 'error code: 1020'], /403: Cloudflare's error 1020: a rule blocks it/],
    ['the integrity check', [403, {}, 'error code: 1010'], /403: Cloudflare's error 1010: the Browser Integrity Check/],
    ['the free plan', [429, {}, 'error code: 1027'], /429: Cloudflare's error 1027: the daily limit/],
    ['no origin', [530, html, 'Error 1016 Ray ID'], /530: Cloudflare's error 1016: the origin has no address/],
    ['an error of an unknown number', [530, {}, 'error code: 1999'], /1999: see its documentation/],
    ['a dead origin', [522, html], /522: Cloudflare cannot reach the origin/],
    ['something that blocks', [403, html], /403: it is blocked/],
    ['a password', [401, html], /401: something asks for credentials/],
    ['nobody', [404, html], /404: no route leads to the Worker/],
    ['the Worker, without that path', [404, {}, 'Not found.\n'], /404: the Worker, and no app has this host and path/],
    ['the app', [200, html], /200: the app answers/],
    ['the app, that lets nobody post', [405, html], /405: the app answers/],
    ['the app, that misses its own token', [419, html], /419: the app answers/],
    ['the app, with JSON of its own', [400, {}, '{"error":"invalid_request"}'], /400: the app answers/],
  ]) {
    test(name, async () => {
      const address = await serve((_, res) => res.writeHead(status, headers).end(body));
      const { code, lines } = await doctor({ ...HTTP, CONNECT: address });
      assert.equal(code, 1);
      assert.match(lines[0], /^FAIL {4}a made-up token is refused: /);
      assert.match(lines[0], expected);
      assert.doesNotMatch(lines.join('\n'), /secret/);
    });
  }

  test('nobody at all: that is the one line', async () => {
    const [port] = await freePorts(1);
    const { code, lines } = await doctor({ ...HTTP, CONNECT: `127.0.0.1:${port}` });
    assert.equal(code, 1);
    assert.equal(lines.length, 1);
    assert.match(lines[0], /ECONNREFUSED: nobody listens there/);
  });

  test('no address to ask: how to use it', async () => {
    const { code } = await doctor({ URL: 'app.example.com/shop' });
    assert.equal(code, 2);
  });
});

describe('one thing is wrong', () => {
  const url = new URL(HTTP.URL);
  const found = async (more, setup) => findings({ url, connect: await serve(worker(more)), ...setup });

  test('bot protection looks at the User-Agent', async () => {
    const told = await found((req, res) => {
      if (req.headers['user-agent'] !== 'Java/17') return false;
      return res.writeHead(403, { 'cf-mitigated': 'challenge' }).end();
    });
    assert.match(told['a made-up token from Java/17 is refused'], /^FAIL: 403: Cloudflare challenges it/);
    assert.equal(told['a made-up token is refused'], 'ok: 400');
  });

  test('one answer does not come', async () => {
    const isHung = (req) => req.headers['user-agent']?.startsWith('Go');
    const told = await found(isHung, { patience: 300 });
    assert.match(told['a made-up token from Go-http-client/2.0 is refused'], /^FAIL: TIMEOUT: nobody answers in time/);
    assert.match(told['the slowest of these answers'], /^FAIL: none within 300 ms/);
  });

  test('answers are slow', async () => {
    const told = await found(undefined, { slow: -1 });
    assert.match(told['the slowest of these answers'], /^warn: \d+ ms: some providers give up after 2500/);
  });

  test('answers are stored, and dated wrongly', async () => {
    const told = await found((req, res) => {
      if (req.method !== 'POST') return false;
      return res.writeHead(400, { 'cache-control': 'max-age=14400', date: 'Thu, 01 Jan 2026 00:00:00 GMT' }).end(REFUSED);
    });
    assert.match(told['the answer to a token is not stored'], /^FAIL: Cache-Control is max-age=14400/);
    assert.match(told['the clocks'], /^warn: \d+ s apart/);
  });

  test('405 without Allow, no sign of life, no pages, an ambiguous path that gets through', async () => {
    const told = await found((req, res) => req.method === 'GET' && res.writeHead(405).end(REFUSED));
    assert.match(told['a GET of the logout path'], /^FAIL: 405/);
    assert.match(told['/.edge-logout/health'], /^FAIL: 405/);
    assert.match(told['the pages of `www`'], /^FAIL: 405/);
    const through = await found((req, res) => req.url.startsWith('/x') && res.end('app'));
    assert.match(through['the ambiguous path /x/..;/shop/bclogout'], /^FAIL: 200: the app answers/);
  });

  test('the pages are not there, or without their headers', async () => {
    const isStyle = (req) => req.url.endsWith('.css');
    const gone = await found((req, res) => isStyle(req) && res.writeHead(404).end('Not found.\n'));
    assert.match(gone['the pages of `www`'], /^FAIL: 404: see `\[assets\]`/);
    const bare = await found((req, res) => isStyle(req) && res.end());
    assert.match(bare['the pages of `www`'], /^FAIL: without X-Content-Type-Options/);
  });

  test('the Worker answers at workers.dev', async () => {
    const told = await found(undefined, { workersDev: `http://${await serve(worker())}` });
    assert.match(told['workers.dev'], /^FAIL: the Worker answers there too/);
    assert.match((await found())['workers.dev'], /^unknown: see that it and preview URLs are off/);
    for (const workersDev of ['not a name', NO_NAME]) {
      assert.equal((await found(undefined, { workersDev }))['workers.dev'], `unknown: there is no ${workersDev}`);
    }
  });

  test('the origin answers around the Worker', async () => {
    let host;
    const origin = await serve((req, res) => {
      host = req.headers.host;
      res.end('app');
    });
    const told = await found(undefined, { origin });
    assert.match(told['the origin, by http'], /^FAIL: answers around the Worker \(200\)/);
    assert.equal(host, 'app.test');
    const shut = await serve((_, res) => res.writeHead(403).end());
    assert.match((await found(undefined, { origin: shut }))['the origin, by http'], /^ok: does not let .* \(403\)/);
    const itself = await serve(worker());
    assert.match((await found(undefined, { origin: itself }))['the origin, by http'], /^unknown: the Worker answers/);
    const slip = await found(undefined, { origin: NO_NAME });
    assert.equal(slip['the origin, by http'], `unknown: there is no ${NO_NAME}`);
  });
});

test('addresses', () => {
  assert.deepEqual(readAddress('192.0.2.1'), { host: '192.0.2.1', port: undefined });
  assert.deepEqual(readAddress('origin.test:8443'), { host: 'origin.test', port: 8443 });
  assert.deepEqual(readAddress('2001:db8::1'), { host: '2001:db8::1', port: undefined });
  assert.deepEqual(readAddress('[2001:db8::1]:8443'), { host: '2001:db8::1', port: 8443 });
});

describe('TLS', () => {
  const url = new URL('https://app.test/shop/bclogout');
  const DAY = 24 * 3600 * 1000;
  let tls;
  before(() => {
    const folder = mkdtempSync(join(tmpdir(), 'edge-logout-doctor-'));
    const [key, cert] = ['key', 'cert'].map((name) => join(folder, name));
    const names = ['-subj', '/CN=app.test', '-addext', 'subjectAltName=DNS:app.test'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '60'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    tls = { key: readFileSync(key), cert: readFileSync(cert) };
    rmSync(folder, { recursive: true });
  });
  const redirecting = (_, res) => res.writeHead(301, { location: 'https://app.test/shop/bclogout' }).end();
  const strict = (_, res) => void res.setHeader('strict-transport-security', 'max-age=1');
  const found = async (setup = {}, more = strict, options = {}, http = redirecting) => {
    const [connect, at] = await Promise.all([serve(worker(more), { ...tls, ...options }), serve(http)]);
    return findings({ url, connect, ca: tls.cert, plainPort: at.split(':')[1], ...setup });
  };

  test('all is well', async () => {
    const told = await found();
    assert.match(told.certificate, /^ok: for app\.test, (59|60) more days/);
    assert.equal(told.TLS, 'ok: TLSv1.3, and nothing below 1.2');
    assert.equal(told.HSTS, 'ok: max-age=1');
    assert.equal(told['plain http'], 'ok: redirects to https');
    assert.equal(told['a made-up token is refused'], 'ok: 400');
  });

  test('the certificate: near its end, over, of nobody known, of another name', async () => {
    const soon = await found({ now: Date.now() + 50 * DAY });
    assert.match(soon.certificate, /^warn: ends in (9|10) days/);
    const over = await found({ now: Date.now() + 61 * DAY });
    assert.match(over.certificate, /^FAIL: expired on /);
    const stranger = await found({ ca: undefined });
    assert.match(stranger.certificate, /^FAIL: DEPTH_ZERO_SELF_SIGNED_CERT/);
    assert.equal(stranger['a made-up token is refused'], 'ok: 400');
    const other = await found({ url: new URL('https://wiki.test/shop/bclogout') });
    assert.match(other.certificate, /^FAIL: not for wiki\.test/);
  });

  test('old protocols, and no HSTS', async () => {
    const told = await found({}, () => false, { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    assert.match(told.TLS, /^warn: TLSv1\.3, but TLSv1\.1 too/);
    assert.match(told.HSTS, /^warn: not told/);
  });

  test('plain http serves', async () => {
    const told = await found({}, strict, {}, worker());
    assert.match(told['plain http'], /^FAIL: 405, without TLS/);
  });

  test('the origin is tried at both doors', async () => {
    const connect = await serve(worker(), tls);
    const [app, shut] = [await serve((_, res) => res.end('app'), tls), await serve((_, res) => res.writeHead(403).end())];
    const at = new URL(`https://app.test:${app.split(':')[1]}/shop/bclogout`);
    const setup = { url: at, connect, ca: tls.cert, origin: '127.0.0.1' };
    const told = await findings({ ...setup, plainPort: shut.split(':')[1] });
    assert.match(told['the origin, by https'], /^FAIL: answers around the Worker \(200\)/);
    assert.match(told['the origin, by http'], /^ok: does not let this machine in \(403\)/);
  });

  test('no TLS at all where it should be', async () => {
    const told = await findings({ url, connect: await serve(worker()) });
    assert.deepEqual(Object.keys(told), ['a made-up token is refused']);
    assert.match(told['a made-up token is refused'], /^FAIL: \w+: no TLS connection/);
  });
});
