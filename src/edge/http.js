// Requests and answers, each looked at or changed in one crossing between the module and JavaScript: with
// its texts, a crossing takes as long as most of what is done by it.

// No header holds a line break or a NUL, in its name or its value (RFC 9110 sections 5.1 and 5.5): the runtime
// refuses them. Held by heads.test.mjs.

/** As many names as there are lines. */
export const namesOf = (lines) => lines.split('\n');

/** The value of each of these headers, a line each: a NUL of one that is not there. */
export function valuesOf({ headers }, names) {
  let lines = '';
  for (const name of names) lines += `${headers.get(name) ?? '\0'}\n`;
  return lines;
}

// What heads are looked at for: told with the bindings, before any request is served.
/** All, if it were not: the module decides. */
let reserved = /^.*$/gm;
let telling;

/** Has requests looked at for headers whose names are like that, and answers for those of these names, a line each. */
export function lookFor(pattern, names) {
  reserved = new RegExp(pattern, 'gm');
  telling = namesOf(names);
}

/** The cookies of a request, and the names that it was looked at for, a line each; nothing, where there is neither. */
export function requestHead({ headers }) {
  // Not by `forEach`, which makes a text of each value.
  const names = [...headers.keys()];
  const cookies = names.includes('cookie') ? headers.get('cookie') : undefined;
  const found = names.join('\n').match(reserved);
  return found === null ? cookies : [cookies, ...found].join('\n');
}

function linesOf(headers) {
  let lines = '';
  headers.forEach((value, name) => (lines += `${name}\n${value}\n`));
  return lines;
}

/** Whether an answer has one of the headers that are looked for: most have none. */
export function isTelling({ headers }) {
  for (const name of telling) {
    if (headers.has(name)) return true;
  }
  return false;
}

/** Name and value of every header, a line each; nothing, where the answer is not telling. */
export const answerHead = (answer) => (isTelling(answer) ? linesOf(answer.headers) : undefined);

/** Makes changes, of three lines each: what to do, a header's name, and its value. */
function change(headers, changes) {
  const lines = changes.split('\n');
  for (let at = 0; at + 2 < lines.length; at += 3) {
    const name = lines[at + 1];
    if (lines[at] === 'remove') headers.delete(name);
    else if (lines[at] === 'set') headers.set(name, lines[at + 2]);
    else headers.append(name, lines[at + 2]);
  }
}

/** The request, for another URL if there is one, with other headers. Body, method and `redirect` stay. */
export function requestWith(request, url, changes) {
  const changed = url === undefined ? new Request(request) : new Request(url, request);
  change(changed.headers, changes);
  return changed;
}

/** The answer with other headers. */
export function answerWith(answer, changes) {
  const changed = new Response(answer.body, answer);
  change(changed.headers, changes);
  return changed;
}

/** What an answer of our own says: one that always says the same is made ready once. */
export function ready(status, body, changes) {
  const headers = new Headers();
  change(headers, changes);
  return { body, init: { status, headers } };
}

/** An answer that says it. */
export const respond = ({ body, init }) => new Response(body, init);
