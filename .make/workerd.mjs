// Runs the built Worker on workerd, as its wrangler.toml says.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';

// Of its own, wrangler has nothing to say here.
process.env.WRANGLER_LOG ??= 'error';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A fresh value for the secret `SEAL_KEYS`. */
export const newSealKeys = () =>
  JSON.stringify([{ id: 'local', key: randomBytes(32).toString('base64') }]);

/**
 * Starts the Worker on a loopback port.
 *
 * `config` is the path of a wrangler.toml; `bindings` replace or add variables and secrets;
 * `port` 0 takes any. Each line that the Worker logs goes to `onLog`. `entry` is the path
 * of a module around the built one; `services` are functions to bind as Workers, `ratelimits` rate
 * limits to bind. `bare` leaves out Miniflare's own Worker in front, which rebuilds every answer and
 * takes `X-Forwarded-Proto` from clients. What is stored goes to the folder `persist`, if there is one. Whoever kills workerd has it
 * started again, on the same port and storage; then `onRestart` is called.
 */
export async function startWorker(setup) {
  const { config, bindings = {}, port = 0, onLog = () => {}, entry, services, ratelimits, bare } = setup;
  const { persist, onRestart } = setup;
  const script = join(root, 'build/index.js');
  if (!existsSync(script)) throw new Error('build/index.js is missing: run `make build` first');
  const { modulesRules: _, ...options } = unstable_getMiniflareWorkerOptions(config).workerOptions;
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      host: '127.0.0.1',
      port,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => onLog(message),
      workers: [
        {
          ...options,
          ...(bare && { unsafeDirectSockets: [{ host: '127.0.0.1' }], stripCfConnectingIp: false }),
          name: 'edge-logout',
          modulesRoot: join(root, 'build'),
          modules: [
            ...(entry
              ? [{ type: 'ESModule', path: join(root, 'build/entry.js'), contents: readFileSync(entry) }]
              : []),
            { type: 'ESModule', path: script },
            { type: 'CompiledWasm', path: join(root, 'build/index_bg.wasm') },
          ],
          bindings: { ...options.bindings, ...bindings },
          ratelimits: { ...options.ratelimits, ...ratelimits },
          serviceBindings: { ...options.serviceBindings, ...services },
        },
      ],
    }),
    resourcePersistencePath: persist,
    unsafeHandleRuntimeRestart: onRestart,
  });
  const url = await miniflare.ready;
  /** KV, and the lists of the ledger and the records of codes if they are bound. */
  const objects = (name) =>
    options.durableObjects?.[name] && miniflare.getDurableObjectNamespace(name, 'edge-logout');
  const stores = async () => ({
    kv: await miniflare.getKVNamespace('SESSIONS', 'edge-logout'),
    ledger: await objects('LEDGER'),
    codes: await objects('CODES'),
  });
  return {
    url: bare ? await miniflare.unsafeGetDirectURL('edge-logout') : url,
    ...(await stores()),
    /** All of them again: a restart of workerd makes those from before useless. */
    stores,
    /** Runs the cron trigger. */
    cron: async () => (await miniflare.getWorker('edge-logout')).scheduled({ cron: '*/2 * * * *' }),
    stop: () => miniflare.dispose(),
  };
}
