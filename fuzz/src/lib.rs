//! What the targets share: the domain, compiled natively, and one configuration.

#[path = "../../src/domain/mod.rs"]
pub mod domain;

use std::rc::Rc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use self::domain::{
    config::{self, App, Config},
    seal::Authority,
    time::Timestamp,
};

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Three apps, one below another and one at the root, at two issuers: a strict and a lenient one.
pub fn variables() -> Vec<(String, Value)> {
    let app = |issuer: &str, client: &str, routes: Value| {
        json!({
            "issuer": issuer,
            "client_id": client,
            "routes": routes,
            "logout_path": format!("/{client}/bclogout"),
            "session_cookies": [format!("{client}.sid"), format!("{client}.part*")],
        })
    };
    let strict = json!({ "issuer": "https://op.example/", "jwks_uri": "https://op.example/jwks" });
    let lenient = json!({
        "issuer": "https://lenient.example",
        "logout_alg": "ES256",
        "allow_missing_exp": true,
        "trusted_audiences": ["partner"],
        "clock_skew": 300,
    });
    let shop = app(
        "https://op.example/",
        "shop",
        json!(["app.example/shop", "all.example/shop"]),
    );
    let wiki = app(
        "https://lenient.example",
        "wiki",
        json!(["app.example/wiki", "app.example/shop/wiki"]),
    );
    let root = app("https://op.example/", "root", json!(["all.example/"]));
    let keys = json!([{ "id": "k1", "key": BASE64_STANDARD.encode([7; 32]) }]);
    [
        ("ISSUER_STRICT", strict),
        ("ISSUER_LENIENT", lenient),
        ("APP_SHOP", shop),
        ("APP_WIKI", wiki),
        ("APP_ROOT", root),
        (
            "HOST_APP",
            json!({ "host": "app.example", "unmatched": "pass" }),
        ),
        ("SEAL_KEYS", keys),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

thread_local! {
    static CONFIG: &'static Config = {
        let texts: Vec<_> = variables()
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        Box::leak(Box::new(config::parse(&texts, Authority::Kv, NOW).expect("it is right")))
    };
}

/// The configuration that all targets but `config` use.
pub fn config() -> &'static Config {
    CONFIG.with(|config| *config)
}

/// One of its apps.
pub fn app(name: &str) -> &'static Rc<App> {
    let mut apps = config().apps.iter();
    apps.find(|app| app.name == name).expect("it is there")
}

/// Whether a header's value can hold this text at all.
pub fn fits_a_header(text: &str) -> bool {
    !text.contains(['\0', '\r', '\n']) && text.trim_matches([' ', '\t']).len() == text.len()
}
