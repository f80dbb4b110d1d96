//! The operator's side: what the Worker tells of itself, and what may be done about sessions.
//!
//! From a request to an answer, both as HTTP shows them. Whose request it is comes first, and whoever
//! is nobody hears the same, whatever is wrong.

mod checks;
mod orders;
mod overview;

use std::rc::Rc;

use serde_json::{Value, json};

use super::{
    audit::{Class, Event},
    desk::{self, Answer as DeskAnswer, Command, Desks, OTHER_ANSWER},
    ports::{Body as Stream, Sessions, Unavailable, World},
    verify::{NotVerified, verify},
};
use crate::domain::{
    config::{self, App, Config},
    desk::Desk,
    limits,
    operator::{
        Identity, Provenance,
        order::{self, Body, Wrong},
        read_assertion,
    },
    route,
    url::percent_decode,
};

/// A request of an operator.
#[derive(Debug)]
pub struct Request<'a, B> {
    /// The method, as sent.
    pub method: &'a str,
    /// The path after `/.edge-logout/api`.
    pub path: &'a str,
    /// `?` and the query, or nothing.
    pub query: &'a str,
    /// Scheme and authority that were asked.
    pub origin: &'a str,
    /// Where it comes from.
    pub provenance: Provenance<'a>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Cf-Access-Jwt-Assertion`.
    pub assertion: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// The body.
    pub body: B,
}

/// The answer to one, in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Allow`, for 405.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Value,
}

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed(&'static str),
    BadRequest(&'static str),
    NotConfirmed,
    Unavailable(Unavailable),
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<Wrong> for Failure {
    fn from(Wrong(field): Wrong) -> Self {
        Self::BadRequest(field)
    }
}

impl From<Unavailable> for Answer {
    fn from(unavailable: Unavailable) -> Self {
        Failure::from(unavailable).into()
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let (status, error) = match failure {
            Failure::Unauthorized => (401, "unauthorized"),
            Failure::Forbidden => (403, "forbidden"),
            Failure::NotFound => (404, "not_found"),
            Failure::MethodNotAllowed(_) => (405, "method_not_allowed"),
            Failure::BadRequest(_) => (400, "bad_request"),
            Failure::NotConfirmed => (409, "confirmation_invalid"),
            Failure::Unavailable(_) => (503, "unavailable"),
        };
        let body = match failure {
            Failure::BadRequest(field) if !field.is_empty() => {
                json!({ "error": error, "field": field })
            }
            Failure::Unavailable(Unavailable(code)) => json!({ "error": error, "code": code }),
            _ => json!({ "error": error }),
        };
        let allow = match failure {
            Failure::MethodNotAllowed(needed) => Some(needed),
            _ => None,
        };
        Self {
            status,
            allow,
            body,
        }
    }
}

/// What is behind the Worker.
pub trait Backends {
    /// Where the sessions of an app live.
    fn sessions(&self, app: &App) -> impl Sessions;

    /// Whether KV answers.
    ///
    /// # Errors
    /// [`Unavailable`] if it does not.
    async fn try_kv(&self) -> Result<(), Unavailable>;

    /// Whether the ledger answers; none if it is not bound.
    async fn try_ledger(&self) -> Option<Result<(), Unavailable>>;
}

/// The operator's side of one host.
pub struct Office<'a, W, B, D> {
    world: &'a W,
    config: &'a Config,
    who: &'a config::Operator,
    backends: &'a B,
    desks: Option<&'a D>,
    apps: Vec<Rc<App>>,
}

/// The apps on a host that an operator may deal with; none if there is no operator, or nothing to deal
/// with.
#[must_use]
pub fn apps_at(config: &Config, host: &str) -> Vec<Rc<App>> {
    let is_here = |app: &&Rc<App>| app.routes.iter().any(|route| route.host == host);
    let apps = config.apps.iter().filter(|_| config.operator.is_some());
    apps.filter(is_here).cloned().collect()
}

impl<'a, W: World, B: Backends, D: Desks> Office<'a, W, B, D> {
    /// That of `host`; none if there is no operator, or no app.
    pub fn at(
        host: &str,
        world: &'a W,
        config: &'a Config,
        backends: &'a B,
        desks: Option<&'a D>,
    ) -> Option<Self> {
        let apps = apps_at(config, host);
        let who = config.operator.as_ref().filter(|_| !apps.is_empty())?;
        Some(Self {
            world,
            config,
            who,
            backends,
            desks,
            apps,
        })
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<'_, impl Stream>) -> Answer {
        // Without any the console asks whether it needs some.
        let has_credentials = request.authorization.is_some() || request.assertion.is_some();
        match self.obey(request).await {
            Ok(body) => Answer {
                status: 200,
                allow: None,
                body,
            },
            Err(failure) => {
                let code = match failure {
                    Failure::Unauthorized if !has_credentials => None,
                    Failure::Unauthorized => Some("operator_unauthorized"),
                    Failure::Forbidden => Some("operator_forbidden"),
                    _ => None,
                };
                if let Some(code) = code {
                    let event = Event::new(code, None).class(Class::Refused);
                    self.world.record(&event);
                }
                failure.into()
            }
        }
    }

    /// Tells the desks what has been noted for the journals.
    pub async fn tell(&self) {
        if let Some(desks) = self.desks {
            for app in &self.apps {
                desk::tell(self.world, desks, app).await;
            }
        }
    }

    async fn obey(&self, request: Request<'_, impl Stream>) -> Result<Value, Failure> {
        if !request.provenance.is_own(request.origin) {
            return Err(Failure::Forbidden);
        }
        let by = self.identify(&request).await?;
        let needed = match request.path {
            "/overview" | "/test" | "/journal" => "GET",
            "/sessions" | "/end" | "/held" => "POST",
            _ => return Err(Failure::NotFound),
        };
        if request.method != needed {
            return Err(Failure::MethodNotAllowed(needed));
        }
        if needed == "GET" {
            if request.path == "/overview" {
                return self.overview(request.origin).await;
            }
            let app = self.app_of(request.query)?;
            return match request.path {
                "/test" => self.checks(&app).await,
                _ => self.journal(&app).await,
            };
        }
        let path = request.path;
        let body = read(request).await?;
        let body = Body::parse(&body, &self.apps)?;
        match path {
            "/sessions" => {
                let (app, whom) = body.into_search()?;
                self.search(&by, &app, whom).await
            }
            "/end" => self.order(&by, body.into_end(self.world.now())?).await,
            _ => self.order(&by, body.into_held()?).await,
        }
    }

    /// Who asks.
    async fn identify<S>(&self, request: &Request<'_, S>) -> Result<Identity, Failure> {
        let bearer = request.authorization.and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key)
        });
        if bearer.is_some_and(|key| self.who.has_key(key)) {
            return Ok(Identity::Key);
        }
        let (Some(access), Some(assertion)) = (&self.who.access, request.assertion) else {
            return Err(Failure::Unauthorized);
        };
        let now = self.world.now();
        let read = read_assertion(assertion, access, now).map_err(|_| Failure::Unauthorized)?;
        let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
        match verify(self.world, &access.team, &read, now, deadline).await {
            Ok(identity) => Ok(identity.into_inner()),
            Err(NotVerified::Refused(_)) => Err(Failure::Unauthorized),
            Err(NotVerified::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// The app that a query names.
    fn app_of(&self, query: &str) -> Result<Rc<App>, Failure> {
        let name = query
            .strip_prefix("?app=")
            .ok_or(Failure::BadRequest("app"))?;
        order::app(&self.apps, &percent_decode(name)).ok_or(Failure::BadRequest("app"))
    }

    async fn journal(&self, app: &App) -> Result<Value, Failure> {
        match self.ask(Desk::of(app), Command::Journal).await? {
            DeskAnswer::Journal(entries) => Ok(json!({ "entries": entries })),
            _ => Err(OTHER_ANSWER.into()),
        }
    }

    async fn ask(&self, desk: Desk, command: Command) -> Result<DeskAnswer, Unavailable> {
        let desks = self.desks.ok_or(Unavailable("desk_not_bound"))?;
        desks.ask(desk, command).await
    }

    /// Writes to the log what an operator did, or tried to, and notes it for the journals of `apps`.
    fn audit(&self, event: Event<'_>, by: &Identity, apps: &[Rc<App>]) {
        let event = event.class(Class::Audit).by(by.name());
        self.world.record(&event);
        let entry = event.entry(self.world.now());
        for app in apps {
            let entry = entry.clone();
            self.world
                .with_notes(|notes| notes.untold.note(app.id, entry));
        }
    }
}

/// The body of a request, which must say that it is JSON: a form cannot.
async fn read(request: Request<'_, impl Stream>) -> Result<Vec<u8>, Failure> {
    let content_type = request.content_type.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") || request.content_encoding.is_some() {
        return Err(Failure::BadRequest(""));
    }
    let body = request.body.read(limits::OPERATOR_BODY_BYTES).await;
    body.map_err(|_| Failure::BadRequest(""))
}

/// Whether a path of the Worker's own is the operator's.
#[must_use]
pub fn is_page(path: &str) -> bool {
    route::covers("/operator", path)
}

#[cfg(test)]
mod tests;
