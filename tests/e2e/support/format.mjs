// The stored and sealed formats, written a second time from their descriptions: whatever the
// Worker reads or writes must agree with this.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

const digest = (kind, ...parts) => {
  const hash = createHash('sha256');
  for (const part of [kind, ...parts].map((text) => Buffer.from(text))) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(part.length));
    hash.update(length).update(part);
  }
  return hash.digest();
};
const text = (bytes) => bytes.toString('base64url');

/** A session as the store and the seals know it; times in seconds. */
export function session({ issuer, client, sub, sid, login, registeredAt = login, lifetime = 12 * 3600 }) {
  return {
    id: randomBytes(16),
    subject: digest('sub', issuer, client, sub),
    sid: sid === undefined ? digest('no-sid', issuer, client, sub) : digest('sid', issuer, client, sid),
    login,
    registeredAt,
    expires: registeredAt + lifetime,
  };
}

/** The KV entries of a session: key to [value, metadata]. */
export function entriesOf({ id, subject, sid, login, registeredAt, expires }) {
  return {
    [`session/${text(id)}`]: [JSON.stringify({ login, registered_at: registeredAt, expires })],
    [`by-sid/${text(sid)}/${text(id)}`]: ['', { login, other: text(subject) }],
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

const varint = (number) => {
  const bytes = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
};
const time = (seconds) => varint(BigInt(seconds) * 1000n * 2n);
const string = (value) => Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]);

function keyed(keys, app, name, header) {
  const secret = Buffer.from(JSON.parse(keys)[0].key, 'base64');
  const key = Buffer.from(hkdfSync('sha256', secret, '', `edge-logout seal ${header}`, 32));
  const data = Buffer.concat([
    digest('app', app.name, app.issuer, app.client),
    Buffer.from(`${header} ${name}`),
  ]);
  return { key, data };
}

/** The cookie value that seals `value` for `app` under `name`, bound to `session` if there is one. */
export function seal(keys, app, name, value, session, sealedAt = Math.floor(Date.now() / 1000)) {
  const header = `el1.${JSON.parse(keys)[0].id}.${Math.floor(sealedAt / 86400)}`;
  const { key, data } = keyed(keys, app, name, header);
  const binding = session
    ? [
        Buffer.from([1]),
        session.id,
        session.subject,
        session.sid,
        time(session.login),
        time(session.registeredAt),
        time(session.expires),
      ]
    : [Buffer.from([0]), time(sealedAt)];
  const plaintext = Buffer.concat([
    Buffer.from([0]),
    ...binding,
    time(sealedAt),
    string('; Path=/'),
    string(value),
  ]);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(data);
  const sealed = [nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  return `${header}.${text(Buffer.concat(sealed))}`;
}

/** Whether `sealed` opens for `app` under `name`, and holds `value`. */
export function holds(keys, app, name, sealed, value) {
  const [, header, body] = sealed.match(/^(el1\.[^.]+\.\d+)\.([\w-]+)$/);
  const { key, data } = keyed(keys, app, name, header);
  const bytes = Buffer.from(body, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(data);
  decipher.setAuthTag(bytes.subarray(-16));
  const plaintext = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
  return plaintext.subarray(-string(value).length).equals(string(value));
}
