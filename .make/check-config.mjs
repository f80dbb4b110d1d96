// Starts the built Worker on workerd with the real wrangler.toml and asks whether it accepts it.
// The secret SEAL_KEYS is not in the file; a made-up one stands for it, unless the environment
// holds one to check.
import { resolve } from 'node:path';
import { newSealKeys, startWorker } from './workerd.mjs';

const config = resolve(process.argv[2] ?? 'wrangler.toml');
const problems = [];
const worker = await startWorker({
  config,
  bindings: { SEAL_KEYS: process.env.SEAL_KEYS ?? newSealKeys() },
  onLog(line) {
    try {
      const { problem } = JSON.parse(line);
      if (problem) problems.push(problem);
    } catch {
      problems.push(line);
    }
  },
});
const { status } = await fetch(new URL('/.edge-logout/health', worker.url));
await worker.stop();
if (status === 200) {
  console.log(`${config}: the Worker accepts this configuration`);
} else {
  console.error(`${config}: the Worker refuses this configuration`);
  for (const problem of problems) console.error(`  ${problem}`);
  process.exit(1);
}
