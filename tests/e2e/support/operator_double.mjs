// Stands in for the Worker's operator API, to the letter of what the console may rely on: it refuses
// what the Worker would. What it serves comes from `www/operator`, under the policy that ships.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const FILES = new URL('../../../www/operator/', import.meta.url);
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** What the console's page is served with, here and by the Worker. */
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const FILE_HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

const CONFIRMATION = 120_000;
const LISTED = 100;

export const hashOf = (kind, value) => createHash('sha256').update(`${kind}:${value}`).digest('base64url');

class Answer extends Error {
  constructor(status, body) {
    super(body.error);
    this.status = status;
    this.body = body;
  }
}
const bad = (field) => new Answer(400, { error: 'bad_request', ...(field && { field }) });

/**
 * Starts it with a state: `key`, the secret, or `isByAccess`; `mode`, `guarantee`, `desk`, `issuers`
 * and `apps` as the overview tells them; `sessions`, a list of `{ app, id, sub, sid, login, expires }`; `journal`
 * and `checks`, lists by app; `wouldEnd`, the sessions that a breaker's held logouts name. Returns its `url`
 * and `key`, the `requests` that came, `loggedIn`, who is, and `advance`, which lets milliseconds pass.
 */
export async function startOperatorDouble(state) {
  let passed = 0;
  const now = () => Date.now() + passed;
  const requests = [];
  const confirmations = new Map();
  let origin;

  const issuerOf = (name) => {
    const issuer = state.issuers.find((issuer) => issuer.name === name);
    if (!issuer) throw bad('issuer');
    return issuer;
  };
  const appOf = (name) => {
    const app = state.apps.find((app) => app.name === name);
    if (!app) throw bad('app');
    return app;
  };
  const queried = (url) => {
    if ([...url.searchParams.keys()].join() !== 'app') throw bad('app');
    return appOf(url.searchParams.get('app')).name;
  };
  const note = (app, code, rest) =>
    state.journal[app].unshift({
      at: now(),
      code,
      class: 'audit',
      of: null,
      matched: null,
      count: 1,
      by: state.isByAccess ? 'b3Blcm9w0cF9' : 'key',
      ...rest,
    });

  /** Who is meant by one of the four ways to name a session, or several. */
  function chosen(body, app) {
    const ways = ['sub', 'sid', 'subject', 'sid_hash'].filter((way) => way in body);
    if (ways.length !== 1) throw bad(ways[1]);
    const [way] = ways;
    const value = body[way];
    const isHash = way === 'subject' || way === 'sid_hash';
    const isRight = isHash ? /^[\w-]{43}$/.test(value) : typeof value === 'string' && value !== '';
    if (!isRight) throw bad(way);
    const kind = way === 'sub' || way === 'subject' ? 'sub' : 'sid';
    const hash = isHash ? value : hashOf(kind, value);
    return state.sessions.filter((session) => session.app === app && hashOf(kind, session[kind]) === hash);
  }

  function twoSteps(body, extent, perform) {
    const { confirm, ...rest } = body;
    const told = JSON.stringify(rest);
    if (confirm === undefined) {
      const token = randomBytes(16).toString('base64url');
      const expires = now() + CONFIRMATION;
      confirmations.set(token, { told, expires });
      return { confirm: token, expires, would_end: extent };
    }
    const known = confirmations.get(confirm);
    if (!known || known.told !== told || known.expires < now()) {
      throw new Answer(409, { error: 'confirmation_invalid' });
    }
    return perform();
  }

  function needDesk() {
    if (!state.desk) throw new Answer(503, { error: 'unavailable', code: 'desk_not_bound' });
  }

  function remove(ended) {
    state.sessions = state.sessions.filter((session) => !ended.includes(session));
  }

  function only(body, ...fields) {
    const stranger = Object.keys(body).find((field) => ![...fields, 'confirm'].includes(field));
    if (stranger) throw bad(stranger);
  }

  function end(body) {
    if ('before' in body) {
      only(body, 'app', 'issuer', 'before');
      if ('app' in body === 'issuer' in body) throw bad('app');
      needDesk();
      if (!Number.isSafeInteger(body.before) || body.before < 0 || body.before > now()) throw bad('before');
      const apps = body.app ? [appOf(body.app)] : appsAt(issuerOf(body.issuer));
      const names = apps.map(({ name }) => name);
      const ended = state.sessions.filter(({ app, login }) => names.includes(app) && login <= body.before);
      return twoSteps(body, null, () => {
        remove(ended);
        for (const app of apps) {
          app.ended_before = body.before;
          note(app.name, 'operator_ended', { matched: null });
        }
        return { ended: null };
      });
    }
    const app = appOf(body.app).name;
    let ended;
    if ('session' in body) {
      only(body, 'app', 'session', 'subject');
      if (!/^[\w-]{43}$/.test(body.subject)) throw bad('subject');
      if (!/^[\w-]{22}$/.test(body.session)) throw bad('session');
      ended = state.sessions.filter(
        ({ id, sub }) => id === body.session && hashOf('sub', sub) === body.subject,
      );
    } else {
      only(body, 'app', 'sub', 'sid', 'subject', 'sid_hash');
      ended = chosen(body, app);
    }
    return twoSteps(body, ended.length, () => {
      remove(ended);
      note(app, 'operator_ended', { matched: ended.length });
      return { ended: ended.length };
    });
  }

  const appsAt = (issuer) => state.apps.filter((app) => app.issuer === issuer.issuer);

  function held(body) {
    only(body, 'issuer', 'action');
    const { breaker } = issuerOf(body.issuer);
    if (!['release', 'discard'].includes(body.action)) throw bad('action');
    needDesk();
    return twoSteps(body, body.action === 'release' ? state.wouldEnd : 0, () => {
      const { held } = breaker;
      Object.assign(breaker, { held: 0, tripped_at: null });
      return body.action === 'release' ? { released: held, ended: state.wouldEnd } : { discarded: held };
    });
  }

  const API = {
    overview: {
      GET: () => ({
        now: now(),
        mode: state.mode,
        desk: state.desk,
        guarantee: state.guarantee,
        issuers: state.issuers,
        apps: state.apps,
      }),
    },
    test: { GET: (_, url) => ({ checks: state.checks[queried(url)] }) },
    journal: {
      GET(_, url) {
        const entries = state.journal[queried(url)];
        needDesk();
        return { entries: entries.slice(0, 200) };
      },
    },
    sessions: {
      POST(body) {
        only(body, 'app', 'sub', 'sid', 'subject', 'sid_hash');
        const found = chosen(body, appOf(body.app).name);
        const listed = found.slice(0, LISTED).map(({ id, sub, sid, login, expires }) => ({
          id,
          subject: hashOf('sub', sub),
          sid: hashOf('sid', sid),
          login,
          expires,
        }));
        return { count: found.length, sessions: listed };
      },
    },
    end: { POST: end },
    held: { POST: held },
  };

  async function api(req, url) {
    const isOwn = !req.headers.origin || req.headers.origin === origin;
    const site = req.headers['sec-fetch-site'] ?? 'none';
    if (!isOwn || !['same-origin', 'none'].includes(site) || req.headers['edge-logout-operator'] !== '1') {
      throw new Answer(403, { error: 'forbidden' });
    }
    const isSigned = state.isByAccess
      ? req.headers.authorization === undefined
      : req.headers.authorization === `Bearer ${state.key}`;
    if (!isSigned) throw new Answer(401, { error: 'unauthorized' });
    const name = url.pathname.slice('/.edge-logout/api/'.length);
    if (!Object.hasOwn(API, name)) throw new Answer(404, { error: 'not_found' });
    const perform = API[name][req.method];
    if (!perform) throw new Answer(405, { error: 'method_not_allowed' });
    let body;
    if (req.method === 'POST') {
      if (req.headers['content-type'] !== 'application/json') throw bad();
      const chunks = await req.toArray();
      const bytes = Buffer.concat(chunks);
      if (bytes.length > 16 << 10) throw bad();
      body = JSON.parse(bytes.toString());
    }
    return perform(body, url);
  }

  function file(url) {
    const name =
      url.pathname === '/.edge-logout/operator'
        ? 'index.html'
        : url.pathname.slice('/.edge-logout/operator/'.length);
    const path = new URL(name, FILES);
    const isFile = /^[a-z_]+\.(js|css|svg|html)$/.test(name) && existsSync(path);
    if (!isFile) return { status: 404, headers: { 'content-type': 'text/plain' }, body: 'Not found.\n' };
    return {
      status: 200,
      headers: { ...FILE_HEADERS, 'content-type': TYPES[extname(name)] },
      body: readFileSync(path),
    };
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url, origin);
    if (!url.pathname.startsWith('/.edge-logout/api/')) {
      const { status, headers, body } = file(url);
      res.writeHead(status, headers).end(body);
      return;
    }
    requests.push(`${req.method} ${url.pathname.split('/').at(-1)}`);
    let status = 200;
    let body;
    try {
      body = await api(req, url);
    } catch (error) {
      if (!(error instanceof Answer)) console.error(error);
      ({ status = 500, body = {} } = error);
    }
    const headers = {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    };
    res.writeHead(status, headers).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${server.address().port}`;
  return {
    url: `${origin}/.edge-logout/operator`,
    key: state.key,
    requests,
    /** Who is logged in: `SHOP alice s1`. */
    loggedIn: () => state.sessions.map(({ app, sub, sid }) => `${app} ${sub} ${sid}`),
    advance: (ms) => (passed += ms),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
