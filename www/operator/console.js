// The operator's console: signing in and out, and which app or issuer is shown.
import { explain, hasSecret, journal, overview, useSecret } from './api.js';
import { showAttention, waiting } from './attention.js';
import { withdraw } from './confirm.js';
import { journalTable } from './journal.js';
import { byId, counted, el, facts, fill, local, run, tell, zone } from './page.js';
import { wireSessions } from './sessions.js';
import { values, wireTest } from './setup.js';

const ANNOUNCEMENTS = {
  header: 'the ID token in a header',
  cookie: 'the ID token in a cookie',
  session: 'edge-logout-session, with its key',
  relay: 'the token relay: the app does nothing',
  form_post: 'the provider’s form post: the app does nothing',
};

/** The fragments of addresses that say what is shown. */
const NAMING = /^#(app|issuer)\/./;
const fragment = (kind, name) => `#${kind}/${encodeURIComponent(name)}`;

/** What the API told last. */
let known = null;
let journals = new Map();
/** By how much the clock here is ahead of the Worker's, in milliseconds. */
let ahead = 0;
/** What is shown: `{ app }` or `{ issuer }`, by name. */
let shown = {};

const view = () => ({
  ...shown,
  mode: known.mode,
  now: () => Date.now() - ahead,
  appsOf: shown.issuer ? appsAt(known.issuers.find(({ name }) => name === shown.issuer)) : [],
});

/** Whether a desk is bound: it keeps the journals, and the times up to which sessions have ended. */
const hasDesk = () => known.desk !== false;

const appsAt = (issuer) => known.apps.filter((app) => app.issuer === issuer.issuer).map(({ name }) => name);

const acted = () => load().catch((error) => tell(byId('read-at'), explain(error), 'failed'));

const clearSessions = wireSessions(view, acted);
const clearTest = wireTest(view);

/** Reads everything and shows it; what was typed stays. */
async function load() {
  const answer = await overview();
  ahead = Date.now() - answer.now;
  const withJournal = answer.desk === false ? [] : answer.apps;
  const read = await Promise.all(withJournal.map(async ({ name }) => [name, await readJournal(name)]));
  // Both at once: what has not been read must not look like nothing.
  known = answer;
  journals = new Map(read);
  tell(byId('read-at'), `As of ${local(known.now).split(' ')[1]}`);
  byId('guarantee').textContent =
    `Mode: ${known.mode === 'ledger' ? 'ledger' : 'KV alone'}. ${known.guarantee}`;
  byId('before-note').textContent = `In the zone of this browser, ${zone}.`;
  show();
}

/** The entries of an app's journal, or the error. */
const readJournal = (app) => journal(app).catch((error) => error);

/** Shows what the fragment of the address names, or what was shown before, or the first app. */
function show() {
  const isNamed = NAMING.test(location.hash);
  const find = (kind, list) =>
    list.find(({ name }) => (isNamed ? fragment(kind, name) === location.hash : name === shown[kind]));
  const issuer = find('issuer', known.issuers);
  const app = issuer ? undefined : (find('app', known.apps) ?? known.apps[0]);
  const next = { app: app?.name, issuer: issuer?.name };
  if (next.app !== shown.app || next.issuer !== shown.issuer) {
    withdraw();
    clearSessions();
    clearTest();
    tell(byId('values-status'), '');
    tell(byId('journal-status'), '');
  }
  shown = next;
  showAttention(known, journals, ahead, acted);
  showNavigation();
  if (issuer) showIssuer(issuer);
  else if (app) showApp(app);
  byId('before-title').textContent =
    `End every session of ${shown.app ?? `every app of ${shown.issuer}`} up to a time`;
  byId('of-app').hidden = !app;
  byId('of-desk').hidden = !hasDesk();
  byId('journal-section').hidden = !hasDesk();
  document.title = `${shown.app ?? shown.issuer} · edge-logout operator`;
}

function showNavigation() {
  const item = (kind, name, note, isLoud) => {
    const isShown = shown[kind] === name;
    const link = el('a', { href: fragment(kind, name), 'aria-current': isShown && 'page' }, name);
    if (note) link.append(el('span', { class: isLoud ? 'count loud' : 'count' }, note));
    return el('li', {}, link);
  };
  const apps = known.apps.map(({ name }) => {
    const number = waiting(journals.get(name));
    return item('app', name, number > 0 ? ` ${number} waiting` : '', true);
  });
  const issuers = known.issuers.map(({ name, breaker, dry_run }) => {
    const isHolding = breaker?.held > 0;
    return item('issuer', name, isHolding ? ` ${breaker.held} held` : dry_run && ' dry run', isHolding);
  });
  fill(byId('nav-apps'), ...apps);
  fill(byId('nav-issuers'), ...issuers);
}

function showApp(app) {
  const issuer = known.issuers.find((issuer) => issuer.issuer === app.issuer);
  byId('view-title').textContent = app.name;
  const announce = Object.hasOwn(ANNOUNCEMENTS, app.announce) ? ANNOUNCEMENTS[app.announce] : app.announce;
  const pairs = [
    ['Routes', app.routes.join(', ')],
    ['Issuer', issuer ? el('a', { href: fragment('issuer', issuer.name) }, issuer.name) : app.issuer],
    ['Logins announced by', announce],
  ];
  if (app.code) pairs.push(['All ended up to', `unknown: ${app.code}`]);
  else if (app.ended_before !== null) pairs.push(['All ended up to', local(app.ended_before)]);
  fill(byId('view-facts'), facts(pairs));
  fill(byId('values'), ...values(app));
  showJournal();
}

function showIssuer(issuer) {
  const { name, logout_alg, dry_run, breaker } = issuer;
  byId('view-title').textContent = name;
  fill(
    byId('view-facts'),
    facts([
      ['Issuer', el('code', {}, issuer.issuer)],
      ['Apps on this host', appsAt(issuer).join(', ') || 'none'],
      ['Logout tokens signed by', logout_alg],
      ['Dry run', dry_run ? 'yes: logouts end nothing' : 'no: logouts are performed'],
      ['Breaker', breaker ? breakerText(breaker) : 'none'],
    ]),
  );
}

function breakerText({ sessions, seconds, tripped_at, held }) {
  const rule = `trips above ${counted(sessions, 'session')} in ${counted(seconds, 'second')}`;
  const state = tripped_at === null ? 'closed' : `tripped at ${local(tripped_at)}`;
  return `${rule}; ${state}; holds ${counted(held, 'logout')}`;
}

function showJournal() {
  const entries = journals.get(shown.app) ?? [];
  const isRead = Array.isArray(entries);
  const content = isRead
    ? journalTable(entries, byId('journal-class').value)
    : el('p', { class: 'status', 'data-kind': 'failed' }, explain(entries));
  fill(byId('journal'), content);
}

byId('journal-class').addEventListener('change', showJournal);

byId('journal-refresh').addEventListener('click', () =>
  run(byId('journal-refresh'), byId('journal-status'), 'Reading…', async () => {
    const { app } = shown;
    journals.set(app, await readJournal(app));
    show();
    return Array.isArray(journals.get(app)) ? `${app}: read at ${local(Date.now()).split(' ')[1]}.` : '';
  }),
);

byId('refresh').addEventListener('click', () =>
  run(byId('refresh'), byId('read-at'), 'Reading…', async () => {
    await load();
    return byId('read-at').textContent;
  }),
);

addEventListener('hashchange', () => {
  if (!known || !NAMING.test(location.hash)) return;
  show();
  byId('view-title').focus();
});

/** Shows either the form to sign in or the console. */
function setSignedIn(isSignedIn) {
  for (const id of ['nav', 'bar-end', 'console']) byId(id).hidden = !isSignedIn;
  byId('sign-in').hidden = isSignedIn;
}

byId('sign-in-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('secret');
  const button = event.target.querySelector('button');
  await run(button, byId('sign-in-status'), 'Signing in…', async () => {
    useSecret(field.value.trim());
    await load();
    field.value = '';
    setSignedIn(true);
    byId('view-title').focus();
    return '';
  });
  if (!byId('sign-in').hidden) field.focus();
});

// The secret was changed meanwhile, or the session of Access is over. What was typed stays.
document.addEventListener('unauthorized', () => {
  useSecret(null);
  if (!known) return;
  withdraw();
  setSignedIn(false);
  tell(byId('sign-in-status'), 'You are no longer signed in. What you typed is kept.', 'failed');
  byId('secret').focus();
});

/** A page that is loaded anew knows nothing; Access itself must forget who came by it. */
function signOut() {
  const isByAccess = !hasSecret();
  useSecret(null);
  history.replaceState(null, '', location.pathname);
  if (isByAccess) location.replace('/cdn-cgi/access/logout');
  else location.reload();
}

byId('sign-out').addEventListener('click', signOut);
// A page that is kept for the way back keeps no secret, and nothing to see.
addEventListener('pagehide', () => useSecret(null));
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

byId('host').textContent = location.host;
tell(byId('starting'), 'Asking the Worker…');
try {
  // Behind Cloudflare Access no secret is needed.
  await load();
  setSignedIn(true);
} catch (error) {
  setSignedIn(false);
  if (error.kind !== 'unauthorized') tell(byId('sign-in-status'), explain(error), 'failed');
  byId('secret').focus();
}
byId('starting').remove();
