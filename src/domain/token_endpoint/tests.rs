use serde_json::{Value, json};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use super::*;
use crate::{app::testkit, domain::config::Config};

const RELAY: &str = "https://app.example/.edge-logout/relay/SHOP/token";
const CODE: &str = "grant_type=authorization_code&code=c1";

fn configured(client_id: &str) -> Config {
    testkit::config_with(&json!({}), &json!({ "client_id": client_id }))
}

fn read_as(client: &str, authorization: Option<&str>, body: &str) -> Result<Grant, NotRelayed> {
    let app = testkit::app(&configured(client), "SHOP");
    let request = TokenRequest {
        url: RELAY,
        authorization,
        has_dpop: false,
        body: body.as_bytes(),
    };
    request.read(&app)
}

fn read(authorization: Option<&str>, body: &str) -> Result<Grant, NotRelayed> {
    read_as("shop", authorization, body)
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials.as_bytes()))
}

fn assertion(claims: &Value) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string().as_bytes());
    format!("client_assertion=e30.{claims}.c2ln")
}

fn its_code(client: &str) -> Grant {
    let app = testkit::app(&configured(client), "SHOP");
    Grant::Code(CodeKey::of(&app, "c1"))
}

#[test]
fn every_way_to_authenticate_names_the_client() {
    let post = format!("{CODE}&client_id=shop&client_secret=s");
    assert_eq!(read(None, &post), Ok(its_code("shop")));
    for credentials in ["shop:s", "shop:"] {
        assert_eq!(read(Some(&basic(credentials)), CODE), Ok(its_code("shop")));
        assert_eq!(read(Some(&basic(credentials)), &post), Ok(its_code("shop")));
    }
    for user in ["a b:c/ü", "a+b%3Ac%2F%C3%BC"] {
        let client = "a b:c/ü";
        let is_split = user.contains(':');
        let read = read_as(client, Some(&basic(&format!("{user}:s"))), CODE);
        // A colon that is not encoded ends the name.
        assert_eq!(read == Ok(its_code(client)), !is_split, "{user}");
    }
    for aud in [
        json!("https://op.example"),
        json!(["https://op.example/token", RELAY]),
    ] {
        let claims = json!({ "iss": "shop", "sub": "shop", "aud": aud });
        let body = format!("{CODE}&{}", assertion(&claims));
        assert_eq!(read(None, &body), Ok(its_code("shop")));
    }
}

#[test]
fn a_secret_may_be_in_any_encoding() {
    for credentials in [
        &b"shop:s"[..],
        b"shop:caf\xe9",
        b"shop:a:b",
        b"shop:\xff\xfe",
    ] {
        let encoded = BASE64_STANDARD.encode(credentials);
        for header in [
            format!("Basic {encoded}"),
            format!("basic {}", encoded.trim_end_matches('=')),
        ] {
            assert_eq!(read(Some(&header), CODE), Ok(its_code("shop")), "{header}");
        }
    }
}

#[test]
fn nobody_else_is_relayed() {
    let of = |iss: &str, sub: &str| {
        let claims = json!({ "iss": iss, "sub": sub, "aud": "https://op.example" });
        format!("{CODE}&{}", assertion(&claims))
    };
    for (authorization, body, problem) in [
        (None, CODE.to_owned(), NotRelayed::OtherClient),
        (
            None,
            format!("{CODE}&client_id=wiki"),
            NotRelayed::OtherClient,
        ),
        (None, format!("{CODE}&client_id="), NotRelayed::OtherClient),
        (
            None,
            format!("{CODE}&client_id=SHOP"),
            NotRelayed::OtherClient,
        ),
        (
            Some(basic("wiki:s")),
            CODE.to_owned(),
            NotRelayed::OtherClient,
        ),
        (
            Some(basic("wiki:s")),
            format!("{CODE}&client_id=shop"),
            NotRelayed::OtherClient,
        ),
        (None, of("shop", "wiki"), NotRelayed::OtherClient),
        (None, of("wiki", "wiki"), NotRelayed::OtherClient),
        (
            None,
            format!("{}&client_id=shop", of("wiki", "wiki")),
            NotRelayed::OtherClient,
        ),
        (
            None,
            format!("{CODE}&client_id=shop&client_id=shop"),
            NotRelayed::ParameterRepeated,
        ),
        (
            None,
            format!("{CODE}&client_id=shop&code=c2"),
            NotRelayed::ParameterRepeated,
        ),
        (
            None,
            format!("{CODE}&client_assertion=x"),
            NotRelayed::Authentication,
        ),
        (
            Some("Basic ?".to_owned()),
            CODE.to_owned(),
            NotRelayed::Authentication,
        ),
        (
            Some("Basic c2hvcA==".to_owned()),
            CODE.to_owned(),
            NotRelayed::Authentication,
        ),
        (
            Some("Bearer x".to_owned()),
            format!("{CODE}&client_id=shop"),
            NotRelayed::Authentication,
        ),
        (
            None,
            "client_id=shop&grant_type=authorization_code&code=".to_owned(),
            NotRelayed::GrantMalformed,
        ),
        (
            None,
            "client_id=shop&grant_type=refresh_token&code=c1".to_owned(),
            NotRelayed::GrantMalformed,
        ),
        (
            None,
            "client_id=shop&code=c1".to_owned(),
            NotRelayed::GrantMalformed,
        ),
    ] {
        assert_eq!(
            read(authorization.as_deref(), &body),
            Err(problem),
            "{authorization:?} {body}"
        );
    }
}

#[test]
fn what_names_the_relay_is_of_no_use_to_the_op() {
    for aud in [json!(RELAY), json!([RELAY])] {
        let claims = json!({ "iss": "shop", "sub": "shop", "aud": aud });
        let body = format!("{CODE}&{}", assertion(&claims));
        assert_eq!(read(None, &body), Err(NotRelayed::AssertionForRelay));
    }
    let config = configured("shop");
    let request = TokenRequest {
        url: RELAY,
        authorization: None,
        has_dpop: true,
        body: b"grant_type=refresh_token&client_id=shop",
    };
    let read = request.read(&testkit::app(&config, "SHOP"));
    assert_eq!(read, Err(NotRelayed::ProofForRelay));
}

#[test]
fn other_grants_begin_no_session() {
    for (grant, expected) in [
        ("refresh_token", Grant::Refresh),
        ("client_credentials", Grant::Other),
        ("urn:ietf:params:oauth:grant-type:device_code", Grant::Other),
    ] {
        // What is empty counts as left out.
        let body = format!("grant_type={grant}&client_id=shop&refresh_token=r&code=");
        assert_eq!(read(None, &body), Ok(expected), "{grant}");
    }
}

#[test]
fn an_answer_has_one_id_token() {
    assert_eq!(
        id_token(br#" {"access_token":"x","id_token":"a.b.c"}"#),
        Ok("a.b.c".to_owned())
    );
    let marked = b"\xef\xbb\xbf{\"id_token\":\"a.b.c\"}";
    assert_eq!(id_token(marked), Ok("a.b.c".to_owned()));
    for body in [
        "",
        "{}",
        "[\"a.b.c\"]",
        r#"{"id_token":1}"#,
        r#"{"id_token":"a","id_token":"b"}"#,
        "id_token=a",
    ] {
        assert_eq!(
            id_token(body.as_bytes()),
            Err(NotRelayed::IdTokenMissing),
            "{body}"
        );
    }
}
