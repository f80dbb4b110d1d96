// What `make doctor` looks at, one finding each: `{ level, check, finding }`, where the level is `ok`,
// `warn`, `FAIL` or `unknown`.
import { randomUUID } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';
import { ask, readAddress } from './ask.mjs';
import { REFUSED, culprit, isOurs, leadsToHttps } from './culprit.mjs';

/** Of providers and what they are written in: bot protection looks at that. */
const AGENTS = ['Java/17', 'Go-http-client/2.0', 'python-requests/2.32'];
/** Seconds that clocks may differ: the Worker's own default of `clock_skew`. */
const CLOCK_SKEW = 60;
/** Before a certificate ends somebody must have time to act. */
const CERTIFICATE_DAYS = 14;
const DAY = 24 * 3600 * 1000;
/** What Node.js itself would no longer ask for. */
const BELOW_1_2 = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
/** In the dashboard. */
const EDGE = 'SSL/TLS, Edge Certificates';

/**
 * Examines the Worker behind `url`, the back-channel logout URL of an app. `connect` is an address to
 * ask in place of what DNS says, `workersDev` the name at workers.dev, `origin` the app's own address.
 * `patience` is how long a provider waits and `slow` what is worth a warning, in milliseconds; `ca`
 * replaces the certificate authorities, `plainPort` is where http is, and `now` the time.
 */
export async function* examine(setup) {
  const { url, connect, workersDev, origin, ca, now = Date.now() } = setup;
  const { patience = 2500, slow = 1000, plainPort = 80 } = setup;
  const isTls = url.protocol === 'https:';
  const http = new URL(url);
  http.protocol = 'http:';
  if (isTls) http.port = `${plainPort}`;
  const to = connect === undefined ? {} : readAddress(connect);
  const get = (more) => ask({ url, to, patience, ca, ...more });
  const post = (agent) =>
    get({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...(agent && { 'user-agent': agent }) },
      body: new URLSearchParams({ logout_token: madeUpToken() }).toString(),
    });

  const first = await post('edge-logout-doctor');
  yield refused('a made-up token', first, url);
  // Nothing else would say anything new.
  if (first.error && first.error !== 'TIMEOUT') return;
  let slowest = first;
  for (const agent of [undefined, ...AGENTS]) {
    const answer = await post(agent);
    yield refused(`a made-up token from ${agent ?? 'a client without User-Agent'}`, answer, url);
    if (answer.millis > slowest.millis) slowest = answer;
  }
  yield time(slowest, patience, slow);
  yield headersOf(first);
  yield clock(first, now);

  const got = await get();
  const isRight = got.status === 405 && got.headers.allow === 'POST' && got.body === REFUSED;
  yield expect('a GET of the logout path', isRight, '405, POST is allowed', got, url);
  const health = await get({ path: '/.edge-logout/health' });
  const isWell = health.status === 200 && health.body === 'ok\n';
  yield expect('/.edge-logout/health', isWell, '200', health, url);
  const style = await get({ path: '/.edge-logout/style.css' });
  yield pages(style, url);
  for (const path of [`/x/..;${url.pathname}`, `/x%2f..${url.pathname}`]) {
    const answer = await get({ path });
    // On its way it may have been made plain; then it is the logout path, which no app gets either.
    const isKept = answer.status >= 400 && isOurs(answer);
    yield expect(`the ambiguous path ${path}`, isKept, `${answer.status}`, answer, url);
  }

  if (isTls) {
    yield certificate(first, url, now);
    yield protocol(first, await get({ tls: BELOW_1_2 }));
    yield strictTransport(first);
    yield plain(await get({ url: http, to: { host: to.host } }), http);
  } else {
    for (const check of ['certificate', 'TLS', 'HSTS', 'plain http']) yield unknown(check, 'not checked: http');
  }
  yield* workersDevOf(workersDev, get);
  yield* originOf(origin, isTls ? [url, http] : [url], get);
}

const ok = (check, finding) => ({ level: 'ok', check, finding });
const warn = (check, finding) => ({ level: 'warn', check, finding });
const fail = (check, finding) => ({ level: 'FAIL', check, finding });
const unknown = (check, finding) => ({ level: 'unknown', check, finding });
const expect = (check, isRight, right, answer, url) =>
  isRight ? ok(check, right) : fail(check, culprit(answer, url));

/** Of the right shape, of an issuer that cannot be, and signed by nobody. */
function madeUpToken() {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://made-up.invalid',
    aud: 'made-up',
    iat: now,
    exp: now + 120,
    jti: randomUUID(),
    sid: 'made-up',
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  };
  const header = { alg: 'RS256', kid: 'made-up', typ: 'logout+jwt' };
  const parts = [JSON.stringify(header), JSON.stringify(claims), 'made-up'];
  return parts.map((part) => Buffer.from(part).toString('base64url')).join('.');
}

function refused(check, answer, url) {
  const isRight = answer.status === 400 && answer.body === REFUSED;
  return expect(`${check} is refused`, isRight, '400', answer, url);
}

function time({ millis, error }, patience, slow) {
  const check = 'the slowest of these answers';
  if (error) return fail(check, `none within ${patience} ms: some providers give up then`);
  return millis > slow
    ? warn(check, `${millis} ms: some providers give up after ${patience}`)
    : ok(check, `${millis} ms`);
}

function headersOf({ headers }) {
  const check = 'the answer to a token is not stored';
  const control = headers?.['cache-control'];
  return control === 'no-store'
    ? ok(check, control)
    : fail(check, `Cache-Control is ${control ?? 'missing'}: take out the rule of the zone that changes it`);
}

function clock({ headers }, now) {
  const check = 'the clocks';
  const date = Date.parse(headers?.date ?? '');
  if (Number.isNaN(date)) return unknown(check, 'the answer has no Date');
  const apart = Math.round(Math.abs(now - date) / 1000);
  return apart <= CLOCK_SKEW
    ? ok(check, `${apart} s apart`)
    : warn(check, `${apart} s apart: that of this machine is wrong; is the provider's right?`);
}

/** The pages and their style are files of `www`. */
function pages(answer, url) {
  const check = 'the pages of `www`';
  if (answer.status === 404 && isOurs(answer)) return fail(check, '404: see `[assets]` in wrangler.toml');
  if (answer.status !== 200) return fail(check, culprit(answer, url));
  const options = answer.headers['x-content-type-options'];
  return options === 'nosniff'
    ? ok(check, options)
    : fail(check, 'without X-Content-Type-Options: take out the rule of the zone that removes it');
}

function certificate({ tls }, url, now) {
  const check = 'certificate';
  if (!tls) return unknown(check, 'there was no answer');
  const left = Math.floor((Date.parse(tls.certificate.valid_to) - now) / DAY);
  if (left < 0) return fail(check, `expired on ${tls.certificate.valid_to}: see why it was not renewed`);
  if (checkServerIdentity(url.hostname, tls.certificate)) {
    return fail(check, `not for ${url.hostname}: Universal SSL covers one level of names below the zone`);
  }
  if (tls.wrong) return fail(check, `${tls.wrong}: providers will not trust it`);
  return left < CERTIFICATE_DAYS
    ? warn(check, `ends in ${left} days: see why it was not renewed`)
    : ok(check, `for ${url.hostname}, ${left} more days`);
}

function protocol({ tls }, old) {
  const check = 'TLS';
  if (!tls) return unknown(check, 'there was no answer');
  return old.error
    ? ok(check, `${tls.protocol}, and nothing below 1.2`)
    : warn(check, `${tls.protocol}, but ${old.tls.protocol} too: set ${EDGE}, Minimum TLS Version to 1.2`);
}

function strictTransport({ headers }) {
  const check = 'HSTS';
  const told = headers?.['strict-transport-security'];
  return told ? ok(check, told) : warn(check, `not told: consider it (${EDGE})`);
}

function plain(answer, url) {
  const check = 'plain http';
  if (answer.error) return ok(check, 'no answer');
  if (leadsToHttps(answer, url)) return ok(check, 'redirects to https');
  return fail(check, `${answer.status}, without TLS: switch on ${EDGE}, Always Use HTTPS`);
}

/** Whether there is no such name: probably a slip. */
const isNobody = ({ error }) => error === 'ENOTFOUND' || error === 'EAI_AGAIN';

async function* workersDevOf(name, get) {
  const check = 'workers.dev';
  if (!name) {
    const look = 'see that it and preview URLs are off (Settings, Domains & Routes)';
    yield unknown(check, `${look}, or give WORKERS_DEV=<name>.<subdomain>.workers.dev`);
    return;
  }
  const url = URL.parse(name.includes('://') ? name : `https://${name}`);
  const answer = url && (await get({ url, to: {}, path: '/.edge-logout/health' }));
  if (!answer || isNobody(answer)) {
    yield unknown(check, `there is no ${name}`);
    return;
  }
  yield answer.error || !isOurs(answer)
    ? ok(check, 'the Worker does not answer there')
    : fail(check, 'the Worker answers there too: set `workers_dev` and `preview_urls` to false, and deploy');
}

/** Statuses with which an origin shows who is not Cloudflare the door, a missing certificate included. */
const SHUT = [400, 403, 421];

async function* originOf(address, doors, get) {
  if (!address) {
    yield unknown('the origin', 'give ORIGIN=<its address>; it must not answer around the Worker');
    return;
  }
  const to = readAddress(address);
  for (const url of doors) {
    const check = `the origin, by ${url.protocol.slice(0, -1)}`;
    const answer = await get({ url, to });
    if (isNobody(answer)) {
      yield unknown(check, `there is no ${to.host}`);
    } else if (answer.error || SHUT.includes(answer.status)) {
      yield ok(check, `does not let this machine in (${answer.error ?? answer.status})`);
    } else if (answer.body === REFUSED) {
      yield unknown(check, `the Worker answers at ${address}: this is not the address of the origin`);
    } else if (leadsToHttps(answer, url)) {
      yield ok(check, 'redirects to https');
    } else {
      const mend = 'let Cloudflare in only, by a Tunnel or Authenticated Origin Pulls';
      yield fail(check, `answers around the Worker (${answer.status}): ${mend}`);
    }
  }
}
