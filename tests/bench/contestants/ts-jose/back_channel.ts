// The back channel: a logout token comes, and the sessions that it names end.
import { answer, CACHED, covers, type Edge, hashOf, type Kind, log, LOGIN_MAX_AGE, markTime, now, short, verify } from './edge.ts';

type Tally = { matched: number; deferred: boolean };
type Metadata = { login: number; other: string };
const LIST_LAG = 120;
/** A mark outlives every session that it may cover. */
const markTtl = (lifetime: number) => lifetime + LOGIN_MAX_AGE + 300 + 60;
const PARALLEL_SESSIONS = 32;
const BODY_BYTES = 64 * 1024;
const TOKEN_BYTES = 16 * 1024;
/** OPs give up after as little as 2.5 s. */
const TIDYING_MILLIS = 1_900;
const RETRY_PAUSES = [250, 1_000, 4_000, 12_000];
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const FORM = /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

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

export async function receiveLogout(edge: Edge, request: Request, ctx: ExecutionContext): Promise<Response> {
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
  const [folder, otherFolder] = kind === 'sid' ? ['session', 'by-sub'] : ['by-sub', 'session'];
  const prefix = `${folder}/${hash}/`;
  const deadline = Date.now() + TIDYING_MILLIS;
  // Less the mark, read and written, and the record.
  let budget = app.kv_operations - 3;
  let cursor: string | undefined;
  do {
    budget -= 1;
    const page: KVNamespaceListResult<Metadata> = await kv.list({ prefix, cursor });
    const doomed = page.keys.filter(({ metadata }) => metadata && covers(logout, metadata.login));
    const affordable = Math.min(doomed.length, Math.floor(budget / 2));
    tally.matched += doomed.length;
    budget -= 2 * affordable;
    let next = 0;
    const deleteOneByOne = async () => {
      while (next < affordable && Date.now() < deadline) {
        const { name, metadata } = doomed[next++]!;
        const id = name.slice(prefix.length);
        await kv.delete(`${otherFolder}/${metadata!.other}/${id}`);
        // Last: while it is there, a repeat finds the rest.
        await kv.delete(name);
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_SESSIONS, affordable) }, deleteOneByOne));
    cursor = page.list_complete ? undefined : page.cursor;
    tally.deferred = next < doomed.length || (cursor !== undefined && budget < 1);
  } while (cursor && !tally.deferred);
}
