// Who runs: each as good as a good engineer would write it.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { root, startServer } from './server.mjs';

const HERE = 'tests/bench/contestants';
/** Sessions live in KV alone, or in the ledger. */
const isKvAlone = (name) => !name.endsWith('ledger');

const inRust = (folder) => [
  ['index.js', 'esModule', join(folder, 'index.js')],
  ['index_bg.wasm', 'wasm', join(folder, 'index_bg.wasm')],
];

/** What each is made of; the output folder holds what is bundled. */
const modulesOf = {
  floor: () => [['worker.js', 'esModule', `${HERE}/floor.js`]],
  'pass-through': () => [['worker.js', 'esModule', `${HERE}/pass-through.js`]],
  border: (output) => inRust(join(output, 'border-made')),
  stub: () => [['worker.js', 'esModule', `${HERE}/stub.js`]],
  calls: () => [
    ['worker.js', 'esModule', `${HERE}/calls.js`],
    ['stub.js', 'esModule', `${HERE}/stub.js`],
  ],
  'ts-jose': (output) => [['worker.js', 'esModule', join(output, 'ts-jose.js')]],
  'edge-logout': () => inRust('build'),
};

/** The names, in the order in which they take turns. */
export const NAMES = [
  'floor', 'pass-through', 'stub, KV', 'calls, KV', 'border', 'ts-jose', 'edge-logout, KV', 'stub, ledger', 'calls, ledger', 'edge-logout, ledger',
];
const made = (name) => name.split(',')[0];

/** The files that are uploaded of a contestant. */
export const filesOf = (name, output) => modulesOf[made(name)](output).map(([, , path]) => join(root, path));

/** Makes what has to be made of those that take part. */
export function bundle(output, names) {
  buildSync({
    entryPoints: [join(root, HERE, 'ts-jose/worker.ts')],
    outfile: join(root, output, 'ts-jose.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    conditions: ['workerd', 'worker', 'browser'],
  });
  if (!names.includes('border')) return;
  execFileSync('bash', ['.make/tools.sh', 'border', join(output, 'border-made')], { cwd: root, stdio: 'inherit' });
}

/** Starts one of them. `world` says where OP and app are, and shows a token. */
export function start(name, { output, kv, world, v8Flags }) {
  const folder = join(root, output, name.replace(/\W+/g, '-'));
  rmSync(folder, { recursive: true, force: true });
  const app = {
    issuer: world.issuer,
    client_id: world.client,
    routes: [`${world.origin}/shop`],
    logout_path: '/shop/bclogout',
    session_cookies: ['shop.sid'],
  };
  const key = randomBytes(32).toString('base64');
  const asked = { variables: { MODE: isKvAlone(name) ? 'kv' : 'ledger', KEY: world.jwk, TOKEN: world.token } };
  const setups = {
    floor: {},
    'pass-through': {},
    border: asked,
    stub: asked,
    calls: asked,
    'ts-jose': {
      variables: { APP: { ...app, prefix: '/shop', jwks_uri: world.jwksUri, session_lifetime: 43_200, kv_operations: 1000 } },
      secrets: { SEAL_KEY: key },
    },
    'edge-logout': {
      variables: {
        ISSUER_BENCH: { issuer: world.issuer, jwks_uri: world.jwksUri, allow_insecure_http: true },
        APP_SHOP: app,
        LIMITS: { kv_operations: 1000 },
      },
      secrets: { SEAL_KEYS: JSON.stringify([{ id: '1', key }]) },
    },
  };
  const objects = isKvAlone(name) ? [] : [['LEDGER', 'Ledger']];
  return startServer({ ...setups[made(name)], folder, modules: modulesOf[made(name)](output), kv, objects, v8Flags });
}
