// The apps of examples/recipes, each started as on a server of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

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
 * What there is to know of each: the path of its OIDC callback, the cookie of its session, the
 * status with which it refuses a forged form, and the commands that start it, of which the last
 * one serves.
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
export async function startRecipe({ name, port, issuer, publicUrl }) {
  const directory = fileURLToPath(new URL(`../../../examples/recipes/${name}`, import.meta.url));
  const built = join(directory, '.built');
  const { commands } = RECIPES[name];
  // Commands that ask for nothing need nothing installed.
  if (commands.length > 0 && !existsSync(built)) {
    throw new Error(`${built} is missing: run \`bash .make/tools.sh recipes\` first`);
  }
  const data = mkdtempSync(join(tmpdir(), `edge-logout-${name}-`));
  const env = {
    ...process.env,
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_ID: name,
    OIDC_CLIENT_SECRET: `the secret of ${name}`,
    PORT: port,
    SECRET_KEY: crypto.randomUUID(),
    NEXTAUTH_URL: `${publicUrl}/next-auth/api/auth`,
    NEXT_TELEMETRY_DISABLED: '1',
    PUBLIC_URL: publicUrl,
    DATA: data,
    DATABASE: join(data, 'db.sqlite3'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  let output = '';
  let server;
  for (const [program, ...args] of commands({ built, port })) {
    if (server) await ended(server);
    server = spawn(program, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (output += text));
  }
  const exit = once(server, 'exit');
  const stop = async () => {
    server.kill();
    await exit;
    rmSync(data, { recursive: true, force: true });
  };
  const isUp = () => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false);
  for (const end = Date.now() + 60_000; !(await isUp()); ) {
    if (server.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`${name} does not start:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return stop;

  async function ended(child) {
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${name}: ${child.spawnargs.join(' ')} failed:\n${output}`);
  }
}
