// The journal of an app, and what in it has been ordered and not been performed.
import { CODES } from './codes.js';
import { el, table, time, zone } from './page.js';

const DONE = ['logout_done', 'logout_matched_nothing', 'logout_finished_late'];

const CLASSES = {
  refused: 'refused',
  logout_pending: 'not performed',
  audit: 'operator',
};

const KEPT = {
  '': () => true,
  deliveries: (entry) => entry.class === null,
  refused: (entry) => entry.class === 'refused',
  logout_pending: (entry) => entry.class === 'logout_pending',
  audit: (entry) => entry.class === 'audit',
};

/**
 * Entries of logouts that nothing later in the journal, which has the newest first, says were
 * performed. Those that a breaker holds are not among them: the issuer's own number tells of them.
 */
export function pending(entries) {
  return entries.filter((entry, at) => {
    if (entry.class !== 'logout_pending' || entry.code === 'logout_held') return false;
    const newer = entries.slice(0, at);
    return !newer.some(({ code, of }) => entry.of !== null && of === entry.of && DONE.includes(code));
  });
}

/** A code, and what it means if that is known. */
export function meaning(code) {
  const text = Object.hasOwn(CODES, code) ? CODES[code] : null;
  return el('div', { class: 'code' }, el('code', {}, code), ...(text ? [el('span', { class: 'soft' }, text)] : []));
}

/** The entries of one kind, a value of the filter, as a table. */
export function journalTable(entries, kind) {
  const kept = entries.filter(KEPT[kind]);
  if (kept.length === 0) return el('p', { class: 'soft' }, entries.length === 0 ? 'Nothing has been noted yet.' : 'Nothing of that kind.');
  const rows = kept.map(({ at, code, class: kind, of, matched, count, by }) => [
    time(at),
    meaning(code),
    kind === null ? '' : el('span', { class: `tag ${Object.hasOwn(CLASSES, kind) ? kind : ''}` }, Object.hasOwn(CLASSES, kind) ? CLASSES[kind] : kind),
    matched === null ? '' : String(matched),
    count > 1 ? `${count}, the last then` : String(count),
    of === null ? '' : el('code', {}, of),
    by === null ? '' : by === 'key' ? 'the secret' : el('code', {}, by),
  ]);
  const titles = ['Time', 'Code', 'Class', 'Sessions', 'Times', 'Hash', 'By'];
  return table(`${kept.length} of ${entries.length} entries, newest first. Times are of ${zone}.`, titles, rows);
}
