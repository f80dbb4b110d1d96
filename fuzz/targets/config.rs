//! The configuration: right or wrong, but never half of either.

#![no_main]

use arbitrary::Arbitrary;
use edge_logout_fuzz::{
    NOW,
    domain::{
        config::{self, Config, KeySource, OnEnded, Origin},
        limits,
        route::{self, Place},
        seal::Authority,
        url::{HttpUrl, Schemes},
    },
    variables,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use url::Url;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    changes: Vec<Change<'a>>,
    more: Vec<(&'a str, &'a str)>,
}

#[derive(Arbitrary, Debug)]
struct Change<'a> {
    variable: u8,
    field: u8,
    value: Option<New<'a>>,
}

#[derive(Arbitrary, Debug)]
enum New<'a> {
    Json(&'a str),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Known(u8),
    KnownTexts(Vec<u8>),
    Flag(bool),
    Number(u32),
    Announce(u8, Option<&'a str>),
}

const FIELDS: [&str; 33] = [
    "issuer",
    "discovery",
    "jwks_uri",
    "logout_alg",
    "id_token_alg",
    "allow_missing_exp",
    "require_typ",
    "sid_scope",
    "trusted_audiences",
    "clock_skew",
    "allow_insecure_http",
    "dry_run",
    "breaker",
    "client_id",
    "routes",
    "logout_path",
    "session_cookies",
    "session_sid",
    "never",
    "origin",
    "session_lifetime",
    "accept_unsealed_until",
    "announce",
    "announce_late",
    "login_paths",
    "on_ended",
    "ended_location",
    "anonymous_paths",
    "host",
    "unmatched",
    "id",
    "key",
    "seal_from",
];
const VALUES: [&str; 24] = [
    "https://op.example/",
    "https://lenient.example",
    "http://op.example",
    "https://origin.example",
    "service:BACK",
    "ES256",
    "sub",
    "optional",
    "shop",
    "app.example/shop",
    "App.Example:8443/x",
    "all.example/",
    "all.example",
    "/shop/bclogout",
    "/login",
    "/bye?x=1",
    "sid",
    "part*",
    "redirect",
    "unauthorized",
    "pass",
    "2027-01-16T00:00:00Z",
    "//evil.example",
    "refuse",
];

impl New<'_> {
    fn json(&self) -> Option<Value> {
        let known = |index: &u8| VALUES[usize::from(*index) % VALUES.len()];
        Some(match self {
            Self::Json(text) => serde_json::from_str(text).ok()?,
            Self::Text(text) => json!(text),
            Self::Texts(texts) => json!(texts),
            Self::Known(index) => json!(known(index)),
            Self::KnownTexts(list) => json!(list.iter().map(known).collect::<Vec<_>>()),
            Self::Flag(flag) => json!(flag),
            Self::Number(number) => json!(number),
            Self::Announce(from, name) => {
                let from = ["header", "cookie", "session"][usize::from(*from) % 3];
                match name {
                    Some(name) => json!({ "from": from, "name": name }),
                    None => json!({ "from": from }),
                }
            }
        })
    }
}

fn is_plain_http(url: &HttpUrl) -> bool {
    // Addresses of no meaning are left to the fetch.
    Url::parse(url.as_str()).is_ok_and(|url| url.scheme() == "http")
}

fn check(config: &Config, variables: &[(String, String)]) {
    assert!(!config.apps.is_empty());
    assert!(limits::KV_OPERATIONS_BOUNDS.contains(&config.kv_operations));
    assert_eq!(config.seal_keys.sealing(NOW).key.len(), 32);
    let read = |name: &str| -> Value {
        let (_, json) = variables
            .iter()
            .filter(|(other, _)| other == name)
            .min()
            .expect("it is there");
        serde_json::from_str(json).expect("it is JSON")
    };
    for (position, app) in config.apps.iter().enumerate() {
        let its = read(&format!("APP_{}", app.name));
        assert!(!app.name.is_empty() && !app.client_id.is_empty() && !app.routes.is_empty());
        let names = its["session_cookies"].as_array().expect("a list");
        assert!(!names.is_empty());
        for name in names {
            let name = name.as_str().expect("a text");
            assert!(!name.trim_end_matches('*').is_empty());
            assert!(app.session_cookies.contain(name) && app.session_cookies.may_mean(name));
        }
        assert!(limits::SESSION_LIFETIME_BOUNDS.contains(&app.session_lifetime));
        assert!(app.accept_unsealed_until.since(NOW) <= limits::UNSEALED_MAX);
        assert_eq!(app.login_paths.is_empty(), its["announce_late"] != true);
        for other in &config.apps[..position] {
            assert_ne!(app.id, other.id);
            assert!(app.routes.iter().all(|route| !other.routes.contains(route)));
        }
        for route in &app.routes {
            assert!(!route.host.contains(char::is_uppercase));
            let Place::BackChannel(found) = route::locate(config, &route.host, &app.logout_path)
            else {
                panic!("{} is not reached", app.logout_path);
            };
            assert_eq!(found.id, app.id);
            let place = route::locate(config, &route.host, &route.prefix);
            match place {
                Place::App(found, prefix) => assert!(found.id == app.id && prefix == route.prefix),
                Place::BackChannel(_) | Place::Own(_) => {}
                _ => panic!("{route} is not reached: {place:?}"),
            }
        }
        if let OnEnded::Redirect(location) = &app.on_ended {
            let base = Url::parse("https://app.example/x/y").expect("a URL");
            if let Ok(url) = base.join(location) {
                let is_path = location.starts_with('/');
                assert_eq!(url.scheme(), "https");
                assert!(
                    !is_path || url.host_str() == Some("app.example"),
                    "{location}"
                );
            }
        }
        if let Origin::Url(origin) = &app.origin {
            let origin = origin.as_str().trim_end_matches('/');
            if let (Ok(base), Ok(url)) = (Url::parse(origin), Url::parse(&format!("{origin}/p?q")))
            {
                assert_eq!((url.path(), url.query()), ("/p", Some("q")), "{origin}");
                assert_eq!(url.origin(), base.origin());
            }
        }
        let issuer = &app.issuer;
        assert!(issuer.clock_skew <= limits::CLOCK_SKEW_MAX);
        let (KeySource::Discovery(url) | KeySource::KeySet(url)) = &issuer.keys;
        assert!(issuer.schemes == Schemes::HttpToo || !is_plain_http(url));
    }
    for rule in &config.hosts {
        let mut routes = config.apps.iter().flat_map(|app| &app.routes);
        assert!(routes.any(|route| route.host == rule.host));
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut all = variables();
    for change in &input.changes {
        let position = usize::from(change.variable) % all.len();
        let value = &mut all[position].1;
        let value = match value {
            Value::Array(keys) => &mut keys[0],
            value => value,
        };
        let fields = value.as_object_mut().expect("an object");
        let field = FIELDS[usize::from(change.field) % FIELDS.len()];
        match change.value.as_ref().and_then(New::json) {
            Some(new) => fields.insert(field.to_owned(), new),
            None => fields.remove(field),
        };
    }
    let texts = all
        .into_iter()
        .map(|(name, value)| (name, value.to_string()));
    let more = input.more.iter();
    let more = more.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let variables: Vec<_> = texts.chain(more).collect();
    match config::parse(&variables, Authority::Kv, NOW) {
        Ok(config) => {
            check(&config, &variables);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                let variable = problem.field.split(['.', '[']).next().unwrap_or_default();
                let is_known = variables
                    .iter()
                    .any(|(name, _)| problem.field.starts_with(name))
                    || ["ISSUER_*", "APP_*", "SEAL_KEYS"].contains(&variable);
                assert!(is_known && !problem.reason.is_empty(), "{problem}");
            }
        }
    }
    assert!(
        input.changes.len() + input.more.len() > 0
            || config::parse(&variables, Authority::Kv, NOW).is_ok()
    );
});
