// A Worker in front of one OpenID Connect relying party, over Workers KV alone: it takes the OP's
// Back-Channel Logout tokens, and gates every request to the app. Its keys hold hashes only:
//
//   session/<id>            a session's entry
//   by-sid/<hash>/<id>      finds it by sid; metadata: its login, and the hash of its sub
//   by-sub/<hash>/<id>      finds it by sub; likewise
//   mark/<hash>             a logout: sessions with a login up to then have ended
//   pending/<hash>/<time>   a logout whose index is to be gone over once more, by a cron run
import { createRemoteJWKSet, decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';

type App = Record<'issuer' | 'jwks_uri' | 'client_id' | 'prefix' | 'logout_path', string> &
  Record<'session_lifetime' | 'kv_operations', number> & { session_cookies: string[] };
type Env = { SESSIONS: KVNamespace; SEAL_KEY: string; APP: App };
type Kind = 'sid' | 'sub';
type Claims = JWTPayload & { iat: number; sid?: string };
type Tally = { matched: number; deferred: boolean };
type IndexMetadata = { login: number; other: string };
/** One login. Its identifiers are hashes, its times seconds. */
type Session = { id: string; sid: string; sub: string; login: number; registered_at: number; expires: number };
type Cookie = { name: string; value: string; attributes: string };
type SetCookie = Cookie & { removes: boolean };
/** A cookie with the app's own value, and the session with which it dies. */
type Opened = Cookie & { session?: Session };
type Jar = { plain: string[]; sealed: Opened[] };

const CLOCK_SKEW = 60;
/** KV has no common order of login and logout: a login at most this much later is covered too. */
const ORDER_MARGIN = 2;
/** So long KV may serve a cached miss of a new entry. */
const ENTRY_LAG = 180;
const LIST_LAG = 120;
const LOGIN_MAX_AGE = 600;
/** So long after a logout the OP's own dying session may still sign on silently. */
const REBIRTH_WINDOW = 60;
/** A mark outlives every session that it may cover. */
const markTtl = (lifetime: number) => lifetime + LOGIN_MAX_AGE + 300 + 60;
const PARALLEL_SESSIONS = 32;
const SESSIONS_ASKED = 3;
const BODY_BYTES = 64 * 1024;
const TOKEN_BYTES = 16 * 1024;
/** OPs give up after as little as 2.5 s. */
const TIDYING_MILLIS = 1_900;
const KEY_SET_TIMES = { timeoutDuration: 1_500, cooldownDuration: 1_000, cacheMaxAge: 300_000 };
const RETRY_PAUSES = [250, 1_000, 4_000, 12_000];
const CACHED = { cacheTtl: 30 } as const;
const NO_COOKIES: Jar = { plain: [], sealed: [] };

const ANNOUNCEMENT = 'edge-logout-id-token';
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const FORM = /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i;
/** What `fetch` would resolve to another path than the one routed here. */
const AMBIGUOUS_PATH = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;
const CONDITIONS = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'range'];
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const KEYS_UNAVAILABLE = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID']);

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const now = () => Math.floor(Date.now() / 1000);
const short = (hash: string) => hash.slice(0, 8);
const base64url = (bytes: Uint8Array) => bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isIdentifier = (claim: unknown) => claim === undefined || (typeof claim === 'string' && claim !== '');

function answer(status: number, body: string | null, headers?: Record<string, string>, cookies: string[] = []) {
  const response = new Response(body, { status, headers: { 'Cache-Control': 'no-store', ...headers } });
  for (const cookie of cookies) response.headers.append('Set-Cookie', cookie);
  return response;
}
const unavailable = (cookies?: string[]) =>
  answer(503, '{"error":"temporarily_unavailable"}', { 'Content-Type': 'application/json', 'Retry-After': '2' }, cookies);

/** What one isolate prepares once. */
async function setUp({ APP: app, SESSIONS: kv, SEAL_KEY }: Env) {
  const expected = { issuer: app.issuer, audience: app.client_id, algorithms: ['RS256'], clockTolerance: CLOCK_SKEW };
  const hashHead = (kind: Kind) =>
    [kind, app.issuer, app.client_id].map((part) => prefixed(encoder.encode(part))).reduce(concat);
  const sealKey = Uint8Array.fromBase64(SEAL_KEY);
  const names = app.session_cookies.map((name) => RegExp.escape(name)).join('|');
  return {
    app,
    kv,
    keySet: createRemoteJWKSet(new URL(app.jwks_uri), KEY_SET_TIMES),
    logoutToken: { types: /^(?:application\/)?(?:jwt|logout\+jwt)$/i, ...expected, requiredClaims: ['iat', 'exp', 'jti'] },
    idToken: { types: /^(?:application\/)?jwt$/i, ...expected, requiredClaims: ['iat', 'exp', 'sub'] },
    hashHeads: { sid: hashHead('sid'), sub: hashHead('sub') },
    sealKey: await crypto.subtle.importKey('raw', sealKey, 'AES-GCM', false, ['encrypt', 'decrypt']),
    associatedData: new Map(app.session_cookies.map((name) => [name, encoder.encode(`${app.client_id} ${name}`)])),
    /** A session cookie, wherever some server may let a pair begin: a client's second header comes folded with a comma. */
    sessionCookie: new RegExp(`(?:^|[\\s,;="\\\\])(?:${names})\\s*=`),
  };
}
type Edge = Awaited<ReturnType<typeof setUp>>;

function log({ app }: Edge, code: string, more?: { class?: string; of?: string; matched?: number }) {
  console.log(JSON.stringify({ code, app: app.client_id, ...more }));
}

/** A part behind its length in 64 bits, so that no two lists of parts run together. */
function prefixed(part: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + part.length);
  new DataView(bytes.buffer).setUint32(4, part.length);
  bytes.set(part, 8);
  return bytes;
}

/** What stands for a sid or sub in keys: an identifier may be long, and hold any separator. */
async function hashOf({ hashHeads }: Edge, kind: Kind, identifier: string): Promise<string> {
  const input = concat(hashHeads[kind], prefixed(encoder.encode(identifier)));
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', input)));
}

/** A verified token's claims, or the code of why it is refused; throws if the OP's keys are not to be had. */
async function verify({ app, keySet }: Edge, token: string, expected: Edge['idToken']): Promise<Claims | string> {
  // Only a refresh made after the token came may prove a key id unknown.
  const maySayUnknown = !keySet.coolingDown;
  try {
    const { payload, protectedHeader: header } = await jwtVerify<Claims>(token, keySet, expected);
    const { iat, aud, azp, sub, sid } = payload;
    if (header.typ !== undefined && !expected.types.test(header.typ)) return 'type';
    if (iat > now() + CLOCK_SKEW) return 'issued_in_future';
    if (typeof aud !== 'string' && aud!.some((audience) => audience !== app.client_id)) return 'audience';
    if (azp !== undefined && azp !== app.client_id) return 'authorized_party';
    // A malformed sid must never count as none: that would widen a logout to the whole user.
    return isIdentifier(sub) && isIdentifier(sid) ? payload : 'subject_malformed';
  } catch (error) {
    if (!(error instanceof errors.JOSEError) || KEYS_UNAVAILABLE.has(error.code)) throw error;
    if (error instanceof errors.JWKSNoMatchingKey && !maySayUnknown) throw error;
    return error.code;
  }
}

/** When sessions were marked as ended. A mark that cannot be read is an outage: it may cover anything. */
function markTime(mark: string | null | undefined): number {
  if (mark === null) return -Infinity;
  if (mark === undefined || !/^-?\d+$/.test(mark)) throw new Error('mark unreadable');
  return Number(mark);
}
const covers = (mark: number, login: number) => login <= mark + ORDER_MARGIN;

// The back channel

/** The body, unless it is larger than any that is taken. */
async function readBody(request: Request): Promise<string | undefined> {
  const length = request.headers.get('content-length');
  if (length !== null) return Number(length) <= BODY_BYTES ? request.text() : undefined;
  const utf8 = new TextDecoder();
  let [text, size] = ['', 0];
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > BODY_BYTES) return undefined;
    text += utf8.decode(chunk, { stream: true });
  }
  return text;
}

async function receiveLogout(edge: Edge, request: Request, ctx: ExecutionContext): Promise<Response> {
  const refuse = (code: string) => {
    log(edge, code, { class: 'refused' });
    const body = '{"error":"invalid_request","error_description":"The logout token was not accepted."}';
    return answer(400, body, { 'Content-Type': 'application/json' });
  };
  if (!FORM.test(request.headers.get('content-type') ?? '')) return refuse('content_type');
  const body = await readBody(request);
  if (body === undefined) return refuse('body_too_large');
  const [token, ...others] = new URLSearchParams(body).getAll('logout_token');
  if (!token) return refuse('token_missing');
  if (others.length > 0) return refuse('token_repeated');
  if (token.length > TOKEN_BYTES) return refuse('token_too_large');

  const claims = await verify(edge, token, edge.logoutToken);
  if (typeof claims === 'string') return refuse(claims);
  const { events, nonce, jti, sid, sub, iat } = claims;
  if (!isObject(events) || !isObject(events[LOGOUT_EVENT])) return refuse('event');
  if (nonce !== undefined) return refuse('nonce');
  if (typeof jti !== 'string' || jti === '') return refuse('token_id');
  const identifier = sid ?? sub;
  if (identifier === undefined) return refuse('subject_missing');

  // A sub beside a sid never widens.
  const kind = sid === undefined ? 'sub' : 'sid';
  const hash = await hashOf(edge, kind, identifier);
  const end = () => endSessions(edge, kind, hash, Math.floor(iat));
  const ending = end();
  // Goes on if the OP hangs up, and is tried again if it fails: most OPs send a token once.
  ctx.waitUntil(ending.catch(() => retry(edge, end)));
  await ending;
  return answer(200, null);
}

async function retry(edge: Edge, work: () => Promise<void>): Promise<void> {
  for (const pause of RETRY_PAUSES) {
    await scheduler.wait(pause);
    if (await work().then(() => true, () => false)) return;
  }
  log(edge, 'logout_given_up', { class: 'logout_pending' });
}

/** Ends the sessions of a sid or sub with a login up to `logout`. */
async function endSessions(edge: Edge, kind: Kind, hash: string, logout: number): Promise<void> {
  const { app, kv } = edge;
  const lifetime = app.session_lifetime;
  const expirationTtl = markTtl(lifetime);
  const mark = async () => {
    const key = `mark/${hash}`;
    // A later one already covers whatever this one would.
    if (markTime(await kv.get(key, CACHED)) < logout) await kv.put(key, String(logout), { expirationTtl });
  };
  const metadata = { kind, hash, logout, due: now() + LIST_LAG, lifetime };
  await Promise.all([mark(), kv.put(`pending/${hash}/${logout}`, '', { expirationTtl, metadata })]);
  // Every session has ended now. What follows tidies up, and the record stands for what it leaves.
  const tally: Tally = { matched: 0, deferred: false };
  try {
    await deleteEnded(edge, kind, hash, logout, tally);
  } catch {
    tally.deferred = true;
  }
  const { matched, deferred } = tally;
  log(edge, matched > 0 || deferred ? 'logout_done' : 'logout_matched_nothing', { of: short(hash), matched });
}

async function deleteEnded({ app, kv }: Edge, kind: Kind, hash: string, logout: number, tally: Tally) {
  const prefix = `by-${kind}/${hash}/`;
  const otherIndex = kind === 'sid' ? 'by-sub' : 'by-sid';
  const deadline = Date.now() + TIDYING_MILLIS;
  // Less the mark, read and written, and the record.
  let budget = app.kv_operations - 3;
  let cursor: string | undefined;
  do {
    budget -= 1;
    const page: KVNamespaceListResult<IndexMetadata> = await kv.list({ prefix, cursor });
    const doomed = page.keys.filter(({ metadata }) => metadata && covers(logout, metadata.login));
    const affordable = Math.min(doomed.length, Math.floor(budget / 3));
    tally.matched += doomed.length;
    budget -= 3 * affordable;
    let next = 0;
    const deleteOneByOne = async () => {
      while (next < affordable && Date.now() < deadline) {
        const { name, metadata } = doomed[next++]!;
        const id = name.slice(prefix.length);
        await Promise.all([kv.delete(`session/${id}`), kv.delete(`${otherIndex}/${metadata!.other}/${id}`)]);
        // Last: while it is there, a repeat finds the rest.
        await kv.delete(name);
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_SESSIONS, affordable) }, deleteOneByOne));
    cursor = page.list_complete ? undefined : page.cursor;
    tally.deferred = next < doomed.length || (cursor !== undefined && budget < 1);
  } while (cursor && !tally.deferred);
}

// Cookies

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  return equals < 0 ? ['', pair.trim()] : [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
}

async function open({ associatedData, sealKey }: Edge, name: string, value: string): Promise<Opened | undefined> {
  try {
    const sealed = Uint8Array.fromBase64(value, { alphabet: 'base64url' });
    const algorithm = { name: 'AES-GCM', iv: sealed.subarray(0, 12), additionalData: associatedData.get(name)! };
    const contents = await crypto.subtle.decrypt(algorithm, sealKey, sealed.subarray(12));
    return { name, ...JSON.parse(decoder.decode(contents)) };
  } catch {
    return undefined;
  }
}

/** The line that sets a cookie of the app's, sealed for `session` if there is one. */
async function seal({ associatedData, sealKey }: Edge, cookie: SetCookie, session: Session | undefined, path: string) {
  const { name, value } = cookie;
  // With which the cookie can be removed.
  let attributes = cookie.attributes.replace(/;\s*(?:expires|max-age)\s*=[^;]*/gi, '');
  if (!/;\s*path\s*=\s*\//i.test(attributes)) attributes += `; Path=${path.slice(0, path.lastIndexOf('/')) || '/'}`;
  const contents = encoder.encode(JSON.stringify({ session, attributes, value }));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: 'AES-GCM', iv, additionalData: associatedData.get(name)! };
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, sealKey, contents));
  return `${name}=${base64url(concat(iv, ciphertext))}${cookie.attributes}`;
}

const removal = ({ name, attributes }: Opened) => `${name}=${attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT`;

/** Opens the session cookies; what does not open, or hides in another pair, is withheld. */
async function openCookies(edge: Edge, header: string): Promise<Jar> {
  const plain: string[] = [];
  const opening: Promise<Opened | undefined>[] = [];
  for (const pair of header.split(';')) {
    const [name, value] = splitPair(pair);
    if (edge.associatedData.has(name)) opening.push(open(edge, name, value));
    else if (!edge.sessionCookie.test(pair)) plain.push(pair.trim());
  }
  return { plain, sealed: (await Promise.all(opening)).filter((cookie) => cookie !== undefined) };
}

/** A line about a session cookie, read; any other as it is. */
function readSetCookie({ associatedData }: Edge, line: string): SetCookie | string {
  const end = line.indexOf(';');
  const [name, value] = splitPair(end < 0 ? line : line.slice(0, end));
  if (!associatedData.has(name)) return line;
  const attributes = end < 0 ? '' : line.slice(end);
  const maxAge = /;\s*max-age\s*=\s*(-?\d+)/i.exec(attributes)?.[1];
  const expires = /;\s*expires\s*=([^;]*)/i.exec(attributes)?.[1] ?? '';
  const removes = maxAge === undefined ? Date.parse(expires) <= Date.now() : Number(maxAge) <= 0;
  return { name, value, attributes, removes };
}

// Sessions

/** The sessions of a request, the latest first. */
function sessionsIn({ sealed }: Jar): Session[] {
  const byId = new Map<string, Session>();
  for (const { session } of sealed) if (session) byId.set(session.id, session);
  return [...byId.values()].sort((a, b) => b.registered_at - a.registered_at).slice(0, SESSIONS_ASKED);
}

/** The first that lives: a planted cookie of one that has ended must not sign anybody out. */
async function findLive(edge: Edge, sessions: Session[]): Promise<Session | undefined> {
  const time = now();
  const isOver = ({ expires, registered_at }: Session) =>
    time >= Math.min(expires, registered_at + edge.app.session_lifetime);
  const asked = sessions.filter((session) => !isOver(session));
  const keys = new Set(asked.flatMap(({ id, sid, sub }) => [`session/${id}`, `mark/${sid}`, `mark/${sub}`]));
  const stored = keys.size > 0 ? await edge.kv.get([...keys], CACHED) : new Map<string, string | null>();
  return sessions.find((session) => {
    const { id, sid, sub, login, registered_at } = session;
    const isMarked = (hash: string) => covers(markTime(stored.get(`mark/${hash}`)), login);
    const isDeleted = () => stored.get(`session/${id}`) === null && time >= registered_at + ENTRY_LAG;
    const ended = isOver(session) ? 'lifetime' : isMarked(sid) || isMarked(sub) ? 'mark' : isDeleted() && 'deletion';
    if (ended) log(edge, `ended_by_${ended}`, { of: short(sid) });
    return !ended;
  });
}

/** Ends a session that the app itself has left. Nobody ordered it, so if it fails, no request does. */
async function endOne(edge: Edge, { id, sid, sub }: Session, code: string): Promise<void> {
  const keys = [`session/${id}`, `by-sub/${sub}/${id}`, `by-sid/${sid}/${id}`];
  const outcomes = await Promise.allSettled(keys.map((key) => edge.kv.delete(key)));
  const isDone = outcomes.every(({ status }) => status === 'fulfilled');
  log(edge, isDone ? code : 'left_session_not_deleted', { of: short(sid) });
}

/** Why the app's answer is not delivered. */
class Undelivered extends Error {
  constructor(readonly status: number, readonly code: string) {
    super(code);
  }
}

/** Whether a token names who is signed in already: it may have expired since, and proves nothing new. */
async function isOf(edge: Edge, { sid, sub }: Session, token: string): Promise<boolean> {
  try {
    const claimed = decodeJwt<Claims>(token);
    if (claimed.iss !== edge.app.issuer || (await hashOf(edge, 'sub', claimed.sub!)) !== sub) return false;
    return claimed.sid === undefined || (await hashOf(edge, 'sid', claimed.sid)) === sid;
  } catch {
    return false;
  }
}

/** The session that an announced login begins, or continues. */
async function logIn(edge: Edge, token: string, live: Session | undefined, setsNewCookie: boolean): Promise<Session> {
  if (live && (await isOf(edge, live, token))) return live;
  const { app, kv } = edge;
  const claims = await verify(edge, token, edge.idToken);
  if (typeof claims === 'string') throw new Undelivered(502, claims);
  if (claims.events !== undefined) throw new Undelivered(502, 'not_an_id_token');
  if (claims.sid === undefined) throw new Undelivered(502, 'login_without_sid');
  // Nothing would die with the session.
  if (!setsNewCookie) throw new Undelivered(502, 'login_without_new_cookie');
  const [sid, sub] = await Promise.all([hashOf(edge, 'sid', claims.sid), hashOf(edge, 'sub', claims.sub!)]);
  const stored = await kv.get([`mark/${sid}`, `mark/${sub}`], CACHED);
  const [login, registered_at] = [Math.floor(claims.iat), now()];
  const [ofSid, ofSub] = [markTime(stored.get(`mark/${sid}`)), markTime(stored.get(`mark/${sub}`))];
  if (covers(ofSid, login) || covers(ofSub, login)) throw new Undelivered(409, 'birth_refused_logged_out');
  if (registered_at > login + LOGIN_MAX_AGE) throw new Undelivered(409, 'birth_refused_login_too_old');
  const isRecent = (mark: number) => login <= mark + REBIRTH_WINDOW;
  // Some OPs always send 0, which says nothing.
  const authTime = Math.floor(Number(claims.auth_time ?? 0));
  const isRebirth = authTime >= 1 ? [ofSid, ofSub].some((mark) => isRecent(mark) && authTime <= mark) : isRecent(ofSid);
  if (isRebirth) throw new Undelivered(409, 'birth_refused_not_reauthenticated');

  const id = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const expirationTtl = app.session_lifetime;
  const entry = { login, registered_at, expires: registered_at + app.session_lifetime };
  // First: a logout that finds it by an index deletes it, and no write under way brings it back.
  await kv.put(`session/${id}`, JSON.stringify(entry), { expirationTtl });
  await Promise.all([
    kv.put(`by-sid/${sid}/${id}`, '', { expirationTtl, metadata: { login, other: sub } }),
    kv.put(`by-sub/${sub}/${id}`, '', { expirationTtl, metadata: { login, other: sid } }),
  ]);
  log(edge, 'session_began', { of: short(sid) });
  return { id, sid, sub, ...entry };
}

// The gate

/** A copy that can be changed. The app is behind a Route, at its own address; redirects are for the browser. */
function copyOf(request: Request): Request {
  const copy = new Request(request);
  copy.headers.delete(ANNOUNCEMENT);
  return copy;
}

/** Whether an answer is the app's own to this very request, and no error. */
function mayAnnounce({ status, headers }: Response): boolean {
  const isCached = headers.has('age') || /^(?:hit|stale|updating|revalidated)$/i.test(headers.get('cf-cache-status') ?? '');
  return status >= 200 && status < 400 && !isCached;
}

async function gate(edge: Edge, request: Request, ctx: ExecutionContext, path: string) {
  const header = request.headers.get('cookie');
  const jar = header !== null && edge.sessionCookie.test(header) ? await openCookies(edge, header) : NO_COOKIES;
  const sessions = sessionsIn(jar);
  const live = sessions.length > 0 ? await findLive(edge, sessions) : undefined;
  const isEnded = sessions.length > 0 && !live;
  const goesAlong = ({ session }: Opened) => !session || session.id === live?.id;
  const kept = jar.sealed.filter(goesAlong);
  const removals = jar.sealed.filter((cookie) => !goesAlong(cookie)).map(removal);
  if (isEnded && !SAFE_METHODS.has(request.method)) return answer(401, 'Your session has ended.\n', {}, removals);

  const isAsItCame = jar === NO_COOKIES && !request.headers.has(ANNOUNCEMENT);
  const forward = isAsItCame ? request : copyOf(request);
  if (jar !== NO_COOKIES) {
    const cookies = [...jar.plain, ...kept.map(({ name, value }) => `${name}=${value}`)];
    if (cookies.length > 0) forward.headers.set('Cookie', cookies.join('; '));
    else forward.headers.delete('Cookie');
  }
  // What the client has from the session must not be confirmed.
  if (isEnded) for (const name of CONDITIONS) forward.headers.delete(name);
  const response = await fetch(forward).catch(() => undefined);
  if (!response) return answer(502, 'Bad gateway.\n');

  const lines = response.headers.getSetCookie().map((line) => readSetCookie(edge, line));
  const ours = lines.filter((line) => typeof line !== 'string');
  const token = response.headers.get(ANNOUNCEMENT);
  if (ours.length === 0 && token === null && removals.length === 0) return response;

  let owner = live;
  if (token !== null) {
    const cameIn = (set: SetCookie) => kept.some(({ name, value }) => name === set.name && value === set.value);
    const setsNewCookie = ours.some((set) => !set.removes && !cameIn(set));
    try {
      if (mayAnnounce(response)) owner = await logIn(edge, token, live, setsNewCookie);
      else if (setsNewCookie) throw new Undelivered(502, 'announcement_not_counted');
    } catch (error) {
      const { status, code } = error instanceof Undelivered ? error : new Undelivered(503, 'login_unavailable');
      log(edge, code, { class: 'refused' });
      // The app may have attached that login to a cookie that the browser has already.
      const isTainted = live && status !== 503 && !setsNewCookie;
      if (isTainted) ctx.waitUntil(endOne(edge, live!, 'session_replaced'));
      const cookies = jar.sealed.filter(({ session }) => isTainted || !session).map(removal);
      if (status === 503) return unavailable(cookies);
      return answer(status, status === 409 ? 'You were just signed out.\n' : 'Bad gateway.\n', {}, cookies);
    }
  }
  const rewritten = await Promise.all(
    lines.map((line) => {
      if (typeof line === 'string') return line;
      return line.removes ? `${line.name}=${line.attributes}` : seal(edge, line, owner, path);
    }),
  );
  if (live) {
    const last = new Map(ours.map((set) => [set.name, set]));
    const isLeft = ({ name, session }: Opened) => session && !last.get(name)?.removes;
    const isCleared = !kept.some(isLeft) && last.values().every(({ removes }) => removes);
    if (owner !== live) ctx.waitUntil(endOne(edge, live, 'session_replaced'));
    else if (isCleared) ctx.waitUntil(endOne(edge, live, 'session_cleared_by_app'));
  }

  const delivered = new Response(response.body, response);
  const { headers } = delivered;
  headers.delete(ANNOUNCEMENT);
  headers.delete('Set-Cookie');
  // Removals first: what the app sets anew at the same place stays.
  for (const line of [...removals, ...rewritten]) headers.append('Set-Cookie', line);
  const isPrivate = /\b(?:private|no-store)\b/i.test(headers.get('cache-control') ?? '');
  if (isEnded) headers.set('Cache-Control', 'no-store');
  else if (!isPrivate && ours.some(({ removes }) => !removes)) headers.set('Cache-Control', 'private, no-cache');
  return delivered;
}

async function route(edge: Edge, request: Request, ctx: ExecutionContext): Promise<Response> {
  const { logout_path, prefix } = edge.app;
  const { method, url } = request;
  // After "https://" and a host. The path is as the client sent it; to parse the URL would cost more.
  const pathStart = url.indexOf('/', 8);
  const queryStart = url.indexOf('?', pathStart);
  const path = url.slice(pathStart, queryStart < 0 ? undefined : queryStart);
  if (path === logout_path) {
    return method === 'POST' ? receiveLogout(edge, request, ctx) : answer(405, null, { Allow: 'POST' });
  }
  if (path !== prefix && !path.startsWith(`${prefix}/`)) return answer(404, 'Not found.\n');
  if (AMBIGUOUS_PATH.test(path)) return answer(400, 'Bad request.\n');
  // TRACE would show the app's own cookies.
  return method === 'TRACE' ? answer(405, null) : gate(edge, request, ctx, path);
}

let edge: Edge | undefined;

export default {
  async fetch(request, env, ctx) {
    edge ??= await setUp(env);
    try {
      return await route(edge, request, ctx);
    } catch (error) {
      // KV, or the OP's keys. Its message may name keys of KV.
      log(edge, error instanceof errors.JOSEError ? error.code : 'unavailable');
      return unavailable();
    }
  },
} satisfies ExportedHandler<Env>;
