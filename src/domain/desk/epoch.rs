//! Up to when an operator has ended the sessions of an app.

use std::collections::HashMap;

use super::Shelf;
use crate::domain::{digest::Digest, limits, time::Timestamp};

const NAME: &str = "ended-before";

/// Sessions with a login up to then have ended.
///
/// # Errors
/// Those of the shelf.
pub fn ended_before<S: Shelf>(shelf: &S) -> Result<Option<Timestamp>, S::Error> {
    shelf.get(NAME)
}

/// Ends those with a login up to `before`; what had ended stays so. Gives up to when they have now.
///
/// # Errors
/// Those of the shelf.
pub fn end_before<S: Shelf>(shelf: &S, before: Timestamp) -> Result<Timestamp, S::Error> {
    match ended_before(shelf)? {
        Some(earlier) if earlier >= before => Ok(earlier),
        _ => {
            shelf.put(NAME, &before)?;
            Ok(before)
        }
    }
}

/// What an isolate has heard from the desks of apps.
#[derive(Debug, Default)]
pub struct Epochs(HashMap<Digest, Heard>);

#[derive(Clone, Copy, Debug)]
struct Heard {
    ended_before: Option<Timestamp>,
    /// When it was asked.
    at: Timestamp,
    /// When somebody asked again.
    asked_again: Option<Timestamp>,
    /// Whether the desk has not answered since.
    has_failed: bool,
}

impl Epochs {
    /// What is believed of an app; `None` if its desk is to be asked. One request asks before the
    /// others must, so that they need not wait.
    pub fn believed(&mut self, app: &Digest, now: Timestamp) -> Option<Option<Timestamp>> {
        let heard = self.0.get_mut(app)?;
        let age = now.since(heard.at);
        let may_believe = if heard.has_failed {
            age < limits::EPOCH_LAST_RESORT
        } else {
            age < limits::EPOCH_BELIEVED
        };
        let lately = |at: Timestamp| now.since(at) < limits::DESK_RETRY;
        if !may_believe || (age >= limits::EPOCH_RENEWED && !heard.asked_again.is_some_and(lately))
        {
            heard.asked_again = Some(now);
            return None;
        }
        Some(heard.ended_before)
    }

    /// A desk that was asked at `at` has answered.
    pub fn heard(&mut self, app: Digest, ended_before: Option<Timestamp>, at: Timestamp) {
        let known = self.0.get(&app);
        if known.is_none_or(|known| known.at <= at) {
            let heard = Heard {
                ended_before,
                at,
                asked_again: None,
                has_failed: false,
            };
            self.0.insert(app, heard);
        }
    }

    /// A desk does not answer: what was heard last, if it is not too old.
    pub fn last_resort(&mut self, app: &Digest, now: Timestamp) -> Option<Option<Timestamp>> {
        let heard = self.0.get_mut(app)?;
        heard.has_failed = true;
        heard.asked_again = Some(now);
        let will_do = now.since(heard.at) < limits::EPOCH_LAST_RESORT;
        will_do.then_some(heard.ended_before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::testkit::{MemoryShelf, NOW};

    fn after(millis: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(millis))
    }

    #[test]
    fn an_epoch_never_moves_back() {
        let shelf = MemoryShelf::default();
        assert_eq!(ended_before(&shelf), Ok(None));
        for (before, then) in [(5000, 5000), (4000, 5000), (6000, 6000)] {
            assert_eq!(end_before(&shelf, after(before)), Ok(after(then)));
            assert_eq!(ended_before(&shelf), Ok(Some(after(then))));
        }
    }

    #[test]
    fn it_is_believed_for_ten_seconds_and_one_request_asks_earlier() {
        let (app, other) = (Digest::of("app", &["a"]), Digest::of("app", &["b"]));
        let mut epochs = Epochs::default();
        assert_eq!(epochs.believed(&app, NOW), None);
        epochs.heard(app, Some(NOW), NOW);
        assert_eq!(epochs.believed(&other, NOW), None);
        assert_eq!(epochs.believed(&app, after(7999)), Some(Some(NOW)));
        assert_eq!(epochs.believed(&app, after(8000)), None);
        assert_eq!(epochs.believed(&app, after(8500)), Some(Some(NOW)));
        assert_eq!(epochs.believed(&app, after(9000)), None);
        assert_eq!(epochs.believed(&app, after(10_000)), None);
        epochs.heard(app, Some(after(1)), after(9000));
        epochs.heard(app, None, after(8000));
        assert_eq!(epochs.believed(&app, after(10_000)), Some(Some(after(1))));
    }

    #[test]
    fn a_silent_desk_is_asked_once_a_second_and_believed_for_five_minutes() {
        let app = Digest::of("app", &["a"]);
        let mut epochs = Epochs::default();
        assert_eq!(epochs.last_resort(&app, NOW), None);
        epochs.heard(app, None, NOW);
        let late = after(20_000);
        assert_eq!(epochs.believed(&app, late), None);
        assert_eq!(epochs.last_resort(&app, late), Some(None));
        assert_eq!(epochs.believed(&app, after(20_999)), Some(None));
        assert_eq!(epochs.believed(&app, after(21_000)), None);
        let too_late = NOW.plus(limits::EPOCH_LAST_RESORT);
        assert_eq!(epochs.last_resort(&app, too_late), None);
        assert_eq!(epochs.believed(&app, too_late), None);
    }
}
