// `make demo`: runs the playground until Ctrl-C.
import { installed } from '../recipes/products.mjs';
import { WORKER, startPlayground } from './playground.mjs';

const products = installed();
const apps = ['playground2', 'playground3', ...products];
const time = () => new Date().toLocaleTimeString('en-GB');
try {
  const playground = await startPlayground({
    products,
    onLog: (line) => console.log(`${time()}  worker  ${line}`),
    onEvent: (event, client) => console.log(`${time()}  op      ${event} ${client}`),
  });
  console.log(`
  The playground runs. Open two of these in one browser, or all of them:

${apps.map((name) => `    ${WORKER}/${name}`).join('\n')}

  1. Log in as admin (password admin).
  2. Log out in one, and confirm.
  3. Go back to another and refresh: Logged in user: null. JupyterHub and Apache ask you to sign in.

  The operator's console is ${WORKER}/.edge-logout/operator, and today's key is
  ${playground.operatorKey}

  Below is what the Worker and the OP do meanwhile. Ctrl-C stops everything.
`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => playground.stop().then(() => process.exit(0)));
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
