//! What a logout would end, by the lists of the users: they say what lives.

use futures_util::future::join_all;

use super::{Listed, Surveyed};
use crate::{
    app::ports::{Ledger, Survey, Unavailable},
    domain::{
        ledger::{List, Scope as Part},
        limits,
        logout_token::Logout,
        session::{Scope, Session, SubjectKey},
    },
};

pub(super) async fn survey(
    ledger: &impl Ledger,
    scope: &Scope,
    logout: &Logout,
) -> Result<Survey, Unavailable> {
    let (sid, sub, widens) = match *scope {
        Scope::Subject(subject) => return of_users(ledger, &[(subject, Part::All)], logout).await,
        Scope::Sid { sid, sub, widens } => (sid, sub, widens),
    };
    let of_sid = ledger.survey(List::Sid(sid), Part::All, *logout).await?;
    let mut parts = Vec::new();
    let mut ask = |subject, part| {
        let is_part_of = |(user, all): &(SubjectKey, Part)| {
            *user == subject && (*all == Part::All || *all == part)
        };
        if !parts.iter().any(is_part_of) {
            parts.push((subject, part));
        }
    };
    if let Some(sub) = sub {
        if widens {
            ask(sub.subject, Part::All);
        }
        if let Some(without_sid) = sub.without_sid {
            ask(sub.subject, Part::Sid(without_sid));
        }
    }
    for session in &of_sid.sessions {
        if let List::User(subject) = session.other {
            ask(subject, if widens { Part::All } else { Part::Sid(sid) });
        }
    }
    let is_whole =
        of_sid.counts.ended <= of_sid.sessions.len() && parts.len() <= limits::USERS_SURVEYED;
    parts.truncate(limits::USERS_SURVEYED);
    let mut survey = of_users(ledger, &parts, logout).await?;
    survey.later = survey.later.max(of_sid.counts.later);
    if !is_whole {
        // Nobody asks hundreds of lists: what that of the `sid` knows is a bound that will do.
        survey.matched = survey.matched.max(of_sid.counts.ended);
    }
    Ok(survey)
}

/// What would end of these parts of users' lists, which have nothing in common.
async fn of_users(
    ledger: &impl Ledger,
    parts: &[(SubjectKey, Part)],
    logout: &Logout,
) -> Result<Survey, Unavailable> {
    let asked = parts.iter().map(async |(subject, part)| {
        let surveyed = ledger.survey(List::User(*subject), *part, *logout).await?;
        Ok((*subject, surveyed))
    });
    let mut all = Survey::default();
    for answer in join_all(asked).await {
        let (subject, Surveyed { counts, sessions }) = answer?;
        all.matched = all.matched.saturating_add(counts.ended);
        all.later = all.later.saturating_add(counts.later);
        all.sessions.extend(
            sessions
                .iter()
                .filter_map(|listed| session(subject, listed)),
        );
    }
    all.sessions.truncate(limits::SESSIONS_LISTED);
    Ok(all)
}

fn session(subject: SubjectKey, listed: &Listed) -> Option<Session> {
    let List::Sid(sid) = listed.other else {
        return None;
    };
    Some(Session {
        id: listed.id,
        subject,
        sid,
        login: listed.login,
        registered_at: listed.login,
        expires: listed.expires,
    })
}
