//! Tokens: whatever is accepted is so by a second reading too, and as one kind for one app only.

#![no_main]

use std::fmt;

use arbitrary::Arbitrary;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use edge_logout_fuzz::{
    NOW, app,
    domain::{
        config::App, id_token, jws::Types, limits, logout_token, logout_token::Target,
        time::Timestamp,
    },
};
use libfuzzer_sys::fuzz_target;
use serde::{
    Deserializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Token(&'a str),
    Parts(&'a str, &'a str, &'a [u8]),
    Changed {
        for_wiki: bool,
        is_logout: bool,
        header: Vec<Change<'a>>,
        claims: Vec<Change<'a>>,
    },
}

#[derive(Arbitrary, Debug)]
struct Change<'a> {
    name: u8,
    other_name: Option<&'a str>,
    /// Beside the member of that name, not in its place.
    repeats: bool,
    value: Member<'a>,
}

#[derive(Arbitrary, Debug)]
enum Member<'a> {
    Gone,
    Json(&'a str),
    Text(&'a str),
    Known(u8),
    Texts(Vec<u8>),
    AboutNow(i16),
    Number(f64),
    Null,
    Empty,
}

const HEADER: [&str; 9] = [
    "alg", "typ", "kid", "crit", "b64", "zip", "cty", "jwk", "jku",
];
const CLAIMS: [&str; 13] = [
    "iss",
    "aud",
    "azp",
    "sub",
    "sid",
    "exp",
    "nbf",
    "iat",
    "jti",
    "events",
    "nonce",
    "auth_time",
    "other",
];
const TEXTS: [&str; 13] = [
    "https://op.example/",
    "https://lenient.example",
    "shop",
    "wiki",
    "root",
    "partner",
    "RS256",
    "ES256",
    "none",
    "JWT",
    "logout+jwt",
    "application/jwt",
    "u",
];
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn known<'a>(list: &[&'a str], index: u8) -> &'a str {
    list[usize::from(index) % list.len()]
}

/// The JSON text of these members, changed; duplicates included.
fn changed(members: Value, names: &[&str], changes: &[Change<'_>]) -> String {
    let mut texts: Vec<(String, String)> = members
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    for change in changes {
        let name = change.other_name.unwrap_or(known(names, change.name));
        if !change.repeats {
            texts.retain(|(other, _)| other != name);
        }
        let value = match &change.value {
            Member::Gone => continue,
            Member::Json(text) => (*text).to_owned(),
            Member::Text(text) => json!(text).to_string(),
            Member::Known(index) => json!(known(&TEXTS, *index)).to_string(),
            Member::Texts(list) => {
                let texts: Vec<_> = list.iter().map(|index| known(&TEXTS, *index)).collect();
                json!(texts).to_string()
            }
            Member::AboutNow(seconds) => (NOW.seconds() + i64::from(*seconds)).to_string(),
            Member::Number(number) => json!(number).to_string(),
            Member::Null => "null".to_owned(),
            Member::Empty => json!({ EVENT: {} }).to_string(),
        };
        texts.push((name.to_owned(), value));
    }
    let members: Vec<_> = texts
        .iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn token(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

fn valid(for_wiki: bool, is_logout: bool) -> (Value, Value) {
    let (issuer, client) = if for_wiki {
        ("https://lenient.example", "wiki")
    } else {
        ("https://op.example/", "shop")
    };
    let alg = if for_wiki && is_logout {
        "ES256"
    } else {
        "RS256"
    };
    let now = NOW.seconds();
    let mut claims =
        json!({ "iss": issuer, "aud": client, "sub": "u", "iat": now, "exp": now + 60 });
    if is_logout {
        claims["events"] = json!({ EVENT: {} });
        claims["jti"] = json!("j");
    }
    (json!({ "alg": alg, "kid": "k" }), claims)
}

/// An object's members in order, duplicates included.
struct Members(Vec<(String, Value)>);

impl Members {
    fn read(segment: &str) -> Self {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(segment).expect("base64url");
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let members = json.deserialize_map(Collect).expect("an object");
        json.end().expect("nothing after it");
        members
    }

    /// The only member of that name.
    fn get(&self, name: &str) -> Option<&Value> {
        let mut found = self.0.iter().filter(|(other, _)| other == name);
        let first = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} occurs twice");
        first
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(|value| value.as_str().expect("it is a text"))
    }

    fn seconds(&self, name: &str) -> Option<f64> {
        let value = self.get(name).filter(|value| !value.is_null());
        value.map(|value| value.as_f64().expect("it is a number"))
    }

    /// What both kinds of token must say.
    fn check(&self, app: &App) {
        assert_eq!(self.text("iss"), Some(app.issuer.issuer.as_str()));
        let one = |audience: &Value| {
            let audience = audience.as_str().expect("a text");
            let trusted = app.issuer.trusted_audiences.iter();
            assert!(audience == app.client_id || trusted.into_iter().any(|t| t == audience));
            audience == app.client_id
        };
        let ours = match self.get("aud").expect("it is there") {
            Value::Array(audiences) => audiences.iter().filter(|aud| one(aud)).count(),
            audience => usize::from(one(audience)),
        };
        assert!(ours > 0);
        assert!(self.text("azp").is_none_or(|azp| azp == app.client_id));
        for name in ["sub", "sid"] {
            assert_ne!(self.text(name), Some(""));
        }
    }

    fn check_times(&self, app: &App, exp_may_miss: bool, issued_at: Timestamp) {
        let (now, skew) = (NOW.seconds() as f64, app.issuer.clock_skew.as_secs_f64());
        let iat = self.seconds("iat").expect("it is there");
        // Fractions of a second are cut off.
        assert_eq!(issued_at, Timestamp::from_seconds(iat.trunc() as i64));
        assert!(iat < now + skew + 1.0);
        assert!(self.seconds("nbf").is_none_or(|nbf| nbf < now + skew + 1.0));
        match self.seconds("exp") {
            Some(exp) => assert!(now < exp + skew),
            None => {
                assert!(
                    exp_may_miss && iat + skew + 1.0 > now - limits::AGE_WITHOUT_EXP.as_secs_f64()
                )
            }
        }
    }
}

fn check_header(token: &str, alg: &str, types: Types) {
    let header = Members::read(token.split('.').next().expect("a segment"));
    assert_eq!(header.text("alg"), Some(alg));
    for name in ["crit", "b64", "zip", "cty"] {
        assert_eq!(header.get(name), None);
    }
    let typ = header.get("typ").filter(|typ| !typ.is_null());
    let typ = typ.map(|typ| typ.as_str().expect("a text").to_ascii_lowercase());
    let typ = typ
        .as_deref()
        .map(|typ| typ.trim_start_matches("application/"));
    assert!(match types {
        Types::IdToken => matches!(typ, None | Some("jwt")),
        Types::LogoutToken => matches!(typ, None | Some("jwt" | "logout+jwt")),
        Types::LogoutTokenExplicit => typ == Some("logout+jwt"),
    });
}

/// Whether `app` accepts the token, after checking all that follows from it.
fn is_accepted(token: &str, app: &App) -> bool {
    let logout = logout_token::read(token, app, NOW).ok();
    let id = id_token::read(token, app, NOW).ok();
    assert!(logout.is_none() || id.is_none(), "of both kinds");
    let Some(claims) = token.split('.').nth(1) else {
        assert!(logout.is_none() && id.is_none());
        return false;
    };
    if let Some(logout) = &logout {
        check_header(token, app.issuer.logout_alg.name(), app.issuer.logout_types);
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        assert_eq!(logout.signed(), signed.as_bytes());
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(logout.signature()), signature);
        let claims = Members::read(claims);
        claims.check(app);
        claims.check_times(
            app,
            app.issuer.allow_missing_exp,
            logout.claimed().logout.at,
        );
        assert!(claims.get("events").expect("it is there")[EVENT].is_object());
        assert_eq!(claims.get("nonce"), None);
        assert!(!claims.text("jti").expect("it is there").is_empty());
        let (sub, sid) = match &logout.claimed().target {
            Target::Session { sid, sub } => (sub.as_deref(), Some(sid.as_str())),
            Target::Subject { sub } => (Some(sub.as_str()), None),
        };
        assert_eq!((claims.text("sub"), claims.text("sid")), (sub, sid));
    }
    if let Some(id) = &id {
        check_header(token, app.issuer.id_token_alg.name(), Types::IdToken);
        let claims = Members::read(claims);
        claims.check(app);
        assert_eq!(claims.get("events"), None);
        let claimed = id.claimed();
        assert_eq!(claims.text("sub"), Some(claimed.sub.as_str()));
        assert_eq!(claims.text("sid"), claimed.sid.as_deref());
        if let Ok(login) = claimed.clone().into_login() {
            claims.check_times(app, false, login.issued_at);
        }
    }
    logout.is_some() || id.is_some()
}

fuzz_target!(|input: Input<'_>| {
    let (token, must_be_accepted) = match input {
        Input::Token(token) => (token.to_owned(), false),
        Input::Parts(header, claims, signature) => (token(header, claims, signature), false),
        Input::Changed {
            for_wiki,
            is_logout,
            header,
            claims,
        } => {
            let (its_header, its_claims) = valid(for_wiki, is_logout);
            let token = token(
                &changed(its_header, &HEADER, &header),
                &changed(its_claims, &CLAIMS, &claims),
                b"signature",
            );
            (token, header.is_empty() && claims.is_empty())
        }
    };
    let accepting = ["SHOP", "WIKI", "ROOT"]
        .into_iter()
        .filter(|name| is_accepted(&token, app(name)))
        .count();
    assert!(accepting <= 1, "accepted by two apps");
    assert!(accepting == 1 || !must_be_accepted, "refused: {token}");
});
