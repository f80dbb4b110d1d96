// What becomes of the measurements: medians, ratios of the same round, and what was to be reached.

const quantile = (sorted, at) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))];

/** Median and quartiles. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return { low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) };
}

export const percentile = (values, at) => quantile(values.toSorted((a, b) => a - b), at);

/** Of two contestants, in the same rounds: what disturbs one disturbs the other. Nothing if one was left out. */
const paired = (work, one, other, key, combine) => {
  const others = work.get(other);
  if (!work.has(one) || !others) return undefined;
  return spread(work.get(one).map((round, index) => combine(round[key], others[index][key])));
};
export const ratio = (work, one, other, key) => paired(work, one, other, key, (a, b) => a / b);
export const difference = (work, one, other, key) => paired(work, one, other, key, (a, b) => a - b);

/**
 * CPU of an empty Worker on the machine that the microseconds of the goals are meant for. What is compared with them
 * is scaled by it.
 */
const REFERENCE_FLOOR = 63;
const [KV, LEDGER, KV_CALLS, BORDER] = ['edge-logout, KV', 'edge-logout, ledger', 'calls, KV', 'border'];
const GATED = 'gated GET, signed in';
const ANONYMOUS = 'gated GET, anonymous';

/** Who does least of what the work asks for. */
const leastOf = (work) => ['stub, KV', 'pass-through', 'floor'].find((name) => work.has(name));

/**
 * What was to be reached, as far as it was measured: what, the figure with its spread, the goal; and for some the
 * same figure of those in which nothing is decided: the platform's calls alone, the same over our border, and who does
 * least of all.
 */
export function goals(results, single) {
  const all = [];
  const add = (what, work, figureOf, goal, { isLeast = false, unit = '', limitOf, borderOf, leastFigureOf } = {}) => {
    const measured = results.get(work);
    if (!measured) return;
    const figure = figureOf(measured);
    if (!figure) return;
    const isReached = isLeast ? figure.median >= goal : figure.median <= goal;
    all.push({ what, figure, goal, unit, isLeast, isReached, limit: limitOf?.(measured), border: borderOf?.(measured), least: leastFigureOf?.(measured) });
  };
  const floor = results.get('refused: garbage')?.get('floor');
  const own = (one, other) => (work) => {
    const figure = difference(work, one, other, 'cpu');
    if (!figure || !floor) return undefined;
    const scale = REFERENCE_FLOOR / spread(floor.map(({ cpu }) => cpu)).median;
    return { low: figure.low * scale, median: figure.median * scale, high: figure.high * scale };
  };
  const against = (one, other, key) => (work) => ratio(work, one, other, key);
  const leastAgainst = (other, key) => (work) => ratio(work, leastOf(work), other, key);
  for (const work of ['refused: garbage', 'refused: wrong audience']) {
    const [limitOf, borderOf] = [KV_CALLS, BORDER].map((name) => against(name, 'ts-jose', 'rate'));
    add(`${work}: throughput, of ts-jose's`, work, against(KV, 'ts-jose', 'rate'), 2, { isLeast: true, limitOf, borderOf, leastFigureOf: leastAgainst('ts-jose', 'rate') });
    add(`${work}: own CPU, above an empty Worker's`, work, own(KV, 'floor'), 40, { unit: 'µs', limitOf: own(KV_CALLS, 'floor'), borderOf: own(BORDER, 'floor') });
  }
  for (const [work, goal] of [['logout by sid', 60], [GATED, 80]]) {
    for (const [name, kind] of [[KV, 'KV'], [LEDGER, 'ledger']]) {
      const stub = `stub, ${kind}`;
      const [limitOf, borderOf] = [own(`calls, ${kind}`, stub), own(BORDER, stub)];
      add(`${work}, ${kind}: own CPU`, work, own(name, stub), goal, { unit: 'µs', limitOf, borderOf: kind === 'KV' ? borderOf : undefined });
    }
  }
  for (const work of results.keys()) {
    const [rate, cpu] = ['rate', 'cpu'].map((key) => ({
      isLeast: key === 'rate',
      limitOf: against(KV_CALLS, 'ts-jose', key),
      borderOf: against(BORDER, 'ts-jose', key),
      leastFigureOf: leastAgainst('ts-jose', key),
    }));
    add(`${work}, KV: throughput, of ts-jose's`, work, against(KV, 'ts-jose', 'rate'), 1, rate);
    add(`${work}, KV: CPU, of ts-jose's`, work, against(KV, 'ts-jose', 'cpu'), 1.1, cpu);
  }
  for (const [name, kind] of [[KV, 'KV'], [LEDGER, 'ledger']]) {
    const limitOf = against(`calls, ${kind}`, 'Apache', 'cpu');
    add(`logout by sid, ${kind}: CPU, of Apache's`, 'logout by sid', against(name, 'Apache', 'cpu'), 1, { limitOf, leastFigureOf: against(`stub, ${kind}`, 'Apache', 'cpu') });
  }
  for (const name of [KV, LEDGER]) {
    const [limitOf, borderOf] = [KV_CALLS, BORDER].map((who) => against(who, 'pass-through', 'rate'));
    const what = `throughput of ${name}, of passing through`;
    add(`${ANONYMOUS}: ${what}`, ANONYMOUS, against(name, 'pass-through', 'rate'), 0.95, { isLeast: true, limitOf, borderOf });
    for (const way of ['10 MB down', '10 MB up']) {
      add(`${way}: ${what}`, way, against(name, 'pass-through', 'rate'), 0.98, { isLeast: true });
      const moreMemory = (work) => difference(work, name, 'pass-through', 'grown');
      add(`${way}: memory of ${name}, more than passing through takes`, way, moreMemory, 2, { unit: 'MB' });
    }
  }
  const few = results.get('logout by sub, 20 sessions');
  const many = results.get('logout by sub, 2,000 sessions');
  if (few?.has(LEDGER) && many?.has(LEDGER)) {
    // They are not of the same rounds.
    const ofFew = percentile(few.get(LEDGER).flatMap(({ milliseconds }) => milliseconds), 0.5);
    const rounds = many.get(LEDGER).flatMap(({ milliseconds }) => milliseconds.map((each) => each / ofFew));
    add('logout by sub, ledger: time of 2,000 sessions, of that of 20', 'logout by sub, 20 sessions', () => spread(rounds), 3);
  }
  for (const { what, values, goal, unit } of single) {
    const figure = spread(values);
    all.push({ what, figure, goal, unit, isReached: figure.median <= goal });
  }
  return all;
}

const digits = (number) => (Math.abs(number) >= 100 ? number.toFixed(0) : Math.abs(number) >= 10 ? number.toFixed(1) : number.toFixed(2));
export const shown = ({ low, median, high }) => `${digits(median)} (${digits(low)}–${digits(high)})`;

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** Everything as Markdown. */
export function report(results, reached, facts) {
  const parts = [facts.join('\n')];
  for (const [work, measured] of results) {
    const of = (rounds, key) => spread(rounds.map((round) => round[key]));
    const rows = [...measured].map(([name, rounds]) => [
      name,
      shown(of(rounds, 'cpu')),
      measured.has('ts-jose') ? shown(ratio(measured, name, 'ts-jose', 'cpu')) : '',
      digits(of(rounds, 'later').median),
      shown(of(rounds, 'rate')),
      ...[0.5, 0.99].map((at) => digits(percentile(rounds.flatMap(({ milliseconds }) => milliseconds), at))),
    ]);
    parts.push(`### ${work}\n\n${table(['', 'CPU, µs', "of ts-jose's", 'later, µs', 'requests/s', 'p50, ms', 'p99, ms'], rows)}`);
  }
  const withUnit = (figure, unit) => (figure ? `${shown(figure)}${unit && ` ${unit}`}` : '');
  const rows = reached.map(({ what, figure, goal, unit, isLeast, isReached, limit, border, least }) => [
    what,
    withUnit(figure, unit),
    `${isLeast ? 'at least' : 'at most'} ${goal}`,
    isReached ? 'reached' : 'missed',
    withUnit(limit, unit),
    withUnit(border, unit),
    withUnit(least, unit),
  ]);
  parts.push(`### Goals\n\nOwn CPU is scaled to a machine on which an empty Worker takes ${REFERENCE_FLOOR} µs.\n\n${table(['', 'median (quartiles)', 'goal', '', 'the calls alone', 'over our border', 'stub, passing through or floor'], rows)}`);
  return `${parts.join('\n\n')}\n`;
}

const COLOURS = {
  floor: '#9aa0a6', 'pass-through': '#9aa0a6', border: '#b08968', 'stub, KV': '#c3a35a', 'stub, ledger': '#c3a35a',
  'calls, KV': '#a3b86c', 'calls, ledger': '#a3b86c', 'ts-jose': '#4c8bf5',
  Apache: '#8e6bbf', 'edge-logout, KV': '#d9603b', 'edge-logout, ledger': '#b5402a',
};

/** CPU per request as bars, of the largest of each kind of work; with quartiles. */
export function chart(results) {
  const [WIDTH, LEFT, BAR] = [860, 210, 16];
  let y = 8;
  const lines = [];
  const text = (x, at, content, more = '') => lines.push(`<text x="${x}" y="${at}" ${more}>${content}</text>`);
  for (const [work, measured] of results) {
    text(8, (y += 22), work, 'font-weight="bold"');
    const spreads = [...measured].map(([name, rounds]) => [name, spread(rounds.map(({ cpu }) => cpu))]);
    const most = Math.max(...spreads.map(([, { high }]) => high));
    const at = (value) => LEFT + ((WIDTH - LEFT - 170) * value) / most;
    for (const [name, { low, median, high }] of spreads) {
      y += BAR + 4;
      text(LEFT - 8, y - 4, name, 'text-anchor="end"');
      lines.push(`<rect x="${LEFT}" y="${y - BAR}" width="${at(median) - LEFT}" height="${BAR}" fill="${COLOURS[name]}"/>`);
      lines.push(`<path d="M${at(low)} ${y - BAR / 2}H${at(high)}" stroke="#444" stroke-width="2"/>`);
      text(at(high) + 8, y - 4, `${digits(median)} µs`);
    }
    y += 10;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 16}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${lines.join('\n')}
</svg>
`;
}
