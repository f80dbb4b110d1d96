// A Worker with a wrong configuration says so, answers 500, and forwards nothing; check-config and
// the shipped wrangler.toml agree with it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { startWorld } from './support/world.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('a wrong field: 500 everywhere, nothing forwarded, every problem in the log', async () => {
  const world = await startWorld({
    bindings: (app) => ({ APP_SHOP: { ...app('shop'), client_id: '', logot_path: '/x' } }),
  });
  try {
    let asked = 0;
    world.app = (_, res) => {
      asked++;
      res.end();
    };
    for (const path of ['/shop', '/wiki', '/shop/bclogout', '/.edge-logout/health', '/']) {
      const answer = await world.request(path);
      assert.equal(answer.status, 500, path);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.doesNotMatch(answer.body.toString(), /client_id|SHOP/);
    }
    assert.equal(asked, 0);
    for (const field of ['APP_SHOP.client_id', 'APP_SHOP.logot_path']) {
      const { problem } = await world.logged('configuration_wrong');
      assert.equal(problem.split(':')[0], field);
    }
  } finally {
    await world.stop();
  }
});

const checkConfig = (file, env = {}) =>
  spawnSync(process.execPath, ['.make/check-config.mjs', file], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

test('check-config accepts the shipped files', () => {
  for (const file of ['wrangler.toml', 'examples/playground/wrangler.toml']) {
    const { status, stdout, stderr } = checkConfig(file);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /accepts this configuration/);
  }
});

test('check-config refuses what the Worker refuses, and names the fields', () => {
  const folder = mkdtempSync(join(root, 'tests/.output/config-'));
  try {
    const shipped = readFileSync(join(root, 'wrangler.toml'), 'utf8');
    const file = join(folder, 'wrangler.toml');
    const paths = shipped
      .replace('main = "build', `main = "${root}build`)
      .replace('directory = "www"', `directory = "${root}www"`);
    writeFileSync(file, paths.replace('session_cookies', 'sesion_cookies'));
    const { status, stderr } = checkConfig(file);
    assert.equal(status, 1);
    assert.match(stderr, /APP_SHOP\.session_cookies: must name at least one/);
    assert.match(stderr, /APP_SHOP\.sesion_cookies: is not a field that exists here/);

    writeFileSync(file, paths);
    assert.equal(checkConfig(file).status, 0);
    const wrongSecret = checkConfig(file, { SEAL_KEYS: '[{"id":"1","key":"c2hvcnQ="}]' });
    assert.equal(wrongSecret.status, 1);
    assert.match(wrongSecret.stderr, /SEAL_KEYS\[0\]\.key: must be the base64 of 32 random bytes/);
    assert.doesNotMatch(wrongSecret.stderr, /c2hvcnQ/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
