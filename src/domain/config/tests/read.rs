//! What is made of a configuration that is right.

use super::*;

#[test]
fn the_least_that_is_needed_has_the_documented_defaults() {
    let config = parse(&variables(|_| {}), Authority::Kv, NOW).unwrap();
    let app = &config.apps[0];
    assert_eq!(
        (app.name.as_str(), app.client_id.as_str()),
        ("SHOP", "shop")
    );
    assert_eq!(app.routes[0].to_string(), "app.example/shop");
    assert_eq!(app.session_lifetime, limits::SESSION_LIFETIME);
    assert_eq!(app.origin, Origin::Itself);
    assert_eq!(app.on_ended, OnEnded::Anonymous);
    assert_eq!(app.announcement_header(), Some("edge-logout-id-token"));
    assert!(app.session_cookies.contain("sid") && app.session_cookies.contain("part.1"));
    assert!(!app.session_cookies.contain("sid2") && !app.session_cookies.contain("SID"));
    let discovery = "https://op.example/.well-known/openid-configuration";
    assert_eq!(
        app.issuer.keys,
        KeySource::Discovery(HttpUrl::parse(discovery, Schemes::Https).unwrap())
    );
    assert_eq!(app.issuer.logout_alg, Algorithm::Rs256);
    assert_eq!(
        config.seal_keys.named("k-1").map(|key| key.key),
        Some([7; 32])
    );
}

#[test]
fn the_discovery_address_is_appended_to_the_issuers_path() {
    for issuer in [
        "https://op.example/oauth2/token",
        "https://op.example/oauth2/token/",
    ] {
        let config = parse(
            &variables(|all| {
                all["ISSUER_MAIN"]["issuer"] = json!(issuer);
                all["APP_SHOP"]["issuer"] = json!(issuer);
            }),
            Authority::Kv,
            NOW,
        )
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
fn what_is_optional_is_read() {
    let config = parse(
        &variables(|all| {
            let app = &mut all["APP_SHOP"];
            app["origin"] = json!("service:SHOP-1");
            app["announce"] =
                json!({ "from": "header", "name": "Authorization", "scheme": "Bearer" });
            app["announce_late"] = json!(true);
            app["login_paths"] = json!(["/shop/callback"]);
            app["on_ended"] = json!("redirect");
            app["ended_location"] = json!("/shop/login?from=logout");
            app["anonymous_paths"] = json!(["/shop/static"]);
            app["accept_unsealed_until"] = json!("2027-01-22T10:00:00+02:00");
            all["HOST_MAIN"] = json!({ "host": "APP.example", "unmatched": "pass" });
            all["HOST_OTHER"] = json!({ "host": "localhost:8787", "unmatched": "refuse" });
        }),
        Authority::Kv,
        NOW,
    )
    .unwrap();
    let app = &config.apps[0];
    assert_eq!(app.origin, Origin::Service("SHOP-1".into()));
    assert_eq!(config.services().collect::<Vec<_>>(), ["SHOP-1"]);
    assert_eq!(
        app.announce,
        Announce::IdToken(Source::Header {
            name: "authorization".into(),
            scheme: Some("Bearer".into())
        })
    );
    assert!(app.logs_in_at("/shop/callback/x") && !app.logs_in_at("/shop/callbac"));
    assert!(app.is_anonymous_at("/shop/static") && !app.is_anonymous_at("/shop/statics"));
    assert_eq!(
        app.on_ended,
        OnEnded::Redirect("/shop/login?from=logout".into())
    );
    assert_eq!(app.accept_unsealed_until, NOW.plus(limits::UNSEALED_MAX));
    let expected = HostRule {
        host: "app.example".into(),
        origin: Origin::Itself,
    };
    assert_eq!(config.hosts, [expected]);
}

#[test]
fn cookie_names_are_read_as_generously_as_servers_do() {
    let names = CookieNames(vec!["shop_sid".into(), "part.*".into()]);
    for (name, is_listed, may_be_read_so) in [
        ("shop_sid", true, true),
        ("part.0", true, true),
        ("shop.sid", false, true),
        ("shop sid", false, true),
        ("shop[sid", false, true),
        ("shop%5Fsi%64", false, true),
        ("\"shop_sid\"", false, true),
        ("\u{b}shop_sid ", false, true),
        ("part_0", false, true),
        ("Shop_sid", false, false),
        ("shop_sid2", false, false),
        ("part", false, false),
    ] {
        assert_eq!(names.contain(name), is_listed, "{name:?}");
        assert_eq!(names.may_mean(name), may_be_read_so, "{name:?}");
    }
}

#[test]
fn there_is_an_operator_by_key_or_by_access_and_otherwise_none() {
    let read = |change: fn(&mut Value)| {
        let mut texts = variables(change);
        // A secret is a text, not JSON.
        for (name, value) in &mut texts {
            if name == "OPERATOR_KEY" {
                *value = value.trim_matches('"').to_owned();
            }
        }
        parse(&texts, Authority::Kv, NOW)
    };
    assert_eq!(read(|_| {}).unwrap().operator, None);
    let key = "0123456789abcdef0123456789abcdef";
    let operator = read(|all| all["OPERATOR_KEY"] = json!("0123456789abcdef0123456789abcdef"));
    let operator = operator.unwrap().operator.unwrap();
    assert!(operator.has_key(key) && operator.access.is_none());
    for other in ["", &key[1..], "0123456789abcdef0123456789abcdeF"] {
        assert!(!operator.has_key(other), "{other}");
    }
    let problems = read(|all| all["OPERATOR_KEY"] = json!("too short")).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "OPERATOR_KEY: must be 32 characters or more"
    );
    let team = "https://team.cloudflareaccess.com";
    let config = read(|all| {
        all["OPERATOR"] = json!({
            "access_team": "https://team.cloudflareaccess.com", "access_audience": "tag",
        });
    });
    let operator = config.unwrap().operator.unwrap();
    assert!(!operator.has_key("") && operator.key.is_none());
    let access = operator.access.unwrap();
    let certs = format!("{team}/cdn-cgi/access/certs");
    let certs = HttpUrl::parse(&certs, Schemes::Https).unwrap();
    assert_eq!(access.team.keys, KeySource::KeySet(certs));
    assert_eq!(
        (access.team.issuer.as_str(), access.audience.as_str()),
        (team, "tag")
    );
}
