//! What is wrong with a configuration, and how it is told.

use super::*;

#[test]
fn each_problem_names_its_field() {
    for (place, value, expected) in [
        (
            "ISSUER_MAIN.jwks_uri",
            json!("http://op.example/jwks"),
            ": must be an https",
        ),
        (
            "ISSUER_MAIN.logout_alg",
            json!("HS256"),
            ": must be one of RS256",
        ),
        (
            "ISSUER_MAIN.id_token_alg",
            json!("none"),
            ": must be one of RS256",
        ),
        (
            "ISSUER_MAIN.allow_insecure_http",
            json!("yes"),
            ": must be true or false",
        ),
        (
            "ISSUER_MAIN.dry_run",
            json!("yes"),
            ": must be true or false",
        ),
        (
            "ISSUER_MAIN.breaker",
            json!({ "sessions": 0, "seconds": 60 }),
            ".sessions: must be from 1 to 10000",
        ),
        (
            "ISSUER_MAIN.breaker",
            json!({ "sessions": 500 }),
            ".seconds: must be from 1 to 3600",
        ),
        (
            "ISSUER_MAIN.breaker",
            json!({ "sessions": 500, "seconds": 60, "minutes": 1 }),
            ".minutes: is not a field",
        ),
        (
            "OPERATOR.access_team",
            json!("http://team.cloudflareaccess.com"),
            ": must be https",
        ),
        (
            "OPERATOR.access_team",
            json!("https://team.cloudflareaccess.com/"),
            ", without a path",
        ),
        ("OPERATOR.access_audience", json!(""), ": must be a text"),
        ("OPERATOR.acess_team", json!("x"), ": is not a field"),
        ("ISSUER_MAIN.isuer", json!("x"), ": is not a field"),
        (
            "APP_SHOP.issuer",
            json!("https://other.example"),
            ": is no configured issuer",
        ),
        ("APP_SHOP.client_id", json!(""), ": must be a text"),
        ("APP_SHOP.client_id", json!(5), ": must be a text"),
        ("APP_SHOP.routes", json!([]), ": must name at least one"),
        ("APP_SHOP.routes", json!("app.example/"), ": must be a list"),
        (
            "APP_SHOP.routes",
            json!(["a.example/", "https://a.example/x"]),
            "[1]: must be host",
        ),
        (
            "APP_SHOP.routes",
            json!(["app.example:443/x"]),
            "[0]: must be host",
        ),
        (
            "APP_SHOP.logout_path",
            json!("/shop/../logout"),
            ": must be an absolute path",
        ),
        (
            "APP_SHOP.logout_path",
            json!("/.edge-logout/x"),
            ": must be an absolute path",
        ),
        (
            "APP_SHOP.origin",
            json!("https://origin.example/p"),
            ": is scheme and host only",
        ),
        (
            "APP_SHOP.origin",
            json!("origin.example"),
            ": must be https://..., http://..., or service:",
        ),
        (
            "APP_SHOP.origin",
            json!("service:"),
            ": must be https://..., http://..., or service:",
        ),
        (
            "APP_SHOP.accept_unsealed_until",
            json!("tomorrow"),
            ": must be a time such as",
        ),
        (
            "APP_SHOP.accept_unsealed_until",
            json!("2027-01-22T08:00:01Z"),
            ": must be at most seven days ahead",
        ),
        ("APP_SHOP.announce", json!("header"), ": must be a table"),
        (
            "APP_SHOP.announce",
            json!({ "from": "token" }),
            ".from: must be one of",
        ),
        ("APP_SHOP.announce", json!({}), ".from: is missing"),
        (
            "APP_SHOP.announce",
            json!({ "from": "session" }),
            ".from: needs the secret",
        ),
        (
            "APP_SHOP.announce",
            json!({ "from": "cookie" }),
            ".name: is missing",
        ),
        (
            "APP_SHOP.announce",
            json!({ "from": "header", "name": "Set-Cookie" }),
            ".name: is a header that the app needs",
        ),
        (
            "APP_SHOP.announce",
            json!({ "from": "cookie", "name": "a;b" }),
            ".name: must be a cookie name",
        ),
        (
            "APP_SHOP.announce",
            json!({ "from": "header", "name": "x y" }),
            ": name and scheme may hold",
        ),
        (
            "APP_SHOP.announce",
            json!({ "from": "header", "shceme": "Bearer" }),
            ".shceme: is not a field",
        ),
        (
            "APP_SHOP.announce_late",
            json!(true),
            "must name at least one",
        ),
        (
            "APP_SHOP.login_paths",
            json!(["/cb"]),
            ": serve announce_late",
        ),
        (
            "APP_SHOP.on_ended",
            json!("forward"),
            ": must be one of anonymous",
        ),
        (
            "APP_SHOP.on_ended",
            json!("redirect"),
            "ended_location: is missing",
        ),
        ("APP_SHOP.ended_location", json!("/x"), ": serves on_ended"),
        (
            "APP_SHOP.anonymous_paths",
            json!(["/a", "/b/"]),
            "[1]: must be an absolute path",
        ),
        (
            "HOST_A.host",
            json!("other.example"),
            ": is the host of no app",
        ),
        (
            "HOST_A.unmatched",
            json!("forward"),
            ": must be one of refuse, pass",
        ),
        (
            "APP_SHOP.session_cookies",
            json!([]),
            ": must name at least one",
        ),
        (
            "APP_SHOP.session_cookies",
            json!(["*"]),
            "[0]: must be a cookie name",
        ),
        (
            "APP_SHOP.never",
            json!(["a b"]),
            "[0]: must be a cookie name",
        ),
        (
            "ISSUER_MAIN.sid_scope",
            json!("all"),
            ": must be one of sid, sub",
        ),
        (
            "ISSUER_MAIN.clock_skew",
            json!(301),
            ": must be at most 300",
        ),
        (
            "ISSUER_MAIN.trusted_audiences",
            json!("x"),
            ": must be a list",
        ),
        ("APP_SHOP.session_sid", json!(true), ": must be a text"),
        (
            "LIMITS.kv_operations",
            json!(5000),
            ": must be from 20 to 1000",
        ),
        ("LIMITS.kv_reads", json!(1), ": is not a field"),
        ("APP_SHOP.session_lifetime", json!(59), ": must be from 60"),
        (
            "APP_SHOP.session_lifetime",
            json!("1h"),
            ": must be a whole number",
        ),
    ] {
        let (variable, field) = place.split_once('.').unwrap();
        let found = problems(|all| {
            if variable == "HOST_A" {
                all["HOST_A"] = json!({ "host": "app.example" });
            } else if variable == "OPERATOR" {
                let team = "https://team.cloudflareaccess.com";
                all["OPERATOR"] = json!({ "access_team": team, "access_audience": "tag" });
            }
            all[variable][field] = value.clone();
        });
        // What one field lacks may be told of another.
        let names_its_own = expected.starts_with([':', '.', '[']);
        let expected = if names_its_own {
            format!("{place}{expected}")
        } else {
            expected.to_owned()
        };
        assert!(found[0].contains(&expected), "{place} = {value}: {found:?}");
        assert!(found[0].starts_with(variable));
        assert!(
            found.len() == 1 || place == "APP_SHOP.announce",
            "{found:?}"
        );
    }
}

#[test]
fn all_problems_come_at_once() {
    let found = problems(|all| {
        all["ISSUER_MAIN"]["logout_alg"] = json!("none");
        all["ISSUER_OTHER"] = json!("text");
        all["APP_SHOP"]["client_id"] = Value::Null;
        all["APP_SHOP"]["logout_path"] = json!("relative");
        all["APP_SHOP"]["origin"] = json!("ftp://x");
        all["APP_SHOP"]["sesion_cookies"] = json!([]);
        all["SEAL_KEYS"] = json!([]);
    });
    for beginning in [
        "ISSUER_MAIN.logout_alg:",
        "ISSUER_OTHER:",
        "APP_SHOP.client_id:",
        "APP_SHOP.logout_path:",
        "APP_SHOP.origin:",
        "APP_SHOP.sesion_cookies:",
        "SEAL_KEYS:",
    ] {
        let count = found
            .iter()
            .filter(|problem| problem.starts_with(beginning))
            .count();
        assert_eq!(count, 1, "{beginning} in {found:?}");
    }
}

#[test]
fn two_apps_cannot_claim_one_place() {
    let found = problems(|all| {
        let mut other = all["APP_SHOP"].clone();
        other["client_id"] = json!("other");
        all["APP_OTHER"] = other;
        all["APP_SAME"] = all["APP_SHOP"].clone();
        all["APP_SAME"]["routes"] = json!(["other.example/"]);
    });
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("client_id: is APP_SAME's"))
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("routes: app.example/shop belongs to"))
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("logout_path: is APP_OTHER's"))
    );
}

#[test]
fn nothing_to_protect_is_a_problem() {
    let found = parse(&[], Authority::Kv, NOW).unwrap_err();
    let fields: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["APP_*", "SEAL_KEYS"]);
}

#[test]
fn seal_keys_are_checked_and_never_told() {
    let secret = BASE64_STANDARD.encode([9; 31]);
    let key = |id: &str, from: Option<&str>| {
        let mut key = json!({ "id": id, "key": BASE64_STANDARD.encode([9; 32]) });
        if let Some(from) = from {
            key["seal_from"] = json!(from);
        }
        key
    };
    for (keys, expected) in [
        (json!("not a list"), "SEAL_KEYS: must be a JSON list"),
        (json!([]), "SEAL_KEYS: must be a JSON list"),
        (json!([{}, {}]), "SEAL_KEYS[0].id: is missing"),
        (
            json!([key("k", None), key("k", Some("2027-01-01T00:00:00Z"))]),
            "SEAL_KEYS[1].id: is another key's",
        ),
        (
            json!([key("k", Some("2027-01-01T00:00:00Z"))]),
            "SEAL_KEYS: must be a JSON list with a key that has no seal_from",
        ),
        (
            json!([key("k", None), key("l", None)]),
            "SEAL_KEYS: may hold one key without seal_from",
        ),
        (
            json!([key("k", None), key("l", Some("soon"))]),
            "SEAL_KEYS[1].seal_from: must be a time",
        ),
        (json!(["x"]), "SEAL_KEYS[0]: must be a table"),
        (
            json!([{ "id": "k", "key": secret }]),
            "SEAL_KEYS[0].key: must be the base64",
        ),
        (
            json!([{ "id": "a.b", "key": BASE64_STANDARD.encode([9; 32]) }]),
            "SEAL_KEYS[0].id: must be",
        ),
    ] {
        let found = problems(|all| all["SEAL_KEYS"] = keys.clone());
        assert!(found[0].starts_with(expected), "{found:?}");
        assert!(!found.join(" ").contains(&secret));
    }
    let shown = format!(
        "{:?}",
        parse(&variables(|_| {}), Authority::Kv, NOW).unwrap()
    );
    assert!(!shown.contains("7, 7"), "Debug shows no key");
}
