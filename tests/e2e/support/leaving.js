// The built Worker, with an eye on what is left of requests: an entry module for tests. A GET of /left collects what
// nobody holds, and tells how many requests are left that had an `x-watched` header. Where it says `deletes`, KV
// deletes nothing before the app answers, which is asked for /deleting.
import Worker from './index.js';

export * from './index.js';

const slow = ({ SESSIONS, APP_SHOP }) => ({
  get: (...all) => SESSIONS.get(...all),
  delete: () => fetch(`${APP_SHOP.origin}/deleting`),
});

/** What the built Worker holds as long as it is at work for a request. */
const contexts = new Set();

export default {
  ...Worker,

  fetch(request, env, context) {
    if (new URL(request.url).pathname === '/left') {
      // workerd is started with V8's --expose-gc.
      gc();
      const left = [...contexts].filter((watched) => watched.deref()).length;
      return new Response(String(left));
    }
    if (request.headers.has('x-watched')) contexts.add(new WeakRef(context));
    const isSlow = request.headers.get('x-watched') === 'deletes';
    return Worker.fetch(request, isSlow ? { ...env, SESSIONS: slow(env) } : env, context);
  },
};
