// The whole playground: OP, apps, and the Worker on workerd in front of them.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { newSealKeys, startWorker } from '../../.make/workerd.mjs';
import { PRODUCTS } from '../recipes/products.mjs';
import { startApp } from '../recipes/start.mjs';
import { assertFree } from './listen.mjs';
import { startOp } from './op.mjs';
import { startPlayground2 } from './playground2.mjs';
import { startPlayground3 } from './playground3.mjs';

export const ISSUER = 'http://127.0.0.1:4000';
// Another host name than the OP's: cookies ignore ports.
export const WORKER = 'http://localhost:8787';

/**
 * Starts the OP, our two apps, those of `products`, and the Worker; `onLog` gets the Worker's log
 * lines, `onEvent` the OP's deliveries.
 */
export async function startPlayground({ products = [], onLog, onEvent } = {}) {
  const operatorKey = randomBytes(32).toString('hex');
  const stops = [];
  const stop = async () => {
    while (stops.length) await stops.pop()();
  };
  try {
    await assertFree(8787);
    stops.push(await startOp({ port: 4000, workerUrl: WORKER, onEvent }));
    const app = { issuer: ISSUER, publicUrl: WORKER };
    stops.push(await startPlayground2({ port: 4002, ...app }));
    stops.push(await startPlayground3({ port: 4003, ...app }));
    const starts = products.map(async (name) => {
      await assertFree(PRODUCTS[name].port);
      stops.push(await startApp({ name, ...PRODUCTS[name], relayed: true, ...app }));
    });
    const failed = (await Promise.allSettled(starts)).find(({ reason }) => reason);
    if (failed) throw failed.reason;
    const worker = await startWorker({
      config: fileURLToPath(new URL('wrangler.toml', import.meta.url)),
      bindings: { SEAL_KEYS: newSealKeys(), OPERATOR_KEY: operatorKey },
      port: 8787,
      onLog,
    });
    stops.push(worker.stop);
    return { kv: worker.kv, operatorKey, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
