// What every part of the Worker knows: its settings, the OP's tokens, and what stands for identifiers in KV.
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';

type App = Record<'issuer' | 'jwks_uri' | 'client_id' | 'prefix' | 'logout_path', string> &
  Record<'session_lifetime' | 'kv_operations', number> & { session_cookies: string[] };
export type Env = { SESSIONS: KVNamespace; SEAL_KEY: string; APP: App };
export type Kind = 'sid' | 'sub';
export type Claims = JWTPayload & { iat: number; sid?: string };
/** One login. Its identifiers are hashes, its times seconds. */
export type Session = { id: string; sid: string; sub: string; login: number; registered_at: number; expires: number };
export type Cookie = { name: string; value: string; attributes: string };
export type SetCookie = Cookie & { removes: boolean };
/** A cookie with the app's own value, and the session with which it dies. */
export type Opened = Cookie & { session?: Session };
export type Jar = { plain: string[]; sealed: Opened[] };
const CLOCK_SKEW = 60;
/** KV has no common order of login and logout: a login at most this much later is covered too. */
const ORDER_MARGIN = 2;
export const LOGIN_MAX_AGE = 600;
const KEY_SET_TIMES = { timeoutDuration: 1_500, cooldownDuration: 1_000, cacheMaxAge: 300_000 };
export const CACHED = { cacheTtl: 30 } as const;
const KEYS_UNAVAILABLE = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID']);
export const encoder = new TextEncoder();
export const now = () => Math.floor(Date.now() / 1000);
export const short = (hash: string) => hash.slice(0, 8);
export const base64url = (bytes: Uint8Array) => bytes.toBase64({ alphabet: 'base64url', omitPadding: true });

export function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}

const isIdentifier = (claim: unknown) => claim === undefined || (typeof claim === 'string' && claim !== '');

export function answer(status: number, body: string | null, headers?: Record<string, string>, cookies: string[] = []) {
  const response = new Response(body, { status, headers: { 'Cache-Control': 'no-store', ...headers } });
  for (const cookie of cookies) response.headers.append('Set-Cookie', cookie);
  return response;
}

export const unavailable = (cookies?: string[]) =>
  answer(503, '{"error":"temporarily_unavailable"}', { 'Content-Type': 'application/json', 'Retry-After': '2' }, cookies);

/** What one isolate prepares once. */
export async function setUp({ APP: app, SESSIONS: kv, SEAL_KEY }: Env) {
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

export type Edge = Awaited<ReturnType<typeof setUp>>;

export function log({ app }: Edge, code: string, more?: { class?: string; of?: string; matched?: number }) {
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
export async function hashOf({ hashHeads }: Edge, kind: Kind, identifier: string): Promise<string> {
  const input = concat(hashHeads[kind], prefixed(encoder.encode(identifier)));
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', input)));
}

/** A verified token's claims, or the code of why it is refused; throws if the OP's keys are not to be had. */
export async function verify({ app, keySet }: Edge, token: string, expected: Edge['idToken']): Promise<Claims | string> {
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
export function markTime(mark: string | null | undefined): number {
  if (mark === null) return -Infinity;
  if (mark === undefined || !/^-?\d+$/.test(mark)) throw new Error('mark unreadable');
  return Number(mark);
}

export const covers = (mark: number, login: number) => login <= mark + ORDER_MARGIN;
