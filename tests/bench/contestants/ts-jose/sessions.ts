// Sessions: which of a request's lives, and the login that begins one.
import { decodeJwt } from 'jose';
import { base64url, CACHED, type Claims, covers, type Edge, hashOf, type Jar, log, LOGIN_MAX_AGE, markTime, now, type Session, short, verify } from './edge.ts';

/** So long KV may serve a cached miss of a new entry. */
const ENTRY_LAG = 180;
/** So long after a logout the OP's own dying session may still sign on silently. */
const REBIRTH_WINDOW = 60;
const SESSIONS_ASKED = 3;

/** The sessions of a request, the latest first. */
export function sessionsIn({ sealed }: Jar): Session[] {
  const byId = new Map<string, Session>();
  for (const { session } of sealed) if (session) byId.set(session.id, session);
  return [...byId.values()].sort((a, b) => b.registered_at - a.registered_at).slice(0, SESSIONS_ASKED);
}

/** The first that lives: a planted cookie of one that has ended must not sign anybody out. */
export async function findLive(edge: Edge, sessions: Session[]): Promise<Session | undefined> {
  const time = now();
  const isOver = ({ expires, registered_at }: Session) =>
    time >= Math.min(expires, registered_at + edge.app.session_lifetime);
  const asked = sessions.filter((session) => !isOver(session));
  const keys = new Set(asked.flatMap(({ id, sid, sub }) => [`session/${sid}/${id}`, `mark/${sid}`, `mark/${sub}`]));
  const stored = keys.size > 0 ? await edge.kv.get([...keys], CACHED) : new Map<string, string | null>();
  return sessions.find((session) => {
    const { id, sid, sub, login, registered_at } = session;
    const isMarked = (hash: string) => covers(markTime(stored.get(`mark/${hash}`)), login);
    const isDeleted = () => stored.get(`session/${sid}/${id}`) === null && time >= registered_at + ENTRY_LAG;
    const ended = isOver(session) ? 'lifetime' : isMarked(sid) || isMarked(sub) ? 'mark' : isDeleted() && 'deletion';
    if (ended) log(edge, `ended_by_${ended}`, { of: short(sid) });
    return !ended;
  });
}

/** Ends a session that the app itself has left. Nobody ordered it, so if it fails, no request does. */
export async function endOne(edge: Edge, { id, sid, sub }: Session, code: string): Promise<void> {
  const keys = [`session/${sid}/${id}`, `by-sub/${sub}/${id}`];
  const outcomes = await Promise.allSettled(keys.map((key) => edge.kv.delete(key)));
  const isDone = outcomes.every(({ status }) => status === 'fulfilled');
  log(edge, isDone ? code : 'left_session_not_deleted', { of: short(sid) });
}

/** Why the app's answer is not delivered. */
export class Undelivered extends Error {
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
export async function logIn(edge: Edge, token: string, live: Session | undefined, setsNewCookie: boolean): Promise<Session> {
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
  // First: a logout that finds it by its sub deletes it, and no write under way brings it back.
  await kv.put(`session/${sid}/${id}`, JSON.stringify(entry), { expirationTtl, metadata: { login, other: sub } });
  await kv.put(`by-sub/${sub}/${id}`, '', { expirationTtl, metadata: { login, other: sid } });
  log(edge, 'session_began', { of: short(sid) });
  return { id, sid, sub, ...entry };
}
