// `make bench`: what requests cost, side by side in one run on bare workerd. Contestants take turns in
// every round; what a round disturbs is the same for all of them.
//
//   ROUNDS=7 SHARE=1          how often, and how much of each kind of work
//   ONLY='gated' AMONG='KV'   only some kinds of work, and some contestants: regular expressions
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isInstalled, startApache } from './apache.mjs';
import { NAMES, bundle, filesOf, start } from './contestants.mjs';
import { chart, goals, percentile, report, spread } from './figures.mjs';
import { sendAll } from './load.mjs';
import { root } from './server.mjs';
import { memoryOf } from '../e2e/support/process.mjs';
import { anonymous, work } from './work.mjs';
import { startBackends } from './world.mjs';

const { ROUNDS = 7, SHARE = 1, ONLY = '', AMONG = '', OUTPUT = 'tests/.output/bench' } = process.env;
const output = join(root, OUTPUT);
const among = new RegExp(AMONG);
const say = (text) => console.log(text);

mkdirSync(output, { recursive: true });
bundle(OUTPUT);
const world = await startBackends(NAMES.length);
const names = NAMES.filter((name) => among.test(name));
const contestants = new Map();
const hasKv = (name) => name !== 'floor' && name !== 'pass-through';
const startOne = (name) => start(name, { output: OUTPUT, kv: world.kvs[NAMES.indexOf(name)], world });
for (const name of names) contestants.set(name, { ...(await startOne(name)), name, kv: hasKv(name) ? NAMES.indexOf(name) : undefined });
if (among.test('Apache') && isInstalled()) {
  const apache = await startApache({ folder: join(output, 'apache'), world });
  contestants.set('Apache', { ...apache, name: 'Apache', host: new URL(apache.url).host });
}

/** One kind of work at one contestant: what it cost. */
async function measure(row, contestant, material) {
  const requests = await row.requests(contestant, world, material);
  const { kv } = contestant;
  if (kv !== undefined) await world.tell('calls', { kv });
  const before = contestant.cpu();
  const check = (answer, number) => row.check(answer, number, contestant);
  const { seconds, milliseconds } = await sendAll(contestant.url, requests, { atOnce: row.atOnce, check });
  const answered = contestant.cpu();
  await row.verify(contestant, world);
  const [cpu, later] = [answered - before, contestant.cpu() - answered].map((all) => all / requests.length);
  const calls = kv === undefined ? {} : await world.tell('calls', { kv });
  const [p50, p99] = [0.5, 0.99].map((at) => percentile(milliseconds, at));
  return { cpu, later, rate: requests.length / seconds, p50, p99, calls };
}

const results = new Map();
for (const row of work(Number(SHARE)).filter(({ name }) => new RegExp(ONLY).test(name))) {
  const measured = new Map(row.contestants.filter((name) => contestants.has(name)).map((name) => [name, []]));
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const material = row.prepare(world);
    for (const [name, rounds] of measured) {
      const outcome = await measure(row, contestants.get(name), material);
      if (round > 0) rounds.push(outcome);
    }
  }
  results.set(row.name, measured);
  const cpuOf = ([name, rounds]) => `${name} ${spread(rounds.map(({ cpu }) => cpu)).median.toFixed(0)}`;
  say(`${row.name}: CPU in µs: ${[...measured].map(cpuOf).join(', ')}`);
}

const single = [];
const products = names.filter((name) => name === 'ts-jose' || name.startsWith('edge-logout'));
if (ONLY === '') {
  const requests = anonymous(world, 2);
  const one = { atOnce: 1, check: requests.check };
  const cold = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of products) {
      const server = await startOne(name);
      const { milliseconds } = await sendAll(server.url, requests.list, one);
      cold.set(name, [...(cold.get(name) ?? []), milliseconds[0] - milliseconds[1]]);
      await server.stop();
    }
  }
  for (const name of products.filter((name) => cold.has('ts-jose') && name !== 'ts-jose')) {
    const values = cold.get(name);
    single.push({ what: `cold start, ${name}`, values, goal: 50, unit: 'ms' });
    const ratios = values.map((value, index) => value / cold.get('ts-jose')[index]);
    single.push({ what: `cold start, ${name}, of ts-jose's`, values: ratios, goal: 3, unit: '' });
  }

  say('memory over 100,000 requests');
  const many = Math.round(20_000 * Math.min(1, SHARE));
  for (const name of names.filter((name) => name === 'pass-through' || name === 'edge-logout, KV')) {
    const { url, pid } = contestants.get(name);
    const taken = [];
    for (let part = 0; part < 5; part++) {
      const { list, check } = anonymous(world, many);
      await sendAll(url, list, { atOnce: 16, check });
      taken.push(memoryOf(pid));
    }
    say(`  ${name}: ${taken.map((megabytes) => megabytes.toFixed(0)).join(', ')} MB`);
    if (name !== 'pass-through') {
      single.push({ what: 'memory after 100,000 requests, of that after 20,000', values: [taken.at(-1) / taken[0]], goal: 1.1, unit: '' });
    }
  }
}

const sizes = products
  .filter((name) => !name.endsWith('ledger'))
  .map((name) => `${name.split(',')[0]} ${filesOf(name, OUTPUT).reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)}`);
const facts = [
  `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}, ${new Date().toISOString().slice(0, 10)}; ${ROUNDS} rounds.`,
  `Bundles, bytes gzipped: ${sizes.join(', ')}.`,
];
const reached = goals(results, single);
const markdown = report(results, reached, facts);
writeFileSync(join(output, 'report.md'), markdown);
writeFileSync(join(output, 'chart.svg'), chart(results));
writeFileSync(join(output, 'results.json'), JSON.stringify([...results].map(([row, measured]) => [row, [...measured]]), null, 1));
say(`\n${markdown}\n==> ${OUTPUT}: report.md, chart.svg, results.json`);
for (const each of contestants.values()) await each.stop();
await world.stop();
