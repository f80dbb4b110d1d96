//! Sessions, and what ends them.
//!
//! A logout at T (the logout token's `iat`) ends the sessions that began before it. Nothing is
//! remembered of single tokens: a repeat of one ends only what the first could have ended.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    config::{App, SessionSid, SidScope},
    digest::{Digest, Letters},
    id_token::Login,
    limits,
    logout_token::Target,
    time::Timestamp,
};

/// A random name of 128 bits for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id made of these random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Base64url without padding.
    #[must_use]
    pub fn letters(&self) -> Letters<22> {
        Letters::of(&self.0)
    }

    /// Reads what `Display` wrote; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (read == bytes.len()).then_some(Self(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letters())
    }
}

/// Stands for all sessions of one user at one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubjectKey(pub Digest);

/// Stands for the sessions of one `sid` at one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SidKey(pub Digest);

impl SubjectKey {
    /// The key of `sub` at `app`.
    #[must_use]
    pub fn of(app: &App, sub: &str) -> Self {
        Self(Digest::of(
            "sub",
            &[&app.issuer.issuer, &app.client_id, sub],
        ))
    }
}

impl SidKey {
    /// The key of `sid` at `app`.
    #[must_use]
    pub fn of(app: &App, sid: &str) -> Self {
        Self(Digest::of(
            "sid",
            &[&app.issuer.issuer, &app.client_id, sid],
        ))
    }

    /// The key that the sessions of `sub` without a `sid` share in place of one.
    #[must_use]
    pub fn absent(app: &App, sub: &str) -> Self {
        Self(Digest::of(
            "no-sid",
            &[&app.issuer.issuer, &app.client_id, sub],
        ))
    }
}

/// One login at one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub subject: SubjectKey,
    /// Its `sid`.
    pub sid: SidKey,
    /// The `iat` of the ID token that began it; never moved by a later one.
    pub login: Timestamp,
    /// When we registered it.
    pub registered_at: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
}

impl Session {
    /// Whether it has ended by itself. `lifetime` is the app's present one: where that has been cut,
    /// older sessions end too.
    #[must_use]
    pub fn is_over(&self, lifetime: Duration, now: Timestamp) -> bool {
        now >= self.expires.min(self.registered_at.plus(lifetime))
    }
}

/// Who logged in, and when: as the OP, or the app in its place, has attested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// The user.
    pub subject: SubjectKey,
    /// Its `sid`, if it has one.
    pub sid: Option<SidKey>,
    /// What stands for "no `sid`" of this user.
    pub without_sid: SidKey,
    /// `iat`: the login time of the session that this login begins.
    pub issued_at: Timestamp,
    /// `auth_time`, if the OP says it.
    pub authenticated_at: Option<Timestamp>,
}

impl Attested {
    /// A login at `app`.
    #[must_use]
    pub fn of(app: &App, login: &Login) -> Self {
        Self {
            subject: SubjectKey::of(app, &login.sub),
            sid: login.sid.as_ref().map(|sid| SidKey::of(app, sid)),
            without_sid: SidKey::absent(app, &login.sub),
            issued_at: login.issued_at,
            authenticated_at: login.authenticated_at,
        }
    }

    /// Whether it is one of a session's user, and of its `sid` if both have one.
    #[must_use]
    pub fn is_of(&self, session: &Session) -> bool {
        let has_other_sid = |sid| session.sid != self.without_sid && session.sid != sid;
        session.subject == self.subject && !self.sid.is_some_and(has_other_sid)
    }
}

/// A login that asks to become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The session it would be.
    pub session: Session,
    /// When the user authenticated (`auth_time`), if the OP says so.
    pub authenticated_at: Option<Timestamp>,
    /// Whether its ID token has a `sid`.
    pub has_sid: bool,
}

/// Which sessions a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Those of a `sid`.
    Sid {
        /// Its key.
        sid: SidKey,
        /// The token's `sub`, if it has one.
        sub: Option<SidScopeSub>,
        /// Whether the users of these sessions lose all their sessions.
        widens: bool,
    },
    /// All of this user.
    Subject(SubjectKey),
}

/// The `sub` beside a `sid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidScopeSub {
    /// Compared with that of the sessions.
    pub subject: SubjectKey,
    /// Where there may be sessions without a `sid`, its own end too: nobody can tell them apart.
    pub without_sid: Option<SidKey>,
}

impl Scope {
    /// The scope of a logout token's target at `app`.
    #[must_use]
    pub fn of(app: &App, target: &Target) -> Self {
        match target {
            Target::Session { sid, sub } => Self::Sid {
                sid: SidKey::of(app, sid),
                sub: sub.as_ref().map(|sub| SidScopeSub {
                    subject: SubjectKey::of(app, sub),
                    without_sid: (app.session_sid == SessionSid::Optional)
                        .then(|| SidKey::absent(app, sub)),
                }),
                widens: app.issuer.sid_scope == SidScope::Sub,
            },
            Target::Subject { sub } => Self::Subject(SubjectKey::of(app, sub)),
        }
    }

    /// The hash by which the log speaks of it.
    #[must_use]
    pub const fn hash(&self) -> &Digest {
        match self {
            Self::Sid {
                sid: SidKey(hash), ..
            }
            | Self::Subject(SubjectKey(hash)) => hash,
        }
    }
}

/// A logout that was received: sessions with a login up to this moment have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub Timestamp);

impl Mark {
    /// Whether a session that began at `login` is covered, give or take `margin`.
    #[must_use]
    pub fn covers(self, login: Timestamp, margin: Duration) -> bool {
        login <= self.0.plus(margin)
    }
}

/// Whether a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// It does not, and why.
    Ended(EndedBy),
}

/// Why a session does not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// A logout's mark.
    Mark,
    /// Its entry was deleted.
    Deletion,
    /// Its lifetime.
    Lifetime,
    /// An operator, with all others that began up to then.
    Operator,
}

impl EndedBy {
    /// The stable code for logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Mark => "ended_by_mark",
            Self::Deletion => "ended_by_deletion",
            Self::Lifetime => "ended_by_lifetime",
            Self::Operator => "ended_by_operator",
        }
    }
}

/// Decides whether a session lives, by what KV holds: its entry, and the marks of its `sid` and
/// subject.
#[must_use]
pub fn judge(
    session: &Session,
    lifetime: Duration,
    entry_exists: bool,
    marks: &Marks,
    now: Timestamp,
) -> Life {
    if session.is_over(lifetime, now) {
        Life::Ended(EndedBy::Lifetime)
    } else if marks.cover(session.login, limits::KV_ORDER_MARGIN) {
        Life::Ended(EndedBy::Mark)
    } else if !entry_exists && now >= session.registered_at.plus(limits::KV_ENTRY_LAG) {
        Life::Ended(EndedBy::Deletion)
    } else {
        Life::Alive
    }
}

/// Why a login does not become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BirthRefused {
    /// A logout covers it.
    LoggedOut,
    /// It came soon after a logout, and shows no newer authentication.
    NotReauthenticated,
    /// Its ID token is older than [`limits::LOGIN_MAX_AGE`]: the marks that might cover it need
    /// not exist any more.
    TooOld,
}

impl BirthRefused {
    /// The stable code for logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::LoggedOut => "birth_refused_logged_out",
            Self::NotReauthenticated => "birth_refused_not_reauthenticated",
            Self::TooOld => "birth_refused_login_too_old",
        }
    }
}

/// The marks of a session's `sid` and subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// That of its `sid`.
    pub sid: Option<Mark>,
    /// That of its subject.
    pub subject: Option<Mark>,
}

impl Marks {
    fn cover(&self, login: Timestamp, margin: Duration) -> bool {
        [self.sid, self.subject]
            .into_iter()
            .flatten()
            .any(|mark| mark.covers(login, margin))
    }
}

/// Decides whether a login becomes a session. `margin` is how much later than a logout it may be
/// and be covered all the same, where nobody knows which of the two came first.
///
/// # Errors
/// [`BirthRefused`].
pub fn admit(birth: &Birth, marks: &Marks, margin: Duration) -> Result<(), BirthRefused> {
    let session = &birth.session;
    if marks.cover(session.login, margin) {
        return Err(BirthRefused::LoggedOut);
    }
    if session.registered_at > session.login.plus(limits::LOGIN_MAX_AGE) {
        return Err(BirthRefused::TooOld);
    }
    // Afterwards the login time alone decides: some OPs keep sid and auth_time over a logout, and
    // the user must be able to come back.
    let recent = |Mark(logout): &Mark| session.login <= logout.plus(limits::REBIRTH_WINDOW);
    let is_rebirth = match birth.authenticated_at {
        Some(at) => [marks.sid, marks.subject]
            .iter()
            .flatten()
            .any(|mark| recent(mark) && at <= mark.0),
        // Without a `sid` of its own, nothing tells it from the session that ended.
        None => {
            marks.sid.as_ref().is_some_and(recent)
                || (!birth.has_sid && marks.subject.as_ref().is_some_and(recent))
        }
    };
    if is_rebirth {
        Err(BirthRefused::NotReauthenticated)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
