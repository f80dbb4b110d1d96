use super::*;
use crate::{
    app::{
        sealing::{open, seal},
        testkit::{self, FakeWorld, NOW, block_on},
    },
    domain::{
        digest::Digest,
        session::{SessionId, SidKey, SubjectKey},
    },
};

fn contents(binding: Binding) -> Contents {
    Contents {
        authority: Authority::Kv,
        binding,
        sealed_at: NOW,
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

/// Seals live in browsers for weeks: another format needs another version.
#[test]
fn the_format_is_fixed() {
    // 1,800,000,000,000 ms, zigzag, in groups of seven bits.
    let now = [0x80, 0xc0, 0xe2, 0x85, 0xe3, 0x68];
    let unbound = contents(Binding::Unbound { since: NOW })
        .to_bytes()
        .unwrap();
    let mut expected = vec![0, 0];
    expected.extend(now);
    expected.extend(now);
    expected.extend(b"\x08; Path=/\x01v");
    assert_eq!(unbound, expected);

    let bound = contents(Binding::Session(session())).to_bytes().unwrap();
    let mut expected = vec![0, 1];
    expected.extend([1; 16]);
    expected.extend(Digest::of("sub", &["u"]).as_bytes());
    expected.extend(Digest::of("sid", &["s"]).as_bytes());
    for _ in 0..4 {
        expected.extend(now);
    }
    expected.extend(b"\x08; Path=/\x01v");
    assert_eq!(bound, expected);
    assert_eq!(
        Contents::from_bytes(&bound).unwrap(),
        contents(Binding::Session(session()))
    );
}

#[test]
fn bytes_of_another_make_are_no_contents() {
    let bytes = contents(Binding::Session(session())).to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert_eq!(
            Contents::from_bytes(&bytes[..length]),
            None,
            "cut at {length}"
        );
    }
    assert_eq!(Contents::from_bytes(&[&bytes[..], &[0]].concat()), None);
    for first in [[1, 0], [0, 2]] {
        assert_eq!(Contents::from_bytes(&[&first, &bytes[2..]].concat()), None);
    }
}

#[test]
fn a_seal_opens_where_it_was_made_and_nowhere_else() {
    let config = testkit::config();
    let (shop, wiki) = (testkit::app(&config, "SHOP"), testkit::app(&config, "WIKI"));
    let world = FakeWorld::new();
    let key = &config.seal_key;
    let contents = contents(Binding::Session(session()));
    let value = block_on(seal(&world, key, &shop, "sid", &contents)).unwrap();
    let sealed = Seal::parse(&value).unwrap();
    assert_eq!(sealed.to_value(), value);
    let opens =
        |app: &App, name: &str, seal: &Seal| block_on(open(&world, key, app, name, seal)).unwrap();

    assert_eq!(opens(&shop, "sid", &sealed), Some(contents));
    assert_eq!(opens(&shop, "sid2", &sealed), None, "another cookie");
    assert_eq!(opens(&wiki, "sid", &sealed), None, "another app");
    let renamed = |id: &str, day: i64| Seal {
        key: KeyName { id: id.into(), day },
        ..sealed.clone()
    };
    assert_eq!(opens(&shop, "sid", &renamed("k2", sealed.key.day)), None);
    assert_eq!(
        opens(&shop, "sid", &renamed("k1", sealed.key.day - 1)),
        None
    );
    for position in 0..sealed.ciphertext.len() {
        let mut spoilt = sealed.clone();
        spoilt.ciphertext[position] ^= 1;
        assert_eq!(opens(&shop, "sid", &spoilt), None, "byte {position}");
    }
}

#[test]
fn seals_of_no_time_of_ours_cost_no_key() {
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let world = FakeWorld::new();
    let seal = |day| Seal {
        key: KeyName {
            id: "k1".into(),
            day,
        },
        nonce: [0; 12],
        ciphertext: vec![0; 16],
    };
    let today = NOW.days();
    for (day, ours) in [
        (today, true),
        (today - 30, true),
        (today - 31, false),
        (today + 1, false),
        (i64::MIN, false),
    ] {
        assert_eq!(seal(day).is_of_our_time(NOW), ours, "{day}");
        assert_eq!(
            block_on(open(&world, &config.seal_key, &shop, "sid", &seal(day))),
            Ok(None)
        );
    }
}

#[test]
fn a_genuine_seal_of_long_ago_does_not_open() {
    let config = testkit::config();
    let shop = testkit::app(&config, "SHOP");
    let world = FakeWorld::new();
    let key = &config.seal_key;
    let contents = contents(Binding::Unbound { since: NOW });
    let value = block_on(seal(&world, key, &shop, "sid", &contents)).unwrap();
    let sealed = Seal::parse(&value).unwrap();
    let month = *limits::SESSION_LIFETIME_BOUNDS.end();
    for (later, opens) in [(0, true), (1, false)] {
        world
            .clock
            .set(NOW.plus(month + std::time::Duration::from_hours(24 * later)));
        let opened = block_on(open(&world, key, &shop, "sid", &sealed));
        assert_eq!(opened.unwrap().is_some(), opens, "{later}");
    }
}

#[test]
fn what_is_no_seal_is_not_read_as_one() {
    for value in [
        "",
        "el1",
        "el1.",
        "el1.k",
        "el1.k.1",
        "el1.k.1.",
        "el1.k.1.AAAA",
        "el1.k.x.AAAAAAAAAAAAAAAAAAAA",
        "el1.k.1.AAAAAAAAAAAAAAAAAAAA.more",
        "el1.k.1.AAAAAAAAAAAAAAAA====",
        "el2.k.1.AAAAAAAAAAAAAAAAAAAA",
        "el1.k.99999999999999999999.AAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(Seal::parse(value), None, "{value}");
    }
    assert!(Seal::is_claimed_by("el1.whatever"));
    assert!(!Seal::is_claimed_by("el2.whatever"));
}
