// Starts an app of this folder as on a server of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The Worker's relay to the token endpoint for the app `name`: what the app takes for the OP. */
export const relayOf = (name, publicUrl) =>
  `${publicUrl}/.edge-logout/relay/${name.toUpperCase().replace('-', '_')}`;

/**
 * Starts the app `name` on `port` by its `commands`, of which the last one serves; one that is
 * `relayed` asks the Worker for tokens, not the OP. Gives a function that stops it.
 */
export async function startApp({ name, commands, relayed, port, issuer, publicUrl }) {
  const directory = fileURLToPath(new URL(name, import.meta.url));
  const built = join(directory, '.built');
  // Commands that ask for nothing need nothing installed.
  if (commands.length > 0 && !existsSync(built)) {
    throw new Error(`${built} is missing: run \`bash .make/tools.sh recipes\` first`);
  }
  const data = mkdtempSync(join(tmpdir(), `edge-logout-${name}-`));
  const op = relayed ? relayOf(name, publicUrl) : issuer;
  const env = {
    ...process.env,
    OIDC_ISSUER: issuer,
    OIDC_METADATA: `${op}/.well-known/openid-configuration`,
    OIDC_TOKEN_ENDPOINT: `${op}/token`,
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
  const tidyUp = () => rmSync(data, { recursive: true, force: true, maxRetries: 3 });
  // What ends this process at once, as Ctrl-C does, must not leave the app behind.
  const abandon = () => {
    server.kill();
    tidyUp();
  };
  process.once('exit', abandon);
  const stop = async () => {
    process.off('exit', abandon);
    server.kill();
    await exit;
    tidyUp();
  };
  // JupyterHub's proxy answers before there is a JupyterHub behind it.
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/${name}`, { redirect: 'manual' }).then(
      ({ status }) => status !== 404 && status < 500,
      () => false,
    );
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
