// The apps of examples/recipes that have pages of our own, each started as on a server of its own.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { startApp } from '../../../examples/recipes/start.mjs';

/** Loopback ports that nobody listens on, all different. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  for (const server of servers) server.close();
  await Promise.all(servers.map((server) => once(server, 'close')));
  return ports;
}

const gunicorn = (module) => ({ built, port }) => [
  [`${built}/bin/gunicorn`, '--bind', `127.0.0.1:${port}`, '--threads', '4', module],
];

/**
 * What there is to know of each: whether the Worker's relay says who logged in, in its place; the
 * path of its OIDC callback, the cookie of its session, the status with which it refuses a forged
 * form, and the commands that start it, of which the last one serves.
 */
export const RECIPES = {
  flask: { callback: 'callback', cookie: 'session', refused: 400, commands: gunicorn('app:app') },
  django: {
    callback: 'oidc/callback/',
    cookie: 'sessionid',
    refused: 403,
    commands: (app) => [
      [`${app.built}/bin/python`, 'manage.py', 'migrate', '--verbosity', '0'],
      ...gunicorn('notes.wsgi')(app),
    ],
  },
  // Its packages are the repository's own.
  express: {
    callback: 'callback',
    cookie: 'connect.sid',
    refused: 403,
    commands: () => [[process.execPath, 'app.mjs']],
  },
  'next-auth': {
    relayed: true,
    callback: 'api/auth/callback/op',
    // A large one is split into `.0`, `.1` and so on.
    cookie: 'next-auth.session-token*',
    // The field that names the action of a form.
    action: /\$ACTION_ID_\w+/,
    refused: 500,
    commands: ({ built, port }) => [
      [`${built}/node_modules/.bin/next`, 'start', built, '--hostname', '127.0.0.1', '--port', `${port}`],
    ],
  },
  // Debian's.
  tomcat: {
    callback: 'callback',
    cookie: 'JSESSIONID',
    refused: 403,
    leavesCookie: true,
    commands: () => [['sh', 'start.sh']],
  },
};

/** Starts the recipe `name` on `port`; gives a function that stops it. */
export const startRecipe = ({ name, ...where }) => startApp({ name, ...RECIPES[name], ...where });
