// The vectors over the wire: status, headers, log code, and what KV holds before and after.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { session } from './support/format.mjs';
import { startWorld } from './support/world.mjs';

const files = ['logout_token.json', 'providers.json'].map((file) =>
  JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url))),
);
const profiles = Object.assign({}, ...files.map((file) => file.profiles));

let world;
before(async () => {
  world = await startWorld({
    // One issuer with its options, and one app, per profile.
    bindings: (app, op) =>
      Object.fromEntries(
        Object.entries(profiles).flatMap(([profile, options]) => {
          const issuer = `${op.origin}/${profile}/`;
          const shop = {
            ...app('shop'),
            issuer,
            routes: [`app.test/${profile}`],
            logout_path: `/${profile}/bclogout`,
            session_cookies: [`${profile}.sid`],
            session_sid: 'optional',
          };
          return [
            [`ISSUER_${profile}`, { issuer, allow_insecure_http: true, ...options }],
            [`APP_${profile}`, shop],
          ];
        }),
      ),
  });
});
after(() => world?.stop());

const base64url = (value) => Buffer.from(value).toString('base64url');

async function tokenOf(base, row, issuer, now) {
  if (row.token) return row.token;
  const fill = (value) => {
    if (typeof value === 'string') return value.replaceAll('{issuer}', issuer);
    if (Array.isArray(value)) return value.map(fill);
    if (value === null || typeof value !== 'object') return value;
    if ('$now' in value) return now + value.$now;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]));
  };
  const claims = fill({ ...base.claims, ...row.claims });
  for (const name of row.without ?? []) delete claims[name];
  let text = JSON.stringify(claims);
  if (row.append) text = text.slice(0, -1) + row.append + '}';
  if (row.text) {
    text = row.text
      .replaceAll('{issuer}', issuer)
      .replaceAll('{iat}', now)
      .replaceAll('{exp}', now + 120);
  }
  const header = row.header ?? base.header;
  const signed = `${base64url(JSON.stringify(header))}.${base64url(text)}`;
  if (row.signature === 'empty') return `${signed}.`;
  const signature = await world.op.signBytes(signed);
  if (row.signature === 'flipped') signature[0] ^= 1;
  const token = `${signed}.${signature.toString('base64url')}`;
  return row.signature === 'padded' ? `${token}=` : token;
}

for (const { base, rows, sessions: fixtures } of files) {
  for (const row of rows) {
    test(`${row.name} (${row.requirement})`, async () => {
      const profile = row.profile ?? 'default';
      const issuer = `${world.op.origin}/${profile}/`;
      const now = world.op.now();
      const sessions = Object.fromEntries(
        Object.entries(fixtures).map(([name, { login, ...who }]) => [
          name,
          session({ issuer, ...who, login: now + login, registeredAt: now }),
        ]),
      );
      await world.store(...Object.values(sessions));
      await world.takeLogs();

      const token = await tokenOf(base, row, issuer, now);
      const answer = await world.logout(token, { client: profile });

      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.deepEqual(answer.setCookies, []);
      assert.equal(answer.headers.location, undefined);
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
      const lines = await world.takeLogs();
      assert.deepEqual(lines.map(({ code }) => code), [row.code]);
      const contents = Object.entries(await world.contents());
      const kept = (...kinds) =>
        Object.fromEntries(contents.filter(([key]) => kinds.includes(key.split('/')[0])));
      if (row.ends) {
        assert.equal(answer.status, 200);
        assert.equal(answer.body.length, 0);
        const alive = Object.keys(sessions).filter((name) => !row.ends.includes(name));
        assert.deepEqual(
          kept('session', 'by-sub'),
          world.stored(...alive.map((name) => sessions[name])),
        );
        // What was claimed decides which marks there are, and whose; `text` rows repeat the base.
        const claims = row.text ? base.claims : { ...base.claims, ...row.claims };
        const claim = (name) => (row.without?.includes(name) ? undefined : claims[name]);
        if (profile !== 'wide') {
          const who = { issuer, client: 'shop', sub: claim('sub'), sid: claim('sid') };
          const iat = claims.iat?.$now === undefined ? claims.iat : now + claims.iat.$now;
          assert.deepEqual(kept('mark'), world.markOf(who, iat));
          assert.deepEqual(
            Object.keys(kept('pending')).sort(),
            Object.keys(world.pendingOf(who, iat, now)).sort(),
          );
        }
      } else {
        assert.equal(answer.status, 400);
        assert.deepEqual(JSON.parse(answer.body), {
          error: 'invalid_request',
          error_description: 'The logout token was not accepted.',
        });
        assert.equal(lines[0].class, 'refused');
        assert.deepEqual(Object.fromEntries(contents), world.stored(...Object.values(sessions)));
      }
    });
  }
}
