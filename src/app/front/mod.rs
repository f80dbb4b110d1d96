//! The gate and the proxy: what happens to each request for an app.
//!
//! Open the seals, ask whether the session lives, forward, learn from the answer who logged in,
//! seal what the app sets. Whatever goes wrong on the way, nothing is forwarded as logged in.

mod announcement;
mod answer;
mod callback;
mod login;
mod unmatched;

pub use self::unmatched::Unmatched;
use self::{answer::Answer, callback::Callback};
use super::{
    apart,
    audit::{Class, Event},
    ports::{Codes, Sessions, Unavailable, World, within},
};
pub use crate::domain::gate::Request;
use crate::domain::{
    config::{App, Config},
    gate::{self, Exchange, Passage},
    jar::{Jar, REDIRECTED, Standing},
    limits,
    opened::Opened,
    refusal::Refusal,
    route::{self, Place},
    session::{Life, Session},
    time::Timestamp,
    url::{self, RequestUrl},
};

/// What the gate changes in a request before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The `Cookie` header to send.
    pub cookies: CookieHeader,
    /// Path and query to ask for, if not those of the request.
    pub target: Option<(String, String)>,
    /// Whether conditions and ranges are taken out, so that the answer is a whole new one.
    pub unconditional: bool,
    /// Whether an answer that is not telling is the client's as it comes, and nothing is to be done with it.
    pub hands_over: bool,
}

impl Forward {
    /// The request goes on as it came, and its answer.
    pub const UNCHANGED: Self = Self {
        cookies: CookieHeader::Unchanged,
        target: None,
        unconditional: false,
        hands_over: true,
    };
}

/// What becomes of a `Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieHeader {
    /// It goes on as it came, byte for byte.
    Unchanged,
    /// It is replaced; none to send none.
    Replaced(Option<String>),
}

impl CookieHeader {
    fn of(jar: &Jar, standing: &Standing, now: Timestamp) -> Self {
        if jar.is_untouched() {
            Self::Unchanged
        } else {
            Self::Replaced(jar.to_header(standing, now))
        }
    }
}

/// The headers by which an answer tells something of logins or cookies, of any app.
#[must_use]
pub fn telling(config: &Config) -> Vec<&str> {
    let mut names = vec!["set-cookie", answer::CLEARED];
    for app in &config.apps {
        for name in announcement::headers(app) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// An answer of the app, as far as the gate looks at it.
pub trait Reply {
    /// HTTP status.
    fn status(&self) -> u16;
    /// Whether it has one of the headers in [`telling`]: most have none, and need not be read any further.
    fn is_telling(&self) -> bool;
    /// A header's value, several joined with commas.
    fn header(&self, name: &str) -> Option<String>;
    /// The `Set-Cookie` lines, in order.
    fn set_cookies(&self) -> Vec<String>;
}

/// The app, behind the gate, and what else there is to know of the request for it.
pub trait Origin {
    /// Its answers.
    type Reply: Reply;

    /// Whether a person is looking at a page that the request loads.
    fn is_navigation(&self) -> bool;

    /// The page that the request comes from, as the client says.
    fn referer(&self) -> Option<String>;

    /// The form in the body of the request, if it has one. The request can be sent all the same.
    ///
    /// # Errors
    /// [`Refusal`] if it is too large, does not come, or is something else than a form that every
    /// server reads alike ([`Refusal::ContentType`]).
    async fn form(&self) -> Result<Option<Vec<u8>>, Refusal>;

    /// Sends the request on, with these changes. Where the answer [is handed over](Forward::hands_over), this need
    /// never come back: what follows is for other answers alone.
    ///
    /// # Errors
    /// [`Unavailable`] if no answer comes.
    async fn send(&self, forward: &Forward) -> Result<Self::Reply, Unavailable>;
}

/// What the client gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Served<R> {
    /// The app's answer, with changes.
    Reply(R, Changes),
    /// An answer of our own.
    Own(Own),
}

/// Changes to an app's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The `Set-Cookie` lines to send in place of the app's, if they differ.
    pub set_cookies: Option<Vec<String>>,
    /// Headers that are taken out: announcements.
    pub drop_headers: Vec<String>,
    /// `Cache-Control` in place of the app's.
    pub cache_control: Option<&'static str>,
    /// Whether what tells shared caches otherwise is taken out.
    pub is_private: bool,
}

/// An answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Which.
    pub kind: OwnKind,
    /// The stable code that the log shows.
    pub code: &'static str,
    /// `Set-Cookie` lines.
    pub set_cookies: Vec<String>,
    /// Where a redirect leads.
    pub location: Option<String>,
}

/// The answers that the gate gives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnKind {
    /// 400: what the OP sends cannot be read.
    BadRequest,
    /// 405: a method that is never forwarded.
    MethodNotAllowed,
    /// 401: done signed in, and not signed in any more.
    Unauthorized,
    /// 303: not done signed in; see there instead.
    SeeOther,
    /// 409: just signed out, so this login does not count.
    SignedOut,
    /// 502: the app's answer cannot be delivered.
    BadGateway,
    /// 503: we, or the OP's keys, are not available.
    Unavailable,
}

impl Own {
    /// One without cookies.
    #[must_use]
    pub const fn new(kind: OwnKind, code: &'static str) -> Self {
        Self {
            kind,
            code,
            set_cookies: Vec::new(),
            location: None,
        }
    }
}

impl From<Unavailable> for Own {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(OwnKind::Unavailable, unavailable.0)
    }
}

/// The gate of one app, for one request.
pub struct Front<'a, W, S, C> {
    /// The world.
    pub world: &'a W,
    /// Where the app's sessions live.
    pub sessions: &'a S,
    /// What is known of authorization codes.
    pub codes: &'a C,
    /// The configuration.
    pub config: &'a Config,
    /// The app that the request is for.
    pub app: &'a App,
    /// The request.
    pub request: Request<'a>,
}

impl<W: World, S: Sessions, C: Codes> Front<'_, W, S, C> {
    /// Serves the request.
    pub async fn serve<O: Origin>(&self, origin: &O) -> Served<O::Reply> {
        match self.pass(origin).await {
            Ok((reply, changes)) => Served::Reply(reply, changes),
            Err(own) => {
                let event = Event::new(own.code, Some(self.app));
                self.world.record(&match own.kind {
                    OwnKind::Unavailable => event,
                    _ => event.class(Class::Refused),
                });
                Served::Own(own)
            }
        }
    }

    async fn pass<O: Origin>(&self, origin: &O) -> Result<(O::Reply, Changes), Own> {
        let Request {
            path,
            query,
            arrived,
            ..
        } = self.request;
        let header = self.request.cookies;
        let callback = self.callback(origin).await?;
        let jar = if self.app.is_anonymous_at(path) {
            Jar::without_sessions(header, |name| self.app.session_cookies.may_mean(name))
        } else {
            let open =
                |known: &mut Opened| Jar::open(self.config, self.app, header, known, arrived);
            self.world.with_opened(open)
        };
        if jar.is_cut()
            && self
                .world
                .is_news(format!("too_many_seals/{}", self.app.name))
        {
            self.world
                .record(&Event::new("too_many_seals", Some(self.app)));
        }
        let standing = within(self.world, limits::GATE_DEADLINE, self.standing(&jar)).await?;
        let now = self.world.now();
        let removals = jar.removals(&standing, now, path, &[]);
        let removes_any = !removals.is_empty();
        // A login goes on, whatever has become of an earlier session: nothing of that goes along.
        if callback.is_none() {
            self.admit(&jar, &standing, removals, origin)?;
        }

        let target = url::without_session_ids(self.app, path, query);
        if target.is_some() {
            self.world
                .record(&Event::new("session_id_in_url_removed", Some(self.app)));
        }
        match &callback {
            Some(Callback::Code(code, id)) => apart(self.open(code, *id)).await?,
            Some(Callback::IdToken(login)) => {
                apart(self.check_user(login, &standing, &jar)).await?;
            }
            Some(Callback::Refused) | None => {}
        }
        let forward = Forward {
            cookies: CookieHeader::of(&jar, &standing, now),
            target,
            unconditional: standing.is_ended(),
            hands_over: callback.is_none() && !standing.is_ended() && !removes_any,
        };
        let reply = match origin.send(&forward).await {
            Ok(reply) => reply,
            Err(Unavailable(code)) => {
                if let Some(Callback::Code(code, id)) = &callback {
                    // What the app may still do with the code must not be a login.
                    let _ = apart(self.close(code, *id)).await;
                }
                return Err(Own::new(OwnKind::BadGateway, code));
            }
        };
        let answer = Answer {
            exchange: Exchange {
                config: self.config,
                app: self.app,
                host: self.request.host,
                path,
                jar: &jar,
                standing: &standing,
                may_log_in: match callback {
                    Some(Callback::Refused) => standing.live().is_none(),
                    _ => self.app.announces_late_at(path),
                },
                now: self.world.now(),
            },
            callback: callback.as_ref(),
            reply: &reply,
        };
        let changes = self.take_back(&answer).await?;
        Ok((reply, changes))
    }

    /// Whether the request goes on.
    fn admit(
        &self,
        jar: &Jar,
        standing: &Standing,
        mut set_cookies: Vec<String>,
        origin: &impl Origin,
    ) -> Result<(), Own> {
        let is_navigation = standing.is_ended() && origin.is_navigation();
        let passage = gate::passage(self.app, standing, jar, &self.request, is_navigation);
        let (kind, code, location) = match passage {
            Passage::Forward => return Ok(()),
            Passage::Refused => (OwnKind::MethodNotAllowed, "method_never_forwarded", None),
            Passage::Unauthorized => (OwnKind::Unauthorized, "ended_unauthorized", None),
            Passage::Back => {
                let back = origin.referer().filter(|page| self.is_ours(page));
                let back = back.unwrap_or_else(|| self.request.url.to_owned());
                (OwnKind::SeeOther, "ended_unsafe", Some(back))
            }
            Passage::Redirect(location) => {
                set_cookies.push(format!(
                    "{REDIRECTED}=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=10"
                ));
                let location = location.to_owned();
                (OwnKind::SeeOther, "ended_redirected", Some(location))
            }
        };
        Err(Own {
            kind,
            code,
            set_cookies,
            location,
        })
    }

    /// Whether a page is one of this app: what takes a form may show nothing itself.
    fn is_ours(&self, page: &str) -> bool {
        let pages = (RequestUrl::parse(page), RequestUrl::parse(self.request.url));
        let (Some(from), Some(to)) = pages else {
            return false;
        };
        let place = route::locate(self.config, from.host, from.path);
        let is_ours = matches!(place, Place::App(app, _) if app.id == self.app.id);
        is_ours && (from.scheme, from.host) == (to.scheme, to.host)
    }

    /// Asks the store about the session that the request carries, if any.
    async fn standing(&self, jar: &Jar) -> Result<Standing, Unavailable> {
        let mut standing = Standing::Anonymous;
        for session in jar.sessions() {
            match self.sessions.alive(&session).await? {
                Life::Alive => return Ok(Standing::Live(session)),
                Life::Ended(by) => {
                    let of = session.sid.0.short();
                    self.world
                        .record(&Event::new(by.code(), Some(self.app)).of(of));
                    if standing == Standing::Anonymous {
                        standing = Standing::Ended(session, by);
                    }
                }
            }
        }
        Ok(standing)
    }

    /// Ends a session that the app itself has left. Nobody ordered this logout:
    /// if the store fails, the user's request does not.
    async fn end_one(&self, session: &Session, done: &'static str) {
        let work = apart(self.sessions.end_one(session));
        let code = match within(self.world, limits::GATE_DEADLINE, work).await {
            Ok(()) => done,
            Err(_) => "left_session_not_deleted",
        };
        let event = Event::new(code, Some(self.app));
        self.world.record(&event.of(session.sid.0.short()));
    }
}

#[cfg(test)]
mod tests;
