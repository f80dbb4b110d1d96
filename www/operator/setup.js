// What an app needs at its provider, and the self-test.
import { test } from './api.js';
import { byId, codeOf, counted, el, run, table, tell } from './page.js';

const OUTCOMES = { fail: '✕ fail', warn: '! warn', unknown: '? unknown', pass: '✓ pass' };

/** The values to paste, each with a button that copies it. */
export function values({
  issuer,
  client_id,
  backchannel_logout_uri,
  backchannel_logout_session_required,
  relay,
}) {
  const atProvider = [
    ['backchannel_logout_uri', backchannel_logout_uri],
    ['backchannel_logout_session_required', String(backchannel_logout_session_required)],
    ['client_id', client_id],
    ['issuer', issuer],
  ];
  const lists = [list(atProvider)];
  if (relay) {
    const inApp = [
      ['token_endpoint', relay.token_endpoint],
      ['metadata', relay.metadata],
    ];
    lists.push(el('h4', {}, 'In the app, in place of the provider’s own'), list(inApp));
  }
  return lists;
}

function list(pairs) {
  const rows = pairs.map(([name, value]) => {
    const text = el('code', {}, value);
    const button = el('button', { type: 'button', class: 'small', 'aria-label': `Copy ${name}` }, 'Copy');
    button.addEventListener('click', () => copy(name, text));
    return el('div', {}, el('dt', {}, name), el('dd', {}, text, button));
  });
  return el('dl', { class: 'values' }, ...rows);
}

async function copy(name, text) {
  const status = byId('values-status');
  try {
    await navigator.clipboard.writeText(text.textContent);
    tell(status, `Copied: ${name}.`, 'done');
  } catch {
    getSelection().selectAllChildren(text);
    tell(
      status,
      'The browser does not let this page copy. The value is selected: copy it with the keyboard.',
      'failed',
    );
  }
}

/** Wires the self-test of the app that `view` shows; returns what forgets its results. */
export function wireTest(view) {
  const place = byId('test');
  const status = byId('test-status');
  const button = byId('test-run');
  button.addEventListener('click', () =>
    run(button, status, 'Testing…', async () => {
      const { app } = view();
      place.replaceChildren();
      const checks = await test(app);
      if (view().app !== app) return '';
      const rows = checks.map(({ check, outcome, detail }) => {
        const known = Object.hasOwn(OUTCOMES, outcome);
        return [
          codeOf(check),
          el('span', { class: `tag ${known ? outcome : 'unknown'}` }, known ? OUTCOMES[outcome] : outcome),
          detail,
        ];
      });
      place.replaceChildren(table(`Self-test of ${app}`, ['Check', 'Outcome', 'What was found'], rows));
      const sums = Object.keys(OUTCOMES).map((kind) => [
        checks.filter(({ outcome }) => outcome === kind).length,
        kind,
      ]);
      const told = sums.filter(([sum]) => sum > 0).map(([sum, kind]) => `${sum} ${kind}`);
      return `${counted(checks.length, 'check')}: ${told.join(', ')}.`;
    }),
  );
  return function clear() {
    place.replaceChildren();
    tell(status, '');
  };
}
