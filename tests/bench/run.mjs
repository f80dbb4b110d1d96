// `make bench`: what requests cost, side by side in one run. Contestants take turns; every figure is a
// median over the rounds.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NAMES, bundle, start } from './contestants.mjs';
import { sendAll } from './load.mjs';
import { root } from './server.mjs';
import { work } from './work.mjs';
import { startBackends } from './world.mjs';

const OUTPUT = 'tests/.output/bench';
const rounds = Number(process.env.ROUNDS ?? 5);
const only = new RegExp(process.env.ONLY ?? '');
const among = new RegExp(process.env.AMONG ?? '');

const quantile = (sorted, at) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))];
const median = (values) => quantile(values.toSorted((a, b) => a - b), 0.5);

mkdirSync(join(root, OUTPUT), { recursive: true });
if (among.test('ts-jose')) bundle(OUTPUT);
const world = await startBackends(NAMES.length);
const contestants = new Map();
for (const [kv, name] of NAMES.entries()) {
  if (!among.test(name)) continue;
  const server = await start(name, { output: OUTPUT, kv: world.kvs[kv], world, v8Flags: process.env.V8?.split(' ') });
  contestants.set(name, { ...server, name, kv: name === 'floor' || name === 'pass-through' ? undefined : kv });
}
for (const row of work(Number(process.env.SHARE ?? 1))) {
  if (!only.test(row.name)) continue;
  const names = row.contestants.filter((name) => among.test(name));
  const results = new Map(names.map((name) => [name, []]));
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const material = row.prepare(world);
    for (const name of names) {
      const contestant = contestants.get(name);
      const requests = await row.requests(contestant, world, material);
      if (contestant.kv !== undefined) await world.tell('calls', { kv: contestant.kv });
      const before = contestant.cpu();
      const { seconds, milliseconds } = await sendAll(contestant.url, requests, row);
      const cpu = (contestant.cpu() - before) / requests.length;
      await row.verify(contestant, world);
      if (round === 0) continue;
      const calls = contestant.kv === undefined ? {} : await world.tell('calls', { kv: contestant.kv });
      const sorted = milliseconds.toSorted((a, b) => a - b);
      results.get(name).push({ cpu, rate: requests.length / seconds, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), calls });
    }
  }
  console.log(`\n${row.name}`);
  for (const [name, all] of results) {
    const of = (key) => median(all.map((one) => one[key]));
    const cpus = all.map(({ cpu }) => cpu).toSorted((a, b) => a - b);
    console.log(
      `  ${name.padEnd(22)} cpu ${of('cpu').toFixed(0).padStart(6)} us [${cpus[0].toFixed(0)}-${cpus.at(-1).toFixed(0)}]  ${of('rate').toFixed(0).padStart(6)}/s  p50 ${of('p50').toFixed(2)}  p99 ${of('p99').toFixed(2)}  ${JSON.stringify(all.at(-1).calls)}`,
    );
  }
}
for (const each of contestants.values()) await each.stop();
await world.stop();
