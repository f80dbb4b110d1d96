//! Seals that an isolate has opened: with all that a page loads, a browser sends the same ones.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    rc::Rc,
};

use super::{
    config::{App, SealKeys},
    digest::Digest,
    limits,
    seal::{self, Contents},
};

/// What is known of the seals of one configuration, which is all that an isolate ever sees. It says nothing of
/// whether a session lives.
#[derive(Debug, Default)]
pub struct Opened {
    /// By a hash of its value's end.
    known: HashMap<u64, Known>,
    hasher: RandomState,
    bytes: usize,
}

/// Bytes that each takes beside its texts, about.
const BESIDE_TEXTS: usize = 512;
/// Letters that hold the tag of a seal.
const TAG_LENGTH: usize = 22;

#[derive(Debug)]
struct Known {
    app: Digest,
    name: String,
    value: String,
    contents: Rc<Contents>,
}

impl Known {
    fn bytes(&self) -> usize {
        let Contents {
            attributes, value, ..
        } = &*self.contents;
        let texts = [&self.name, &self.value, attributes, value].map(String::len);
        texts.into_iter().fold(BESIDE_TEXTS, usize::saturating_add)
    }
}

impl Opened {
    /// As [`seal::open`], and less work if it has been done before.
    #[must_use]
    pub fn open(
        &mut self,
        keys: &SealKeys,
        app: &App,
        name: &str,
        value: &str,
    ) -> Option<Rc<Contents>> {
        // Its end alone, which holds the tag: two seals hardly ever share that.
        let end = value.len().saturating_sub(TAG_LENGTH);
        let hash = self.hasher.hash_one(value.get(end..));
        let is_it = |known: &&Known| {
            are_same(&known.value, value) && known.name == name && known.app == app.id
        };
        if let Some(known) = self.known.get(&hash).filter(is_it) {
            return Some(known.contents.clone());
        }
        let contents = Rc::new(seal::open(keys, app, name, value)?);
        let known = Known {
            app: app.id,
            name: name.to_owned(),
            value: value.to_owned(),
            contents: contents.clone(),
        };
        self.keep(hash, known);
        Some(contents)
    }

    /// When there are too many, all others are forgotten.
    fn keep(&mut self, hash: u64, known: Known) {
        let bytes = known.bytes();
        if bytes > limits::OPENED_BYTES {
            return;
        }
        if self.bytes.saturating_add(bytes) > limits::OPENED_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.known.insert(hash, known);
    }
}

/// It looks at all bytes whatever it finds: at many at a time, and for as long however much of a guess is right.
fn are_same(one: &str, other: &str) -> bool {
    let differences = |found, (a, b): (u8, u8)| found | (a ^ b);
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::testkit::{self, NOW},
        domain::{
            config::Config,
            seal::{Authority, Owner},
        },
    };

    fn sealed(config: &Config, number: usize) -> String {
        let contents = Contents {
            authority: Authority::Kv,
            owner: Owner {
                session: None,
                since: NOW,
                at_login: false,
            },
            attributes: String::new(),
            value: "v".repeat(1000),
        };
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let shop = testkit::app(config, "SHOP");
        seal::seal(&config.seal_keys, &shop, "sid", &nonce, &contents, NOW).unwrap()
    }

    #[test]
    fn a_seal_is_opened_once_and_nowhere_but_where_it_was_made() {
        let config = testkit::config();
        let (keys, [shop, wiki]) = (
            &config.seal_keys,
            ["SHOP", "WIKI"].map(|name| testkit::app(&config, name)),
        );
        let value = sealed(&config, 1);
        let mut opened = Opened::default();
        let first = opened.open(keys, &shop, "sid", &value).unwrap();
        assert_eq!(
            Some(&*first),
            seal::open(keys, &shop, "sid", &value).as_ref()
        );
        for (app, name) in [(&shop, "sid2"), (&wiki, "sid")] {
            assert_eq!(opened.open(keys, app, name, &value), None, "{name}");
        }
        for position in 0..value.len() {
            let mut spoilt = value.clone().into_bytes();
            spoilt[position] ^= 1;
            let spoilt = String::from_utf8(spoilt).unwrap();
            assert_eq!(opened.open(keys, &shop, "sid", &spoilt), None, "{position}");
        }
        for length in 0..value.len() {
            assert_eq!(opened.open(keys, &shop, "sid", &value[..length]), None);
        }
        // None of these has taken its place.
        let again = opened.open(keys, &shop, "sid", &value).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        assert_eq!(opened.known.len(), 1);
    }

    #[test]
    fn what_does_not_open_is_not_kept() {
        let config = testkit::config();
        let shop = testkit::app(&config, "SHOP");
        let mut opened = Opened::default();
        for value in ["", "el1.", "el1.k1.\u{e9}", &"el1.k1.A".repeat(1000)] {
            assert_eq!(opened.open(&config.seal_keys, &shop, "sid", value), None);
        }
        assert_eq!((opened.known.len(), opened.bytes), (0, 0));
    }

    #[test]
    fn they_never_become_too_many() {
        let config = testkit::config();
        let shop = testkit::app(&config, "SHOP");
        let mut opened = Opened::default();
        let mut most = 0;
        for number in 0..1000 {
            let value = sealed(&config, number);
            let contents = opened.open(&config.seal_keys, &shop, "sid", &value);
            assert!(contents.is_some());
            let texts = |known: &Known| known.value.len() + known.contents.value.len();
            let kept: usize = opened.known.values().map(texts).sum();
            let counted: usize = opened.known.values().map(Known::bytes).sum();
            assert_eq!(opened.bytes, counted);
            assert!((kept..=limits::OPENED_BYTES).contains(&counted));
            most = most.max(opened.known.len());
        }
        assert!((300..1000).contains(&most), "{most}");
    }
}
