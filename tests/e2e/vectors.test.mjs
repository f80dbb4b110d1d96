// The vectors over the wire: status, headers, log code, and what KV holds before and after.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { markOf, session } from './support/format.mjs';
import { startWorld, stored } from './support/world.mjs';

const vectors = JSON.parse(readFileSync(new URL('../vectors/logout_token.json', import.meta.url)));

let world;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

const base64url = (value) => Buffer.from(value).toString('base64url');

async function tokenOf(row, now) {
  if (row.token) return row.token;
  const fill = (value) => {
    if (typeof value === 'string') return value.replaceAll('{issuer}', world.op.issuer);
    if (Array.isArray(value)) return value.map(fill);
    if (value === null || typeof value !== 'object') return value;
    if ('$now' in value) return now + value.$now;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]));
  };
  const claims = fill({ ...vectors.base.claims, ...row.claims });
  for (const name of row.without ?? []) delete claims[name];
  let text = JSON.stringify(claims);
  if (row.append) text = text.slice(0, -1) + row.append + '}';
  const header = row.header ?? vectors.base.header;
  const signed = `${base64url(JSON.stringify(header))}.${base64url(text)}`;
  if (row.signature === 'empty') return `${signed}.`;
  const signature = await world.op.signBytes(signed);
  if (row.signature === 'flipped') signature[0] ^= 1;
  return `${signed}.${signature.toString('base64url')}`;
}

for (const row of vectors.rows) {
  test(`${row.name} (${row.requirement})`, async () => {
    const now = world.op.now();
    const sessions = Object.fromEntries(
      Object.entries(vectors.sessions).map(([name, { login, ...who }]) => [
        name,
        session({ issuer: world.op.issuer, ...who, login: now + login, registeredAt: now }),
      ]),
    );
    await world.store(...Object.values(sessions));
    world.takeLogs();

    const answer = await world.logout(await tokenOf(row, now));

    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(answer.setCookies, []);
    assert.equal(answer.headers.location, undefined);
    const codes = world.takeLogs().map(({ code }) => code);
    assert.deepEqual(codes, [row.code]);
    if (row.ends) {
      assert.equal(answer.status, 200);
      assert.equal(answer.body.length, 0);
      const claims = { ...vectors.base.claims, ...row.claims };
      const who = { issuer: world.op.issuer, client: 'shop', sub: claims.sub };
      if (!row.without?.includes('sid')) who.sid = claims.sid;
      const logout = now + claims.iat.$now;
      const alive = Object.keys(sessions).filter((name) => !row.ends.includes(name));
      assert.deepEqual(await world.contents(), {
        ...stored(...alive.map((name) => sessions[name])),
        ...markOf(who, logout),
      });
    } else {
      assert.equal(answer.status, 400);
      assert.deepEqual(JSON.parse(answer.body), {
        error: 'invalid_request',
        error_description: 'The logout token was not accepted.',
      });
      assert.deepEqual(await world.contents(), stored(...Object.values(sessions)));
    }
  });
}
