//! The gate's decisions: what becomes of an ended session's request, which announcements count, and
//! whose the cookies of an answer are.

use super::{
    config::{App, Config, OnEnded},
    cookie::SetCookie,
    jar::{self, Jar, Standing},
    route,
    seal::Owner,
    session::Session,
    time::Timestamp,
    url,
};

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage<'a> {
    /// To the app.
    Forward,
    /// Not: the user did this signed in and is not any more. Answered with 401.
    Unauthorized,
    /// Not: `TRACE` would show the app's own cookies to the client. Answered with 405.
    Refused,
    /// Not, and it is a page: sent back to where it came from.
    Back,
    /// Not, and it is a page: sent where the app wants those whose session has ended.
    Redirect(&'a str),
}

/// A request, as far as the gate looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// When it came.
    pub arrived: Timestamp,
    /// Host and port.
    pub host: &'a str,
    /// Path, as sent.
    pub path: &'a str,
    /// `?` and the query, as sent, or nothing.
    pub query: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// The `Cookie` header, empty if there is none.
    pub cookies: &'a str,
}

/// Whether a request goes on as it came without anybody being asked, and its answer as it comes if that is not
/// telling: it brings no cookie, nothing of a login, and no session in its URL.
#[must_use]
pub fn passes_at_once(app: &App, request: &Request<'_>) -> bool {
    request.cookies.is_empty()
        && request.method != "TRACE"
        && !app.may_be_called_back_at(request.path)
        && url::without_session_ids(app, request.path, request.query).is_none()
}

/// An ended session's unsafe request never reaches the app; others do as `on_ended` says. `is_navigation` says of
/// an ended session's request whether a person is looking at a page that it loads.
#[must_use]
pub fn passage<'a>(
    app: &'a App,
    standing: &Standing,
    jar: &Jar,
    request: &Request<'_>,
    is_navigation: bool,
) -> Passage<'a> {
    let is_safe = matches!(request.method, "GET" | "HEAD" | "OPTIONS");
    match &app.on_ended {
        _ if request.method == "TRACE" => Passage::Refused,
        _ if !standing.is_ended() => Passage::Forward,
        // Preflights carry no cookies, and what says how others may ask must be answered.
        _ if request.method == "OPTIONS" => Passage::Forward,
        OnEnded::Anonymous if is_safe => Passage::Forward,
        OnEnded::Anonymous if is_navigation => Passage::Back,
        OnEnded::Redirect(location) if is_navigation => {
            let is_there = location.split('?').next() == Some(request.path);
            match (is_there || jar.was_redirected(), is_safe) {
                (false, _) => Passage::Redirect(location),
                (true, true) => Passage::Forward,
                (true, false) => Passage::Back,
            }
        }
        OnEnded::Anonymous | OnEnded::Redirect(_) | OnEnded::Unauthorized => Passage::Unauthorized,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Delivered as it is.
    Plain,
    /// Delivered without the app's value: it removes a cookie that we seal.
    Removal,
    /// Sealed, for this owner.
    Sealed(Owner),
    /// Not delivered: the name is protected by another app on this host.
    Foreign,
    /// Delivered as it is although it is `HttpOnly`: hosts that are not the app's get it too, and
    /// could not open a seal.
    Wide,
    /// Not delivered: no browser would keep a cookie as large.
    TooLarge,
}

/// The request and its answer, as far as they say whose a cookie is.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The app that answered.
    pub app: &'a App,
    /// The host that was asked.
    pub host: &'a str,
    /// The path that was asked.
    pub path: &'a str,
    /// The request's cookies.
    pub jar: &'a Jar,
    /// As whom the request went out.
    pub standing: &'a Standing,
    /// Whether the answer may set the cookies of a login that nobody has told of yet.
    pub may_log_in: bool,
    /// When the answer came.
    pub now: Timestamp,
}

impl Exchange<'_> {
    /// Decides about one line, where the answer announces the session `named`. One that it begins
    /// takes the values that did not come in with the request, and those that it takes over. Else
    /// the cookies belong to the session as which the request went out, even if that has ended
    /// meanwhile.
    #[must_use]
    pub fn judge(&self, line: &SetCookie, named: Option<&Session>) -> Outgoing {
        let Self { config, app, .. } = self;
        let is_listed = app.session_cookies.contain(&line.name);
        if !is_listed && route::is_protected_by_another(config, app, self.host, &line.name) {
            return Outgoing::Foreign;
        }
        if !is_listed && (!line.http_only || app.never.contain(&line.name)) {
            return Outgoing::Plain;
        }
        if !is_listed && self.is_wide(line) {
            return Outgoing::Wide;
        }
        if line.removes {
            return Outgoing::Removal;
        }
        if line.is_too_large() {
            return Outgoing::TooLarge;
        }
        let new = Owner {
            session: named.or(self.standing.live()).copied(),
            since: self.now,
            at_login: named.is_none() && self.may_log_in,
        };
        let came_in = self.jar.came_in(line, self.standing, self.now);
        Outgoing::Sealed(match (self.born(named), self.standing.live()) {
            (Some(born), _) => came_in
                .filter(|owner| !jar::is_taken_over(app, &line.name, owner, born, self.now))
                .unwrap_or(new),
            (None, Some(_)) => new,
            (None, None) => self.unbound(line, came_in, new),
        })
    }

    /// The announced session, if this answer begins it.
    #[must_use]
    pub fn born<'a>(&self, named: Option<&'a Session>) -> Option<&'a Session> {
        let is_present = |session: &&Session| {
            let live = self.standing.live();
            live.is_some_and(|live| live.id == session.id)
        };
        named.filter(|session| !is_present(session))
    }

    /// An unbound value that rolls stays as old as the first: none becomes immortal unannounced.
    fn unbound(&self, line: &SetCookie, came_in: Option<Owner>, new: Owner) -> Owner {
        let earlier = self.jar.unbound(&line.name, self.standing, self.now);
        match came_in.or(earlier) {
            // The login cookie follows one from before the login: its minute begins now.
            Some(earlier) if came_in.is_none() && new.at_login && !earlier.at_login => new,
            Some(earlier) => earlier,
            None => new,
        }
    }

    /// Whether a cookie goes to hosts that are none of the app's.
    #[must_use]
    pub fn is_wide(&self, line: &SetCookie) -> bool {
        line.domain
            .as_ref()
            .is_some_and(|domain| !self.app.is_at(domain))
    }

    /// Whether an answer that announces a login sets a session cookie to a value that did not come
    /// in. Without one there is nothing to bind, and a logged-in cookie would stay unbound.
    #[must_use]
    pub fn renews_a_cookie(&self, answer: &[SetCookie]) -> bool {
        answer.iter().any(|line| {
            self.app.session_cookies.contain(&line.name)
                && !line.removes
                && !line.is_too_large()
                && self.jar.came_in(line, self.standing, self.now).is_none()
        })
    }

    /// Whether there is a session cookie that `session` can bind when it begins: one that the answer
    /// renews, or one that it takes over.
    #[must_use]
    pub fn can_be_bound(&self, answer: &[SetCookie], session: &Session) -> bool {
        let taken_over = || {
            self.jar
                .taken_over(self.app, session, self.standing, self.now)
        };
        self.renews_a_cookie(answer)
            || taken_over().any(|(name, _)| self.app.session_cookies.contain(name))
    }
}
