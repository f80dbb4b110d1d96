//! A KV namespace as inconsistent as the real one may be.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::time::Timestamp;

/// What a read may see: any value, or absence, that the key had within the last `lag`, whoever wrote
/// it. Each read of each key chooses anew, which is more than the caches of any location can do.
pub struct Store {
    pub lag: Duration,
    /// The same of lists.
    pub list_lag: Duration,
    keys: BTreeMap<String, Vec<Version>>,
}

#[derive(Hash)]
struct Version {
    since: Timestamp,
    entry: Option<Entry>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub value: String,
    pub metadata: Option<String>,
    pub expires: Timestamp,
}

impl Store {
    pub const fn new(lag: Duration, list_lag: Duration) -> Self {
        Self {
            lag,
            list_lag,
            keys: BTreeMap::new(),
        }
    }

    pub fn write(&mut self, key: &str, entry: Option<Entry>, now: Timestamp) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        versions.push(Version { since: now, entry });
    }

    /// What a read of `key` may see, the present first.
    pub fn seen(&self, key: &str, now: Timestamp) -> Vec<Option<&Entry>> {
        self.within(key, self.lag, now)
    }

    /// The keys under a prefix, each with what a list may show of it.
    pub fn listed(&self, prefix: &str, now: Timestamp) -> Vec<(&String, Vec<Option<&Entry>>)> {
        let keys = self.keys.keys().filter(|key| key.starts_with(prefix));
        keys.map(|key| (key, self.within(key, self.list_lag, now)))
            .collect()
    }

    pub fn has(&self, key: &str, now: Timestamp) -> bool {
        self.within(key, Duration::ZERO, now)[0].is_some()
    }

    fn within(&self, key: &str, lag: Duration, now: Timestamp) -> Vec<Option<&Entry>> {
        let oldest = now.minus(lag);
        let mut seen = Vec::new();
        let mut see = |entry| {
            if !seen.contains(&entry) {
                seen.push(entry);
            }
        };
        // Each version held until the next came; before the first there was none.
        let mut until = None;
        for version in self.keys.get(key).into_iter().flatten().rev() {
            let entry = version.entry.as_ref();
            see(entry.filter(|entry| now < entry.expires));
            see(entry.filter(|entry| oldest < entry.expires));
            until = Some(version.since);
            if version.since <= oldest {
                return seen;
            }
        }
        if until.is_none_or(|until| oldest < until) {
            see(None);
        }
        seen
    }

    /// All that anybody may still see, for the hash of a state.
    pub fn visible(&self, now: Timestamp) -> impl Iterator<Item = impl std::hash::Hash> {
        let oldest = now.minus(self.lag.max(self.list_lag));
        self.keys.iter().filter_map(move |(key, versions)| {
            let first = versions.iter().rposition(|version| version.since <= oldest);
            let visible = &versions[first.unwrap_or(0)..];
            let is_gone = visible.iter().all(|version| version.entry.is_none());
            (!is_gone).then_some((key, visible))
        })
    }
}

/// One of all combinations of what each key may show.
pub fn combination<T: Copy>(options: &[Vec<T>], mut number: usize) -> Vec<T> {
    let choose = |options: &Vec<T>| {
        let choice = options[number % options.len()];
        number /= options.len();
        choice
    };
    options.iter().map(choose).collect()
}

#[test]
fn reads_see_what_was_true_within_the_lag() {
    let at = Timestamp::from_seconds;
    let mut store = Store::new(Duration::from_mins(1), Duration::from_mins(2));
    let entry = Entry {
        value: "1".to_owned(),
        metadata: None,
        expires: at(1000),
    };
    store.write("k", Some(entry.clone()), at(100));
    assert_eq!(store.seen("k", at(159)).len(), 2, "a miss may be cached");
    assert!(store.seen("k", at(160)) == [Some(&entry)]);
    store.write("k", None, at(200));
    assert!(store.seen("k", at(259)) == [None, Some(&entry)]);
    assert!(store.seen("k", at(260)) == [None]);
    assert_eq!(store.listed("k", at(319))[0].1.len(), 2);
    assert!(!store.has("k", at(200)));
}
