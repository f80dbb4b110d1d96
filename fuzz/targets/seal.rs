//! Seals and their pieces: exactly what was sealed comes out, or nothing.

#![no_main]

use arbitrary::Arbitrary;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use edge_logout_fuzz::{
    NOW, app, config,
    domain::{
        digest::Digest,
        limits,
        opened::Opened,
        pieces,
        seal::{self, Authority, Contents, Owner},
        session::{Session, SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    name: &'a str,
    cookies: [Secret<'a>; 2],
    /// Which pieces of which of the two the browser sends, in which order.
    sent: Vec<(bool, u8)>,
    flip: usize,
    other: &'a str,
}

#[derive(Arbitrary, Debug)]
struct Secret<'a> {
    nonce: [u8; 24],
    value: &'a str,
    times: u8,
    attributes: &'a str,
    session: Option<([u8; 16], [i64; 3])>,
    since: i64,
    at_login: bool,
}

impl Secret<'_> {
    fn contents(&self) -> Contents {
        let digest = |kind| Digest::of(kind, &[self.value]);
        let session = self
            .session
            .map(|(id, [login, registered, expires])| Session {
                id: SessionId::from_random(id),
                subject: SubjectKey(digest("sub")),
                sid: SidKey(digest("sid")),
                login: Timestamp::from_millis(login),
                registered_at: Timestamp::from_millis(registered),
                expires: Timestamp::from_millis(expires),
            });
        Contents {
            authority: Authority::Kv,
            owner: Owner {
                session,
                since: Timestamp::from_millis(self.since),
                at_login: self.at_login,
            },
            attributes: self.attributes.to_owned(),
            value: self.value.repeat(usize::from(self.times)),
        }
    }
}

fn open(name: &str, value: &str) -> Option<Contents> {
    seal::open(&config().seal_keys, app("SHOP"), name, value)
}

/// One bit changed, in the text or in the bytes it stands for: nothing opens.
fn check_flipped(name: &str, sealed: &str, flip: usize) {
    let mut text = sealed.as_bytes().to_vec();
    let position = flip / 8 % text.len();
    text[position] ^= 1 << (flip % 8);
    assert_eq!(open(name, &String::from_utf8_lossy(&text)), None);
    let (head, body) = sealed.rsplit_once('.').expect("it has a body");
    let mut bytes = BASE64_URL_SAFE_NO_PAD
        .decode(body)
        .expect("it is base64url");
    let position = flip / 8 % bytes.len();
    bytes[position] ^= 1 << (flip % 8);
    let flipped = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes));
    assert_eq!(open(name, &flipped), None);
}

fuzz_target!(|input: Input<'_>| {
    let name = input.name;
    for (value, first) in [(input.other, name), (name, input.other)] {
        assert_eq!(open(name, value), None);
        assert_eq!(open(name, &format!("el1.k1.{value}")), None);
        let _ = pieces::join(name, first, &[(name, value), (value, first)]);
    }
    let keys = &config().seal_keys;
    let contents = input.cookies.each_ref().map(Secret::contents);
    let mut cut = Vec::new();
    let mut known = Opened::default();
    for (secret, contents) in input.cookies.iter().zip(&contents) {
        let sealed = seal::seal(keys, app("SHOP"), name, &secret.nonce, contents, NOW);
        let sealed = sealed.expect("it can be sealed");
        assert_eq!(open(name, &sealed).as_ref(), Some(contents));
        for _ in 0..2 {
            let known = known.open(keys, app("SHOP"), name, &sealed);
            assert_eq!(known.as_deref(), Some(contents));
        }
        assert_eq!(open(&format!("{name}x"), &sealed), None);
        assert_eq!(seal::open(keys, app("WIKI"), name, &sealed), None);
        check_flipped(name, &sealed, input.flip);
        let fits_in_one = name.len() + sealed.len() <= limits::COOKIE_BYTES;
        let Some(cookies) = pieces::cut(name, sealed) else {
            return;
        };
        assert!(cookies.len() <= limits::COOKIE_PIECES);
        assert_eq!(cookies.len() == 1, fits_in_one);
        for (name, value) in &cookies {
            assert!(name.len() + value.len() <= limits::COOKIE_BYTES);
        }
        cut.push(cookies);
    }
    let mut sent: Vec<(&str, &str)> = Vec::new();
    for (of_second, position) in &input.sent {
        let cookies = &cut[usize::from(*of_second)];
        let (name, value) = &cookies[usize::from(*position) % cookies.len()];
        sent.push((name, value));
    }
    for (cookies, contents) in cut.iter().zip(&contents) {
        let (_, first) = &cookies[0];
        let is_whole = cookies.len() > 1
            && cookies[1..]
                .iter()
                .all(|(name, value)| sent.contains(&(name, value)));
        let opened = pieces::join(name, first, &sent).and_then(|(value, count)| {
            assert_eq!(count, cookies.len());
            open(name, &value)
        });
        if let Some(opened) = &opened {
            assert_eq!(opened, contents);
        }
        // Nonces that begin alike may hide one behind the other; random ones do not.
        let [one, other] = &input.cookies;
        if is_whole && one.nonce[..6] != other.nonce[..6] {
            assert!(opened.is_some(), "every piece was there");
        }
    }
});
