//! The log: one JSON line per decision, with a stable code and hashed identifiers only; and what is
//! counted of it.

use serde::Serialize;

use super::{kv_sessions::Swept, ports::Ended};
pub use crate::domain::desk::journal::Class;
use crate::domain::{config::App, desk::journal::Entry, limits, time::Timestamp, url::RequestUrl};

/// One decision.
#[derive(Clone, Debug, Serialize)]
pub struct Event<'a> {
    /// What was decided, as a stable code.
    pub code: &'a str,
    /// Whether somebody has to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The app concerned.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub app: &'a str,
    /// The issuer of its tokens, which every line would repeat.
    #[serde(skip)]
    pub issuer: &'a str,
    /// The cookie concerned, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<&'a str>,
    /// The session, `sid` or subject concerned, as the beginning of its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Which operator did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What a logout found.
    #[serde(flatten)]
    pub ended: Option<Ended>,
    /// What a run of the sweep did.
    #[serde(flatten)]
    pub swept: Option<Swept>,
}

/// The code of a login that counts.
pub const SESSION_BEGAN: &str = "session_began";

/// What is counted of an event, in the columns of a Workers Analytics Engine dataset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The app's name, of a very long one the beginning: points are sampled by it.
    pub index: &'a str,
    /// Code, class, the app's name and the host of its issuer; empty what does not apply.
    pub blobs: [&'a str; 4],
    /// How many events (1), and how many sessions they ended.
    pub doubles: [f64; 2],
}

/// What is told of a cookie's name. Some end in what belongs to one login, or to one user: after a word
/// that says so, or longer than words are.
#[must_use]
pub fn cookie_stem(name: &str) -> &str {
    const ONE_LOGIN: [&str; 3] = ["state", "nonce", "correlation"];
    let mut end = 0_usize;
    for word in name.split_inclusive(['.', '_', '-', '~']) {
        let next = end.saturating_add(word.len());
        if word.len() >= COOKIE_WORD || next > COOKIE_STEM {
            break;
        }
        end = next;
        let word = word.to_ascii_lowercase();
        if ONE_LOGIN.iter().any(|mark| word.starts_with(mark)) {
            break;
        }
    }
    if end == 0 {
        end = name.floor_char_boundary(COOKIE_WORD);
    }
    name.get(..end).unwrap_or_default()
}

/// Bytes that no word of a cookie's name has.
const COOKIE_WORD: usize = 20;
/// Bytes of a cookie's name that are told at most.
const COOKIE_STEM: usize = 36;

impl<'a> Event<'a> {
    /// A decision about `app`, or none of them.
    #[must_use]
    pub fn new(code: &'a str, app: Option<&'a App>) -> Self {
        Self {
            code,
            class: None,
            app: app.map_or("", |app| &app.name),
            issuer: app.map_or("", |app| &app.issuer.issuer),
            cookie: None,
            of: None,
            by: None,
            ended: None,
            swept: None,
        }
    }

    /// The same, in a class.
    #[must_use]
    pub const fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// The same, about a cookie of that name; of a long one its beginning.
    #[must_use]
    pub fn cookie(mut self, name: &'a str) -> Self {
        self.cookie = Some(cookie_stem(name));
        self
    }

    /// The same, with the shortened hash of what it is about.
    #[must_use]
    pub fn of(mut self, hash: String) -> Self {
        self.of = Some(hash);
        self
    }

    /// The same, done by an operator.
    #[must_use]
    pub fn by(mut self, operator: String) -> Self {
        self.by = Some(operator);
        self
    }

    /// The same, with what a logout found.
    #[must_use]
    pub const fn ended(mut self, ended: Ended) -> Self {
        self.ended = Some(ended);
        self
    }

    /// The same, with what a run of the sweep did.
    #[must_use]
    pub const fn swept(mut self, swept: Swept) -> Self {
        self.swept = Some(swept);
        self
    }

    /// The same in an app's journal.
    #[must_use]
    pub fn entry(&self, at: Timestamp) -> Entry {
        Entry {
            at,
            code: self.code.to_owned(),
            class: self.class,
            of: self.of.clone(),
            matched: self.ended.map(|ended| ended.matched),
            count: 1,
            by: self.by.clone(),
        }
    }

    /// The line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.code.to_owned())
    }

    /// What is counted of it: logouts, logins and refusals are.
    #[must_use]
    pub fn point(&self) -> Option<Point<'a>> {
        if self.class.is_none() && self.ended.is_none() && self.code != SESSION_BEGAN {
            return None;
        }
        let end = self.app.floor_char_boundary(limits::ANALYTICS_INDEX_BYTES);
        let issuer = RequestUrl::parse(self.issuer).map_or("", |issuer| issuer.host);
        let matched = self.ended.map_or(0, |ended| ended.matched);
        let matched = u32::try_from(matched).unwrap_or(u32::MAX);
        Some(Point {
            index: self.app.get(..end).unwrap_or_default(),
            blobs: [
                self.code,
                self.class.map_or("", Class::name),
                self.app,
                issuer,
            ],
            doubles: [1.0, f64::from(matched)],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::app::testkit::{app, config};

    #[test]
    fn of_a_cookies_name_the_words_are_told() {
        for (name, stem) in [
            ("connect.sid", "connect.sid"),
            (
                "__Secure-next-auth.session-token.0",
                "__Secure-next-auth.session-token.0",
            ),
            (
                "mod_auth_openidc_state_9hXc2mP-0RtYb4_wZ1sDvKe7UfA",
                "mod_auth_openidc_state_",
            ),
            (
                ".AspNetCore.Correlation.Zk3uYt5rE2wQ9xV7cB1nM4aS6dF8",
                ".AspNetCore.Correlation.",
            ),
            (
                "wordpress_logged_in_0cc175b9c0f1b6a831c399e269772661",
                "wordpress_logged_in_",
            ),
            ("0cc175b9c0f1b6a831c399e269772661", "0cc175b9c0f1b6a831c3"),
            ("", ""),
        ] {
            assert_eq!(cookie_stem(name), stem);
        }
    }

    #[test]
    fn logouts_logins_and_refusals_are_counted() {
        let app = app(&config(), "SHOP");
        let event = |code| Event::new(code, Some(&app)).of("AbCd".to_owned());
        let matched = |matched| Ended {
            matched,
            ..Ended::default()
        };
        for (event, class, doubles) in [
            (event("logout_done").ended(matched(3)), "", [1.0, 3.0]),
            (event("session_began"), "", [1.0, 0.0]),
            (
                event("expired").class(Class::Refused),
                "refused",
                [1.0, 0.0],
            ),
            (
                event("kv_failed").class(Class::LogoutPending),
                "logout_pending",
                [1.0, 0.0],
            ),
        ] {
            let point = Point {
                index: "SHOP",
                blobs: [event.code, class, "SHOP", "op.example"],
                doubles,
            };
            assert_eq!(event.point(), Some(point));
        }
        assert_eq!(event("ended_by_mark").point(), None);
        assert_eq!(event("http_only_cookie_sealed").cookie("c").point(), None);
    }

    #[test]
    fn a_logout_of_no_app_is_counted_without_one() {
        let event = Event::new("logout_finished_late", None).ended(Ended::default());
        let point = event.point().unwrap();
        assert_eq!(point.index, "");
        assert_eq!(point.blobs, ["logout_finished_late", "", "", ""]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut app = Rc::into_inner(config().apps.swap_remove(0)).unwrap();
        app.name = format!("{}é", "A".repeat(95));
        let event = Event::new(SESSION_BEGAN, Some(&app));
        assert_eq!(event.point().unwrap().index, "A".repeat(95));
    }
}
