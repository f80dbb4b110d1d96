use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn set(line: &str) -> SetCookie {
    SetCookie::parse(line, NOW).unwrap()
}

#[test]
fn pairs_keep_what_they_hold() {
    let header = "a=1; b=\"x y\";c==2=;  d ; =e;; f= ";
    let read = pairs(header, |_, _| false);
    assert_eq!(
        read,
        [
            ("a", "1"),
            ("b", "\"x y\""),
            ("c", "=2="),
            ("", "d"),
            ("", "e"),
            ("f", "")
        ]
    );
    assert_eq!(
        join(read.into_iter()).unwrap(),
        "a=1; b=\"x y\"; c==2=; d; e; f="
    );
    assert_eq!(join(std::iter::empty()), None);
}

#[test]
fn a_line_keeps_its_attributes_to_the_letter() {
    let line = set("sid=\"v=1\"; Path=/a; HttpOnly; Priority=High; Partitioned; samesite=lax");
    assert_eq!(
        (line.name.as_str(), line.value.as_str()),
        ("sid", "\"v=1\"")
    );
    assert!(line.http_only && !line.removes);
    assert_eq!(
        line.line("sid", "sealed"),
        "sid=sealed; Path=/a; HttpOnly; Priority=High; Partitioned; samesite=lax"
    );
    assert_eq!(SetCookie::parse("no name", NOW), None);
    assert_eq!(SetCookie::parse("=value; Path=/", NOW), None);
}

#[test]
fn a_removal_is_told_from_a_cookie() {
    for (line, removes) in [
        ("a=1", false),
        ("a=", false),
        ("a=1; Max-Age=60", false),
        ("a=1; Max-Age=0", true),
        ("a=1; Max-Age=-5", true),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
        ("a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT", true),
        ("a=1; Expires=Fri, 31 Dec 2100 00:00:00 GMT", false),
        (
            "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            false,
        ),
        ("a=1; Expires=whenever", false),
    ] {
        assert_eq!(set(line).removes, removes, "{line}");
    }
}

/// A second `Cookie` header arrives folded into the first with a comma.
#[test]
fn a_comma_ends_a_pair_beside_a_protected_one_only() {
    let is_protected = |name: &str, value: &str| name == "sid" || value.starts_with("el1.");
    for (header, expected) in [
        ("a=1,2; b=x, y", vec![("a", "1,2"), ("b", "x, y")]),
        ("a=1, sid=raw", vec![("a", "1"), ("sid", "raw")]),
        (
            "a=1,sid=raw,b=2,c",
            vec![("a", "1"), ("sid", "raw"), ("b", "2,c")],
        ),
        ("sid=raw, b=2", vec![("sid", "raw"), ("b", "2")]),
        (
            "a=1, x=el1.k, c",
            vec![("a", "1"), ("x", "el1.k"), ("", "c")],
        ),
        (
            "a=1, b=2, sid=3; c=4",
            vec![("a", "1, b=2"), ("sid", "3"), ("c", "4")],
        ),
        ("a=\"x, sid=1\"", vec![("a", "\"x"), ("sid", "1\"")]),
        ("a=b sid=raw c", vec![("a", "b"), ("sid", "raw c")]),
        (
            "a=b\u{b}sid=raw; c=d e",
            vec![("a", "b"), ("sid", "raw"), ("c", "d e")],
        ),
        ("=sid=raw", vec![("sid", "raw")]),
        (" == =sid=raw; ===", vec![("sid", "raw")]),
        (
            "a=,, sid=raw,,b,",
            vec![("a", ""), ("sid", "raw"), ("", ",b,")],
        ),
    ] {
        assert_eq!(pairs(header, is_protected), expected, "{header}");
    }
}

/// Each of these gives `sid` to a server that is in use.
#[test]
fn nothing_hides_a_protected_pair_in_another() {
    let is_protected = |name: &str, _: &str| name == "sid";
    for (header, expected) in [
        ("=sid=raw", vec![("sid", "raw")]),
        ("a=1; = =sid=raw", vec![("a", "1"), ("sid", "raw")]),
        ("a=1 sid=raw", vec![("a", "1"), ("sid", "raw")]),
        ("a=1\tb sid = raw", vec![("a", "1\tb"), ("sid", "raw")]),
        ("a=1 sid\t  =raw", vec![("a", "1"), ("sid", "raw")]),
        ("a=\"sid=raw", vec![("a", ""), ("sid", "raw")]),
        ("a=1\\sid=raw", vec![("a", "1"), ("sid", "raw")]),
        ("a=1\u{b}sid=raw", vec![("a", "1"), ("sid", "raw")]),
        ("a=1\u{e9}sid=raw", vec![("a", "1"), ("sid", "raw")]),
        ("sid=raw a=1", vec![("sid", "raw a=1")]),
        ("a=1 b=2\"c\\", vec![("a", "1 b=2\"c\\")]),
        ("a=1/sid=raw", vec![("a", "1/sid=raw")]),
    ] {
        assert_eq!(pairs(header, is_protected), expected, "{header}");
    }
}

#[test]
fn what_sets_a_cookie_again_names_the_same_cookie() {
    for (line, request_path, attributes) in [
        ("a=1; Path=/x; HttpOnly", "/p/q", "; Path=/x; HttpOnly"),
        (
            "__Host-a=1;Secure;Path=/;Max-Age=9",
            "/p",
            "; Secure; Path=/; Max-Age=9",
        ),
        (
            "a=1; Domain=example.com",
            "/p/q",
            "; Domain=example.com; Path=/p",
        ),
        ("a=1; Path", "/p", "; Path=/"),
        ("a=1; Path=/x; Path", "/p/q", "; Path=/p"),
        ("a=1; Path=relative", "/p/q/r", "; Path=/p/q"),
        ("a=1", "/", "; Path=/"),
    ] {
        assert_eq!(set(line).attributes_at(request_path), attributes, "{line}");
    }
    assert_eq!(
        removal(
            "a",
            "; Path=/x; max-age=9; Secure; Expires=Fri, 31 Dec 2100 00:00:00 GMT"
        ),
        "a=; Path=/x; Secure; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    );
    assert_eq!(
        place("; Domain=.Example.com; Path=/x"),
        ("example.com".into(), "/x".into())
    );
    for (line, domain) in [
        ("a=1; domain=App.example", Some("app.example")),
        ("a=1; Domain=.app.example", Some("app.example")),
        ("a=1; Domain=app.example; Domain=", None),
    ] {
        assert_eq!(set(line).domain.as_deref(), domain, "{line}");
    }
    assert!(!set(&format!("a={}", "x".repeat(4095))).is_too_large());
    assert!(set(&format!("a={}", "x".repeat(4096))).is_too_large());
}
