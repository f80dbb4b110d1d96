//! The cookies of one request: which go along to the app, and what becomes of the others.

use std::{borrow::Cow, iter, rc::Rc};

use super::{
    config::{App, Config},
    cookie::{self, Place, SetCookie},
    limits,
    opened::Opened,
    pieces,
    seal::{self, Contents, Owner},
    session::{EndedBy, Session},
    time::Timestamp,
};

/// A cookie of our own: this browser was just redirected because its session had ended. One that
/// keeps a removed cookie all the same is not redirected for ever.
pub const REDIRECTED: &str = "edge-logout-redirected";

/// As whom a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Without a session.
    Anonymous,
    /// As this session.
    Live(Session),
    /// It came with a session that has ended.
    Ended(Session, EndedBy),
}

impl Standing {
    /// The session as which the request goes on.
    #[must_use]
    pub const fn live(&self) -> Option<&Session> {
        match self {
            Self::Live(session) => Some(session),
            Self::Anonymous | Self::Ended(..) => None,
        }
    }

    /// Whether the request came with a session that has ended.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(..))
    }
}

/// The cookies of one request that may concern the app, in their order.
#[derive(Debug)]
pub struct Jar {
    cookies: Vec<(String, Held)>,
    is_untouched: bool,
    was_redirected: bool,
    is_cut: bool,
}

#[derive(Debug)]
enum Held {
    /// None of our business.
    Plain(String),
    /// A session cookie from before the roll-out, while such are accepted.
    Unsealed(String),
    /// Opened.
    Sealed(Sealed),
}

#[derive(Clone, Debug)]
struct Sealed {
    contents: Rc<Contents>,
    /// Cookies that the seal takes.
    pieces: usize,
}

impl Sealed {
    fn owner(&self) -> &Owner {
        &self.contents.owner
    }

    fn place(&self) -> Place {
        cookie::place(&self.contents.attributes)
    }

    /// The lines that remove its pieces from `first` on.
    fn removals(&self, name: &str, first: usize) -> impl Iterator<Item = String> {
        (first..self.pieces).map(move |position| {
            cookie::removal(&pieces::name(name, position), &self.contents.attributes)
        })
    }
}

impl Jar {
    /// Opens the seals in a `Cookie` header, those that are not `known` yet. What claims to be a seal and does not
    /// open is withheld, and so is a session cookie that is not sealed.
    #[must_use]
    pub fn open(
        config: &Config,
        app: &App,
        header: &str,
        known: &mut Opened,
        now: Timestamp,
    ) -> Self {
        if header.is_empty() {
            return Self::of(Vec::new());
        }
        Self::open_some(config, app, header, known, now)
    }

    /// Apart from what requests without cookies go through: the first of an isolate compiles that alone.
    #[inline(never)]
    fn open_some(
        config: &Config,
        app: &App,
        header: &str,
        known: &mut Opened,
        now: Timestamp,
    ) -> Self {
        let pairs = pairs(app, header);
        // Opening costs: other apps' cookies never take the places of the app's own.
        let (listed, others): (Vec<_>, Vec<_>) = pairs
            .iter()
            .enumerate()
            .filter(|(_, (name, value))| is_seal(value) && !pieces::is_later(name))
            .partition(|(_, (name, _))| app.session_cookies.contain(name));
        let is_cut = listed.len().saturating_add(others.len()) > limits::SEALS_PER_REQUEST;
        // Browsers send the newest of one path last: a login that is under way needs it.
        let opened: Vec<(usize, Sealed)> = iter::chain(listed, others.into_iter().rev())
            .take(limits::SEALS_PER_REQUEST)
            .filter_map(|(position, (name, value))| {
                let (value, pieces) = if pieces::is_claimed_by(value) {
                    let (value, pieces) = pieces::join(name, value, &pairs)?;
                    (Cow::from(value), pieces)
                } else {
                    (Cow::from(*value), 1)
                };
                let contents = known.open(&config.seal_keys, app, name, &value)?;
                // Changing the mode signs everybody in again once, and loses no logout.
                let is_ours = contents.authority == config.authority;
                is_ours.then_some((position, Sealed { contents, pieces }))
            })
            .collect();
        let held = pairs.iter().enumerate().map(|(position, (name, value))| {
            let held = match opened.iter().find(|(of, _)| *of == position) {
                Some((_, sealed)) => Some(Held::Sealed(sealed.clone())),
                None => unsealed(app, name, value, now < app.accept_unsealed_until),
            };
            (*name, held)
        });
        Self {
            is_cut,
            ..Self::of(held.collect())
        }
    }

    /// The cookies of a request that goes on without any seal, and without those whose name
    /// `is_protected` says yes to.
    #[must_use]
    pub fn without_sessions(header: &str, is_protected: impl Fn(&str) -> bool) -> Self {
        let is_withheld =
            |name: &str, value: &str| is_seal(name) || is_seal(value) || is_protected(name);
        let held = cookie::pairs(header, is_withheld)
            .into_iter()
            .map(|(name, value)| {
                let goes = !is_withheld(name, value) && name != REDIRECTED;
                (name, goes.then(|| Held::Plain(value.to_owned())))
            });
        Self::of(held.collect())
    }

    fn of(held: Vec<(&str, Option<Held>)>) -> Self {
        Self {
            is_untouched: held
                .iter()
                .all(|(_, held)| matches!(held, Some(Held::Plain(_) | Held::Unsealed(_)))),
            is_cut: false,
            was_redirected: held.iter().any(|(name, _)| *name == REDIRECTED),
            cookies: held
                .into_iter()
                .filter_map(|(name, held)| Some((name.to_owned(), held?)))
                .collect(),
        }
    }

    /// Whether the `Cookie` header can go on as it came.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// Whether the browser was just redirected because of an ended session.
    #[must_use]
    pub const fn was_redirected(&self) -> bool {
        self.was_redirected
    }

    fn sealed(&self) -> impl Iterator<Item = (&str, &Sealed)> {
        self.cookies.iter().filter_map(|(name, held)| match held {
            Held::Sealed(sealed) => Some((name.as_str(), sealed)),
            Held::Plain(_) | Held::Unsealed(_) => None,
        })
    }

    fn going_along(
        &self,
        standing: &Standing,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &Sealed)> {
        self.sealed()
            .filter(move |(_, sealed)| goes_along(sealed.owner(), standing, now))
    }

    /// The sessions that the request carries, the latest first: the first that lives is the one as
    /// which it goes on.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<Session> = Vec::new();
        for (_, sealed) in self.sealed() {
            if let Some(session) = sealed.owner().session
                && !sessions.contains(&session)
            {
                let is_earlier = |other: &Session| other.registered_at < session.registered_at;
                let place = sessions.iter().position(is_earlier);
                sessions.insert(place.unwrap_or(sessions.len()), session);
            }
        }
        sessions.truncate(limits::SESSIONS_PER_REQUEST);
        sessions
    }

    /// Whether the request goes on with a session cookie from before the roll-out.
    #[must_use]
    pub fn has_unsealed(&self) -> bool {
        let mut held = self.cookies.iter().map(|(_, held)| held);
        held.any(|held| matches!(held, Held::Unsealed(_)))
    }

    /// Whether there were more seals than a request may have.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The `Cookie` header to forward.
    #[must_use]
    pub fn to_header(&self, standing: &Standing, now: Timestamp) -> Option<String> {
        cookie::join(self.cookies.iter().filter_map(|(name, held)| {
            match held {
                Held::Plain(value) | Held::Unsealed(value) => Some((name.as_str(), value.as_str())),
                Held::Sealed(sealed) => goes_along(sealed.owner(), standing, now)
                    .then_some((name.as_str(), sealed.contents.value.as_str())),
            }
        }))
    }

    /// Whose the value of that line is already, if the request went out with that very value.
    #[must_use]
    pub fn came_in(&self, line: &SetCookie, standing: &Standing, now: Timestamp) -> Option<Owner> {
        let unsealed = Owner {
            session: None,
            since: now,
            at_login: false,
        };
        self.cookies
            .iter()
            .filter(|(name, _)| *name == line.name)
            .find_map(|(_, held)| match held {
                Held::Plain(_) => None,
                Held::Unsealed(value) => (*value == line.value).then_some(unsealed),
                Held::Sealed(sealed) => {
                    let is_same = sealed.contents.value == line.value;
                    (is_same && goes_along(sealed.owner(), standing, now)).then(|| *sealed.owner())
                }
            })
    }

    /// The unbound owner from which a value of that name that rolls takes its age: the oldest. What a
    /// login path set a moment ago may go on under another name.
    #[must_use]
    pub fn unbound(&self, name: &str, standing: &Standing, now: Timestamp) -> Option<Owner> {
        self.going_along(standing, now)
            .map(|(sealed_name, sealed)| (sealed_name, *sealed.owner()))
            .filter(|(_, owner)| owner.session.is_none())
            .filter(|(sealed_name, owner)| *sealed_name == name || owner.at_login)
            .map(|(_, owner)| owner)
            .min_by_key(|owner| (!owner.at_login, owner.since))
    }

    /// The cookies that an announced session takes over although the answer does not renew them.
    pub fn taken_over(
        &self,
        app: &App,
        named: &Session,
        standing: &Standing,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &Contents)> {
        self.going_along(standing, now)
            .filter(move |(name, sealed)| is_taken_over(app, name, sealed.owner(), named, now))
            .map(|(name, sealed)| (name, &*sealed.contents))
    }

    /// Removals of the sealed cookies that did not go along, except those that the answer sets
    /// anew at the same place.
    #[must_use]
    pub fn removals(
        &self,
        standing: &Standing,
        now: Timestamp,
        request_path: &str,
        answer: &[SetCookie],
    ) -> Vec<String> {
        self.removals_where(|name, sealed| {
            !goes_along(sealed.owner(), standing, now)
                && !answer
                    .iter()
                    .any(|line| replaces(line, request_path, name, sealed))
        })
    }

    /// Removals of the sealed cookies that no login has bound: the app may have attached a login
    /// to them that is not delivered.
    #[must_use]
    pub fn removals_of_unbound(&self) -> Vec<String> {
        self.removals_where(|_, sealed| sealed.owner().session.is_none())
    }

    /// Removals of every sealed cookie.
    #[must_use]
    pub fn removals_of_all(&self) -> Vec<String> {
        self.removals_where(|_, _| true)
    }

    fn removals_where(&self, goes: impl Fn(&str, &Sealed) -> bool) -> Vec<String> {
        self.sealed()
            .filter(|(name, sealed)| goes(name, sealed))
            .flat_map(|(name, sealed)| sealed.removals(name, 0))
            .collect()
    }

    /// Removals of the pieces that are left of the cookie that `line` sets or removes, where that
    /// takes only so many `pieces` now.
    #[must_use]
    pub fn leftovers(&self, line: &SetCookie, request_path: &str, pieces: usize) -> Vec<String> {
        self.sealed()
            .filter(|(name, sealed)| replaces(line, request_path, name, sealed))
            .flat_map(|(name, sealed)| sealed.removals(name, pieces))
            .collect()
    }

    /// Whether an answer leaves none of the app's session cookies of a session that had some.
    #[must_use]
    pub fn is_emptied_by(
        &self,
        app: &App,
        session: &Session,
        request_path: &str,
        answer: &[SetCookie],
    ) -> bool {
        let is_its = |sealed: &Sealed| {
            let owner = sealed.owner().session;
            owner.is_some_and(|owner| owner.id == session.id)
        };
        let held = || {
            self.sealed()
                .filter(|(name, sealed)| app.session_cookies.contain(name) && is_its(sealed))
        };
        let is_left = |name: &str, sealed: &Sealed| {
            let last = answer
                .iter()
                .rfind(|line| replaces(line, request_path, name, sealed));
            last.is_none_or(|line| !line.removes)
        };
        let sets_another = answer.iter().enumerate().any(|(position, line)| {
            let removed_after = answer.iter().skip(position.saturating_add(1)).any(|later| {
                later.removes
                    && later.name == line.name
                    && later.place(request_path) == line.place(request_path)
            });
            app.session_cookies.contain(&line.name) && !line.removes && !removed_after
        });
        held().next().is_some()
            && !sets_another
            && !held().any(|(name, sealed)| is_left(name, sealed))
    }
}

/// The pairs of a header, those of the app's session cookies set apart even where they are folded.
fn pairs<'a>(app: &App, header: &'a str) -> Vec<(&'a str, &'a str)> {
    cookie::pairs(header, |name, value| {
        is_seal(value) || app.session_cookies.may_mean(name)
    })
}

fn is_seal(value: &str) -> bool {
    seal::is_claimed_by(value) || pieces::is_claimed_by(value)
}

/// What becomes of a cookie that is no seal that opens; none if it is withheld.
fn unsealed(app: &App, name: &str, value: &str, is_accepted: bool) -> Option<Held> {
    // A seal without a name may look like one before another pair.
    if is_seal(name) || is_seal(value) || name == REDIRECTED {
        None
    } else if !app.session_cookies.may_mean(name) {
        Some(Held::Plain(value.to_owned()))
    } else {
        is_accepted.then(|| Held::Unsealed(value.to_owned()))
    }
}

/// Whether a line sets or removes that very cookie: the same name at the same place.
fn replaces(line: &SetCookie, request_path: &str, name: &str, sealed: &Sealed) -> bool {
    line.name == name && line.place(request_path) == sealed.place()
}

/// Whether an announced session takes a cookie over: a session cookie that was set on a login path a
/// moment ago, or whatever is another session's of the same user. Copies of the latter die with that
/// session.
#[must_use]
pub fn is_taken_over(
    app: &App,
    name: &str,
    owner: &Owner,
    named: &Session,
    now: Timestamp,
) -> bool {
    let is_theirs = owner
        .session
        .is_some_and(|held| held.subject == named.subject && held.id != named.id);
    let is_waiting = owner.at_login
        && app.announce.is_made_by_the_app()
        && now < owner.since.plus(limits::LATE_ANNOUNCEMENT)
        && app.session_cookies.contain(name);
    is_theirs || is_waiting
}

fn goes_along(owner: &Owner, standing: &Standing, now: Timestamp) -> bool {
    // Whoever logs in there: until an announcement says who, the cookie may be anybody's.
    let is_late = owner.at_login && now >= owner.since.plus(limits::LATE_ANNOUNCEMENT);
    match (owner.session, standing) {
        _ if is_late => false,
        (None, _) => now < owner.since.plus(limits::UNBOUND_LIFETIME),
        (Some(held), Standing::Live(live)) => held.id == live.id,
        (Some(_), _) => false,
    }
}
