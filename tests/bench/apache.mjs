// Debian's Apache with mod_auth_openidc, which receives logout tokens itself and keeps its sessions in
// shared memory: what a site has that needs no Worker.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as listen } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { sendAll } from './load.mjs';

const SERVER = '/usr/sbin/apache2';
const OPENSSL = '/usr/bin/openssl';
const MODULES = '/usr/lib/apache2/modules';
const PAGE = '/shop/page';
const CALLBACK = '/shop/callback';
/** Where logout tokens go. */
const LOGOUT = `${CALLBACK}?logout=backchannel`;
const SESSION = 'mod_auth_openidc_session=';
const LOGIN_AT_ONCE = 8;

export const isInstalled = () => [SERVER, OPENSSL, `${MODULES}/mod_auth_openidc.so`].every((path) => existsSync(path));

const configOf = ({ folder, url, world, op, entries }) => `
${['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'auth_openidc', 'alias']
  .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`)
  .join('\n')}
ServerRoot "${folder}"
DefaultRuntimeDir "${folder}"
PidFile "${folder}/apache.pid"
ErrorLog "${folder}/error.log"
LogLevel warn
ServerName ${url}
Listen ${new URL(url).host}
# For who starts it as root.
User www-data
Group www-data

# One child that never ends, as nobody can tell afterwards what an ended one took.
ServerLimit 1
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
MinSpareThreads 1
MaxSpareThreads 65
KeepAlive On
KeepAliveTimeout 600
MaxKeepAliveRequests 0

OIDCProviderIssuer ${world.issuer}
OIDCProviderAuthorizationEndpoint ${op}/authorize
OIDCProviderTokenEndpoint ${op}/token
OIDCProviderJwksUri ${op}/jwks
OIDCSSLValidateServer Off
OIDCProviderBackChannelLogoutSupported On
OIDCClientID ${world.client}
OIDCClientSecret ${randomUUID()}
OIDCRedirectURI ${url}${CALLBACK}
OIDCCryptoPassphrase ${randomUUID()}
OIDCSessionType server-cache
# By default, who does nothing for five minutes is logged out.
OIDCSessionInactivityTimeout 43200
# A session takes two entries until it ends, and its nonce and each logout token take one for 20 minutes.
# What is looked for is compared with all of them: room for more costs more. Where there is too little,
# sessions are forgotten, or outlive a logout that was answered 200.
OIDCCacheType shm
OIDCCacheShmMax ${entries}

# The page is some file that Apache's user can read, as it may not be able to read this folder.
Alias ${PAGE} ${MODULES}/httpd.exp
<Location /shop>
  AuthType openid-connect
  Require valid-user
  # To whoever asks, even if it does not look like a browser.
  OIDCUnAuthAction auth true
</Location>
`;

/** A port that was free just now: Apache does not say which it took. */
async function freePort() {
  const server = listen().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The bench's OP over TLS, on which Apache insists: its keys, and to each code the ID token. */
async function startOp(folder, world) {
  const [key, cert] = ['op.key', 'op.crt'].map((name) => join(folder, name));
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync(OPENSSL, ['req', '-x509', ...curve, '-nodes', '-subj', '/CN=op', '-keyout', key, '-out', cert], { stdio: 'pipe' });
  const idTokens = new Map();
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const id_token = idTokens.get(new URLSearchParams(body).get('code'));
    const answer = request.url === '/jwks' ? { keys: [world.jwk] } : { access_token: 'none', token_type: 'Bearer', id_token };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `https://127.0.0.1:${server.address().port}`, idTokens, server };
}

/** Of a process: its threads' CPU time so far, in nanoseconds. */
const nanosecondsOf = (pid) =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]))
    .reduce((sum, each) => sum + each, 0);
const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);

/** Starts it; it ends with this process. `entries` is how many its cache has room for. */
export async function startApache({ folder, world, entries = 10_000 }) {
  mkdirSync(folder, { recursive: true });
  const url = `http://127.0.0.1:${await freePort()}`;
  const op = await startOp(folder, world);
  const config = join(folder, 'httpd.conf');
  writeFileSync(join(folder, 'error.log'), '');
  writeFileSync(config, configOf({ folder, url, world, op: op.url, entries }));
  const server = spawn(SERVER, ['-f', config, '-D', 'FOREGROUND'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const output = [];
  server.stderr.on('data', (data) => output.push(data));
  const errors = () => `${Buffer.concat(output)}${readFileSync(join(folder, 'error.log'), 'utf8')}`;
  // Not SIGKILL, which its child would survive.
  const end = () => server.kill();
  process.once('exit', end);
  const statusOf = async (path, headers) => {
    const answer = await fetch(url + path, { headers, redirect: 'manual' });
    await answer.arrayBuffer();
    return answer.status;
  };
  while (!(await statusOf(PAGE).catch(() => false))) {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`Apache did not start:\n${errors()}`);
    await setTimeout(20);
  }

  /** Logs people in, each with a `sub` and a `sid`, as browsers would; gives their cookies. */
  async function logIn(logins) {
    const { host } = new URL(url);
    const callbacks = [];
    await sendAll(url, logins.map(() => ({ path: PAGE, headers: { host } })), {
      atOnce: LOGIN_AT_ONCE,
      check({ status, headers }, number) {
        assert.equal(status, 302, 'who is not logged in is sent to the OP');
        const { searchParams } = new URL(headers.location);
        const code = randomUUID();
        const { sub, sid } = logins[number];
        op.idTokens.set(code, world.idToken({ sub, sid, nonce: searchParams.get('nonce') }));
        const answer = new URLSearchParams({ code, state: searchParams.get('state') });
        const cookie = headers['set-cookie'].toString().split(';')[0];
        callbacks[number] = { path: `${CALLBACK}?${answer}`, headers: { host, cookie } };
      },
    });
    const cookies = [];
    await sendAll(url, callbacks, {
      atOnce: LOGIN_AT_ONCE,
      check({ status, headers }, number) {
        assert.deepEqual([status, headers.location], [302, url + PAGE], 'who has logged in is sent back');
        const cookie = [headers['set-cookie']].flat().find((cookie) => cookie.startsWith(SESSION));
        cookies[number] = cookie.split(';')[0];
      },
    });
    return cookies;
  }

  return {
    url,
    pid: server.pid,
    logoutPath: LOGOUT,
    logIn,
    /** Whether a session lives. */
    async lives(cookie) {
      const status = await statusOf(PAGE, { cookie });
      assert.ok([200, 302].includes(status), `Apache's page: ${status}`);
      return status === 200;
    },
    /** CPU time of all its processes so far, in microseconds. */
    cpu: () => [server.pid, ...childrenOf(server.pid)].reduce((sum, pid) => sum + nanosecondsOf(pid), 0) / 1000,
    errors,
    async stop() {
      process.off('exit', end);
      op.server.close();
      if (server.exitCode === null && server.signalCode === null) {
        end();
        await once(server, 'exit');
      }
    },
  };
}
