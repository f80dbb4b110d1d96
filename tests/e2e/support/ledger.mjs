// What is said to a list of the ledger, and what it answers, written a second time from
// src/app/ledger/protocol.rs.
import { Buffer } from 'node:buffer';
import { optional, text, time, varint } from './format.mjs';

const flag = (is) => Buffer.from([is ? 1 : 0]);
const bytes = (...parts) => Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from([part]))));

/** The list of a session's user, and that of its `sid`. */
export const userList = ({ subject }) => ({ tag: 0, hash: subject });
export const sidList = ({ sid }) => ({ tag: 1, hash: sid });
const nameOf = ({ tag, hash }) => `${'us'[tag]}:${text(hash)}`;

/** The commands. `authenticated` is `auth_time`; a logout is its time in seconds. */
export const admit = (list, { id, subject, sid, login, registeredAt, expires, authenticated, hasSid = true }) =>
  bytes(
    0, list.tag, list.hash,
    id, subject, sid, time(login), time(registeredAt), time(expires),
    optional(authenticated, time), flag(hasSid),
  );
export const alive = ({ id }) => bytes(1, id);
/** `of` is the key of a `sid`, or of those without; nothing for everyone. */
export const end = (logout, { of, takesUsers, subject } = {}) =>
  bytes(
    2, optional(of, (key) => key), time(logout), time(logout + 120), flag(takesUsers),
    optional(subject, (key) => key),
  );
export const endSome = (...sessions) => bytes(3, varint(sessions.length), ...sessions.map(({ id }) => id));

const REFUSALS = ['logged_out', 'not_reauthenticated', 'too_old'];

function read(answer) {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = answer[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  switch (number()) {
    case 0:
      return number() === 0 ? 'admitted' : REFUSALS[number()];
    case 1:
      return number() === 1;
    case 2: {
      const [ended, later, elsewhere, ofOther, left] = Array.from({ length: 5 }, number);
      return { ended, later, elsewhere, of_other_subject: ofOther, left: left === 1 };
    }
    default:
      return number();
  }
}

/** Says something to a list; gives its answer as the vectors write it. */
export async function ask(namespace, list, command) {
  const stub = namespace.get(namespace.idFromName(nameOf(list)));
  const response = await stub.fetch(`https://object/1/${text(command)}`);
  if (response.status !== 200) throw new Error(`the ledger answers ${response.status}`);
  return read(Buffer.from(response.headers.get('answer'), 'base64url'));
}

/** Takes a session into its lists, as a login does. */
export async function register(namespace, session) {
  const lists = session.hasSid === false ? [userList(session)] : [userList(session), sidList(session)];
  for (const list of lists) {
    const answer = await ask(namespace, list, admit(list, session));
    if (answer !== 'admitted') throw new Error(`a session to begin with is refused: ${answer}`);
  }
}
