//! The gate's decisions: which cookies a request takes along, what becomes of an ended session's
//! request, and whose the cookies of an answer are.

use super::{
    config::{App, Config},
    cookie::{self, SetCookie},
    limits, route,
    seal::{Authority, Binding, Contents, Seal},
    session::{EndedBy, Session},
    time::Timestamp,
};

/// What a cookie of a request is, before any seal is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// None of our business: forwarded as it is.
    Plain,
    /// A seal, to be opened.
    Sealed(Seal),
    /// Never forwarded: a session cookie that we did not seal, or a seal of another make.
    Withheld,
}

/// Sorts one cookie of a request to `app`.
#[must_use]
pub fn sort(app: &App, name: &str, value: &str) -> Incoming {
    if Seal::is_claimed_by(value) {
        Seal::parse(value).map_or(Incoming::Withheld, Incoming::Sealed)
    } else if app.session_cookies.contain(trim(name)) {
        Incoming::Withheld
    } else {
        Incoming::Plain
    }
}

/// A name as the most generous server reads it.
fn trim(name: &str) -> &str {
    name.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// The cookies of one request that may concern the app, in their order.
#[derive(Debug, Default)]
pub struct Jar(Vec<(String, Held)>);

#[derive(Debug)]
enum Held {
    Plain(String),
    Sealed(Contents),
}

impl Jar {
    /// Adds a cookie that is none of our business.
    pub fn add_plain(&mut self, name: &str, value: &str) {
        self.0
            .push((name.to_owned(), Held::Plain(value.to_owned())));
    }

    /// Adds an opened seal. One of another authority is refused: changing the mode signs everybody
    /// in again once, and loses no logout.
    pub fn add_sealed(&mut self, name: &str, contents: Contents) {
        if contents.authority == Authority::Kv {
            self.0.push((name.to_owned(), Held::Sealed(contents)));
        }
    }

    fn sealed(&self) -> impl Iterator<Item = (&str, &Contents)> {
        self.0.iter().filter_map(|(name, held)| match held {
            Held::Sealed(contents) => Some((name.as_str(), contents)),
            Held::Plain(_) => None,
        })
    }

    /// The session the request carries: one at most, the latest if there are several.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        self.sealed()
            .filter_map(|(_, contents)| match contents.binding {
                Binding::Session(session) => Some(session),
                Binding::Unbound { .. } => None,
            })
            .max_by_key(|session| session.registered_at)
    }

    /// The `Cookie` header to forward.
    #[must_use]
    pub fn to_header(&self, standing: &Standing, now: Timestamp) -> Option<String> {
        cookie::join(self.0.iter().filter_map(|(name, held)| match held {
            Held::Plain(value) => Some((name.as_str(), value.as_str())),
            Held::Sealed(contents) if goes_along(contents, standing, now) => {
                Some((name.as_str(), contents.value.as_str()))
            }
            Held::Sealed(_) => None,
        }))
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
        self.removals_where(|name, contents| {
            !goes_along(contents, standing, now)
                && !answer
                    .iter()
                    .any(|line| replaces(line, request_path, name, contents))
        })
    }

    /// Removals of the sealed cookies that no login has bound: the app may have attached a login
    /// to them that is not delivered.
    #[must_use]
    pub fn removals_of_unbound(&self) -> Vec<String> {
        self.removals_where(|_, contents| matches!(contents.binding, Binding::Unbound { .. }))
    }

    /// Removals of every sealed cookie.
    #[must_use]
    pub fn removals_of_all(&self) -> Vec<String> {
        self.removals_where(|_, _| true)
    }

    fn removals_where(&self, goes: impl Fn(&str, &Contents) -> bool) -> Vec<String> {
        self.sealed()
            .filter(|(name, contents)| goes(name, contents))
            .map(|(name, contents)| cookie::removal(name, &contents.attributes))
            .collect()
    }

    /// The cookie of that name and value with which the request went out.
    fn came_in(&self, line: &SetCookie, standing: &Standing, now: Timestamp) -> Option<&Contents> {
        self.sealed()
            .filter(|(_, contents)| goes_along(contents, standing, now))
            .find(|(name, contents)| *name == line.name && contents.value == line.value)
            .map(|(_, contents)| contents)
    }

    /// When the oldest unbound cookie of that name was first seen.
    fn unbound_since(&self, name: &str) -> Option<Timestamp> {
        self.sealed()
            .filter(|(sealed, _)| *sealed == name)
            .filter_map(|(_, contents)| match contents.binding {
                Binding::Unbound { since } => Some(since),
                Binding::Session(_) => None,
            })
            .min()
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
        let is_its = |contents: &Contents| matches!(contents.binding, Binding::Session(held) if held.id == session.id);
        let held = || {
            self.sealed()
                .filter(|(name, contents)| app.session_cookies.contain(name) && is_its(contents))
        };
        let is_left = |name: &str, contents: &Contents| {
            let last = answer
                .iter()
                .rfind(|line| replaces(line, request_path, name, contents));
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
            && !held().any(|(name, contents)| is_left(name, contents))
    }
}

/// Whether a line sets or removes that very cookie: the same name at the same place.
fn replaces(line: &SetCookie, request_path: &str, name: &str, contents: &Contents) -> bool {
    line.name == name && line.place(request_path) == cookie::place(&contents.attributes)
}

fn goes_along(contents: &Contents, standing: &Standing, now: Timestamp) -> bool {
    match (contents.binding, standing) {
        (Binding::Unbound { since }, _) => now < since.plus(limits::UNBOUND_LIFETIME),
        (Binding::Session(held), Standing::Live(live)) => held.id == live.id,
        (Binding::Session(_), _) => false,
    }
}

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

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// To the app.
    Forward,
    /// Not: the user did this signed in and is not any more. Answered with 401.
    Unauthorized,
    /// Not: `TRACE` would show the app's own cookies to the client. Answered with 405.
    Refused,
    /// Not, and it is a page: sent back to the same URL with GET.
    SeeOther,
}

/// An ended session's unsafe request never reaches the app; everything else does.
#[must_use]
pub fn passage(standing: &Standing, method: &str, is_navigation: bool) -> Passage {
    match (standing, method) {
        (_, "TRACE") => Passage::Refused,
        (Standing::Ended(..), "GET" | "HEAD" | "OPTIONS") => Passage::Forward,
        (Standing::Ended(..), _) if is_navigation => Passage::SeeOther,
        (Standing::Ended(..), _) => Passage::Unauthorized,
        _ => Passage::Forward,
    }
}

/// What an answer says of itself, as far as an announcement in it counts.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Age`.
    pub age: Option<&'a str>,
    /// `CF-Cache-Status`.
    pub cache_status: Option<&'a str>,
}

/// Whether an announcement in this answer counts: the app's own, for this request, and neither an
/// error nor from a cache.
#[must_use]
pub fn may_announce(answer: &Credentials<'_>) -> bool {
    const CACHED: [&str; 4] = ["HIT", "STALE", "UPDATING", "REVALIDATED"];
    (200..400).contains(&answer.status)
        && answer.age.is_none()
        && !answer.cache_status.is_some_and(|status| {
            CACHED
                .iter()
                .any(|cached| status.eq_ignore_ascii_case(cached))
        })
}

/// What becomes of one `Set-Cookie` line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Delivered as it is.
    Plain,
    /// Delivered without the app's value: it removes a cookie that we seal.
    Removal(String),
    /// Sealed, with this binding.
    Sealed(Binding),
    /// Not delivered: the name is protected by another app on this host.
    Dropped,
}

/// The sessions an answer's cookies may belong to.
#[derive(Clone, Copy, Debug)]
pub struct Owners<'a> {
    /// As whom the request went out.
    pub standing: &'a Standing,
    /// The session that this answer began.
    pub born: Option<&'a Session>,
}

/// Decides about one line. `born` takes exactly the values that did not come in with the request;
/// without it the cookies belong to the session as which the request went out, even if that has
/// ended meanwhile.
#[must_use]
pub fn judge_line(
    config: &Config,
    app: &App,
    host: &str,
    jar: &Jar,
    line: &SetCookie,
    owners: Owners<'_>,
    now: Timestamp,
) -> Outgoing {
    let is_listed = app.session_cookies.contain(&line.name);
    if !is_listed && route::is_protected_by_another(config, app, host, &line.name) {
        return Outgoing::Dropped;
    }
    if !is_listed && (!line.http_only || app.never.contain(&line.name)) {
        return Outgoing::Plain;
    }
    if line.removes {
        return Outgoing::Removal(line.with_value(""));
    }
    let earlier = jar
        .came_in(line, owners.standing, now)
        .map(|held| held.binding);
    // A value that rolls stays as old as the first: none becomes immortal unannounced.
    let since = jar.unbound_since(&line.name).unwrap_or(now);
    Outgoing::Sealed(match (owners.born, owners.standing.live()) {
        (Some(born), _) => earlier.unwrap_or(Binding::Session(*born)),
        (None, Some(session)) => Binding::Session(*session),
        (None, None) => earlier.unwrap_or(Binding::Unbound { since }),
    })
}

/// Whether an answer that announces a login sets a session cookie to a value that did not come
/// in. Without one there is nothing to bind, and a logged-in cookie would stay unbound.
#[must_use]
pub fn renews_a_cookie(
    app: &App,
    jar: &Jar,
    standing: &Standing,
    answer: &[SetCookie],
    now: Timestamp,
) -> bool {
    answer.iter().any(|line| {
        app.session_cookies.contain(&line.name)
            && !line.removes
            && jar.came_in(line, standing, now).is_none()
    })
}
