// What comes first: logouts that were ordered and have not been performed, and other things to know.
import { explain } from './api.js';
import { confirmed, sessionsOf } from './confirm.js';
import { meaning, pending } from './journal.js';
import { byId, codeOf, counted, el, fill, local, run, time } from './page.js';

const SHOWN = 5;
const CLOCK_TOLERANCE = 30_000;

/**
 * Shows it. `journals` maps the name of an app to its entries, or to the error that they cannot be
 * read; `ahead` is by how much our clock is ahead, in milliseconds; `acted` is called after an action.
 */
export function showAttention({ issuers, desk }, journals, ahead, acted) {
  const alarms = issuers.filter(isHolding).map((issuer) => heldAlarm(issuer, acted));
  alarms.push(...issuers.filter(isUnknown).map(unknownAlarm));
  for (const [app, entries] of journals) {
    if (!Array.isArray(entries)) alarms.push(unreadAlarm(app, entries));
    else if (pending(entries).length > 0) alarms.push(pendingAlarm(app, pending(entries)));
  }
  const place = byId('alarms');
  const hadFocus = place.contains(document.activeElement);
  if (fill(place, ...alarms) && hadFocus) byId('attention').focus();

  const notices = issuers.filter(({ dry_run }) => dry_run).map(dryRunNotice);
  if (Math.abs(ahead) > CLOCK_TOLERANCE) {
    const by = counted(Math.round(Math.abs(ahead) / 1000), 'second');
    notices.push(
      el(
        'p',
        { class: 'notice' },
        `The clock of this machine is ${by} ${ahead > 0 ? 'ahead of' : 'behind'} the Worker’s.`,
      ),
    );
  }
  if (desk === false) {
    const text =
      'No journal is kept, since DESK is not bound: which logouts have not been performed is in the log alone.';
    notices.unshift(el('p', { class: 'notice' }, text));
  } else if (alarms.length === 0) {
    notices.unshift(
      el(
        'p',
        { class: 'calm' },
        'No logout that was ordered is waiting to be performed, as far as the journals go back.',
      ),
    );
  }
  fill(byId('notices'), ...notices);
}

const isUnknown = ({ breaker }) => breaker !== null && breaker.held === null;

const isHolding = ({ breaker }) => breaker !== null && (breaker.tripped_at !== null || breaker.held > 0);

/** How many logouts of an app wait, for the navigation. */
export const waiting = (entries) => (Array.isArray(entries) ? pending(entries).length : 0);

function alarm(title, ...content) {
  return el('div', { class: 'alarm' }, el('h2', {}, title), ...content);
}

function pendingAlarm(app, entries) {
  const items = entries
    .slice(0, SHOWN)
    .map(({ at, code, of }) =>
      el(
        'li',
        {},
        time(at),
        codeOf(code),
        meaning(code),
        of === null ? '' : el('code', { class: 'soft' }, of),
      ),
    );
  const more = entries.length - SHOWN;
  return alarm(
    `Ordered, but not performed: ${counted(entries.length, 'logout')} of ${app}`,
    el('ul', { class: 'events' }, ...items),
    ...(more > 0 ? [el('p', {}, `And ${more} more: see its journal.`)] : []),
    el(
      'p',
      {},
      'The sessions concerned may live until their lifetime ends. If you know whose they are, end them below.',
    ),
  );
}

function unreadAlarm(app, error) {
  return alarm(
    `Unknown whether logouts of ${app} are waiting`,
    el('p', {}, `Its journal cannot be read. ${explain(error)}`),
  );
}

function unknownAlarm({ name, breaker }) {
  return alarm(
    `Unknown whether the breaker of ${name} holds logouts`,
    el('p', {}, 'Its desk does not answer: ', codeOf(breaker.code ?? '')),
  );
}

function heldAlarm({ name, breaker }, acted) {
  const { sessions, seconds, tripped_at, held } = breaker;
  const when = tripped_at === null ? '' : ` at ${local(tripped_at)}`;
  const status = byId('attention-status');
  const buttons = ['release', 'discard'].map((action) => {
    const { label, words } = DECISIONS[action];
    const button = el(
      'button',
      {
        type: 'button',
        class: action === 'discard' ? 'danger' : 'primary',
        'aria-label': `${label} the held logouts of ${name}…`,
      },
      `${label}…`,
    );
    button.addEventListener('click', () =>
      run(button, status, 'Asking…', async () => {
        const answer = await confirmed('held', { issuer: name, action }, status, (extent) =>
          words(name, held, extent),
        );
        if (!answer) return null;
        acted();
        return action === 'release'
          ? `${name}: ${counted(answer.released, 'held logout')} released, ${sessionsOf(answer.ended)} ended${answer.left ? '; the rest follows' : ''}.`
          : `${name}: ${counted(answer.discarded, 'held logout')} discarded.`;
      }),
    );
    return button;
  });
  return alarm(
    `Ordered, but not performed: the breaker of ${name} holds ${counted(held, 'logout')}`,
    el(
      'p',
      {},
      `It tripped${when}: logouts would have ended more than ${counted(sessions, 'session')} in ${counted(seconds, 'second')}. Every further one that would end a session is held until you decide.`,
    ),
    el('div', { class: 'buttons' }, ...buttons),
  );
}

const DECISIONS = {
  release: {
    label: 'Release',
    words: (issuer, held, extent) => ({
      title: `Release what the breaker of ${issuer} holds?`,
      number: `${counted(held, 'held logout')}, ${sessionsOf(extent)}`,
      sentences: [
        'The held logouts are performed as the provider ordered them, and the sessions that they name end.',
        'The breaker closes: logouts are performed again as they come.',
        'This cannot be undone.',
      ],
      yes: `Perform ${counted(held, 'logout')}`,
    }),
  },
  discard: {
    label: 'Discard',
    words: (issuer, held) => ({
      title: `Discard what the breaker of ${issuer} holds?`,
      number: counted(held, 'held logout'),
      sentences: [
        'The held logouts are thrown away. The sessions that they name live on, until their lifetime ends.',
        'The provider was told that they were not performed, and most providers never send one again.',
        'This cannot be undone.',
      ],
      yes: `Discard ${counted(held, 'logout')}`,
    }),
  },
};

function dryRunNotice({ name }) {
  return el(
    'p',
    { class: 'notice' },
    el('strong', {}, `Dry run: logouts of ${name} end nothing.`),
    ' They are checked and noted, and the provider is told that all is well. Take ',
    el('code', {}, 'dry_run'),
    ' out of the configuration to have them performed.',
  );
}
