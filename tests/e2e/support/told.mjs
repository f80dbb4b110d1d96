// Parts of src/edge in JavaScript, beside a module that only writes down what it is told.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** Collects everything that nobody holds, and has told whoever wants to know. */
export async function collected() {
  for (let time = 0; time < 5; time++) {
    await turn();
    collect();
  }
}

/**
 * Imports a file, with what begins work of the module. What the module is told is in `globalThis.told`, and
 * `globalThis.heard` is called with it.
 */
export async function load(name) {
  const folder = mkdtempSync(join(tmpdir(), 'edge-logout-told-'));
  after(() => rmSync(folder, { recursive: true }));
  const source = (name) => fileURLToPath(new URL(`../../../src/edge/${name}`, import.meta.url));
  for (const name of ['life.js', 'promises.js', 'http.js', 'deadline.js', 'serve.js']) copyFileSync(source(name), join(folder, name));
  const telling = (name) => `export const ${name} = (...told) => (globalThis.told.push(['${name}', ...told]), globalThis.heard?.(...told));\n`;
  writeFileSync(join(folder, 'module.js'), ['__wbg_reset_state', 'fetch', 'forget', 'settle'].map(telling).join(''));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  globalThis.__worker_init_state = { instanceId: 1, criticalError: false };
  const imported = (name) => import(pathToFileURL(join(folder, name)).href);
  const [{ alive, workNow }, { begin }, { lookFor }, its] = await Promise.all(['life.js', 'promises.js', 'http.js', name].map(imported));
  return { alive, begin, lookFor, workNow, ...its };
}

beforeEach(() => {
  globalThis.told = [];
  globalThis.heard = undefined;
  globalThis.__worker_init_state.criticalError = false;
});
