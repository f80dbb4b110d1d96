// Bare workerd with one Worker, and what the kernel says of the process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import workerd from 'workerd';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const COMPATIBILITY_DATE = readFileSync(join(root, 'wrangler.toml'), 'utf8').match(/compatibility_date = "(.*)"/)[1];

const text = JSON.stringify;
const list = (items) => `[${items.join(', ')}]`;

/** The configuration in Cap'n Proto's text form. Files are named relative to it. */
function configOf({ folder, disk, modules, variables = {}, secrets = {}, kv, objects = [], v8Flags = [] }) {
  const embed = (path) => `embed ${text(relative(folder, path.startsWith('/') ? path : join(root, path)))}`;
  const services = [
    '(name = "worker", worker = .worker)',
    // The OP and the app are on this machine.
    '(name = "internet", network = (allow = ["public", "private", "local"]))',
  ];
  const bindings = [
    ...Object.entries(variables).map(([name, value]) => `(name = ${text(name)}, json = ${text(text(value))})`),
    ...Object.entries(secrets).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...objects.map(([binding, className]) => `(name = ${text(binding)}, durableObjectNamespace = ${text(className)})`),
  ];
  if (kv) {
    services.push(`(name = "kv", external = (address = ${text(kv)}, http = ()))`);
    bindings.push('(name = "SESSIONS", kvNamespace = "kv")');
  }
  const storage = [];
  if (objects.length > 0) {
    services.push(`(name = "disk", disk = (path = ${text(disk)}, writable = true))`);
    const classes = objects.map(([, name]) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`);
    storage.push(`durableObjectNamespaces = ${list(classes)}`, 'durableObjectStorage = (localDisk = "disk")');
  }
  const files = modules.map(([name, kind, path]) => `(name = ${text(name)}, ${kind} = ${embed(path)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = ${list(services)},
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
  v8Flags = ${list(v8Flags.map(text))},
);
const worker :Workerd.Worker = (
  modules = ${list(files)},
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  bindings = ${list(bindings)},
  ${storage.join(',\n  ')}
);
`;
}

/** Starts workerd; it ends with this process. */
export async function startServer(setup) {
  mkdirSync(setup.folder, { recursive: true });
  // In memory, where there is a disk in memory: what a disk takes is nobody's CPU.
  const disk = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'edge-logout-bench-'));
  const config = join(setup.folder, 'config.capnp');
  writeFileSync(config, configOf({ ...setup, disk }));
  const server = spawn(workerd.default ?? workerd, ['serve', '--control-fd=3', config], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const errors = [];
  server.stderr.on('data', (data) => errors.push(data));
  const end = () => {
    server.kill('SIGKILL');
    rmSync(disk, { recursive: true, force: true });
  };
  process.once('exit', end);
  const port = await new Promise((resolve, reject) => {
    let told = '';
    server.stdio[3].on('data', (data) => {
      told += data;
      const line = told.match(/"event":"listen".*?"port":(\d+)/);
      if (line) resolve(Number(line[1]));
    });
    server.on('exit', () => reject(new Error(`workerd did not start:\n${Buffer.concat(errors)}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: server.pid,
    /** CPU time of all its threads so far, in microseconds. */
    cpu: () => cpuOf(server.pid),
    errors: () => Buffer.concat(errors).toString(),
    async stop() {
      process.off('exit', end);
      if (server.exitCode === null && server.signalCode === null) {
        end();
        await once(server, 'exit');
      }
    },
  };
}

function cpuOf(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]));
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1000;
}
