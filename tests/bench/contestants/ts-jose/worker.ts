// A Worker in front of one OpenID Connect relying party, over Workers KV alone: it takes the OP's
// Back-Channel Logout tokens, and gates every request to the app. Its keys hold hashes only:
//
//   session/<hash>/<id>     a session's entry, found by its sid; metadata: its login, and the hash of its sub
//   by-sub/<hash>/<id>      finds it by sub; metadata: its login, and the hash of its sid
//   mark/<hash>             a logout: sessions with a login up to then have ended
//   pending/<hash>/<time>   a logout whose index is to be gone over once more, by a cron run
import { errors } from 'jose';
import { answer, type Edge, type Env, log, setUp, unavailable } from './edge.ts';
import { receiveLogout } from './back_channel.ts';
import { gate } from './gate.ts';

/** What `fetch` would resolve to another path than the one routed here. */
const AMBIGUOUS_PATH = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;

async function route(edge: Edge, request: Request, ctx: ExecutionContext): Promise<Response> {
  const { logout_path, prefix } = edge.app;
  const { method, url } = request;
  // After "https://" and a host. The path is as the client sent it; to parse the URL would cost more.
  const pathStart = url.indexOf('/', 8);
  const queryStart = url.indexOf('?', pathStart);
  const path = url.slice(pathStart, queryStart < 0 ? undefined : queryStart);
  if (path === logout_path) {
    return method === 'POST' ? receiveLogout(edge, request, ctx) : answer(405, null, { Allow: 'POST' });
  }
  if (path !== prefix && !path.startsWith(`${prefix}/`)) return answer(404, 'Not found.\n');
  if (AMBIGUOUS_PATH.test(path)) return answer(400, 'Bad request.\n');
  // TRACE would show the app's own cookies.
  return method === 'TRACE' ? answer(405, null) : gate(edge, request, ctx, path);
}

let edge: Edge | undefined;

export default {
  async fetch(request, env, ctx) {
    edge ??= await setUp(env);
    try {
      return await route(edge, request, ctx);
    } catch (error) {
      // KV, or the OP's keys. Its message may name keys of KV.
      log(edge, error instanceof errors.JOSEError ? error.code : 'unavailable');
      return unavailable();
    }
  },
} satisfies ExportedHandler<Env>;
