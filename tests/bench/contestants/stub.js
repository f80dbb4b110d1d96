// The calls to the platform that edge-logout makes for a kind of request, and nothing else: what is
// left of the product's CPU when this is taken away is its own. The plan is named in a header.
import { DurableObject } from 'cloudflare:workers';

const PARALLEL = 32;
const encoder = new TextEncoder();
let key;

export async function verify({ KEY, TOKEN }) {
  key ??= await crypto.subtle.importKey('jwk', KEY, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['verify']);
  const end = TOKEN.lastIndexOf('.');
  const signature = Uint8Array.fromBase64(TOKEN.slice(end + 1), { alphabet: 'base64url' });
  await crypto.subtle.verify('RSASSA-PKCS1-v1_5', key, signature, encoder.encode(TOKEN.slice(0, end)));
}

/** As long as a key with a hash and an id. */
export const keyOf = (folder, number) => `${folder}/${'h'.repeat(43)}/${String(number).padStart(22, 'i')}`;
const ttl = { expirationTtl: 44_160 };

async function endInKv({ SESSIONS }, list) {
  const mark = keyOf('mark', 0);
  const pending = SESSIONS.put(keyOf('pending', 0), '', { ...ttl, metadata: { kind: 'sid', hash: 'h'.repeat(43), due: 1 } });
  await SESSIONS.get(mark, { cacheTtl: 30 });
  await SESSIONS.put(mark, '1764000000', ttl);
  await pending;
  const { keys } = await SESSIONS.list({ prefix: list });
  let next = 0;
  // Of a thousand operations these are left.
  const count = Math.min(keys.length, 498);
  const one = async () => {
    while (next < count) {
      const number = next++;
      await SESSIONS.delete(keyOf('by-sub', number));
      await SESSIONS.delete(keyOf('session', number));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, one));
}

export const ask = ({ LEDGER }, name, command) => LEDGER.getByName(name).fetch(`https://object/1/${command}`);

export const plans = {
  kv: {
    check: ({ SESSIONS }) => SESSIONS.get(['session', 'mark', 'mark'].map(keyOf), { cacheTtl: 30 }),
    end: (env, request) => endInKv(env, request.headers.get('x-list')),
  },
  ledger: {
    check: (env, request) => ask(env, `u:${request.headers.get('x-name')}`, 'alive'),
    async begin(env, request) {
      const name = request.headers.get('x-name');
      await env.SESSIONS.put(keyOf('session', 0), '{"login":1764000000,"registered_at":1764000000,"expires":1764000000}', {
        ...ttl,
        metadata: { login: 1_764_000_000, other: 'h'.repeat(43) },
      });
      await ask(env, `u:${name}`, 'begin');
      await ask(env, `s:${name}`, 'begin');
    },
    // The list of the sid, and from there that of the user.
    end: (env, request) => ask(env, `s:${request.headers.get('x-name')}`, `end/${request.headers.get('x-name')}`),
  },
};

export default {
  async fetch(request, env) {
    const plan = plans[env.MODE];
    switch (request.headers.get('x-plan')) {
      case 'check':
        await plan.check(env, request);
        return fetch(request);
      case 'begin':
        await plan.begin?.(env, request);
        return new Response();
      default:
        await request.arrayBuffer();
        await verify(env);
        await plan.end(env, request);
        return new Response();
    }
  },
};

/** A list: one statement for each row that is written. What lives it knows by heart. */
export class Ledger extends DurableObject {
  async fetch(request) {
    const { sql } = this.ctx.storage;
    const [command, user] = request.url.slice('https://object/1/'.length).split('/');
    switch (command) {
      case 'alive':
        break;
      case 'begin':
        sql.exec('CREATE TABLE session (id INTEGER PRIMARY KEY, ended INTEGER)');
        sql.exec('CREATE TABLE logout (time INTEGER PRIMARY KEY)');
        sql.exec('INSERT INTO session VALUES (?, NULL)', 1);
        // That alarms can be set is seen here; further ones are not waited for.
        await this.ctx.storage.setAlarm(Date.now() + 43_200_000);
        break;
      default:
        if (user) sql.exec('INSERT INTO logout VALUES (?)', 1);
        sql.exec('UPDATE session SET ended = ? WHERE id = ?', 1, 1);
        this.ctx.storage.setAlarm(Date.now() + 2000);
        if (user) await ask(this.env, `u:${user}`, 'end');
        else await this.env.SESSIONS.delete(keyOf('session', 0));
        sql.exec('DELETE FROM session WHERE id = ?', 1);
        this.ctx.storage.setAlarm(Date.now() + 900_000);
    }
    return new Response(null, { headers: { answer: 'AQEB' } });
  }

  /** None of these goes off in time, but without it none is set. */
  alarm() {}
}
