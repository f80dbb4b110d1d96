// `make bench`: what requests cost, side by side in one run on bare workerd. Contestants take turns in
// every round; what a round disturbs is the same for all of them.
//
//   ROUNDS=7 SHARE=1          how often (short work oftener), and how much of each kind of work
//   ONLY='gated' AMONG='KV'   only some kinds of work, and some contestants: regular expressions
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isInstalled, startApache } from './apache.mjs';
import { NAMES, bundle, filesOf, start } from './contestants.mjs';
import { chart, goals, report, spread } from './figures.mjs';
import { sendAll } from './load.mjs';
import { root } from './server.mjs';
import { memoryOf } from '../e2e/support/process.mjs';
import { anonymous, work } from './work.mjs';
import { startBackends } from './world.mjs';

// Who is ended ends what it has started.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const { ROUNDS = 7, SHARE = 1, ONLY = '', AMONG = '', OUTPUT = 'tests/.output/bench' } = process.env;
const output = join(root, OUTPUT);
const among = new RegExp(AMONG);
const say = (text) => console.log(text);

mkdirSync(output, { recursive: true });
const names = NAMES.filter((name) => among.test(name));
bundle(OUTPUT, names);
const world = await startBackends(NAMES.length);
const hasKv = (name) => !['floor', 'pass-through'].includes(name);
const startOne = (name, v8Flags) => start(name, { output: OUTPUT, kv: world.kvs[NAMES.indexOf(name)], world, v8Flags });
const apache = among.test('Apache') && isInstalled() && (await startApache({ folder: join(output, 'apache'), world }));

/** Starts who takes part in some of these. */
async function startThose(rows) {
  const started = new Map();
  for (const name of names.filter((name) => rows.some(({ contestants }) => contestants.includes(name)))) {
    const kv = hasKv(name) ? NAMES.indexOf(name) : undefined;
    // Of logouts of very many sessions a cron run would delete the rest, and none comes.
    if (kv !== undefined) await world.tell('clear', { kv });
    started.set(name, { ...(await startOne(name)), name, kv });
  }
  if (apache) started.set('Apache', { ...apache, name: 'Apache', host: new URL(apache.url).host });
  return started;
}

/** One kind of work at one contestant: what it cost. */
async function measure(row, contestant, material) {
  const all = await row.requests(contestant, world, material);
  const check = (answer, number) => row.check(answer, number, contestant);
  const { atOnce, opening = 0 } = row;
  // While others have their turn connections to KV and app are closed, and to open them costs as much as a request.
  await sendAll(contestant.url, all.slice(0, opening), { atOnce, check });
  const requests = all.slice(opening);
  const { kv } = contestant;
  if (kv !== undefined) await world.tell('calls', { kv });
  const memory = contestant.pid && memoryOf(contestant.pid);
  const before = contestant.cpu();
  const { seconds, milliseconds } = await sendAll(contestant.url, requests, { atOnce, check });
  const answered = contestant.cpu();
  await row.verify(contestant, world, material);
  const [cpu, later] = [answered - before, contestant.cpu() - answered].map((all) => all / requests.length);
  const calls = kv === undefined ? {} : await world.tell('calls', { kv });
  const grown = contestant.pid && memoryOf(contestant.pid) - memory;
  return { cpu, later, rate: requests.length / seconds, milliseconds, grown, calls };
}

const shuffled = (all) =>
  [...all]
    .map((one) => [Math.random(), one])
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one);

/** One kind of work at all who take part in it, in turns: as many rounds, added to those of each. */
async function measureAll(row, contestants, count, measured) {
  for (let round = -row.warmUp; round < count; round++) {
    const material = row.prepare(world);
    // In any order: whoever comes later in a round takes more, and whoever always came after the same other one
    // would have that counted against it.
    for (const [name, rounds] of shuffled(measured)) {
      // Compiled code needs no more than one.
      if (name === 'Apache' && round < -1) continue;
      const outcome = await measure(row, contestants.get(name), material);
      if (round >= 0) rounds.push(outcome);
    }
  }
  const cpuOf = ([name, rounds]) => `${name} ${spread(rounds.map(({ cpu }) => cpu)).median.toFixed(0)}`;
  say(`${row.name}: CPU in µs, so far: ${[...measured].map(cpuOf).join(', ')}`);
}

const results = new Map();
const only = new RegExp(ONLY);
for (const group of work(Number(SHARE))) {
  const rows = group.rows.filter(({ name }) => only.test(name));
  for (let start = 0; start < group.starts; start++) {
    const contestants = await startThose(rows);
    for (const row of rows) {
      const taking = row.contestants.filter((name) => contestants.has(name));
      if (start === 0) results.set(row.name, new Map(taking.map((name) => [name, []])));
      await measureAll(row, contestants, Math.ceil((ROUNDS * row.times) / group.starts), results.get(row.name));
    }
    for (const name of names) await contestants.get(name)?.stop();
  }
}

const single = [];
const products = names.filter((name) => name === 'ts-jose' || name.startsWith('edge-logout'));
const sizes = products
  .filter((name) => !name.endsWith('ledger'))
  .map((name) => `${name.split(',')[0]} ${filesOf(name, OUTPUT).reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)}`);
const facts = [
  `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}, ${new Date().toISOString().slice(0, 10)}; ${ROUNDS} rounds of the slowest work, more of the others.`,
  `Bundles, bytes gzipped: ${sizes.join(', ')}.`,
];
if (ONLY === '') {
  const requests = anonymous(world, 2);
  const one = { atOnce: 1, check: requests.check };
  const cold = new Map();
  const starting = new Map(products.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of products) {
      const begun = performance.now();
      const server = await startOne(name);
      starting.get(name).push(performance.now() - begun);
      const { milliseconds } = await sendAll(server.url, requests.list, one);
      cold.set(name, [...(cold.get(name) ?? []), milliseconds[0] - milliseconds[1]]);
      await server.stop();
    }
  }
  const starts = [...starting].map(([name, times]) => `${name} ${spread(times).median.toFixed(0)}`);
  facts.push(`Until a process listens, in ms: ${starts.join(', ')}.`);
  for (const name of products.filter((name) => cold.has('ts-jose') && name !== 'ts-jose')) {
    const values = cold.get(name);
    single.push({ what: `cold start, ${name}`, values, goal: 50, unit: 'ms' });
    const ratios = values.map((value, index) => value / cold.get('ts-jose')[index]);
    single.push({ what: `cold start, ${name}, of ts-jose's`, values: ratios, goal: 3, unit: '' });
  }

  say('memory over 100,000 requests');
  const many = Math.round(20_000 * Math.min(1, SHARE));
  for (const name of ['pass-through', 'edge-logout, KV'].filter((name) => among.test(name))) {
    // V8 lets its heap grow before it collects, whoever runs on it: unless it is given no more than this, in MB.
    const server = await startOne(name, ['--max-heap-size=32']);
    const taken = [];
    for (let part = 0; part < 5; part++) {
      const { list, check } = anonymous(world, many);
      await sendAll(server.url, list, { atOnce: 16, check });
      taken.push(memoryOf(server.pid));
    }
    await server.stop();
    const values = [taken.at(-1) / taken[0]];
    if (name !== 'pass-through') single.push({ what: 'growth of memory from 20,000 to 100,000 requests', values, goal: 1.1, unit: '' });
    facts.push(`Memory of ${name}, with a heap of 32 MB, after each 20,000 of 100,000 pages, in MB: ${taken.map((megabytes) => megabytes.toFixed(0)).join(', ')}.`);
  }
}

const reached = goals(results, single);
const markdown = report(results, reached, facts);
writeFileSync(join(output, 'report.md'), markdown);
writeFileSync(join(output, 'chart.svg'), chart(results));
writeFileSync(join(output, 'results.json'), JSON.stringify([...results].map(([row, measured]) => [row, [...measured]]), null, 1));
say(`\n${markdown}\n==> ${OUTPUT}: report.md, chart.svg, results.json`);
if (apache) await apache.stop();
await world.stop();
