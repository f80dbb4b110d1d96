// Looks at a deployed Worker from outside, and says what to mend: README.md, "Going live".
//   URL=https://app.example.com/shop/bclogout   the back-channel logout URL of an app
//   WORKERS_DEV=edge-logout.me.workers.dev      the name that must be closed
//   ORIGIN=192.0.2.1                            the address, with or without port, that must not answer
//   CONNECT=192.0.2.2                           asks there, whatever DNS says, as before a change of DNS
import { examine } from './examine.mjs';

const { URL: text, WORKERS_DEV: workersDev, ORIGIN: origin, CONNECT: connect } = process.env;
const url = URL.parse(text ?? '');
if (!['http:', 'https:'].includes(url?.protocol)) {
  console.error('usage: make doctor URL=https://app.example.com/shop/bclogout [WORKERS_DEV=...] [ORIGIN=...]');
  process.exit(2);
}
let failures = 0;
for await (const { level, check, finding } of examine({ url, workersDev, origin, connect })) {
  console.log(`${level.padEnd(7)} ${check}: ${finding}`);
  if (level === 'FAIL') failures++;
}
process.exit(failures > 0 ? 1 : 0);
