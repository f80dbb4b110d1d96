// Who it looks like that answered, where the Worker should have; and what to do about it.

/** The Worker's answer to a logout token that it does not take, to the letter. */
export const REFUSED =
  '{"error":"invalid_request","error_description":"The logout token was not accepted."}';

/** Its other answers that can be met here, each with what it means on the logout path. */
const OURS = {
  'ok\n': 'the Worker, by its sign of life',
  [REFUSED]: 'the Worker, but something on the way changes the request or the answer',
  '{"error":"temporarily_unavailable","error_description":"Please send the logout token again."}':
    'the Worker, which cannot do its work: see the log',
  'edge-logout is not configured correctly.\n':
    'the Worker, whose configuration is wrong: the log says how, and so does `make check-config`',
  'Internal error.\n': 'the Worker, and something went wrong in it: see the log',
  'Not found.\n': 'the Worker, and no app has this host and path: see `routes` and `logout_path`',
  'Ambiguous path.\n': 'the Worker, and servers could read this path differently: send a plain one',
};

/** Whether the Worker itself says this. */
export const isOurs = ({ body }) => Object.hasOwn(OURS, body);

const FIREWALL = 'a rule blocks it (Security, Events says which): let the logout path skip that rule';
/** Cloudflare's own errors, by the number in the body. */
const CLOUDFLARE = {
  1010: 'the Browser Integrity Check refuses this client: switch it off for the logout path',
  1015: 'a rate limit of the zone refuses it: leave the logout path out',
  1016: 'the origin has no address, and the Worker is not in front: check route and DNS record',
  1020: FIREWALL,
  1027: 'the daily limit of the free plan is reached, and the route fails closed: wait, or change the plan',
  1033: 'the Tunnel is down, and the Worker is not in front: check route and tunnel',
  1101: 'the Worker threw an exception: see the log',
  1102: 'the Worker ran out of CPU time: see the log',
};
for (const code of [1006, 1007, 1008, 1009, 1012]) CLOUDFLARE[code] = FIREWALL;

const BROKEN = {
  TIMEOUT: 'nobody answers in time: providers give up after 2.5 s, and most never try again',
  ENOTFOUND: 'the name has no address: make the DNS record',
  EAI_AGAIN: 'the name cannot be looked up from here',
  ECONNREFUSED: 'nobody listens there: check that the DNS record is proxied',
  EPROTO: 'no TLS connection: is there a certificate for this host (SSL/TLS, Edge Certificates)?',
};

/** Where a redirect leads, as a URL; none if it is no redirect. */
export const redirect = ({ status, headers }, url) =>
  status >= 300 && status < 400 ? URL.parse(headers.location ?? '', url) : null;

/** Whether it leads to the same host, by https. */
export const leadsToHttps = (answer, url) => {
  const target = redirect(answer, url);
  return target?.protocol === 'https:' && target.hostname === url.hostname && url.protocol === 'http:';
};

/** What to say about an answer to a request of `url` that is not the one expected. */
export function culprit(answer, url) {
  const { error, status } = answer;
  if (!error) return `${status}: ${who(answer, url)}`;
  const known = error.startsWith('ERR_SSL') ? 'EPROTO' : error;
  return `${error}: ${BROKEN[known] ?? 'the connection breaks'}`;
}

function who(answer, url) {
  const { status, headers, body } = answer;
  if (isOurs(answer)) return OURS[body];
  if (headers['cf-mitigated'] === 'challenge') {
    return (
      'Cloudflare challenges it, and a provider cannot solve that: switch Bot Fight Mode off, which cannot ' +
      'skip a path; let the logout path skip Super Bot Fight Mode, or the rule that challenges'
    );
  }
  const target = redirect(answer, url);
  if (target?.hostname.endsWith('.cloudflareaccess.com')) {
    return 'Cloudflare Access asks for a login: exempt the logout path, by an application of its own with a bypass policy';
  }
  if (leadsToHttps(answer, url)) return 'http is redirected to https: give the provider the https address';
  if (target) {
    const place = target.origin + target.pathname;
    return `a redirect to ${place}, as to a login page: the app answers, or something before the Worker`;
  }
  const [, code] = body.match(/(?:\berror code: |\berror |cf-error-code">)(1\d{3})\b/i) ?? [];
  if (code && status >= 400) return `Cloudflare's error ${code}: ${CLOUDFLARE[code] ?? 'see its documentation'}`;
  if (status === 401) return 'something asks for credentials: the app, or what is before the Worker';
  if (status === 403) return 'it is blocked: if not by the app, Security, Events in the dashboard says by which rule';
  if (status === 404) return 'no route leads to the Worker, or it is not deployed: the route is `host/*`, without scheme';
  if (status === 530 || (status >= 520 && status < 528)) {
    return 'Cloudflare cannot reach the origin, and the Worker is not in front: check the route';
  }
  return 'the app answers, so the Worker is not in front of this path: check route and `logout_path`';
}
