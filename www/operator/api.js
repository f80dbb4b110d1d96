// The operator API, and what its errors mean. The secret lives here and nowhere else.

const ROOT = '/.edge-logout/api/';
const PATIENCE = 30_000;

/** Errors of a Worker that refused a request before it did anything. */
const NOTHING_DONE = [
  'bad_request',
  'confirmation_invalid',
  'forbidden',
  'method_not_allowed',
  'not_found',
  'unauthorized',
];

let secret = null;

/** Sends `value` as the secret from now on; `null`: none, as behind Cloudflare Access. */
export function useSecret(value) {
  if (value !== null && !/^[\x20-\x7e]+$/.test(value)) throw new ApiError('unsendable');
  secret = value;
}

export const hasSecret = () => secret !== null;

/**
 * What went wrong: `kind` is `unsendable`, `network`, `slow`, `redirect`, `foreign` (no answer of the
 * API), or the `error` of an answer, whose status, code and field are there, too.
 */
export class ApiError extends Error {
  constructor(kind, { status, code, field } = {}) {
    super(kind);
    Object.assign(this, { kind, status, code, field });
  }
}

export async function overview() {
  return shaped(await call('GET', 'overview'), 'apps', 'issuers');
}

export async function journal(app) {
  return shaped(await call('GET', `journal?app=${encodeURIComponent(app)}`), 'entries').entries;
}

export async function test(app) {
  return shaped(await call('GET', `test?app=${encodeURIComponent(app)}`), 'checks').checks;
}

export async function sessions(body) {
  return shaped(await call('POST', 'sessions', body), 'sessions');
}

/** The first step of an action, which does nothing: the token that confirms it, and its extent. */
export async function propose(action, body) {
  const answer = await call('POST', action, body);
  const { confirm, would_end: extent } = answer;
  const isExtent = extent === null || Number.isSafeInteger(extent);
  if (typeof confirm !== 'string' || !isExtent) throw new ApiError('foreign', { status: 200 });
  return answer;
}

/** The second step, which does it. Of some errors nobody knows whether it was done. */
export async function perform(action, body, confirm) {
  try {
    return await call('POST', action, { ...body, confirm });
  } catch (error) {
    error.mayBeDone = !NOTHING_DONE.includes(error.kind);
    throw error;
  }
}

async function call(method, path, body) {
  const headers = { 'edge-logout-operator': '1' };
  if (secret !== null) headers.authorization = `Bearer ${secret}`;
  if (body) headers['content-type'] = 'application/json';
  let status, ok, text;
  try {
    const answer = await fetch(ROOT + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      mode: 'same-origin',
      cache: 'no-store',
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (answer.type === 'opaqueredirect') throw new ApiError('redirect');
    ({ status, ok } = answer);
    text = await answer.text();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(error.name === 'TimeoutError' ? 'slow' : 'network');
  }
  const answer = parse(text);
  if (typeof answer !== 'object' || answer === null) throw new ApiError('foreign', { status });
  if (ok) return answer;
  const error = new ApiError(String(answer.error), { status, ...answer });
  if (error.kind === 'unauthorized') document.dispatchEvent(new Event('unauthorized'));
  throw error;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function shaped(answer, ...lists) {
  if (lists.every((list) => Array.isArray(answer[list]))) return answer;
  throw new ApiError('foreign', { status: 200 });
}

const TEXTS = {
  unsendable: () => 'This cannot be the secret: it has characters that a request cannot carry.',
  network: () => 'No answer: the connection failed.',
  slow: () => 'No answer within 30 seconds.',
  redirect: () =>
    'The answer sends elsewhere, as when a session of Cloudflare Access is over. Reload this page to sign in there.',
  foreign: ({ status }) =>
    `The answer (${status}) is not one of the operator API: something on the way answered in its place, or Worker and console are of different versions.`,
  unauthorized: () => 'Not signed in, or the secret is not the right one (401).',
  forbidden: () =>
    'Refused (403): the request did not arrive as this page sent it. An extension or a proxy may have changed its headers.',
  not_found: () =>
    'Not found (404): the app has gone from the configuration, or the operator API was switched off.',
  method_not_allowed: () => 'Method not allowed (405): Worker and console are of different versions.',
  bad_request: ({ field }) =>
    field
      ? `Not taken (400): “${field}” is not as it should be.`
      : 'Not taken (400): the request is not as it should be.',
  confirmation_invalid: () =>
    'Nothing was done: the confirmation was older than two minutes, or of another action (409). Press the button again.',
  unavailable: ({ code }) => `Not available for the moment (503${code ? `, ${code}` : ''}). Try again.`,
};

/** Says in a sentence or two what went wrong. */
export function explain(error) {
  // What is no ApiError came of an answer that has another shape than it should.
  const kind = Object.hasOwn(TEXTS, error.kind ?? '') ? error.kind : 'foreign';
  const text = TEXTS[kind]({ status: 200, ...error });
  if (!error.mayBeDone) return text;
  return `${text} Whether it was done is not known: look at the journal before you repeat it.`;
}
