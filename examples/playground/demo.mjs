// `make demo`: runs the playground until Ctrl-C.
import { WORKER, startPlayground } from './playground.mjs';

const time = () => new Date().toLocaleTimeString('en-GB');
try {
  const playground = await startPlayground({
    onLog: (line) => console.log(`${time()}  worker  ${line}`),
    onEvent: (event, client) => console.log(`${time()}  op      ${event} ${client}`),
  });
  console.log(`
  The playground runs. Open both in one browser:

    ${WORKER}/playground2
    ${WORKER}/playground3

  1. Log in to both as admin (password admin).
  2. Log out in one, and confirm.
  3. Go back to the other and refresh: Logged in user: null.

  Below is what the Worker and the OP do meanwhile. Ctrl-C stops everything.
`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => playground.stop().then(() => process.exit(0)));
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
