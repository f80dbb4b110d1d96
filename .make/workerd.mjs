// Runs the built Worker on workerd, as its wrangler.toml says.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A fresh value for the secret `SEAL_KEYS`. */
export const newSealKeys = () =>
  JSON.stringify([{ id: 'local', key: randomBytes(32).toString('base64') }]);

/**
 * Starts the Worker on a loopback port.
 *
 * `config` is the path of a wrangler.toml; `bindings` replace or add variables and secrets;
 * `port` 0 takes any. Each line that the Worker logs goes to `onLog`.
 */
export async function startWorker({ config, bindings = {}, port = 0, onLog = () => {} }) {
  const script = join(root, 'build/index.js');
  if (!existsSync(script)) throw new Error('build/index.js is missing: run `make build` first');
  const { modulesRules: _, ...options } = unstable_getMiniflareWorkerOptions(config).workerOptions;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => onLog(message),
      workers: [
        {
          ...options,
          name: 'edge-logout',
          modulesRoot: join(root, 'build'),
          modules: [
            { type: 'ESModule', path: script },
            { type: 'CompiledWasm', path: join(root, 'build/index_bg.wasm') },
          ],
          bindings: { ...options.bindings, ...bindings },
        },
      ],
    }),
  );
  const url = await miniflare.ready;
  return {
    url,
    kv: await miniflare.getKVNamespace('SESSIONS', 'edge-logout'),
    stop: () => miniflare.dispose(),
  };
}
