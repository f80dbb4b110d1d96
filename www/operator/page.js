// Small tools for the page. What the API tells comes into it as text only.
import { explain } from './api.js';

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a string is text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/**
 * A table whose rows begin with their header. On a narrow screen its cells stand below each other,
 * which takes their roles from them in some browsers: so the roles are written out.
 */
export function table(caption, titles, rows) {
  const head = titles.map((title) => el('th', { scope: 'col', role: 'columnheader' }, title));
  const body = rows.map((cells) =>
    el(
      'tr',
      { role: 'row' },
      ...cells.map((cell, at) => {
        const content = cell ?? '';
        return at === 0
          ? el('th', { scope: 'row', role: 'rowheader', 'data-title': titles[at] }, content)
          : el('td', { role: 'cell', 'data-title': titles[at] }, content);
      }),
    ),
  );
  return el(
    'table',
    { role: 'table' },
    el('caption', {}, caption),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...head)),
    el('tbody', { role: 'rowgroup' }, ...body),
  );
}

/** A code of the log, which a line may break after its underscores only. */
export function codeOf(text) {
  const words = String(text).split(/(?<=_)/);
  return el('code', {}, ...words.flatMap((word) => [el('wbr'), word]).slice(1));
}

/** Terms and what they are: pairs of a string and a string or node. */
export function facts(pairs) {
  return el('dl', {}, ...pairs.map(([term, fact]) => el('div', {}, el('dt', {}, term), el('dd', {}, fact))));
}

/**
 * Puts nodes in the place of what is there, unless they are the same: what speaks by itself would
 * repeat itself, and what has the focus would lose it. Says whether it did.
 */
export function fill(place, ...nodes) {
  const { children } = place;
  const isSame =
    nodes.length === children.length && nodes.every((node, at) => node.isEqualNode(children[at]));
  if (!isSame) place.replaceChildren(...nodes);
  return !isSame;
}

/** Writes into a live region; `kind` is `done` or `failed`, or nothing. */
export function tell(region, text, kind = '') {
  region.dataset.kind = kind;
  region.textContent = text;
}

/**
 * Does `work` for a button, one at a time; `region` tells that it goes on, and then what `work`
 * returns, or what went wrong. The button stays focusable meanwhile.
 */
export async function run(button, region, doing, work) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  tell(region, doing);
  try {
    tell(region, (await work()) ?? '', 'done');
  } catch (error) {
    tell(region, explain(error), 'failed');
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

const two = (number) => String(number).padStart(2, '0');

/** A point in time, Unix milliseconds, in the zone of the browser: `2026-11-22 21:46:23`. */
export function local(at) {
  const date = new Date(at);
  if (at === null || Number.isNaN(date.getTime())) return 'unknown';
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** The same, for programs, too. */
export function time(at) {
  const text = local(at);
  return text === 'unknown' ? text : el('time', { datetime: new Date(at).toISOString() }, text);
}

/** The zone of the browser, by name. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** `1 session`, `2 sessions`. */
export const counted = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
