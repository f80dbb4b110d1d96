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

/** A binding that looks like KV, stores in KV, and fails on demand. */
const FAULTY_KV = {
  name: 'faulty-kv',
  compatibilityDate: '2026-11-17',
  modules: [
    {
      type: 'ESModule',
      path: 'faulty-kv.mjs',
      contents: `
        import { WorkerEntrypoint } from 'cloudflare:workers';
        let plan, calls = 0;
        async function call(work) {
          const number = calls++;
          const fails = plan && number >= plan.from && number < plan.from + plan.count;
          if (fails && plan.effect === 'before') throw new Error('KV is down');
          if (fails && plan.effect === 'hang') await scheduler.wait(60_000);
          const result = await work();
          if (fails) throw new Error('KV is down');
          return result;
        }
        export class FaultyKv extends WorkerEntrypoint {
          get(...all) { return call(() => this.env.SESSIONS.get(...all)); }
          getWithMetadata(...all) { return call(() => this.env.SESSIONS.getWithMetadata(...all)); }
          put(...all) { return call(() => this.env.SESSIONS.put(...all)); }
          list(...all) { return call(() => this.env.SESSIONS.list(...all)); }
          delete(...all) { return call(() => this.env.SESSIONS.delete(...all)); }
        }
        export default {
          async fetch(request) {
            plan = await request.json();
            const seen = calls;
            calls = 0;
            return new Response(String(seen));
          },
        };`,
    },
  ],
  kvNamespaces: ['SESSIONS'],
};

/**
 * Starts the Worker on a loopback port.
 *
 * `config` is the path of a wrangler.toml; `bindings` replace or add variables and secrets;
 * `port` 0 takes any. Each line that the Worker logs goes to `onLog`. With `faultyKv` the Worker's
 * KV goes through a Worker that fails when `faults` tells it to.
 */
export async function startWorker({ config, bindings = {}, port = 0, onLog = () => {}, faultyKv = false }) {
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
          ...(faultyKv && {
            kvNamespaces: {},
            serviceBindings: { SESSIONS: { name: 'faulty-kv', entrypoint: 'FaultyKv' } },
          }),
        },
        ...(faultyKv ? [FAULTY_KV] : []),
      ],
    }),
  );
  const url = await miniflare.ready;
  return {
    url,
    kv: await miniflare.getKVNamespace('SESSIONS', faultyKv ? 'faulty-kv' : 'edge-logout'),
    /** Which KV calls fail from now on: `{ from, count, effect: 'before' | 'after' | 'hang' }`. */
    faults: async (plan) =>
      (await miniflare.getWorker('faulty-kv')).fetch('http://x/', {
        method: 'POST',
        body: JSON.stringify(plan ?? null),
      }),
    /** Runs the cron trigger. */
    cron: async () => (await miniflare.getWorker('edge-logout')).scheduled({ cron: '*/2 * * * *' }),
    stop: () => miniflare.dispose(),
  };
}
