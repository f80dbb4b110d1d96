// Looking sessions up, and ending them: one, those of a user or a `sid`, or all up to a time.
import { sessions } from './api.js';
import { confirmed, sessionsOf } from './confirm.js';
import { byId, counted, el, local, run, table, tell, time } from './page.js';

const WHOSE = {
  sub: 'the user',
  sid: 'the session at the provider',
  subject: 'the user with the hash',
  sid_hash: 'the session at the provider with the hash',
};

const SOON = {
  ledger: 'It takes effect at once, everywhere; with ledger_lease_seconds, that much later.',
  kv: 'It takes effect within a minute or so: sessions live in KV alone here.',
  before: 'It takes effect within some ten seconds, everywhere.',
};

/** What an end means, in the words of the dialog. */
function consequences(soon) {
  return [
    soon,
    'The provider is not told: who is still signed in there can come back by logging in again.',
    'This cannot be undone.',
  ];
}

const yes = (extent) => (extent === null ? 'End the sessions' : `End ${counted(extent, 'session')}`);

/**
 * Wires the forms. `view()` tells what is shown: `app` or `issuer`, `appsOf` it, `mode`, `now`; `acted`
 * is called after an action. Returns what forgets the results.
 */
export function wireSessions(view, acted) {
  const status = byId('sessions-status');
  const found = byId('found');
  const by = byId('lookup-by');
  const value = byId('lookup-value');

  const criterion = () => ({ [by.value]: value.value });

  async function end(app, body, words) {
    const answer = await confirmed('end', { app, ...body }, status, words);
    if (!answer) return null;
    acted();
    return `${app}: ${sessionsOf(answer.ended)} ended.`;
  }

  byId('lookup').addEventListener('submit', (event) => {
    event.preventDefault();
    run(byId('lookup-go'), status, 'Looking…', async () => {
      const { app } = view();
      found.replaceChildren();
      const { count, sessions: list } = await sessions({ app, ...criterion() });
      if (view().app !== app) return '';
      if (list.length > 0) found.replaceChildren(listed(app, list));
      const shown = count > list.length ? `, of which ${list.length} are shown` : '';
      return count === 0 ? 'No session matches.' : `${counted(count, 'session')}${shown}.`;
    });
  });

  const endAll = byId('lookup-end');
  endAll.addEventListener('click', () => {
    if (!byId('lookup').reportValidity()) return;
    run(endAll, status, 'Asking how many…', async () => {
      const { app } = view();
      const whose = `${WHOSE[by.value]} “${value.value}”`;
      const told = await end(app, criterion(), (extent) => ({
        title: `End all sessions of ${whose}?`,
        number: sessionsOf(extent),
        sentences: [
          `All sessions of ${whose} at ${app} end; those of other apps stay.`,
          ...consequences(SOON[view().mode]),
        ],
        yes: yes(extent),
      }));
      if (told) found.replaceChildren();
      return told;
    });
  });

  function listed(app, list) {
    const rows = list.map(({ id, subject, sid, login, expires }) => {
      const button = el(
        'button',
        { type: 'button', class: 'danger small', 'aria-label': `End session ${id}…` },
        'End…',
      );
      button.addEventListener('click', () =>
        run(button, status, 'Asking…', async () => {
          const told = await end(app, { session: id, subject }, (extent) => ({
            title: 'End this session?',
            number: sessionsOf(extent),
            sentences: [
              `The session ${id} at ${app} ends, which began ${local(login)}; others of its user stay.`,
              ...consequences(SOON[view().mode]),
            ],
            yes: yes(extent),
          }));
          if (told) {
            button.replaceWith('ended');
            found.focus();
          }
          return told;
        }),
      );
      return [
        el('code', { class: 'short' }, id),
        time(login),
        time(expires),
        hash(subject),
        hash(sid),
        button,
      ];
    });
    return table(
      'Sessions that match',
      ['Session', 'Login', 'Ends at the latest', 'Hash of the user', 'Hash of the sid', 'Action'],
      rows,
    );
  }

  wireBefore(view, acted);

  /** Forgets what was found, and keeps what was typed. */
  return function clear() {
    found.replaceChildren();
    tell(status, '');
    tell(byId('before-status'), '');
  };
}

const hash = (text) => (text ? el('code', { class: 'hash' }, text) : 'none');

function wireBefore(view, acted) {
  const field = byId('before-time');
  const status = byId('before-status');

  byId('before-now').addEventListener('click', () => {
    field.value = local(view().now()).replace(' ', 'T');
    tell(status, `${local(view().now())} is filled in.`);
  });

  byId('before').addEventListener('submit', (event) => {
    event.preventDefault();
    run(byId('before-go'), status, 'Asking…', async () => {
      const { app, issuer, appsOf } = view();
      const before = new Date(field.value).getTime();
      const target = app ? { app } : { issuer };
      const whose = app ? `of ${app}` : `of every app of ${issuer} on this host (${appsOf.join(', ')})`;
      const answer = await confirmed('end', { ...target, before }, status, (extent) => ({
        title: `End every session ${app ? `of ${app}` : `at ${issuer}`} up to a time?`,
        number: sessionsOf(extent),
        sentences: [
          `Every session ${whose} ends whose login was up to ${local(before)}, which is ${new Date(before).toISOString()}. Later ones stay.`,
          ...consequences(SOON.before),
        ],
        yes: yes(extent),
      }));
      if (!answer) return null;
      acted();
      return `${app ?? issuer}: ${sessionsOf(answer.ended)} up to ${local(before)} ended.`;
    });
  });
}
