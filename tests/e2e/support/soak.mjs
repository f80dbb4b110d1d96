// People log in and out at random, while workerd is killed again and again, and nobody who has been
// logged out may ever come back.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entryKeyOf, ownerOf } from './format.mjs';
import { kvKeys } from './kv.mjs';
import { alive, sidList, userList } from './ledger.mjs';
import { startTruth } from './truth.mjs';
import { startWorld } from './world.mjs';

const OUTPUT = fileURLToPath(new URL('../../.output/', import.meta.url));
/** People whose logouts touch only each other, so many of such groups at a time; */
const HOUSEHOLDS = 8;
/** and how many things happen in each at once. */
const LANES = 2;
/** A request without an answer for that long hangs. */
const HANGS = 30_000;
/** After that long nothing may be left to do. */
const REST = 120_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const hung = () => new Promise((resolve) => setTimeout(resolve, HANGS, { status: 0, code: 'HUNG' }).unref());
/** Does it with all, some at a time. */
async function each(all, work) {
  const rest = all.values();
  const lane = async () => {
    for (const one of rest) await work(one);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

/** A new folder for what a world stores. */
export function newFolder() {
  mkdirSync(OUTPUT, { recursive: true });
  return mkdtempSync(`${OUTPUT}kills-`);
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function randomOf(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(random() * n);
  return { random, below, one: (all) => all[below(all.length)], is: (chance) => random() < chance };
}

/** Soaks for `seconds`, with at least `kills` kills; gives the report. */
export async function soak({ seconds, kills, seed }) {
  const persist = newFolder();
  const world = await startWorld({
    persist,
    // Lists are some way from each other, and workerd may be killed while one has not heard of another.
    entry: 'distant.js',
    bindings: () => ({ DISTANCE: 60 }),
  });
  const { op } = world;
  const counts = {};
  const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);
  const wrong = { 'alive that should be dead': [], 'dead that should live': [], 'entries left in KV': [] };
  let now = 0;
  let sent = 0;
  let crashes = 0;
  let restart;
  let isOver = false;
  let logoutSent = () => {};
  const truths = [];
  /** By the app's cookie, which is never the same twice. */
  const byCookie = new Map();
  const tokens = new Map();
  const cutLogins = [];

  // The app: does what the path says, and knows who may come as whom.
  world.app = (req, res) => {
    const [, , act, value] = req.url.split('/');
    const cookie = req.headers.cookie?.replace('shop.sid=', '');
    const held = byCookie.get(cookie);
    if (held) held.truth.seen(held, true, Number(req.headers['x-asked']), ++now, 'app');
    if (act === 'login') {
      res.setHeader('edge-logout-id-token', tokens.get(value));
      res.setHeader('set-cookie', `shop.sid=${value}; Path=/shop; HttpOnly`);
    }
    if (act === 'clear') res.setHeader('set-cookie', 'shop.sid=; Path=/shop; Max-Age=0');
    res.end(JSON.stringify({ cookie }));
  };

  /** A request; its status is 0 if it got no answer. */
  async function request(kind, send) {
    const asked = ++now;
    const before = crashes;
    const wasDown = restart !== undefined;
    const answer = await Promise.race([send(asked), hung()]).catch(({ code }) => ({ status: 0, code }));
    const when = wasDown || restart || crashes !== before ? 'at a kill' : 'while up';
    if (answer.status !== 200) count(`${kind} ${answer.status || answer.code || 'no answer'} ${when}`);
    return { ...answer, asked };
  }
  const page = (kind, path, session) =>
    request(kind, (asked) =>
      world.request(`/shop/${path}`, { headers: { 'x-asked': asked, ...(session && { cookie: session.cookie }) } }),
    );

  async function logIn({ truth, random }, { sub, sid, login, over }) {
    const value = `secret-${byCookie.size}`;
    const session = truth.session(++now, { sub, sid, login, authTime: login });
    Object.assign(session, { truth, value });
    byCookie.set(value, session);
    const times = { iat: login, auth_time: login, exp: login + 600 };
    tokens.set(value, await op.idToken({ sub, sid, ...times }));
    if (over) over.isLeft = true;
    const { status, setCookies } = await page('login', `login/${value}`, over);
    if (status === 0) cutLogins.push(session);
    if (status === 409) truth.refused(session);
    if (status !== 200) return;
    session.cookie = setCookies.find((line) => line.startsWith('shop.sid=')).split(';')[0];
    session.owner = ownerOf(world.sealKeys, world.shop, 'shop.sid', session.cookie.slice('shop.sid='.length));
    // Who logs in as who they are goes on in the same session: this is no other.
    if (over && session.owner.id.equals(over.owner.id)) return;
    truth.born(session);
    count('logins');
    // What it took the place of has ended, unless it was the same one.
    if (over && over.sid !== sid) truth.end(over, ++now);
    if (random.is(0.3)) await see(session);
  }

  async function see(session) {
    const { status, asked, body } = await page('gated request', 'see', session);
    if (status !== 200) return;
    count('gated requests');
    const isAlive = JSON.parse(body).cookie === session.value;
    session.truth.seen(session, isAlive, asked, ++now, 'gate');
  }

  /** What a list says; nothing if it does not answer. */
  const lists = { user: userList, sid: sidList };
  const ask = ({ owner }, list) => world.ask(lists[list](owner), alive(owner));
  async function askLedger(session) {
    const asked = ++now;
    const isAlive = await ask(session, 'user').catch(() => count('ledger without an answer'));
    if (typeof isAlive !== 'boolean') return;
    count('asked of the ledger');
    session.truth.seen(session, isAlive, asked, ++now, 'ledger');
    return isAlive;
  }

  async function clear(session) {
    session.isLeft = true;
    const { status } = await page('clearing', 'clear', session);
    if (status === 200) session.truth.end(session, ++now);
  }

  /** Sends a logout once, or until it is answered with 200. */
  async function logOut(truth, logout, token, isRepeated) {
    do {
      truth.again(logout);
      sent++;
      const answer = request('logout', () => world.logout(token));
      logoutSent();
      const { status } = await answer;
      if (status === 200) return truth.done(logout, ++now);
      if (status === 0) truth.cut(logout, ++now);
      await pause(20);
    } while (isRepeated);
  }
  const newLogout = async (truth, claims) => {
    const logout = truth.logout({ ...claims, at: op.now() });
    const token = await op.logoutToken({ ...claims, iat: logout.at });
    return { logout, token };
  };

  /** One thing that somebody does. */
  async function act(home) {
    const { truth, people, random } = home;
    const { sessions, logouts } = truth;
    const session = sessions.length > 0 && random.one(sessions);
    const sub = random.one(people);
    const sidOf = () => (session && random.is(0.3) ? session.sid : `s${++home.sids}-${people[0]}`);
    // After what has been ordered so far, or just now: then a logout of this second refuses it.
    const later = () => Math.max(op.now(), ...logouts.map(({ at }) => at + 1));
    const login = () => (random.is(0.8) ? later() : op.now());
    const dice = random.below(100);
    if (!session || dice < 25) return logIn(home, { sub, sid: sidOf(), login: login() });
    if (dice < 30) return logIn(home, { sub, sid: sidOf(), login: login(), over: session });
    if (dice < 50) return see(session);
    if (dice < 58) return askLedger(session);
    if (dice < 62) return clear(session);
    if (dice < 68 && home.answered) {
      return logOut(truth, home.answered.logout, home.answered.token, false);
    }
    const isRepeated = random.is(0.6);
    const bySid = { sid: session.sid, ...(random.is(0.5) && { sub: session.sub }) };
    const claims = dice < 84 ? [bySid] : [{ sub }];
    if (dice >= 92) claims.push(...Array.from({ length: 3 }, () => (random.is(0.5) ? { sub } : bySid)));
    const orders = await Promise.all(claims.map((claims) => newLogout(truth, claims)));
    await Promise.all(orders.map(({ logout, token }) => logOut(truth, logout, token, isRepeated)));
    home.answered = orders.find(({ logout }) => logout.done < Infinity) ?? home.answered;
    if (random.is(0.5)) await logIn(home, { sub, sid: sidOf(), login: later() });
  }

  async function live(lane) {
    for (let life = 0; !isOver; life++) {
      const random = randomOf(seed + lane * 7919 + life * 104_729);
      const name = `alice-${lane}-${life}`;
      const truth = startTruth((what, session, where) => {
        const { sub, sid, login, deadSince, asked } = session;
        const logouts = structuredClone(truth.logouts);
        wrong[what].push({ sub, sid, login, asked, deadSince, where, now, logouts });
      });
      truths.push(truth);
      const home = { truth, people: [name, `${name}b`], random, sids: 0 };
      await Promise.all(
        Array.from({ length: LANES }, async () => {
          for (let acts = 8 + random.below(12); acts > 0; acts--) {
            await restart;
            await act(home);
            await pause(random.below(40));
          }
        }),
      );
    }
  }

  /** Looks after those whom nobody looks after any more. */
  async function look() {
    const random = randomOf(seed + 1);
    while (!isOver) {
      const { sessions } = random.one(truths);
      await restart;
      if (sessions.length > 0) await (random.is(0.7) ? see : askLedger)(random.one(sessions));
      await pause(10);
    }
  }

  async function kill(end) {
    const random = randomOf(seed + 2);
    while (crashes < kills || Date.now() < end) {
      const left = Math.max(1, kills - crashes);
      await pause((random.random() * 2 * Math.max(0, end - Date.now())) / left);
      // Every other time just after a logout was sent: that is when most can go wrong.
      if (random.is(0.5)) {
        await new Promise((resolve) => (logoutSent = resolve));
        await pause(random.below(25));
      }
      crashes++;
      restart = world.crash();
      await restart;
      restart = undefined;
    }
  }

  const started = Date.now();
  const households = Array.from({ length: HOUSEHOLDS }, (_, lane) => live(lane));
  const looker = look();
  await kill(started + seconds * 1000);
  isOver = true;
  await Promise.all([...households, looker]);

  const sessions = truths.flatMap((truth) => truth.sessions);
  const rest = await comeToRest({ world, sessions, ask, askLedger, count });
  await each(sessions, see);
  const codes = {};
  for (const { code } of await world.takeLogs()) codes[code] = (codes[code] ?? 0) + 1;
  await world.stop();
  rmSync(persist, { recursive: true });
  for (const left of rest.left) wrong[left.isAlive ? 'alive that should be dead' : 'entries left in KV'].push(left);
  if (rest.orphans > cutLogins.length) wrong['entries left in KV'].push({ orphans: rest.orphans });
  return { seed, seconds, kills: crashes, sent, counts, codes, wrong, rest, cutLogins: cutLogins.length };
}

/**
 * Waits until what has ended has ended everywhere; gives what is left of it. The list of a `sid` that
 * has noted a logout and the list of a user that has not heard of it must not stay like that.
 */
async function comeToRest({ world, sessions, ask, askLedger, count }) {
  const started = Date.now();
  let left = sessions;
  let entries;
  do {
    const next = [];
    entries = new Set(await kvKeys(world.kv, 'session/'));
    await each(left, async (session) => {
      session.isAlive = await askLedger(session);
      // Without an answer it is asked again.
      const sid = session.isAlive !== false && (await ask(session, 'sid').catch(() => count('ledger without an answer')));
      const isLeft = session.isAlive === false ? entries.has(entryKeyOf(session.owner)) : !session.isAlive || sid !== true;
      if (isLeft) next.push(session);
    });
    left = next;
  } while (left.length > 0 && Date.now() < started + REST);
  const known = new Set(sessions.map((session) => entryKeyOf(session.owner)));
  return {
    seconds: Math.round((Date.now() - started) / 1000),
    left: left.map(({ sub, sid, login, isAlive }) => ({ sub, sid, login, isAlive, where: 'at rest' })),
    orphans: [...entries].filter((entry) => !known.has(entry)).length,
  };
}
