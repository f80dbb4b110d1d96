//! Fakes for the ports, with clock and faults in the test's hand, and tokens signed by an OP of
//! the test's own.

mod codes;
mod desk;
mod faults;
mod http;
mod kv;
mod ledger;
mod op;
mod world;

use std::rc::Rc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
pub use pollster::block_on;
use serde_json::{Value, json};

pub use self::{
    codes::FakeCodes,
    desk::{FakeDesks, MemoryShelf},
    faults::{Fault, FaultyRows},
    http::{Bytes, FakeOrigin, FakeReply, delivery},
    kv::FakeKv,
    ledger::{FakeLedger, MemoryRows},
    op::{Signer, key_set, other_key_set},
    world::FakeWorld,
};
use crate::domain::{
    config::{self, App, Config},
    seal::Authority,
    time::Timestamp,
};

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub const ISSUER: &str = "https://op.example/";
pub const ANNOUNCE_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const OPERATOR_KEY: &str = "the key of the operator of these tests";
pub const KEY_SET: &str = "https://op.example/jwks";
pub const TOKEN_ENDPOINT: &str = "https://op.example/token";

/// Two apps on one host.
pub fn config() -> Config {
    config_with(&json!({}), &json!({}))
}

/// The same, with more fields for the issuer and for the first app.
pub fn config_with(issuer: &Value, shop: &Value) -> Config {
    configured(issuer, shop, &one_key(), Authority::Kv)
}

/// The same, with these keys for seals.
pub fn config_with_keys(keys: &Value) -> Config {
    configured(&json!({}), &json!({}), keys, Authority::Kv)
}

/// Two apps whose sessions the ledger keeps, with more fields for the first.
pub fn ledger_config_with(shop: &Value) -> Config {
    configured(&json!({}), shop, &one_key(), Authority::Ledger)
}

fn one_key() -> Value {
    json!([{ "id": "k1", "key": BASE64_STANDARD.encode([7; 32]) }])
}

fn configured(issuer: &Value, shop: &Value, seal_keys: &Value, authority: Authority) -> Config {
    let variable = |name: &str, value: Value, more: &Value| {
        let fields = value.as_object().unwrap().iter();
        let fields: Value = fields
            .chain(more.as_object().unwrap())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        (name.to_owned(), fields.to_string())
    };
    let its_issuer = issuer.get("issuer").cloned().unwrap_or(json!(ISSUER));
    let app = |client: &str| {
        json!({
            "issuer": its_issuer,
            "client_id": client,
            "routes": [format!("app.example/{client}")],
            "logout_path": format!("/{client}/bclogout"),
            "session_cookies": [format!("{client}.sid"), format!("{client}.part*")],
            "never": ["visible-to-the-app"],
        })
    };
    let mut main = json!({ "issuer": ISSUER });
    if issuer.get("discovery").is_none() {
        main["jwks_uri"] = json!(KEY_SET);
        main["token_endpoint"] = json!(TOKEN_ENDPOINT);
    }
    let variables = [
        variable("ISSUER_MAIN", main, issuer),
        variable("APP_SHOP", app("shop"), shop),
        variable("APP_WIKI", app("wiki"), &json!({})),
        ("SEAL_KEYS".to_owned(), seal_keys.to_string()),
        ("ANNOUNCE_KEY_SHOP".to_owned(), ANNOUNCE_KEY.to_owned()),
        ("OPERATOR_KEY".to_owned(), OPERATOR_KEY.to_owned()),
    ];
    config::parse(&variables, authority, NOW).unwrap()
}

pub fn app(config: &Config, name: &str) -> Rc<App> {
    config
        .apps
        .iter()
        .find(|app| app.name == name)
        .unwrap()
        .clone()
}
