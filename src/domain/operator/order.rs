//! The bodies of an operator's requests, read into what they mean. Identifiers are hashed here and go
//! no further.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::domain::{
    config::{App, Issuer},
    digest::Digest,
    session::{Scope, SessionId, SidKey, SubjectKey},
    time::Timestamp,
};

/// The field that is wrong; empty for the body as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong(pub &'static str);

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End sessions of an app.
    End(Rc<App>, Whom),
    /// End all sessions with a login up to then, of these apps.
    Before(Vec<Rc<App>>, Timestamp),
    /// Perform what the breaker of an issuer holds, and close it.
    Release(Rc<Issuer>),
    /// Forget what the breaker of an issuer holds, and close it.
    Discard(Rc<Issuer>),
}

/// Whose sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// One session of a user.
    Session(SubjectKey, SessionId),
    /// A user's.
    Subject(SubjectKey),
    /// Those of a `sid`.
    Sid(SidKey),
}

impl Whom {
    /// The scope in which they are found.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Session(subject, _) | Self::Subject(subject) => Scope::Subject(subject),
            Self::Sid(sid) => Scope::Sid {
                sid,
                sub: None,
                widens: false,
            },
        }
    }
}

impl Order {
    /// The apps that it concerns, of those that are `here`.
    #[must_use]
    pub fn apps(&self, here: &[Rc<App>]) -> Vec<Rc<App>> {
        match self {
            Self::End(app, _) => vec![app.clone()],
            Self::Before(apps, _) => apps.clone(),
            Self::Release(issuer) | Self::Discard(issuer) => of_issuer(here, issuer),
        }
    }

    /// The same for equal orders, and for no others.
    #[must_use]
    pub fn to_text(&self) -> String {
        let ids = |apps: &[Rc<App>]| apps.iter().map(|app| app.id.to_string()).collect();
        let parts: Vec<String> = match self {
            Self::End(app, whom) => {
                let whom = match whom {
                    Whom::Session(SubjectKey(subject), id) => format!("session {subject} {id}"),
                    Whom::Subject(SubjectKey(subject)) => format!("subject {subject}"),
                    Whom::Sid(SidKey(sid)) => format!("sid {sid}"),
                };
                vec!["end".to_owned(), app.id.to_string(), whom]
            }
            Self::Before(apps, before) => {
                let mut parts: Vec<String> = ids(apps);
                parts.push(format!("before {}", before.millis()));
                parts
            }
            Self::Release(issuer) => vec!["release".to_owned(), issuer.issuer.clone()],
            Self::Discard(issuer) => vec!["discard".to_owned(), issuer.issuer.clone()],
        };
        parts.join("\n")
    }
}

/// An order as it came, and what confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The order.
    pub order: Order,
    /// The confirmation, if it is one.
    pub confirmation: Option<String>,
}

/// A body, of which nothing has been read yet.
pub struct Body<'a> {
    fields: Map<String, Value>,
    /// The apps on the host that was asked.
    apps: &'a [Rc<App>],
}

impl<'a> Body<'a> {
    /// Reads a JSON object; `apps` are those it may name.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn parse(body: &[u8], apps: &'a [Rc<App>]) -> Result<Self, Wrong> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, apps }),
            _ => Err(Wrong("")),
        }
    }

    /// The body of `POST /api/sessions`: whose sessions to list.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn into_search(mut self) -> Result<(Rc<App>, Whom), Wrong> {
        let app = self.app()?.ok_or(Wrong("app"))?;
        let whom = self.whom(&app)?;
        self.nothing_else()?;
        Ok((app, whom))
    }

    /// The body of `POST /api/end`.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn into_end(mut self, now: Timestamp) -> Result<Given, Wrong> {
        let confirmation = self.text("confirm")?;
        let app = self.app()?;
        let issuer = self.issuer()?;
        let before = self.moment("before", now)?;
        let order = match (app, issuer, before) {
            (Some(app), None, None) => {
                let whom = match self.text("session")? {
                    Some(id) => {
                        let id = SessionId::parse(&id).ok_or(Wrong("session"))?;
                        let subject = self.digest("subject")?.ok_or(Wrong("subject"))?;
                        Whom::Session(SubjectKey(subject), id)
                    }
                    None => self.whom(&app)?,
                };
                Order::End(app, whom)
            }
            (Some(app), None, Some(before)) => Order::Before(vec![app], before),
            (None, Some(issuer), Some(before)) => {
                Order::Before(of_issuer(self.apps, &issuer), before)
            }
            (None, Some(_), None) => return Err(Wrong("before")),
            (Some(_), Some(_), _) => return Err(Wrong("issuer")),
            (None, None, _) => return Err(Wrong("app")),
        };
        self.nothing_else()?;
        Ok(Given {
            order,
            confirmation,
        })
    }

    /// The body of `POST /api/held`.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn into_held(mut self) -> Result<Given, Wrong> {
        let confirmation = self.text("confirm")?;
        let issuer = self.issuer()?.ok_or(Wrong("issuer"))?;
        let order = match self.text("action")?.as_deref() {
            Some("release") => Order::Release(issuer),
            Some("discard") => Order::Discard(issuer),
            _ => return Err(Wrong("action")),
        };
        self.nothing_else()?;
        Ok(Given {
            order,
            confirmation,
        })
    }

    fn text(&mut self, field: &'static str) -> Result<Option<String>, Wrong> {
        match self.fields.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(Wrong(field)),
        }
    }

    fn digest(&mut self, field: &'static str) -> Result<Option<Digest>, Wrong> {
        let text = self.text(field)?;
        text.map(|text| Digest::parse(&text).ok_or(Wrong(field)))
            .transpose()
    }

    /// A moment that has come: what an operator ends in advance would keep everybody out until then.
    fn moment(&mut self, field: &'static str, now: Timestamp) -> Result<Option<Timestamp>, Wrong> {
        match self.fields.remove(field) {
            None => Ok(None),
            Some(value) => {
                let moment = value.as_i64().map(Timestamp::from_millis);
                let moment = moment.filter(|at| (Timestamp::from_millis(0)..=now).contains(at));
                moment.map(Some).ok_or(Wrong(field))
            }
        }
    }

    fn app(&mut self) -> Result<Option<Rc<App>>, Wrong> {
        let name = self.text("app")?;
        name.map(|name| app(self.apps, &name).ok_or(Wrong("app")))
            .transpose()
    }

    fn issuer(&mut self) -> Result<Option<Rc<Issuer>>, Wrong> {
        let name = self.text("issuer")?;
        name.map(|name| {
            let mut issuers = self.apps.iter().map(|app| &app.issuer);
            let issuer = issuers.find(|issuer| issuer.name == name);
            issuer.cloned().ok_or(Wrong("issuer"))
        })
        .transpose()
    }

    /// Exactly one of `sub`, `subject`, `sid` and `sid_hash`.
    fn whom(&mut self, app: &App) -> Result<Whom, Wrong> {
        let sub = self.text("sub")?;
        let subject = self.digest("subject")?;
        let sid = self.text("sid")?;
        let sid_hash = self.digest("sid_hash")?;
        let all = [
            sub.map(|sub| Whom::Subject(SubjectKey::of(app, &sub))),
            subject.map(|subject| Whom::Subject(SubjectKey(subject))),
            sid.map(|sid| Whom::Sid(SidKey::of(app, &sid))),
            sid_hash.map(|sid| Whom::Sid(SidKey(sid))),
        ];
        let mut all = all.into_iter().flatten();
        match (all.next(), all.next()) {
            (Some(whom), None) => Ok(whom),
            _ => Err(Wrong("sub")),
        }
    }

    /// A misspelt field must not be silence.
    fn nothing_else(self) -> Result<(), Wrong> {
        self.fields.is_empty().then_some(()).ok_or(Wrong(""))
    }
}

/// The app of that name.
#[must_use]
pub fn app(apps: &[Rc<App>], name: &str) -> Option<Rc<App>> {
    apps.iter().find(|app| app.name == name).cloned()
}

/// The apps of an issuer.
#[must_use]
pub fn of_issuer(apps: &[Rc<App>], issuer: &Issuer) -> Vec<Rc<App>> {
    let apps = apps.iter().filter(|app| app.issuer.issuer == issuer.issuer);
    apps.cloned().collect()
}
