// What must have become of sessions, by what was asked for and what was answered. Nothing here knows
// what the Worker does: only who said what in which order.

/** Sessions this many seconds later than a logout may still be meant, if they were there first. */
const CLOCK_SPREAD = 10;

const means = (logout, { sub, sid }) =>
  logout.sid === undefined ? logout.sub === sub : logout.sid === sid;

/** A truth about people whose logouts touch nobody else; `report` hears what contradicts it. */
export function startTruth(report) {
  const sessions = [];
  const logouts = [];
  const logoutsOf = (session) => logouts.filter((logout) => means(logout, session));
  /** Whether something that was asked for may have ended it. */
  const mayBeDead = (session) =>
    session.isLeft ||
    logoutsOf(session).some(
      ({ at, settled }) =>
        session.login <= at || (session.login <= at + CLOCK_SPREAD && session.asked < settled),
    );
  const end = (session, now) => (session.deadSince = Math.min(session.deadSince, now));

  return {
    sessions,
    logouts,
    /** A login that is asked for at `now`; `login` and `authTime` are in seconds. */
    session: (now, claims) => ({ ...claims, asked: now, deadSince: Infinity, isLeft: false }),
    /** It was answered: somebody has its cookie. */
    born(session) {
      sessions.push(session);
      for (const { at, done } of logoutsOf(session)) if (session.login <= at) end(session, done);
    },
    /** It was refused. */
    refused(session) {
      const isCovered = ({ at }) => session.login <= at || session.authTime <= at;
      if (!logoutsOf(session).some(isCovered)) report('dead that should live', session, 'refused');
    },
    /** A logout that is going to be sent. */
    logout(order) {
      const logout = { ...order, settled: Infinity, done: Infinity };
      logouts.push(logout);
      return logout;
    },
    /** It was answered with 200. */
    done(logout, now) {
      logout.done = Math.min(logout.done, now);
      logout.settled = Math.min(logout.settled, now);
      for (const session of sessions) {
        if (means(logout, session) && session.login <= logout.at) end(session, now);
      }
    },
    /** It is not going to be finished by whoever took it, if anybody did: that one was killed. */
    cut(logout, now) {
      if (logout.done === Infinity) logout.settled = now;
    },
    /** It is sent once more. */
    again(logout) {
      if (logout.done === Infinity) logout.settled = Infinity;
    },
    end,
    /** Somebody who asked at `asked` hears at `now` whether it lives. */
    seen(session, isAlive, asked, now, where) {
      if (isAlive) {
        if (session.deadSince < asked) report('alive that should be dead', session, where);
      } else {
        if (!mayBeDead(session)) report('dead that should live', session, where);
        end(session, now);
      }
    },
  };
}
