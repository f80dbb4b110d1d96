use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::*;
use crate::domain::limits;

fn variables(change: impl FnOnce(&mut Value)) -> Vec<(String, String)> {
    let mut all = json!({
        "ISSUER_MAIN": { "issuer": "https://op.example" },
        "APP_SHOP": {
            "issuer": "https://op.example",
            "client_id": "shop",
            "routes": ["App.Example/shop", "localhost:8787/shop"],
            "logout_path": "/shop/bclogout",
            "session_cookies": ["sid", "part*"],
        },
        "SEAL_KEYS": [{ "id": "k-1", "key": Base64::encode_string(&[7; 32]) }],
        "UNRELATED": "text",
    });
    change(&mut all);
    let all = all.as_object().unwrap().iter();
    all.map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let problems = parse(&variables(change)).expect_err("a wrong configuration was accepted");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_that_is_needed_has_the_documented_defaults() {
    let config = parse(&variables(|_| {})).unwrap();
    let app = &config.apps[0];
    assert_eq!(
        (app.name.as_str(), app.client_id.as_str()),
        ("SHOP", "shop")
    );
    assert_eq!(app.routes[0].to_string(), "app.example/shop");
    assert_eq!(app.session_lifetime, limits::SESSION_LIFETIME);
    assert_eq!(app.origin, None);
    assert!(app.session_cookies.contain("sid") && app.session_cookies.contain("part.1"));
    assert!(!app.session_cookies.contain("sid2") && !app.session_cookies.contain("SID"));
    let discovery = "https://op.example/.well-known/openid-configuration";
    assert_eq!(
        app.issuer.keys,
        KeySource::Discovery(HttpUrl::parse(discovery, Schemes::Https).unwrap())
    );
    assert_eq!(app.issuer.logout_alg, Algorithm::Rs256);
    assert_eq!(
        (config.seal_key.id.as_str(), config.seal_key.key),
        ("k-1", [7; 32])
    );
}

#[test]
fn the_discovery_address_is_appended_to_the_issuers_path() {
    for issuer in [
        "https://op.example/oauth2/token",
        "https://op.example/oauth2/token/",
    ] {
        let config = parse(&variables(|all| {
            all["ISSUER_MAIN"]["issuer"] = json!(issuer);
            all["APP_SHOP"]["issuer"] = json!(issuer);
        }))
        .unwrap();
        let KeySource::Discovery(url) = &config.apps[0].issuer.keys else {
            panic!("discovery is the default");
        };
        assert_eq!(
            url.as_str(),
            "https://op.example/oauth2/token/.well-known/openid-configuration"
        );
    }
}

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
            ": must be an https",
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
        let found = problems(|all| all[variable][field] = value.clone());
        assert_eq!(found.len(), 1, "{place} = {value}: {found:?}");
        let expected = format!("{place}{expected}");
        assert!(
            found[0].starts_with(&expected),
            "{place} = {value}: {found:?}"
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
    let found = parse(&[]).unwrap_err();
    let fields: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["APP_*", "SEAL_KEYS"]);
}

#[test]
fn seal_keys_are_checked_and_never_told() {
    let secret = Base64::encode_string(&[9; 31]);
    for (keys, expected) in [
        (json!("not a list"), "SEAL_KEYS: must be a JSON list"),
        (json!([{}, {}]), "SEAL_KEYS: must be a JSON list"),
        (json!(["x"]), "SEAL_KEYS[0]: must be a table"),
        (
            json!([{ "id": "k", "key": secret }]),
            "SEAL_KEYS[0].key: must be the base64",
        ),
        (
            json!([{ "id": "a.b", "key": Base64::encode_string(&[9; 32]) }]),
            "SEAL_KEYS[0].id: must be",
        ),
    ] {
        let found = problems(|all| all["SEAL_KEYS"] = keys.clone());
        assert!(found[0].starts_with(expected), "{found:?}");
        assert!(!found.join(" ").contains(&secret));
    }
    let shown = format!("{:?}", parse(&variables(|_| {})).unwrap());
    assert!(!shown.contains("7, 7"), "Debug shows no key");
}
