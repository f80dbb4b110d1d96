// What the console shows in its tests: two apps of one issuer, a third of another, and their past.
import { randomBytes } from 'node:crypto';

const HOUR = 3_600_000;

const entry = (at, code, rest) => ({
  at,
  code,
  class: null,
  of: null,
  matched: null,
  count: 1,
  by: null,
  ...rest,
});

const app = (name, issuer, rest) => ({
  name,
  issuer,
  client_id: name.toLowerCase(),
  routes: [`app.example.com/${name.toLowerCase()}`],
  backchannel_logout_uri: `https://app.example.com/${name.toLowerCase()}/bclogout`,
  backchannel_logout_session_required: true,
  announce: 'header',
  relay: null,
  ended_before: null,
  ...rest,
});

const session = (app, sub, sid, login) => ({
  app,
  id: randomBytes(16).toString('base64url'),
  sub,
  sid,
  login,
  expires: login + 12 * HOUR,
});

/** The state at the beginning, for the double of the API; `changes` replace parts of it. */
export function sceneState(changes = {}) {
  const now = Date.now();
  const main = 'https://op.example.com';
  const partner = 'https://login.partner.example/realms/staff';
  return {
    key: randomBytes(24).toString('base64url'),
    isByAccess: false,
    mode: 'ledger',
    desk: true,
    guarantee: 'When the provider gets its 200, every session that its token ends is dead, everywhere.',
    issuers: [
      {
        name: 'MAIN',
        issuer: main,
        logout_alg: 'RS256',
        dry_run: false,
        breaker: { sessions: 500, seconds: 60, tripped_at: now - 240_000, held: 3 },
      },
      { name: 'PARTNER', issuer: partner, logout_alg: 'ES256', dry_run: true, breaker: null },
    ],
    wouldEnd: 40,
    apps: [
      app('SHOP', main),
      app('WIKI', main, {
        announce: 'relay',
        relay: {
          token_endpoint: 'https://app.example.com/.edge-logout/relay/WIKI/token',
          metadata: 'https://app.example.com/.edge-logout/relay/WIKI/.well-known/openid-configuration',
        },
      }),
      app('BÜRO', partner, { ended_before: now - 30 * HOUR }),
    ],
    sessions: [
      session('SHOP', 'alice', 's1', now - 2 * HOUR),
      session('SHOP', 'alice', 's2', now - HOUR),
      session('SHOP', 'bob', 's3', now - HOUR),
      session('WIKI', 'alice', 's1', now - 2 * HOUR),
    ],
    journal: {
      SHOP: [
        entry(now - 8_000, 'logout_done', { of: 'q3vTz0Yh', matched: 2 }),
        entry(now - 61_000, 'signature_invalid', { class: 'refused', count: 37 }),
        entry(now - 95_000, 'logout_matched_nothing', { of: 'Jx0fYb2a', matched: 0 }),
        entry(now - 240_000, 'logout_held', { class: 'logout_pending', of: 'aU51mKx9', count: 3 }),
        entry(now - 300_000, 'logout_finished_late', { of: 'Zr8wPq1c', matched: 1 }),
        entry(now - 304_000, 'kv_failed', { class: 'logout_pending', of: 'Zr8wPq1c' }),
        entry(now - 900_000, 'logout_given_up', { class: 'logout_pending', of: 'Lk2nVd7e' }),
        entry(now - 915_000, 'ledger_failed', { class: 'logout_pending', of: 'Lk2nVd7e' }),
        entry(now - HOUR, 'operator_ended', { class: 'audit', matched: 1, by: 'b3Blcm9w0cF9' }),
        entry(now - 2 * HOUR, 'a_code_of_tomorrow', {}),
      ],
      WIKI: [],
      BÜRO: [entry(now - 1_000, 'logout_dry_run', { of: 'q3vTz0Yh', matched: 4 })],
    },
    checks: {
      SHOP: [
        ['discovery', 'pass', 'The metadata was read in 84 ms.'],
        ['issuer', 'pass', 'The metadata names the issuer as it is configured.'],
        ['backchannel_logout_supported', 'pass', 'The provider says that it sends logout tokens.'],
        [
          'backchannel_logout_session_supported',
          'warn',
          'The provider does not say that its logout tokens have a sid.',
        ],
        ['keys', 'pass', '2 keys are usable for RS256.'],
        ['id_token_keys', 'pass', '2 keys are usable for RS256.'],
        ['clock', 'fail', 'The provider’s clock is 94 seconds behind: more than clock_skew allows.'],
        [
          'routes',
          'unknown',
          'Whether the route fails closed cannot be seen from inside: look at its request limit failure mode.',
        ],
      ].map(([check, outcome, detail]) => ({ check, outcome, detail })),
      WIKI: [],
      BÜRO: [],
    },
    ...changes,
  };
}
