// The Worker on workerd between an OP of the tests' own and an app that does what it is told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { newSealKeys, startWorker } from '../../../.make/workerd.mjs';
import { entriesOf, entryOf, markOf, pendingOf } from './format.mjs';
import { isPending, kvContents } from './kv.mjs';
import { ask, register } from './ledger.mjs';
import { startTestOp } from './op.mjs';
import { pidOfWorkerd } from './process.mjs';

/** Tokens and seals (a short hash may have those letters by chance), the tests' users, session ids and
 * cookie values. */
const SECRETS = /(?<![\w-])eyJ[\w-]{12,}|el1\.|alice|user-subject|"s1"|secret/;

/**
 * Where sessions live: as it is shipped, unless a suite is run once more over KV alone, by a file
 * that imports kv_alone.mjs before it.
 */
export const MODE = process.env.EDGE_LOGOUT_MODE ?? 'ledger';

/**
 * Starts it; `issuerPath` is the path of the issuer, `bindings` replace or add variables, `services`
 * are Workers to bind, `entry` is a file of support/ around the built one; `bare` leaves nothing but
 * workerd and the Worker between client and app; `mode` is `ledger` or `kv`; `persist` is a folder for
 * what is stored; `ratelimits` are bindings of that kind.
 */
export async function startWorld(setup = {}) {
  const { issuerPath, bindings, services, entry = 'instrumented.js', bare, mode = MODE } = setup;
  const { persist, ratelimits } = setup;
  const isKvAlone = mode === 'kv';
  const op = await startTestOp({ path: issuerPath });
  const logs = [];
  const leaks = [];
  const world = {
    op,
    /** What the app does with a request; tests set it. */
    app: (req, res) => res.end('app'),
    sealKeys: setup.sealKeys ?? newSealKeys(),
    mode,
  };
  // Headers as large as Cloudflare lets them through.
  const origin = createServer({ maxHeaderSize: 128 << 10 }, (req, res) => world.app(req, res));
  origin.on('upgrade', (req, socket, head) => world.upgrade(req, socket, head));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const app = (client) => ({
    issuer: op.issuer,
    client_id: client,
    routes: [`app.test/${client}`],
    logout_path: `/${client}/bclogout`,
    origin: `http://127.0.0.1:${origin.address().port}`,
    session_cookies: [`${client}.sid`],
  });
  const { origin: _, ...direct } = app('direct');
  direct.routes = [`127.0.0.1:${origin.address().port}/direct`];
  let restarted = () => {};
  const worker = await startWorker({
    config: fileURLToPath(new URL(isKvAlone ? 'worker.toml' : 'ledger.toml', import.meta.url)),
    entry: fileURLToPath(new URL(entry, import.meta.url)),
    services,
    ratelimits,
    bare,
    persist,
    onRestart: () => restarted(),
    bindings: {
      // Without `origin` a request goes to its own address: here the app's, by the Host header.
      APP_DIRECT: direct,
      ISSUER_TEST: { issuer: op.issuer, allow_insecure_http: true },
      APP_SHOP: app('shop'),
      APP_WIKI: app('wiki'),
      SEAL_KEYS: world.sealKeys,
      ...bindings?.(app, op),
    },
    onLog(line) {
      // After a crash workerd itself has something to say.
      logs.push(line.startsWith('{') ? JSON.parse(line) : { code: 'workerd', line });
      if (SECRETS.test(line)) leaks.push(line);
    },
  });
  world.kv = worker.kv;
  world.port = worker.url.port;
  world.originHost = `127.0.0.1:${origin.address().port}`;
  world.ledger = worker.ledger;
  world.codes = worker.codes;
  world.shop = { name: 'SHOP', issuer: op.issuer, client: 'shop', mode };
  world.wiki = { name: 'WIKI', issuer: op.issuer, client: 'wiki', mode };

  /** The next log lines up to the first that fits, waited for: an answer may overtake its lines. */
  const logsUntil = async (fits) => {
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      const at = logs.findIndex(fits);
      if (at >= 0) return logs.splice(0, at + 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`not in the log: ${JSON.stringify(logs)}`);
  };
  /** The log lines of all that was answered since the last call. */
  world.takeLogs = async () => {
    // A line of the fence's own ends them; a Worker without configuration has no such line.
    const headers = { host: world.originHost };
    const { status } = await world.request('/direct/bclogout', { method: 'PUT', headers });
    if (status !== 405) return logs.splice(0);
    const isFence = ({ app, code }) => app === 'DIRECT' && code === 'method_not_post';
    return (await logsUntil(isFence)).slice(0, -1);
  };
  /** The first log line with that code, waited for. */
  world.logged = async (code) => (await logsUntil((line) => line.code === code)).at(-1);
  /** Which KV calls fail from now on, and which calls were made: see instrumented.js. */
  world.faults = (plan = null) =>
    world.request('/faults', { method: 'POST', body: JSON.stringify(plan) });
  world.calls = async () => JSON.parse((await world.request('/calls')).body);

  /** A request to app.test, redirects not followed: status, headers, body as a Buffer. */
  world.request = async (path, options) => {
    // Who is still sending when an answer comes and the connection is closed may lose the answer.
    for (let tries = 0; ; tries++) {
      try {
        return await requestOnce(path, options);
      } catch (error) {
        if (tries === 5 || !((options?.body?.length ?? 0) > 1 << 20)) throw error;
      }
    }
  };
  const requestOnce = async (path, { method = 'GET', headers = {}, body } = {}) => {
    const req = httpRequest({
      host: '127.0.0.1',
      port: worker.url.port,
      path,
      method,
      headers: { host: 'app.test', ...headers },
      maxHeaderSize: 128 << 10,
    });
    req.end(body);
    const res = await new Promise((response, failed) => {
      req.on('response', response);
      // An answer may come before the request has been read: what is left cannot be written then.
      let error;
      req.on('error', (e) => (error = e));
      req.on('close', () => failed(error ?? new Error('closed without an answer')));
    });
    const chunks = await res.toArray();
    return {
      status: res.statusCode,
      statusText: res.statusMessage,
      headers: res.headers,
      setCookies: res.headers['set-cookie'] ?? [],
      body: Buffer.concat(chunks),
    };
  };
  world.open = (path, options) =>
    httpRequest({ host: '127.0.0.1', port: worker.url.port, path, ...options, headers: { host: 'app.test', ...options?.headers } });
  world.logout = (token, { client = 'shop', ...options } = {}) =>
    world.request(`/${client}/bclogout`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token, ignored_parameter: 'It is.' }).toString(),
      ...options,
    });
  world.contents = async ({ pending = true } = {}) =>
    Object.fromEntries(
      Object.entries(await kvContents(world.kv)).filter(([key]) => pending || !isPending(key)),
    );
  /** Kills workerd, and comes back when it has been started again on what it had stored. */
  world.crash = async () => {
    const restart = new Promise((resolve) => (restarted = resolve));
    process.kill(Number(pidOfWorkerd()), 'SIGKILL');
    await restart;
    Object.assign(world, await worker.stores());
  };
  /** Says something to a list of the ledger: see ledger.mjs. */
  world.ask = (list, command) => ask(world.ledger, list, command);
  /** Runs the cron trigger. */
  world.cron = () => worker.cron();
  const entries = isKvAlone ? entriesOf : entryOf;
  /** Forgets everything, and begins sessions as the Worker itself would. */
  world.store = async (...sessions) => {
    for (const key of Object.keys(await kvContents(world.kv))) await world.kv.delete(key);
    if (!isKvAlone) await world.request('/forget', { method: 'POST' });
    for (const session of sessions) {
      for (const [key, [value, metadata]] of Object.entries(entries(session))) {
        await world.kv.put(key, value, { metadata });
      }
      if (!isKvAlone) await register(world.ledger, session);
    }
  };
  /** What KV holds of these sessions, as `contents` shows it. */
  world.stored = (...sessions) =>
    Object.fromEntries(
      sessions
        .flatMap((session) => Object.entries(entries(session)))
        .map(([key, [value, metadata]]) => [key, metadata ? { value, metadata } : value]),
    );
  /** What a logout leaves in KV: where the ledger knows of it, nothing. */
  world.markOf = (...logout) => (isKvAlone ? markOf(...logout) : {});
  world.pendingOf = (...logout) => (isKvAlone ? pendingOf(...logout) : {});
  world.stop = async () => {
    await world.takeLogs();
    assert.deepEqual(leaks, [], 'no token, cookie or raw identifier in any log line');
    await worker.stop();
    origin.closeAllConnections();
    origin.close();
    await op.stop();
  };
  return world;
}
