// The journal of an app, and what in it has been ordered and not been performed.
import { CODES } from './codes.js';
import { codeOf, el, table, time, zone } from './page.js';

const DONE = ['logout_done', 'logout_matched_nothing', 'logout_finished_late', 'logout_released'];

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
 * Logouts that nothing later in the journal, which has the newest first, says were performed: the last
 * entry of each. Those that a breaker holds are not among them: the issuer's own number tells of them.
 */
export function pending(entries) {
  return entries.filter((entry, at) => {
    if (entry.class !== 'logout_pending' || entry.code === 'logout_held') return false;
    const newer = entries.slice(0, at).filter(({ of }) => of !== null && of === entry.of);
    return !newer.some(({ code, class: kind }) => DONE.includes(code) || kind === 'logout_pending');
  });
}

/** What a code means, if that is known. */
export const meaning = (code) => (Object.hasOwn(CODES, code) ? CODES[code] : '');

/** The entries of one kind, a value of the filter, as a table. */
export function journalTable(entries, kind) {
  const kept = entries.filter(KEPT[kind]);
  if (kept.length === 0)
    return el(
      'p',
      { class: 'soft' },
      entries.length === 0 ? 'Nothing has been noted yet.' : 'Nothing of that kind.',
    );
  const rows = kept.map(({ at, code, class: kind, of, matched, count, by }) => [
    time(at),
    codeOf(code),
    meaning(code),
    kind === null
      ? ''
      : el(
          'span',
          { class: `tag ${Object.hasOwn(CLASSES, kind) ? kind : ''}` },
          Object.hasOwn(CLASSES, kind) ? CLASSES[kind] : kind,
        ),
    matched === null ? '' : String(matched),
    String(count),
    of === null ? '' : el('code', { class: 'short' }, of),
    by === null ? '' : by === 'key' ? 'the secret' : el('code', { class: 'short' }, by),
  ]);
  const titles = ['Time', 'Code', 'Meaning', 'Class', 'Sessions', 'Count', 'Hash', 'By'];
  return table(
    `${kept.length} of ${entries.length} entries, newest first; of repeated ones the last time, in ${zone}`,
    titles,
    rows,
  );
}
