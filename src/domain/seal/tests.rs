use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::{
    app::testkit::{self, NOW},
    domain::{
        config::Config,
        digest::Digest,
        session::{SessionId, SidKey, SubjectKey},
    },
};

const NONCE: Nonce = [9; 24];

fn contents(session: Option<Session>) -> Contents {
    Contents {
        authority: Authority::Kv,
        owner: Owner {
            session,
            since: NOW,
            at_login: false,
        },
        attributes: "; Path=/".into(),
        value: "v".into(),
    }
}

fn session() -> Session {
    Session {
        id: SessionId::from_random([1; 16]),
        subject: SubjectKey(Digest::of("sub", &["u"])),
        sid: SidKey(Digest::of("sid", &["s"])),
        login: NOW,
        registered_at: NOW,
        expires: NOW,
    }
}

fn sealed(config: &Config, name: &str, contents: &Contents, now: Timestamp) -> String {
    let shop = testkit::app(config, "SHOP");
    seal(&config.seal_keys, &shop, name, &NONCE, contents, now).unwrap()
}

fn opened(config: &Config, app: &str, name: &str, value: &str) -> Option<Contents> {
    open(&config.seal_keys, &testkit::app(config, app), name, value)
}

/// Seals live in browsers for weeks: another format needs another version.
#[test]
fn the_format_is_fixed() {
    // 1,800,000,000,000 ms, zigzag, in groups of seven bits.
    let now = [0x80, 0xc0, 0xe2, 0x85, 0xe3, 0x68];
    let rest = b"\x00\x08; Path=/\x00\x01v";
    let unbound = postcard::to_allocvec(&contents(None)).unwrap();
    assert_eq!(unbound, [&[0, 0], &now[..], rest].concat());

    let bound = postcard::to_allocvec(&contents(Some(session()))).unwrap();
    let mut expected = vec![0, 1];
    expected.extend([1; 16]);
    expected.extend(Digest::of("sub", &["u"]).as_bytes());
    expected.extend(Digest::of("sid", &["s"]).as_bytes());
    for _ in 0..4 {
        expected.extend(now);
    }
    expected.extend(rest);
    assert_eq!(bound, expected);

    // Computed by another implementation.
    let config = testkit::config();
    assert_eq!(
        sealed(&config, "sid", &contents(None), NOW),
        "el1.k1.CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJvnJiSp4vmgr0GjMcOBJzgxfct5s2LxYtpbICMPX0-Ns3abYTmg"
    );
}

#[test]
fn bytes_of_another_make_are_no_contents() {
    let bytes = postcard::to_allocvec(&contents(Some(session()))).unwrap();
    let read = |bytes: &[u8]| postcard::take_from_bytes::<Contents>(bytes).map(|(read, _)| read);
    assert_eq!(read(&bytes), Ok(contents(Some(session()))));
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
    for first in [[2, 0], [0, 2]] {
        assert!(read(&[&first, &bytes[2..]].concat()).is_err());
    }
}

#[test]
fn a_seal_opens_where_it_was_made_and_nowhere_else() {
    let config = testkit::config();
    let contents = contents(Some(session()));
    let value = sealed(&config, "sid", &contents, NOW);
    assert!(is_claimed_by(&value));
    assert_eq!(opened(&config, "SHOP", "sid", &value), Some(contents));
    assert_eq!(
        opened(&config, "SHOP", "sid2", &value),
        None,
        "another cookie"
    );
    assert_eq!(opened(&config, "WIKI", "sid", &value), None, "another app");
    assert_eq!(
        opened(&config, "SHOP", "sid", &value.replace(".k1.", ".k2.")),
        None
    );
    let (_, body) = value.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(body).unwrap();
    for position in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[position] ^= 1;
        let spoilt = format!("el1.k1.{}", BASE64_URL_SAFE_NO_PAD.encode(&spoilt));
        assert_eq!(
            opened(&config, "SHOP", "sid", &spoilt),
            None,
            "byte {position}"
        );
    }
    for length in 0..value.len() {
        assert_eq!(
            opened(&config, "SHOP", "sid", &value[..length]),
            None,
            "{length}"
        );
    }
}

#[test]
fn what_is_no_seal_does_not_open() {
    let config = testkit::config();
    for value in [
        "",
        "el1",
        "el1.",
        "el1.k1",
        "el1.k1.",
        "el1.k1.AAAA",
        "el1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "el1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA====",
        "el2.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(opened(&config, "SHOP", "sid", value), None, "{value}");
    }
    assert!(is_claimed_by("el1.whatever"));
    assert!(!is_claimed_by("el2.whatever"));
}

/// A key is made known everywhere before it seals, and still opens when another has taken over.
#[test]
fn keys_rotate_and_roll_back_without_losing_a_seal() {
    let key = |id: &str, byte: u8, from: Option<&str>| {
        let mut key = json!({ "id": id, "key": BASE64_STANDARD.encode([byte; 32]) });
        if let Some(from) = from {
            key["seal_from"] = json!(from);
        }
        key
    };
    let with = |keys: &serde_json::Value| testkit::config_with_keys(keys);
    // NOW is 2027-01-15T08:00:00Z.
    let old = key("old", 1, None);
    let new = |from| key("new", 2, Some(from));
    let before = with(&json!([old]));
    let during = with(&json!([old, new("2027-01-15T08:00:10Z")]));
    let rolled_back = with(&json!([new("2028-01-01T00:00:00Z"), old]));
    let after = with(&json!([key("new", 2, None)]));
    let wrong = with(&json!([key("old", 3, None)]));
    let contents = contents(Some(session()));
    let later = NOW.plus(std::time::Duration::from_secs(10));
    let by_old = sealed(&during, "sid", &contents, NOW);
    let by_new = sealed(&during, "sid", &contents, later);
    assert!(by_old.starts_with("el1.old.") && by_new.starts_with("el1.new."));
    assert!(sealed(&rolled_back, "sid", &contents, later).starts_with("el1.old."));
    assert!(sealed(&after, "sid", &contents, NOW).starts_with("el1.new."));
    for (config, value, opens) in [
        (&before, &by_old, true),
        (&before, &by_new, false),
        (&during, &by_old, true),
        (&during, &by_new, true),
        (&rolled_back, &by_old, true),
        (&rolled_back, &by_new, true),
        (&after, &by_old, false),
        (&after, &by_new, true),
        (&wrong, &by_old, false),
    ] {
        assert_eq!(
            opened(config, "SHOP", "sid", value).is_some(),
            opens,
            "{value}"
        );
    }
}
