//! The gate and the proxy: what happens to each request for an app.
//!
//! Open the seals, ask whether the session lives, forward, learn from the answer who logged in,
//! seal what the app sets. Whatever goes wrong on the way, nothing is forwarded as logged in.

mod login;

use super::{
    audit::{Class, Event},
    ports::{Sessions, Unavailable, World, within},
    sealing,
};
use crate::domain::{
    config::{App, Config},
    cookie::{self, SetCookie},
    gate::{self, Incoming, Jar, Outgoing, Owners, Passage, Standing},
    limits,
    seal::{Authority, Binding, Contents},
    session::{Life, Session},
    time::Timestamp,
};

/// The header in which an app's answer announces a login: the ID token it received.
pub const ANNOUNCEMENT: &str = "edge-logout-id-token";

/// A request, as far as the gate looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// Host and port.
    pub host: &'a str,
    /// Path, as sent.
    pub path: &'a str,
    /// The `Cookie` header.
    pub cookies: Option<&'a str>,
    /// Whether a person is looking at a page that this request loads.
    pub is_navigation: bool,
}

/// What the gate changes in a request before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The `Cookie` header to send.
    pub cookies: CookieHeader,
    /// Whether conditions and ranges are taken out, so that the answer is a whole new one.
    pub unconditional: bool,
}

/// What becomes of a `Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieHeader {
    /// It goes on as it came, byte for byte.
    Unchanged,
    /// It is replaced; none to send none.
    Replaced(Option<String>),
}

/// An answer of the app, as far as the gate looks at it.
pub trait Reply {
    /// HTTP status.
    fn status(&self) -> u16;
    /// A header's value, several joined with commas.
    fn header(&self, name: &str) -> Option<String>;
    /// The `Set-Cookie` lines, in order.
    fn set_cookies(&self) -> Vec<String>;
}

/// The app, behind the gate.
pub trait Origin {
    /// Its answers.
    type Reply: Reply;

    /// Sends the request on, with these changes.
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
    /// Whether the announcement is taken out.
    pub drop_announcement: bool,
    /// `Cache-Control` in place of the app's.
    pub cache_control: Option<&'static str>,
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
}

/// The answers that the gate gives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnKind {
    /// 405: a method that is never forwarded.
    MethodNotAllowed,
    /// 401: done signed in, and not signed in any more.
    Unauthorized,
    /// 303 to the same URL.
    SeeOther,
    /// 409: just signed out, so this login does not count.
    SignedOut,
    /// 502: the app's answer cannot be delivered.
    BadGateway,
    /// 503: we, or the OP's keys, are not available.
    Unavailable,
}

impl Own {
    const fn new(kind: OwnKind, code: &'static str) -> Self {
        Self {
            kind,
            code,
            set_cookies: Vec::new(),
        }
    }
}

impl From<Unavailable> for Own {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(OwnKind::Unavailable, unavailable.0)
    }
}

/// The gate of one app, for one request.
pub struct Front<'a, W, S> {
    /// The world.
    pub world: &'a W,
    /// Where the app's sessions live.
    pub sessions: &'a S,
    /// The configuration.
    pub config: &'a Config,
    /// The app that the request is for.
    pub app: &'a App,
    /// The request.
    pub request: Request<'a>,
}

impl<W: World, S: Sessions> Front<'_, W, S> {
    /// Serves the request.
    pub async fn serve<O: Origin>(&self, origin: &O) -> Served<O::Reply> {
        match self.pass(origin).await {
            Ok((reply, changes)) => Served::Reply(reply, changes),
            Err(own) => {
                let event = Event::new(own.code, &self.app.name);
                self.world.record(&match own.kind {
                    OwnKind::Unavailable => event,
                    _ => event.class(Class::Refused),
                });
                Served::Own(own)
            }
        }
    }

    async fn pass<O: Origin>(&self, origin: &O) -> Result<(O::Reply, Changes), Own> {
        let (jar, is_touched) = self.open().await?;
        let standing = self.standing(&jar).await?;
        let now = self.world.now();
        let own = |kind, code| {
            Err(Own {
                set_cookies: jar.removals(&standing, now, self.request.path, &[]),
                ..Own::new(kind, code)
            })
        };
        match gate::passage(&standing, self.request.method, self.request.is_navigation) {
            Passage::Forward => {}
            Passage::Refused => return own(OwnKind::MethodNotAllowed, "method_never_forwarded"),
            Passage::Unauthorized => return own(OwnKind::Unauthorized, "unsafe_after_end"),
            Passage::SeeOther => return own(OwnKind::SeeOther, "unsafe_after_end"),
        }
        let forward = Forward {
            cookies: if is_touched {
                CookieHeader::Replaced(jar.to_header(&standing, now))
            } else {
                CookieHeader::Unchanged
            },
            unconditional: standing.is_ended(),
        };
        let reply = origin
            .send(&forward)
            .await
            .map_err(|Unavailable(code)| Own::new(OwnKind::BadGateway, code))?;
        let changes = self.take_back(&jar, &standing, &reply).await?;
        Ok((reply, changes))
    }

    /// Opens the seals among the request's cookies, and says whether it holds anything but cookies
    /// that are none of our business.
    async fn open(&self) -> Result<(Jar, bool), Unavailable> {
        let cookies: Vec<_> = cookie::pairs(self.request.cookies.unwrap_or_default())
            .map(|(name, value)| (name, value, gate::sort(self.app, name, value)))
            .collect();
        let is_touched = cookies
            .iter()
            .any(|(_, _, incoming)| *incoming != Incoming::Plain);
        // Opening costs: other apps' cookies never take the places of the app's own.
        let is_listed = |name: &str| self.app.session_cookies.contain(name);
        let listed = cookies
            .iter()
            .filter(|(name, _, incoming)| is_sealed(incoming) && is_listed(name))
            .count();
        let mut places = (
            limits::SEALS_PER_REQUEST,
            limits::SEALS_PER_REQUEST.saturating_sub(listed),
        );
        let mut jar = Jar::default();
        for (name, value, incoming) in cookies {
            let place = if is_listed(name) {
                &mut places.0
            } else {
                &mut places.1
            };
            match incoming {
                Incoming::Plain => jar.add_plain(name, value),
                Incoming::Sealed(seal) if *place > 0 => {
                    *place = place.saturating_sub(1);
                    let key = &self.config.seal_key;
                    if let Some(contents) =
                        sealing::open(self.world, key, self.app, name, &seal).await?
                    {
                        jar.add_sealed(name, contents);
                    }
                }
                Incoming::Sealed(_) | Incoming::Withheld => {}
            }
        }
        Ok((jar, is_touched))
    }

    /// Asks the store about the session that the request carries, if any.
    async fn standing(&self, jar: &Jar) -> Result<Standing, Unavailable> {
        let Some(session) = jar.session() else {
            return Ok(Standing::Anonymous);
        };
        let life = within(
            self.world,
            limits::GATE_DEADLINE,
            self.sessions.alive(&session),
        );
        Ok(match life.await? {
            Life::Alive => Standing::Live(session),
            Life::Ended(by) => {
                let of = session.sid.0.short();
                self.world
                    .record(&Event::new(by.code(), &self.app.name).of(of));
                Standing::Ended(session, by)
            }
        })
    }

    /// Learns from the answer who logged in, and seals what it sets.
    async fn take_back(
        &self,
        jar: &Jar,
        standing: &Standing,
        reply: &impl Reply,
    ) -> Result<Changes, Own> {
        let now = self.world.now();
        let raw_lines = reply.set_cookies();
        let read: Vec<Option<SetCookie>> = raw_lines
            .iter()
            .map(|line| SetCookie::parse(line, now))
            .collect();
        let lines: Vec<SetCookie> = read.iter().flatten().cloned().collect();
        let announcement = reply.header(ANNOUNCEMENT);
        let born = match announcement.as_deref() {
            Some(token) if !token.trim().is_empty() => {
                match self.birth(token, jar, standing, reply, &lines).await {
                    Ok(born) => born,
                    Err(own) => return Err(self.undelivered(own, jar, standing, &lines).await),
                }
            }
            _ => None,
        };
        let owners = Owners {
            standing,
            born: born.as_ref(),
        };
        let mut set_cookies = Vec::new();
        let mut sealed_any = false;
        for (raw, line) in raw_lines.iter().zip(&read) {
            let Some(line) = line else {
                set_cookies.push(raw.clone());
                continue;
            };
            let host = self.request.host;
            match gate::judge_line(self.config, self.app, host, jar, line, owners, now) {
                Outgoing::Plain => set_cookies.push(raw.clone()),
                Outgoing::Removal(removal) => set_cookies.push(removal),
                Outgoing::Sealed(binding) => match (self.seal(line, binding, now).await, &born) {
                    (Ok(sealed), _) => {
                        set_cookies.push(sealed);
                        sealed_any = true;
                    }
                    (Err(own), None) => return Err(own),
                    (Err(own), Some(born)) => {
                        self.end_one(born, "session_replaced").await;
                        return Err(self.undelivered(own, jar, standing, &lines).await);
                    }
                },
                Outgoing::Dropped => self.world.record(
                    &Event::new("foreign_session_cookie_dropped", &self.app.name)
                        .cookie(&line.name),
                ),
            }
        }
        if let Standing::Live(session) = standing {
            if born.is_some() {
                self.end_one(session, "session_replaced").await;
            } else if jar.is_emptied_by(self.app, session, self.request.path, &lines) {
                self.end_one(session, "session_cleared_by_app").await;
            }
        }
        set_cookies.extend(jar.removals(standing, now, self.request.path, &lines));
        Ok(Changes {
            set_cookies: (set_cookies != raw_lines).then_some(set_cookies),
            drop_announcement: announcement.is_some(),
            cache_control: if standing.is_ended() {
                Some("no-store")
            } else if sealed_any && !is_private(reply) {
                Some("private, no-cache")
            } else {
                None
            },
        })
    }

    async fn seal(
        &self,
        line: &SetCookie,
        binding: Binding,
        now: Timestamp,
    ) -> Result<String, Own> {
        if !self.app.session_cookies.contain(&line.name)
            && self
                .world
                .is_news(format!("{}/{}", self.app.name, line.name))
        {
            // So that the operator can complete the list.
            let event = Event::new("http_only_cookie_sealed", &self.app.name);
            self.world.record(&event.cookie(&line.name));
        }
        let contents = Contents {
            authority: Authority::Kv,
            binding,
            sealed_at: now,
            attributes: line.attributes_for_removal(self.request.path),
            value: line.value.clone(),
        };
        let key = &self.config.seal_key;
        let value = sealing::seal(self.world, key, self.app, &line.name, &contents).await?;
        if line.name.len().saturating_add(value.len()) > limits::COOKIE_BYTES {
            return Err(Own::new(OwnKind::BadGateway, "cookie_too_large"));
        }
        Ok(line.with_value(&value))
    }

    /// Ends a session that the app itself has left. Nobody ordered this logout:
    /// if the store fails, the user's request does not.
    async fn end_one(&self, session: &Session, done: &'static str) {
        let work = self.sessions.end_one(session);
        let code = match within(self.world, limits::GATE_DEADLINE, work).await {
            Ok(()) => done,
            Err(_) => "left_session_not_deleted",
        };
        let event = Event::new(code, &self.app.name);
        self.world.record(&event.of(session.sid.0.short()));
    }
}

const fn is_sealed(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Sealed(_))
}

fn is_private(reply: &impl Reply) -> bool {
    reply.header("cache-control").is_some_and(|directives| {
        directives.split(',').any(|directive| {
            let directive = directive.trim();
            directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store")
        })
    })
}

#[cfg(test)]
mod tests;
