// Actions in two steps: the Worker says how far one would reach, the operator confirms, the Worker acts.
import { perform, propose } from './api.js';
import { byId, counted, el, local, tell } from './page.js';

const dialog = byId('confirm');
/** Counts what was asked: only the answer to the last question may open the dialog. */
let asked = 0;

/**
 * Takes `body` through both steps, and tells in `region` what goes on; what the Worker answers in the
 * end, or `null` if the operator cancelled. `words` of the extent (sessions, or `null` if nobody knows)
 * gives the dialog's `title`, the `number` that it is about, its `sentences`, and what its button says,
 * `yes`.
 */
export async function confirmed(action, body, region, words) {
  asked += 1;
  const turn = asked;
  const { confirm, expires, would_end: extent } = await propose(action, body);
  tell(region, '');
  if (turn !== asked) return null;
  if (!(await ask(words(extent), expires))) return null;
  tell(region, 'Doing it…');
  return perform(action, body, confirm);
}

/** How many sessions an action would end, or has ended, as far as the Worker knows. */
export const sessionsOf = (extent) =>
  extent === null ? 'an unknown number of sessions' : counted(extent, 'session');

/** Closes the dialog, as if cancelled, or keeps it from opening. */
export function withdraw() {
  asked += 1;
  if (dialog.open) dialog.close('no');
}

function ask({ title, number, sentences, yes }, expires) {
  byId('confirm-title').textContent = title;
  byId('confirm-number').textContent = number;
  byId('confirm-sentences').replaceChildren(...sentences.map((sentence) => el('p', {}, sentence)));
  byId('confirm-until').textContent = `This offer is good until ${local(expires)}.`;
  byId('confirm-yes').textContent = yes;
  // Escape leaves it as it was.
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
