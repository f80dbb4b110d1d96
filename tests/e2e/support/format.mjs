// The stored and sealed formats, written a second time from their descriptions: whatever the
// Worker reads or writes must agree with this.
import { createHash, randomBytes } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';

const digest = (kind, ...parts) => {
  const hash = createHash('sha256');
  for (const part of [kind, ...parts].map((text) => Buffer.from(text))) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(part.length));
    hash.update(length).update(part);
  }
  return hash.digest();
};
export const text = (bytes) => bytes.toString('base64url');

/** A session as the store and the seals know it; times in seconds. */
export function session({ issuer, client, sub, sid, login, registeredAt = login, lifetime = 12 * 3600 }) {
  return {
    id: randomBytes(16),
    subject: digest('sub', issuer, client, sub),
    sid: sid === undefined ? digest('no-sid', issuer, client, sub) : digest('sid', issuer, client, sid),
    hasSid: sid !== undefined,
    login,
    registeredAt,
    expires: registeredAt + lifetime,
  };
}

/** The name of the record of an authorization code. */
export const codeOf = ({ issuer, client }, code) => text(digest('code', issuer, client, code));

/** The key of a session's entry in KV. */
export const entryKeyOf = ({ id, sid }) => `session/${text(sid)}/${text(id)}`;

/** The KV entry of a session, whoever says whether it lives: key to [value, metadata]. */
export function entryOf(session) {
  const { subject, login, registeredAt, expires } = session;
  const value = JSON.stringify({ login, registered_at: registeredAt, expires });
  return { [entryKeyOf(session)]: [value, { login, other: text(subject) }] };
}

/** The KV entries of a session where KV is all there is: key to [value, metadata]. */
export function entriesOf(session) {
  const { id, subject, sid, login } = session;
  return {
    ...entryOf(session),
    [`by-sub/${text(subject)}/${text(id)}`]: ['', { login, other: text(sid) }],
  };
}

/** The hashes of the indexes that a logout token goes over, with their kinds. */
export function indexesOf({ issuer, client, sub, sid }) {
  if (sid === undefined) return [['sub', text(digest('sub', issuer, client, sub))]];
  const indexes = [['sid', text(digest('sid', issuer, client, sid))]];
  // The sessions of its user that have no sid.
  if (sub !== undefined) indexes.push(['sid', text(digest('no-sid', issuer, client, sub))]);
  return indexes;
}

/** The KV entries of a logout's marks. */
export const markOf = (who, logout) =>
  Object.fromEntries(indexesOf(who).map(([, hash]) => [`mark/${hash}`, String(logout)]));

/** The KV entries that have its indexes gone over once more. */
export const pendingOf = (who, logout, received, lifetime = 12 * 3600) =>
  Object.fromEntries(
    indexesOf(who).map(([kind, hash]) => [
      `pending/${hash}/${logout}`,
      { value: '', metadata: { kind, hash, logout, due: received + 120, lifetime, widens: false } },
    ]),
  );

export const varint = (number) => {
  const bytes = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
};
export const time = (seconds) => varint(BigInt(seconds) * 1000n * 2n);
/** `Option`: what `write` makes of a value, if there is one. */
export const optional = (value, write) =>
  value === undefined ? Buffer.from([0]) : Buffer.concat([Buffer.from([1]), write(value)]);
const string = (value) => Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]);

function cipher(keys, app, name, nonce) {
  const { id, key } = JSON.parse(keys)[0];
  const data = Buffer.concat([
    digest('app', app.name, app.issuer, app.client),
    Buffer.from(`el1.${id} ${name}`),
  ]);
  return xchacha20poly1305(Buffer.from(key, 'base64'), nonce, data);
}

/** Who says whether a session lives, as seals name it. */
export const AUTHORITY = { kv: 0, ledger: 1 };

/**
 * The cookie value that seals `value` for `app` under `name`, bound to `session` if there is one.
 * Values are sealed as text here; the Worker packs hex and base64.
 */
export function seal(keys, app, name, value, session, { since = Math.floor(Date.now() / 1000), nonce = randomBytes(24) } = {}) {
  const owner = session
    ? [
        Buffer.from([1]),
        session.id,
        session.subject,
        session.sid,
        time(session.login),
        time(session.registeredAt),
        time(session.expires),
      ]
    : [Buffer.from([0])];
  const plaintext = Buffer.concat([
    Buffer.from([AUTHORITY[app.mode]]),
    ...owner,
    time(since),
    Buffer.from([0]),
    string('; Path=/'),
    Buffer.from([0]),
    string(value),
  ]);
  const sealed = cipher(keys, app, name, nonce).encrypt(plaintext);
  return `el1.${JSON.parse(keys)[0].id}.${text(Buffer.concat([nonce, sealed]))}`;
}

function open(keys, app, name, sealed) {
  const [, body] = sealed.match(/^el1\.[^.]+\.([\w-]+)$/);
  const bytes = Buffer.from(body, 'base64url');
  return cipher(keys, app, name, bytes.subarray(0, 24)).decrypt(bytes.subarray(24));
}

/** Whether `sealed` opens for `app` under `name`, and holds `value` as text. */
export function holds(keys, app, name, sealed, value) {
  const plaintext = open(keys, app, name, sealed);
  const ending = Buffer.concat([Buffer.from([0]), string(value)]);
  return Buffer.from(plaintext.subarray(-ending.length)).equals(ending);
}

/** The hashes of the session that `sealed` is bound to. */
export function ownerOf(keys, app, name, sealed) {
  const plaintext = Buffer.from(open(keys, app, name, sealed));
  const [id, subject, sid] = [[2, 18], [18, 50], [50, 82]].map((range) => plaintext.subarray(...range));
  return { id, subject, sid };
}
