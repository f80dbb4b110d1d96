// The ways of an exchange through the Worker: the app must notice none of them.
import assert from 'node:assert/strict';
import { seal, session } from './format.mjs';

const LINE = 'shop.sid=secret; Path=/shop; HttpOnly';

/** What the client sends, what the app sees of it, and what the app sets besides its answer. */
export const WAYS = {
  'left as it is': () => ({ sends: {}, sets: [] }),
  'rebuilt for a cookie to seal': () => ({ sends: {}, sets: [LINE] }),
  'of a live session': async (world) => {
    const who = { issuer: world.op.issuer, client: 'shop', sub: 'alice', sid: 's1' };
    const bound = session({ ...who, login: world.op.now() - 10 });
    await world.store(bound);
    const cookie = `shop.sid=${seal(world.sealKeys, world.shop, 'shop.sid', 'secret', bound)}`;
    return { sends: { cookie }, sees: 'shop.sid=secret', sets: [] };
  },
};

/** Whether what went through went that way: otherwise a test would prove nothing. */
export function assertWay(way, seen, setCookies) {
  assert.equal(seen.headers.cookie, way.sees);
  assert.equal(setCookies.length, way.sets.length);
  for (const line of setCookies) assert.match(line, /^shop\.sid=el1\.[^;]+; Path=\/shop; HttpOnly$/);
}
