// Cookies: the app's own, sealed for the session with which they die.
import { base64url, concat, type Edge, encoder, type Jar, type Opened, type Session, type SetCookie } from './edge.ts';

const decoder = new TextDecoder();

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  return equals < 0 ? ['', pair.trim()] : [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
}

async function open({ associatedData, sealKey }: Edge, name: string, value: string): Promise<Opened | undefined> {
  try {
    const sealed = Uint8Array.fromBase64(value, { alphabet: 'base64url' });
    const algorithm = { name: 'AES-GCM', iv: sealed.subarray(0, 12), additionalData: associatedData.get(name)! };
    const contents = await crypto.subtle.decrypt(algorithm, sealKey, sealed.subarray(12));
    return { name, ...JSON.parse(decoder.decode(contents)) };
  } catch {
    return undefined;
  }
}

/** The line that sets a cookie of the app's, sealed for `session` if there is one. */
export async function seal({ associatedData, sealKey }: Edge, cookie: SetCookie, session: Session | undefined, path: string) {
  const { name, value } = cookie;
  // With which the cookie can be removed.
  let attributes = cookie.attributes.replace(/;\s*(?:expires|max-age)\s*=[^;]*/gi, '');
  if (!/;\s*path\s*=\s*\//i.test(attributes)) attributes += `; Path=${path.slice(0, path.lastIndexOf('/')) || '/'}`;
  const contents = encoder.encode(JSON.stringify({ session, attributes, value }));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: 'AES-GCM', iv, additionalData: associatedData.get(name)! };
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, sealKey, contents));
  return `${name}=${base64url(concat(iv, ciphertext))}${cookie.attributes}`;
}

export const removal = ({ name, attributes }: Opened) => `${name}=${attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT`;

/** Opens the session cookies; what does not open, or hides in another pair, is withheld. */
export async function openCookies(edge: Edge, header: string): Promise<Jar> {
  const plain: string[] = [];
  const opening: Promise<Opened | undefined>[] = [];
  for (const pair of header.split(';')) {
    const [name, value] = splitPair(pair);
    if (edge.associatedData.has(name)) opening.push(open(edge, name, value));
    else if (!edge.sessionCookie.test(pair)) plain.push(pair.trim());
  }
  return { plain, sealed: (await Promise.all(opening)).filter((cookie) => cookie !== undefined) };
}

/** A line about a session cookie, read; any other as it is. */
export function readSetCookie({ associatedData }: Edge, line: string): SetCookie | string {
  const end = line.indexOf(';');
  const [name, value] = splitPair(end < 0 ? line : line.slice(0, end));
  if (!associatedData.has(name)) return line;
  const attributes = end < 0 ? '' : line.slice(end);
  const maxAge = /;\s*max-age\s*=\s*(-?\d+)/i.exec(attributes)?.[1];
  const expires = /;\s*expires\s*=([^;]*)/i.exec(attributes)?.[1] ?? '';
  const removes = maxAge === undefined ? Date.parse(expires) <= Date.now() : Number(maxAge) <= 0;
  return { name, value, attributes, removes };
}
