// The gate: what becomes of a request for the app, and of its answer.
import { answer, type Cookie, type Edge, type Jar, log, type Opened, type SetCookie, unavailable } from './edge.ts';
import { openCookies, readSetCookie, removal, seal } from './cookies.ts';
import { endOne, findLive, logIn, sessionsIn, Undelivered } from './sessions.ts';

const NO_COOKIES: Jar = { plain: [], sealed: [] };
const ANNOUNCEMENT = 'edge-logout-id-token';
const CONDITIONS = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'range'];
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

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

export async function gate(edge: Edge, request: Request, ctx: ExecutionContext, path: string) {
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
