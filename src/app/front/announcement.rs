//! Where an app's answer says who logged in.

use super::Reply;
use crate::domain::{
    config::{Announce, App, Source},
    cookie::SetCookie,
    refusal::Refusal,
    session::Attested,
};

/// Subject and `sid` of a login, for apps that cannot reach the ID token.
const SESSION: &str = "edge-logout-session";
/// The secret that vouches for them.
const KEY: &str = "edge-logout-key";
const ID_TOKEN: &str = "edge-logout-id-token";

/// What is announced, not looked at yet.
#[derive(Debug)]
pub(super) enum Announced {
    /// An ID token.
    IdToken(String),
    /// A login that was seen on its way to the app.
    Attested(Attested),
    /// The two headers of ours.
    Session { header: String, key: String },
}

/// The answer's announcement, if it has one.
pub(super) fn find(
    app: &App,
    reply: &impl Reply,
    lines: &[SetCookie],
) -> Option<Result<Announced, Refusal>> {
    let header = |name: &str| {
        let value = reply.header(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    match &app.announce {
        Announce::IdToken(Source::Header { name, scheme }) => {
            let value = header(name)?;
            let token = match scheme {
                None => Some(value),
                Some(scheme) => value
                    .split_once(' ')
                    .filter(|(found, _)| found.eq_ignore_ascii_case(scheme))
                    .map(|(_, token)| token.trim().to_owned()),
            };
            Some(token.map(Announced::IdToken).ok_or(Refusal::TokenMalformed))
        }
        Announce::IdToken(Source::Cookie { name }) => {
            let mut tokens = lines
                .iter()
                .filter(|line| line.name == *name && !line.removes)
                .map(|line| line.value.trim_matches('"'))
                .filter(|value| !value.is_empty());
            let token = tokens.next()?.to_owned();
            Some(match tokens.next() {
                None => Ok(Announced::IdToken(token)),
                Some(_) => Err(Refusal::TokenRepeated),
            })
        }
        Announce::Relay | Announce::FormPost => None,
        Announce::Session { .. } => Some(Ok(Announced::Session {
            header: header(SESSION)?,
            key: header(KEY).unwrap_or_default(),
        })),
    }
}

/// Whether a line only announces: one of a session cookie is sealed instead, and the app gets it
/// back.
pub(super) fn is_all_of(app: &App, line: &SetCookie) -> bool {
    matches!(&app.announce, Announce::IdToken(Source::Cookie { name }) if *name == line.name)
        && !app.session_cookies.contain(&line.name)
}

/// The headers of an answer that announce logins of `app`: none is ever delivered.
pub(super) fn headers_in(app: &App, reply: &impl Reply) -> Vec<String> {
    if !reply.is_telling() {
        return Vec::new();
    }
    let is_there = |name: &&str| reply.header(name).is_some();
    headers(app).filter(is_there).map(str::to_owned).collect()
}

/// The headers that hold announcements, whatever is configured.
pub(super) fn headers(app: &App) -> impl Iterator<Item = &str> {
    let configured = app.announcement_header().unwrap_or(ID_TOKEN);
    let others = [ID_TOKEN, SESSION, KEY].into_iter();
    std::iter::once(configured).chain(others.filter(move |name| *name != configured))
}
