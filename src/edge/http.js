// Requests and answers, each looked at or changed in one crossing between the module and JavaScript: with
// its texts, a crossing takes as long as most of what is done by it.

// No header holds a line break (RFC 9110 section 5.5): the runtime refuses one. Held by heads.test.mjs.
function linesOf(first, headers) {
  let lines = first;
  // Half of what an iteration takes.
  headers.forEach((value, name) => (lines += `\n${name}\n${value}`));
  return lines;
}

/** Method and URL, then name and value of every header, a line each. */
export const requestHead = ({ method, url, headers }) => linesOf(`${method}\n${url}`, headers);

/** The headers for which answers are looked at: told with the bindings, before any request is served. */
let telling;

/** Has answers looked at for these headers, a line each. */
export function listenFor(names) {
  telling = names.split('\n');
}

/** Status, then name and value of every header, a line each; nothing, where none is listened for: most answers. */
export function answerHead({ status, headers }) {
  for (const name of telling) if (headers.has(name)) return linesOf(`${status}`, headers);
}

/** Takes headers out and puts others in; `added` is names and values. */
function change(headers, removed, added) {
  if (removed) for (const name of removed.split('\n')) headers.delete(name);
  const lines = added.split('\n');
  for (let at = 0; at + 1 < lines.length; at += 2) headers.append(lines[at], lines[at + 1]);
}

/** The request, for another URL if there is one, with other headers. Body, method and `redirect` stay. */
export function requestWith(request, url, removed, added) {
  const changed = url === undefined ? new Request(request) : new Request(url, request);
  change(changed.headers, removed, added);
  return changed;
}

/** The answer with other headers. */
export function answerWith(answer, removed, added) {
  const changed = new Response(answer.body, answer);
  change(changed.headers, removed, added);
  return changed;
}

/** What an answer of our own says: one that always says the same is made ready once. */
export function ready(status, body, added) {
  const headers = new Headers();
  change(headers, undefined, added);
  return { body, init: { status, headers } };
}

/** An answer that says it. */
export const respond = ({ body, init }) => new Response(body, init);
