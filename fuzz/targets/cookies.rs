//! The `Cookie` header: no session cookie reaches the app that did not come out of a seal, by the
//! most generous reading a server may have; what is not ours goes along as it came.

#![no_main]

use arbitrary::Arbitrary;
use cookie::Cookie;
use edge_logout_fuzz::{
    NOW, app, config,
    domain::{
        config::App,
        cookie as ours,
        digest::Digest,
        jar::{Jar, REDIRECTED, Standing},
        opened::Opened,
        pieces,
        seal::{self, Authority, Contents, Owner},
        session::{EndedBy, Session, SessionId, SidKey, SubjectKey},
    },
    fits_a_header,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    crumbs: Vec<(Crumb<'a>, u8)>,
    standing: u8,
}

#[derive(Arbitrary, Debug)]
enum Crumb<'a> {
    Text(&'a str),
    Pair(u8, &'a str),
    Seal { name: u8, by_wiki: bool, owner: u8 },
    Piece(u8),
}

const NAMES: [&str; 9] = [
    "shop.sid",
    "shop.part1",
    "shop_sid",
    "wiki.sid",
    "theme",
    REDIRECTED,
    "shop.sid~1",
    "",
    "shop",
];
const SEPARATORS: [&str; 10] = ["; ", ";", ",", ", ", " ", "=", "\"", "\t", ";=", "\\"];
/// In every sealed value, and in no input.
const SECRET: &str = "hMJ7Qk";

fn session(byte: u8) -> Session {
    let digest = Digest::of("sub", &["u"]);
    Session {
        id: SessionId::from_random([byte; 16]),
        subject: SubjectKey(digest),
        sid: SidKey(digest),
        login: NOW,
        registered_at: NOW,
        expires: NOW,
    }
}

fn sealed(app: &App, name: &str, owner: u8, length: usize) -> String {
    let contents = Contents {
        authority: Authority::Kv,
        owner: Owner {
            session: (owner > 0).then(|| session(owner)),
            since: NOW,
            at_login: false,
        },
        attributes: "; Path=/".into(),
        value: format!("{SECRET}{name}{}", "x".repeat(length)),
    };
    let keys = &config().seal_keys;
    seal::seal(keys, app, name, &[owner; 24], &contents, NOW).expect("it is sealed")
}

/// The characters that a cookie's value may not hold (RFC 6265 section 4.1.1): some server or other
/// ends a pair there.
fn may_end_a_pair(c: char) -> bool {
    !matches!(c, '!' | '#'..='+' | '-'..=':' | '<'..='[' | ']'..='~')
}

fn is_seal(value: &str) -> bool {
    seal::is_claimed_by(value) || pieces::is_claimed_by(value)
}

/// Nothing protected is in the header but what came out of seals; they are counted.
fn check(app: &App, header: &str, seals: usize) {
    let mut protected = 0;
    let by_the_crate: Vec<_> = Cookie::split_parse(header).flatten().collect();
    for cookie in &by_the_crate {
        if app.session_cookies.may_mean(cookie.name()) {
            assert_eq!(
                cookie.value().trim_end_matches('x'),
                format!("{SECRET}{}", cookie.name())
            );
            protected += 1;
        }
    }
    assert!(protected <= seals);
    for piece in header.split(';') {
        let piece = piece.trim_start_matches([' ', '\t', '=']);
        let (_, value) = piece.split_once('=').unwrap_or(("", piece));
        assert!(!is_seal(value.trim_matches([' ', '\t'])), "{header}");
    }
    for piece in header.split(may_end_a_pair) {
        // Some take `=a=b` for `a=b`.
        if let Some((name, value)) = piece.trim_start_matches('=').split_once('=')
            && app.session_cookies.may_mean(name)
        {
            assert!(value.starts_with(SECRET), "{header}");
        }
    }
}

/// What is written is read the same by others.
fn check_rewritten(header: &str) {
    let by_the_crate: Vec<_> = Cookie::split_parse(header).flatten().collect();
    let read = ours::pairs(header, |_, _| false);
    let read = read.iter().filter(|(name, _)| !name.trim().is_empty());
    assert!(
        read.map(|(name, value)| (name.trim(), value.trim()))
            .eq(by_the_crate.iter().map(Cookie::name_value)),
        "{header}"
    );
}

/// The pairs that are nobody's business, by the simplest of readings.
fn plain<'a>(app: &App, header: &'a str) -> Vec<&'a str> {
    header
        .split(';')
        .map(|piece| piece.trim_matches([' ', '\t']))
        .filter(|piece| !piece.contains(may_end_a_pair))
        .filter(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or_default();
            !name.is_empty() && !app.session_cookies.may_mean(name) && !is_seal(value)
        })
        .filter(|piece| !piece.starts_with(REDIRECTED))
        .collect()
}

fn check_kept(app: &App, header: &str, forwarded: &str) {
    let mut kept = forwarded.split(';').map(str::trim);
    for pair in plain(app, header) {
        // What stands in front of it may have come out of a seal: order alone matters.
        assert!(kept.any(|other| other == pair), "{pair} of {header}");
    }
}

fuzz_target!(|input: Input<'_>| {
    let shop = app("SHOP");
    let mut header = String::new();
    let mut seals = 0;
    for (crumb, separator) in &input.crumbs {
        let name = |index: u8| NAMES[usize::from(index) % NAMES.len()];
        match crumb {
            Crumb::Text(text) => header += text,
            Crumb::Pair(index, value) => header += &format!("{}={value}", name(*index)),
            Crumb::Seal {
                name: index,
                by_wiki,
                owner,
            } => {
                let by = app(if *by_wiki { "WIKI" } else { "SHOP" });
                let value = sealed(by, name(*index), owner % 3, 0);
                seals += 1;
                header += &format!("{}={value}", name(*index));
            }
            Crumb::Piece(position) => {
                let name = "shop.part2";
                let cut = pieces::cut(name, sealed(shop, name, 1, 6000)).expect("it can be cut");
                let (name, value) = &cut[usize::from(*position) % cut.len()];
                seals += 1;
                header += &format!("{name}={value}");
            }
        }
        header += SEPARATORS[usize::from(*separator) % SEPARATORS.len()];
    }
    let header = header.trim_matches([' ', '\t']);
    if !fits_a_header(header) || header.contains(SECRET) {
        return;
    }
    let standing = match input.standing % 3 {
        0 => Standing::Anonymous,
        1 => Standing::Live(session(1)),
        _ => Standing::Ended(session(1), EndedBy::Mark),
    };
    let jar = Jar::open(config(), shop, header, &mut Opened::default(), NOW);
    let to_app = jar.to_header(&standing, NOW).unwrap_or_default();
    let bare = Jar::without_sessions(header, |name| shop.session_cookies.may_mean(name));
    let to_static = bare.to_header(&standing, NOW).unwrap_or_default();
    for (jar, rewritten, seals) in [(&jar, &to_app, seals), (&bare, &to_static, 0)] {
        check(shop, rewritten, seals);
        check_rewritten(rewritten);
        check_kept(shop, header, rewritten);
        if jar.is_untouched() {
            check(shop, header, 0);
        }
    }
});
