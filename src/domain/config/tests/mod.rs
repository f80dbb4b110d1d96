use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{app::testkit::NOW, domain::limits};

mod problems;
mod read;

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
        "SEAL_KEYS": [{ "id": "k-1", "key": BASE64_STANDARD.encode([7; 32]) }],
        "UNRELATED": "text",
    });
    change(&mut all);
    let all = all.as_object().unwrap().iter();
    all.map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let problems = parse(&variables(change), Authority::Kv, NOW)
        .expect_err("a wrong configuration was accepted");
    problems.iter().map(ToString::to_string).collect()
}
