//! What happened to an app's logouts, for an operator who looks.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Shelf;
use crate::domain::{digest::Digest, limits, time::Timestamp};

/// Classes of events that operators watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody sent what we do not take.
    Refused,
    /// The OP ordered a logout that we have not performed yet.
    LogoutPending,
    /// An operator did something, or tried to.
    Audit,
}

impl Class {
    /// Its name, as lines and data points have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::LogoutPending => "logout_pending",
            Self::Audit => "audit",
        }
    }
}

/// One event, or several that are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the last of them was.
    pub at: Timestamp,
    /// As in the log.
    pub code: String,
    /// As in the log.
    pub class: Option<Class>,
    /// As in the log: the beginning of a hash.
    pub of: Option<String>,
    /// Sessions that were ended, or would have been.
    pub matched: Option<usize>,
    /// How many.
    pub count: u32,
    /// Which operator.
    pub by: Option<String>,
}

impl Entry {
    /// Whether it may become one with a later one. What ended sessions, and what an operator did,
    /// stays apart; what anybody can bring about, however often, takes one entry.
    fn is_repeated_by(&self, later: &Self) -> bool {
        let ended_nothing = |entry: &Self| entry.matched.unwrap_or(0) == 0;
        self.code == later.code
            && self.of == later.of
            && self.class == later.class
            && self.class != Some(Class::Audit)
            && ended_nothing(self)
            && ended_nothing(later)
    }
}

/// The entries, the latest last.
type Entries = Vec<Entry>;

fn add(entries: &mut Entries, mut entry: Entry) {
    if let Some(at) = entries.iter().position(|one| one.is_repeated_by(&entry)) {
        let earlier = entries.remove(at);
        entry.count = entry.count.saturating_add(earlier.count);
        entry.at = entry.at.max(earlier.at);
    }
    entries.push(entry);
    let surplus = entries.len().saturating_sub(limits::JOURNAL);
    entries.drain(..surplus);
}

const NAME: &str = "journal";

/// Adds entries to a journal; the oldest make room.
///
/// # Errors
/// Those of the shelf.
pub fn note<S: Shelf>(shelf: &S, new: &[Entry]) -> Result<(), S::Error> {
    let mut entries: Entries = shelf.get(NAME)?.unwrap_or_default();
    for entry in new {
        add(&mut entries, entry.clone());
    }
    shelf.put(NAME, &entries)
}

/// The journal, the latest first.
///
/// # Errors
/// Those of the shelf.
pub fn read<S: Shelf>(shelf: &S) -> Result<Vec<Entry>, S::Error> {
    let mut entries: Entries = shelf.get(NAME)?.unwrap_or_default();
    entries.reverse();
    Ok(entries)
}

/// What an isolate has not told the desks yet.
#[derive(Debug, Default)]
pub struct Untold(HashMap<Digest, Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    entries: Entries,
    /// When somebody is to tell it, or has.
    turn: Option<Timestamp>,
}

impl Untold {
    /// Notes an event of an app.
    pub fn note(&mut self, app: Digest, entry: Entry) {
        add(&mut self.0.entry(app).or_default().entries, entry);
    }

    /// When the caller is to tell an app's desk; `None` if there is nothing to tell, or somebody else
    /// is going to.
    pub fn take_turn(&mut self, app: &Digest, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.0.get_mut(app)?;
        if waiting.entries.is_empty() || waiting.turn.is_some_and(|turn| turn > now) {
            return None;
        }
        let last = waiting.turn.map(|turn| turn.plus(limits::JOURNAL_PAUSE));
        let turn = last.map_or(now, |next| next.max(now));
        waiting.turn = Some(turn);
        Some(turn)
    }

    /// What there is to tell, at most [`limits::JOURNAL_BATCH`]; it is forgotten here.
    pub fn take(&mut self, app: &Digest) -> Vec<Entry> {
        let entries = self.0.get_mut(app).map(|waiting| &mut waiting.entries);
        entries.map_or_else(Vec::new, |entries| {
            let batch = entries.len().min(limits::JOURNAL_BATCH);
            entries.drain(..batch).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::testkit::{MemoryShelf, NOW};

    fn entry(code: &str, at: u64) -> Entry {
        Entry {
            at: NOW.plus(Duration::from_secs(at)),
            code: code.to_owned(),
            class: None,
            of: None,
            matched: None,
            count: 1,
            by: None,
        }
    }

    fn done(of: &str, matched: usize, at: u64) -> Entry {
        Entry {
            of: Some(of.to_owned()),
            matched: Some(matched),
            ..entry("logout_done", at)
        }
    }

    #[test]
    fn what_anybody_can_bring_about_takes_one_entry() {
        let shelf = MemoryShelf::default();
        note(&shelf, &[done("a", 1, 0), done("a", 1, 1)]).unwrap();
        for at in 2..1000 {
            note(&shelf, &[entry("expired", at), done("b", 0, at)]).unwrap();
        }
        let expected = [
            Entry {
                count: 998,
                ..done("b", 0, 999)
            },
            Entry {
                count: 998,
                ..entry("expired", 999)
            },
            done("a", 1, 1),
            done("a", 1, 0),
        ];
        assert_eq!(read(&shelf).unwrap(), expected);
    }

    #[test]
    fn what_an_operator_did_is_never_summed_up() {
        let shelf = MemoryShelf::default();
        let audit = Entry {
            class: Some(Class::Audit),
            ..entry("operator_ended", 0)
        };
        note(&shelf, &[audit.clone(), audit]).unwrap();
        assert_eq!(read(&shelf).unwrap().len(), 2);
    }

    #[test]
    fn the_oldest_make_room() {
        let shelf = MemoryShelf::default();
        for at in 0..300 {
            note(&shelf, &[done("a", 1, at)]).unwrap();
        }
        let entries = read(&shelf).unwrap();
        assert_eq!(entries.len(), limits::JOURNAL);
        assert_eq!(
            (&entries[0], &entries[199]),
            (&done("a", 1, 299), &done("a", 1, 100))
        );
    }

    #[test]
    fn an_isolate_tells_a_desk_once_a_second_and_one_request_at_a_time() {
        let app = Digest::of("app", &["a"]);
        let mut untold = Untold::default();
        assert_eq!(untold.take_turn(&app, NOW), None);
        untold.note(app, entry("expired", 0));
        assert_eq!(untold.take_turn(&app, NOW), Some(NOW));
        assert_eq!(untold.take(&app).len(), 1);
        assert_eq!(
            untold.take_turn(&app, NOW),
            None,
            "there is nothing to tell"
        );
        untold.note(app, entry("expired", 0));
        let next = NOW.plus(limits::JOURNAL_PAUSE);
        assert_eq!(untold.take_turn(&app, NOW), Some(next));
        assert_eq!(
            untold.take_turn(&app, NOW),
            None,
            "somebody waits for the turn"
        );
        // Whoever waited may be gone.
        let later = next.plus(limits::JOURNAL_PAUSE);
        assert_eq!(untold.take_turn(&app, later), Some(later));
        for of in 0..1000 {
            untold.note(app, done(&of.to_string(), 1, 0));
        }
        assert_eq!(untold.take(&app).len(), limits::JOURNAL_BATCH);
    }
}
