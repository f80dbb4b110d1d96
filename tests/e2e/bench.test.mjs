// `make bench` in small: every contestant does what it is measured for, and the figures come out. Nothing
// here is timed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

test('contestants do the same work, with the same operations where they are compared', () => {
  const env = { ...process.env, ROUNDS: '1', SHARE: '0.02', OUTPUT: 'tests/.output/bench-in-small' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [path('bench/run.mjs')], { env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const results = JSON.parse(readFileSync(path('.output/bench-in-small/results.json')));
  assert.equal(results.length, 12);
  for (const [work, measured] of results) {
    const calls = Object.fromEntries(measured.map(([name, [round]]) => [name, round.calls]));
    assert.deepEqual(calls['edge-logout, KV'], calls['ts-jose'], work);
    for (const name of ['stub, KV', 'calls, KV', 'border']) {
      if (calls[name]) assert.deepEqual(calls['edge-logout, KV'], calls[name], `${work}: ${name}`);
    }
    for (const kind of ['stub', 'calls']) {
      const ledger = work.includes('sid') && calls[`${kind}, ledger`];
      if (ledger) assert.deepEqual(calls['edge-logout, ledger'], ledger, work);
    }
    for (const [name, [{ cpu, rate }]] of measured) assert.ok(cpu > 0 && rate > 0, `${work}: ${name}`);
  }
  assert.match(stdout, /\| logout by sid, KV: own CPU \|/);
  assert.match(readFileSync(path('.output/bench-in-small/chart.svg'), 'utf8'), /^<svg [^]*<\/svg>\n$/);
});
