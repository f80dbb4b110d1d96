// What the contestants talk to, in a process of its own so that its CPU is nobody's: an OP's key set,
// the app, and Workers KV as workerd speaks to it, in memory, one namespace per contestant.
import { once } from 'node:events';
import { createServer } from 'node:http';

const MEGABYTE = 1 << 20;
const PAGE = Buffer.alloc(2048, '<p>Nothing to see here, and a lot of it.</p>\n');
const CHUNK = Buffer.alloc(MEGABYTE, 'x');
export const STREAM_MEGABYTES = 10;

async function listen(handler) {
  // The whole of a stream's cookies and tokens fits.
  const server = createServer({ keepAliveTimeout: 600_000, maxHeaderSize: 64 << 10 }, handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${server.address().port}`;
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A namespace: what was asked of it is counted by name. */
class Namespace {
  calls = {};
  /** By folder, the part of a key up to its last `/`: key to [value, metadata]. */
  #folders = new Map();

  #folder(name) {
    return this.#folders.get(name.slice(0, name.lastIndexOf('/') + 1));
  }

  #get(name) {
    return this.#folder(name)?.get(name);
  }

  put(name, value, metadata) {
    const prefix = name.slice(0, name.lastIndexOf('/') + 1);
    let folder = this.#folders.get(prefix);
    if (!folder) this.#folders.set(prefix, (folder = new Map()));
    folder.set(name, [value, metadata]);
  }

  #delete(name) {
    const folder = this.#folder(name);
    if (folder?.delete(name) && folder.size === 0) this.#folders.delete(name.slice(0, name.lastIndexOf('/') + 1));
  }

  clear() {
    this.#folders.clear();
  }

  /** How many keys begin like that. */
  size(beginning) {
    const folders = [...this.#folders].filter(([prefix]) => prefix.startsWith(beginning));
    return folders.reduce((sum, [, folder]) => sum + folder.size, 0);
  }

  #list(params) {
    const prefix = params.get('prefix') ?? '';
    const after = params.get('cursor') ?? '';
    const folder = this.#folders.get(prefix) ?? new Map();
    const names = [...folder.keys()].filter((name) => name > after).sort();
    const keys = names.slice(0, 1000).map((name) => {
      const [, metadata] = folder.get(name);
      return metadata === undefined ? { name } : { name, metadata: JSON.parse(metadata) };
    });
    const isComplete = keys.length === names.length;
    return { keys, list_complete: isComplete, ...(!isComplete && { cursor: keys.at(-1).name }) };
  }

  #count(name) {
    this.calls[name] = (this.calls[name] ?? 0) + 1;
  }

  async serve(request, response) {
    const [path, query] = request.url.split('?', 2);
    const name = decodeURIComponent(path.slice(1));
    switch (request.method) {
      case 'POST': {
        this.#count('get');
        const { keys } = JSON.parse(await textOf(request));
        return response.end(JSON.stringify(Object.fromEntries(keys.map((key) => [key, this.#get(key)?.[0] ?? null]))));
      }
      case 'GET': {
        if (name === '') {
          this.#count('list');
          return response.end(JSON.stringify(this.#list(new URLSearchParams(query))));
        }
        this.#count('get');
        const [value, metadata] = this.#get(name) ?? [];
        if (value === undefined) return response.writeHead(404).end();
        if (metadata !== undefined) response.setHeader('CF-KV-Metadata', metadata);
        return response.end(value);
      }
      case 'PUT':
        this.#count('put');
        this.put(name, await textOf(request), request.headers['cf-kv-metadata']);
        return response.end();
      case 'DELETE':
        this.#count('delete');
        this.#delete(name);
        return response.end();
      default:
        return response.writeHead(405).end();
    }
  }
}

/** The app: it logs in whom the bench says, takes uploads, and has a page and a download. */
async function app(request, response) {
  const login = request.headers['x-log-in'];
  if (login) {
    response.setHeader('edge-logout-id-token', login);
    response.setHeader('set-cookie', `shop.sid=${request.headers['x-new-cookie']}; Path=/; HttpOnly`);
  }
  if (request.method !== 'GET') {
    request.resume();
    await once(request, 'end');
    return response.writeHead(204).end();
  }
  if (!request.url.endsWith('/download')) {
    // The bench sees whether the request went on as logged in.
    response.setHeader('x-user', request.headers.cookie ? 'somebody' : 'nobody');
    return response.setHeader('content-type', 'text/html').end(PAGE);
  }
  response.setHeader('content-length', STREAM_MEGABYTES * MEGABYTE);
  for (let sent = 0; sent < STREAM_MEGABYTES; sent++) {
    if (!response.write(CHUNK)) await once(response, 'drain');
  }
  response.end();
}

const namespaces = [];
const orders = {
  async start({ keySet, kvs }) {
    const addresses = [];
    for (let index = 0; index < kvs; index++) {
      const namespace = new Namespace();
      namespaces.push(namespace);
      addresses.push(await listen((request, response) => namespace.serve(request, response)));
    }
    const op = await listen((_, response) => response.setHeader('content-type', 'application/json').end(keySet));
    return { kvs: addresses, op, origin: await listen(app) };
  },
  /** What was asked of a namespace since the last time. */
  calls: ({ kv }) => {
    const { calls } = namespaces[kv];
    namespaces[kv].calls = {};
    return calls;
  },
  clear: ({ kv }) => namespaces[kv].clear(),
  size: ({ kv, beginning }) => namespaces[kv].size(beginning),
  put: ({ kv, entries }) => entries.forEach((entry) => namespaces[kv].put(...entry)),
};

process.on('message', async ({ number, order, ...rest }) => {
  process.send({ number, result: await orders[order](rest) });
});
process.on('disconnect', () => process.exit());
