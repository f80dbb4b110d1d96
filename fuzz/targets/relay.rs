//! Authorization responses and token requests: what is taken of them stands there once.

#![no_main]

use arbitrary::Arbitrary;
use edge_logout_fuzz::{
    app,
    domain::{
        authorization_code::CodeKey,
        callback,
        token_endpoint::{self, Grant, TokenRequest},
    },
};
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    query: Vec<(Name<'a>, &'a str)>,
    form: Vec<(Name<'a>, &'a str)>,
    raw: Option<&'a [u8]>,
    authorization: Option<&'a str>,
    has_dpop: bool,
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Usual(u8),
    Other(&'a str),
}

const USUAL: [&str; 8] = [
    "code",
    "response",
    "id_token",
    "ID.token",
    "client_id",
    "client_assertion",
    "grant_type",
    "state",
];

fn encode(fields: &[(Name<'_>, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        let value = match *value {
            "" => "authorization_code",
            "s" => "shop",
            other => other,
        };
        match name {
            Name::Usual(which) => form.append_pair(USUAL[usize::from(*which) % USUAL.len()], value),
            Name::Other(name) => form.append_pair(name, value),
        };
    }
    form.finish()
}

/// The values of a field, in both.
fn values(query: &str, form: &[u8], name: &str) -> Vec<String> {
    let fields = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
    let named = fields.filter(|(field, _)| field == name);
    named.map(|(_, value)| value.into_owned()).collect()
}

fuzz_target!(|input: Input<'_>| {
    let app = app("SHOP");
    let query = encode(&input.query);
    let form = encode(&input.form).into_bytes();
    let form = input.raw.map_or(form, <[u8]>::to_vec);

    if let Ok(code) = callback::code(app, &format!("?{query}"), Some(&form)) {
        let codes = values(&query, &form, "code");
        assert!(codes.len() < 2);
        if let Some(only) = codes.first().filter(|only| !only.is_empty()) {
            assert_eq!(code, Some(CodeKey::of(app, only)));
        }
    }
    if let Ok(token) = callback::id_token(&query, Some(&form)) {
        assert!(values(&query, b"", "id_token").is_empty());
        assert_eq!(
            token.into_iter().collect::<Vec<_>>(),
            values("", &form, "id_token")
        );
    }
    let request = TokenRequest {
        url: "https://app.example/.edge-logout/relay/SHOP/token",
        authorization: input.authorization,
        has_dpop: input.has_dpop,
        body: &form,
    };
    if let Ok(grant) = request.read(app) {
        let clients = values("", &form, "client_id");
        assert!(clients.iter().all(|client| *client == app.client_id));
        let codes = values("", &form, "code");
        assert_eq!(matches!(grant, Grant::Code(_)), !codes.is_empty());
        assert!(codes.len() < 2);
    }
    let _ = token_endpoint::id_token(&form);
});
