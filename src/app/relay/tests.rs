use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;
use crate::{
    app::testkit::{
        self, Bytes, FakeCodes, FakeWorld, Fault, KEY_SET, NOW, Signer, TOKEN_ENDPOINT, block_on,
    },
    domain::{
        authorization_code::CallbackId,
        config::Config,
        session::{SidKey, SubjectKey},
    },
};

const CALLBACK: CallbackId = CallbackId([9; 16]);
const REQUEST: &str = "grant_type=authorization_code&code=c1&client_id=shop&client_secret=s";

#[derive(Debug, PartialEq, Eq)]
struct Answer(u16, Vec<u8>);

impl TokenReply for Answer {
    fn status(&self) -> u16 {
        self.0
    }

    fn body(&self) -> &[u8] {
        &self.1
    }
}

/// A token endpoint that gives one prepared answer, and remembers what it was sent.
struct Endpoint {
    answer: Result<(u16, String), Unavailable>,
    asked: RefCell<Vec<(String, Vec<u8>)>>,
}

impl Endpoint {
    fn with(status: u16, body: &Value) -> Self {
        Self {
            answer: Ok((status, body.to_string())),
            asked: RefCell::default(),
        }
    }
}

impl TokenEndpoint for Endpoint {
    type Reply = Answer;

    async fn ask(&self, url: &HttpUrl, body: Vec<u8>) -> Result<Answer, Unavailable> {
        self.asked
            .borrow_mut()
            .push((url.as_str().to_owned(), body));
        let (status, body) = self.answer.clone()?;
        Ok(Answer(status, body.into_bytes()))
    }
}

struct Scene {
    world: &'static FakeWorld,
    codes: FakeCodes<'static>,
    config: Config,
    signer: Signer,
}

impl Scene {
    /// One where a callback request with the code `c1` waits for its answer.
    fn new() -> Self {
        let world: &FakeWorld = Box::leak(Box::new(FakeWorld::new()));
        let scene = Self {
            world,
            codes: FakeCodes::new(world),
            config: testkit::config_with(
                &json!({}),
                &json!({ "announce": { "from": "relay" }, "login_paths": ["/shop/callback"] }),
            ),
            signer: Signer::new(),
        };
        assert_eq!(
            block_on(scene.codes.open(&scene.code(), CALLBACK)),
            Ok(true)
        );
        scene
    }

    fn app(&self) -> std::rc::Rc<App> {
        testkit::app(&self.config, "SHOP")
    }

    fn code(&self) -> CodeKey {
        CodeKey::of(&self.app(), "c1")
    }

    fn tokens(&self) -> Value {
        let id_token = self.signer.id_token("shop", "alice", Some("s1"), NOW);
        json!({ "access_token": "secret", "id_token": id_token })
    }

    fn ask(&self, endpoint: &Endpoint, body: &str) -> Relayed<Answer> {
        let incoming = Incoming {
            method: "POST".to_owned(),
            url: "https://app.example/.edge-logout/relay/SHOP/token".to_owned(),
            content_type: Some("application/x-www-form-urlencoded".to_owned()),
            content_encoding: None,
            authorization: None,
            has_dpop: false,
            body: Bytes(body.as_bytes().to_vec()),
        };
        block_on(token(
            self.world,
            &self.codes,
            endpoint,
            &self.app(),
            incoming,
        ))
    }

    /// Who logged in with the code, as the answer to the callback learns it.
    fn login(&self) -> Option<(SubjectKey, Option<SidKey>)> {
        let login = block_on(self.codes.close(&self.code(), CALLBACK)).unwrap()?;
        Some((login.subject, login.sid))
    }
}

#[test]
fn request_and_answer_pass_byte_for_byte_and_the_login_is_remembered() {
    let scene = Scene::new();
    let endpoint = Endpoint::with(200, &scene.tokens());
    let expected = Answer(200, scene.tokens().to_string().into_bytes());
    assert_eq!(scene.ask(&endpoint, REQUEST), Relayed::Reply(expected));
    let asked = endpoint.asked.take();
    assert_eq!(
        asked,
        [(TOKEN_ENDPOINT.to_owned(), REQUEST.as_bytes().to_vec())]
    );
    let app = scene.app();
    let login = (SubjectKey::of(&app, "alice"), Some(SidKey::of(&app, "s1")));
    assert_eq!(scene.login(), Some(login));
    assert_eq!(scene.world.codes(), ["login_relayed"]);
}

#[test]
fn what_is_not_ours_never_reaches_the_op() {
    let scene = Scene::new();
    let endpoint = Endpoint::with(200, &scene.tokens());
    let large = format!("{REQUEST}&x={}", "x".repeat(limits::RELAYED_FORM_BYTES));
    for (body, code) in [
        ("", "client_mismatch"),
        (
            &REQUEST.replace("client_id=shop", "client_id=wiki"),
            "client_mismatch",
        ),
        (&large, "body_too_large"),
    ] {
        let Relayed::Refused(refused) = scene.ask(&endpoint, body) else {
            panic!("{body}");
        };
        assert_eq!(refused.code(), code);
        assert_eq!(scene.world.codes(), [code]);
    }
    assert!(endpoint.asked.take().is_empty());
    assert_eq!(scene.login(), None);
}

#[test]
fn a_refusal_of_the_op_is_the_apps_to_read() {
    let scene = Scene::new();
    let endpoint = Endpoint::with(400, &json!({ "error": "invalid_grant" }));
    let Relayed::Reply(Answer(400, _)) = scene.ask(&endpoint, REQUEST) else {
        panic!("not passed on");
    };
    assert_eq!(scene.login(), None);
    assert!(scene.world.codes().is_empty());
}

#[test]
fn fresh_tokens_are_no_login() {
    let scene = Scene::new();
    let endpoint = Endpoint::with(200, &scene.tokens());
    let request = "grant_type=refresh_token&refresh_token=r&client_id=shop";
    assert!(matches!(
        scene.ask(&endpoint, request),
        Relayed::Reply(Answer(200, _))
    ));
    assert_eq!(scene.login(), None);
}

/// Whoever could not be remembered is not logged in: the app never gets the tokens.
#[test]
fn an_answer_without_a_good_id_token_is_kept_back() {
    let scene = Scene::new();
    let of = |token: String| json!({ "access_token": "secret", "id_token": token });
    let foreign = scene.signer.id_token("wiki", "alice", Some("s1"), NOW);
    let forged = scene.signer.id_token("shop", "alice", Some("s1"), NOW);
    let forged = format!("{}AAAA", &forged[..forged.len() - 4]);
    let logout = scene
        .signer
        .logout_token("shop", &json!({ "sub": "alice", "sid": "s1" }), NOW);
    for (answer, code) in [
        (json!({ "access_token": "secret" }), "id_token_missing"),
        (json!("secret"), "id_token_missing"),
        (of("x".to_owned()), "token_malformed"),
        (of(foreign), "aud_mismatch"),
        (of(forged), "signature_invalid"),
        (of(logout), "not_an_id_token"),
    ] {
        let refused = scene.ask(&Endpoint::with(200, &answer), REQUEST);
        let Relayed::Refused(refused) = refused else {
            panic!("{answer}");
        };
        assert_eq!((refused.code(), refused.error()), (code, "invalid_grant"));
    }
    assert_eq!(scene.login(), None);
}

#[test]
fn a_code_without_a_waiting_callback_logs_nobody_in() {
    let scene = Scene::new();
    let endpoint = Endpoint::with(200, &scene.tokens());
    let other = REQUEST.replace("c1", "c2");
    for body in [other.as_str(), REQUEST] {
        assert_eq!(
            scene.ask(&endpoint, body),
            Relayed::Refused(NotRelayed::NoCallback)
        );
        // For the second round: the callback has been answered.
        assert_eq!(scene.login(), None);
    }
}

#[test]
fn an_outage_is_no_refusal() {
    let scene = Scene::new();
    let down = Endpoint {
        answer: Err(Unavailable("token_endpoint_unreachable")),
        asked: RefCell::default(),
    };
    assert!(matches!(scene.ask(&down, REQUEST), Relayed::Unavailable(_)));
    let endpoint = Endpoint::with(200, &scene.tokens());
    for fault in [Fault::Before, Fault::Hang] {
        scene.world.faults.plan(Some((0, fault)));
        assert!(matches!(
            scene.ask(&endpoint, REQUEST),
            Relayed::Unavailable(_)
        ));
    }
    scene.world.faults.plan(None);
    assert_eq!(scene.login(), None);
    let scene = Scene::new();
    scene.world.documents.borrow_mut().remove(KEY_SET);
    endpoint.asked.take();
    assert!(matches!(
        scene.ask(&endpoint, REQUEST),
        Relayed::Unavailable(_)
    ));
    assert!(endpoint.asked.take().is_empty(), "the code is not spent");
}

#[test]
fn a_login_that_nobody_could_end_is_kept_back() {
    let scene = Scene::new();
    let without_sid = scene.signer.id_token("shop", "alice", None, NOW);
    let endpoint = Endpoint::with(200, &json!({ "id_token": without_sid }));
    let refused = Relayed::Refused(NotRelayed::SidMissing);
    assert_eq!(scene.ask(&endpoint, REQUEST), refused);
    // Nobody is called back for these.
    let endpoint = Endpoint::with(200, &scene.tokens());
    for grant in ["password", "urn:ietf:params:oauth:grant-type:device_code"] {
        let request = format!("grant_type={grant}&client_id=shop");
        let refused = Relayed::Refused(NotRelayed::NoCallback);
        assert_eq!(scene.ask(&endpoint, &request), refused, "{grant}");
    }
    let endpoint = Endpoint::with(200, &json!({ "access_token": "secret" }));
    let request = "grant_type=client_credentials&client_id=shop";
    assert!(matches!(scene.ask(&endpoint, request), Relayed::Reply(_)));
    assert_eq!(scene.login(), None);
}

#[test]
fn the_metadata_are_the_ops_but_for_the_token_endpoint() {
    const DISCOVERY: &str = "https://op.example/.well-known/openid-configuration";
    let world = FakeWorld::new();
    let config = testkit::config_with(
        &json!({ "discovery": DISCOVERY }),
        &json!({ "announce": { "from": "relay" }, "login_paths": ["/shop/callback"] }),
    );
    let app = testkit::app(&config, "SHOP");
    let ask = || block_on(metadata(&world, &app, "https://app.example/token"));
    assert_eq!(ask(), Err(Unavailable("op_unreachable")));
    let fetches = world.fetches.get();
    assert_eq!(fetches, 1);
    world.pass(limits::KEY_SET_COOL_DOWN);
    let document = json!({ "issuer": testkit::ISSUER, "token_endpoint": TOKEN_ENDPOINT });
    world
        .documents
        .borrow_mut()
        .insert(DISCOVERY.to_owned(), document.to_string());
    let expected =
        json!({ "issuer": testkit::ISSUER, "token_endpoint": "https://app.example/token" });
    assert_eq!(ask(), Ok(Some(expected.to_string())));
    // While the OP is down the last good ones serve.
    world.documents.borrow_mut().clear();
    world.pass(limits::KEY_SET_LIFETIME);
    assert_eq!(ask(), Ok(Some(expected.to_string())));
}
