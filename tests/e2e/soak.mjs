// `make soak`: see support/soak.mjs. Arguments: seconds, kills, seed.
import { soak } from './support/soak.mjs';

const [seconds, kills, seed] = process.argv.slice(2).map(Number);
const report = await soak({ seconds, kills, seed });
const table = (title, numbers) => {
  console.log(`${title}:`);
  for (const [what, number] of Object.entries(numbers).sort()) console.log(`  ${String(number).padStart(6)}  ${what}`);
};
const { counts, codes, wrong, rest } = report;
console.log(`seed ${seed}, ${seconds} s`);
table('it came to this', {
  'kills of workerd': report.kills,
  'logouts sent': report.sent,
  'logins cut by a kill': report.cutLogins,
  'entries in KV of such logins': rest.orphans,
  'seconds until everything had come to rest': rest.seconds,
});
table('answers', counts);
table('log', codes);
table('wrong', Object.fromEntries(Object.entries(wrong).map(([what, all]) => [what, all.length])));
for (const [what, all] of Object.entries(wrong)) {
  for (const one of all.slice(0, 5)) console.log(what, JSON.stringify(one));
}
const isWrong = Object.values(wrong).some((all) => all.length > 0);
if (report.kills < kills) console.log(`only ${report.kills} kills of ${kills}`);
process.exitCode = isWrong || report.kills < kills ? 1 : 0;
