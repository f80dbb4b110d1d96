//! Fakes for the ports, with clock and faults in the test's hand, and tokens signed by an OP of
//! the test's own.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use jwt_compact::{
    Algorithm as _,
    alg::{Rsa, RsaPrivateKey, RsaPublicKey, RsaSignature},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use super::{
    audit::Event,
    budget::Budget,
    front::{Forward, Origin, Reply},
    kv_sessions::KvSessions,
    logout::Delivery,
    ports::{Body, Kv, Page, Unavailable, World},
};
use crate::domain::{
    config::{self, App, Config},
    digest::Digest,
    jwks::{Material, PublicKey},
    jws::Algorithm,
    key_cache::KeyCache,
    leases::{Leases, Suspects},
    limits,
    refusal::Refusal,
    seal::Authority,
    sender::Sender,
    time::Timestamp,
    url::HttpUrl,
};

mod faults;
mod ledger;

pub use pollster::block_on;

use self::faults::Faults;
pub use self::{
    faults::{Fault, FaultyRows},
    ledger::{FakeLedger, MemoryRows, Table},
};

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub const ISSUER: &str = "https://op.example/";
pub const ANNOUNCE_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const KEY_SET: &str = "https://op.example/jwks";

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
    json!([{ "id": "k1", "key": Base64::encode_string(&[7; 32]) }])
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
    let main = json!({ "issuer": ISSUER, "jwks_uri": KEY_SET });
    let variables = [
        variable("ISSUER_MAIN", main, issuer),
        variable("APP_SHOP", app("shop"), shop),
        variable("APP_WIKI", app("wiki"), &json!({})),
        ("SEAL_KEYS".to_owned(), seal_keys.to_string()),
        ("ANNOUNCE_KEY_SHOP".to_owned(), ANNOUNCE_KEY.to_owned()),
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

/// The key of the OP.
pub struct Signer(RsaPrivateKey);

impl Signer {
    pub fn new() -> Self {
        let jwk: JsonWebKey<'_> =
            serde_json::from_str(include_str!("../../../tests/vectors/rs256.jwk.json")).unwrap();
        Self(RsaPrivateKey::try_from(&jwk).unwrap())
    }

    pub fn sign(&self, header: &str, claims: &str) -> String {
        let encode = |part: &[u8]| Base64UrlUnpadded::encode_string(part);
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signature = Rsa::rs256().sign(&self.0, signed.as_bytes());
        let signature = jwt_compact::AlgorithmSignature::as_bytes(&signature).into_owned();
        format!("{signed}.{}", encode(&signature))
    }

    pub fn id_token(&self, client: &str, sub: &str, sid: Option<&str>, iat: Timestamp) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": client, "sub": sub,
            "iat": iat.seconds(), "exp": iat.seconds() + 3600,
        });
        if let Some(sid) = sid {
            claims["sid"] = json!(sid);
        }
        self.sign(r#"{"alg":"RS256","kid":"op-1"}"#, &claims.to_string())
    }

    pub fn logout_token(&self, client: &str, target: &Value, iat: Timestamp) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": client, "jti": "j", "iat": iat.seconds(),
            "exp": iat.seconds() + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in target.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.sign(r#"{"alg":"RS256","kid":"op-1"}"#, &claims.to_string())
    }
}

/// The key set that the OP publishes.
pub fn key_set() -> String {
    let jwk: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/rs256.jwk.json")).unwrap();
    json!({ "keys": [{ "kty": "RSA", "kid": "op-1", "n": jwk["n"], "e": jwk["e"] }] }).to_string()
}

/// A key set with another key of the same `kid`.
pub fn other_key_set() -> String {
    let mut modulus = [0xff; 256];
    modulus[128] = 1;
    let n = Base64UrlUnpadded::encode_string(&modulus);
    json!({ "keys": [{ "kty": "RSA", "kid": "op-1", "n": n, "e": "AQAB" }] }).to_string()
}

/// A runtime whose clock moves only when somebody sleeps.
pub struct FakeWorld {
    pub clock: Cell<Timestamp>,
    pub documents: RefCell<HashMap<String, String>>,
    pub fetches: Cell<usize>,
    pub log: RefCell<Vec<String>>,
    /// What goes wrong in the store, whichever part of it is called.
    pub faults: Faults,
    timers: RefCell<Vec<Timestamp>>,
    random: Cell<u8>,
    caches: RefCell<HashMap<String, KeyCache>>,
    leases: RefCell<Leases>,
    suspects: RefCell<Suspects>,
    /// What the rate limit leaves room for; none if it fails.
    pub room: Cell<Option<usize>>,
    /// How often it was asked.
    pub asked_for_room: Cell<usize>,
    known: RefCell<Vec<String>>,
}

impl FakeWorld {
    /// At [`NOW`], with an OP that publishes [`key_set`].
    pub fn new() -> Self {
        Self {
            clock: Cell::new(NOW),
            documents: RefCell::new([(KEY_SET.to_owned(), key_set())].into()),
            fetches: Cell::default(),
            log: RefCell::default(),
            faults: Faults::default(),
            timers: RefCell::default(),
            random: Cell::default(),
            caches: RefCell::default(),
            leases: RefCell::default(),
            suspects: RefCell::default(),
            room: Cell::default(),
            asked_for_room: Cell::default(),
            known: RefCell::default(),
        }
    }

    pub fn pass(&self, span: Duration) {
        self.clock.set(self.clock.get().plus(span));
    }

    /// The codes logged since the last call.
    pub fn codes(&self) -> Vec<String> {
        let code = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["code"].as_str().unwrap().to_owned()
        };
        self.log.take().iter().map(code).collect()
    }
}

impl World for FakeWorld {
    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    /// Whatever can go on meanwhile does: time passes when nothing else happens, and the timer that
    /// is due first comes first.
    async fn sleep(&self, span: Duration) {
        let timer = Timer::set(self, self.now().plus(span));
        loop {
            let calls = self.faults.count.get();
            for _ in 0..100 {
                yield_once().await;
            }
            if calls == self.faults.count.get() && timer.is_first() {
                self.clock.set(self.now().max(timer.at));
                return;
            }
        }
    }

    async fn deadline(&self, span: Duration) {
        self.sleep(span).await;
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        self.random.set(self.random.get().wrapping_add(1));
        Ok([self.random.get(); N])
    }

    async fn fetch(&self, url: &HttpUrl, _: Duration) -> Result<Vec<u8>, Unavailable> {
        self.fetches.set(self.fetches.get() + 1);
        match self.documents.borrow().get(url.as_str()) {
            Some(document) => Ok(document.clone().into_bytes()),
            None => Err(Unavailable("op_unreachable")),
        }
    }

    async fn verifies(
        &self,
        _: Algorithm,
        key: &PublicKey,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        assert!(
            matches!(key.material(), Material::Rsa { .. }),
            "the tests sign with RS256"
        );
        let jwk = key.to_minimal_jwk();
        let jwk: JsonWebKey<'_> = serde_json::from_str(&jwk).unwrap();
        let key = RsaPublicKey::try_from(&jwk).unwrap();
        <RsaSignature as jwt_compact::AlgorithmSignature>::try_from_slice(signature)
            .is_ok_and(|signature| Rsa::rs256().verify_signature(&signature, &key, signed))
    }

    fn with_key_cache<T>(&self, issuer: &str, use_it: impl FnOnce(&mut KeyCache) -> T) -> T {
        use_it(
            self.caches
                .borrow_mut()
                .entry(issuer.to_owned())
                .or_default(),
        )
    }

    fn with_leases<T>(&self, use_it: impl FnOnce(&mut Leases) -> T) -> T {
        use_it(&mut self.leases.borrow_mut())
    }

    fn with_suspects<T>(&self, use_it: impl FnOnce(&mut Suspects) -> T) -> T {
        use_it(&mut self.suspects.borrow_mut())
    }

    async fn has_room(&self, _: &Digest) -> Result<bool, Unavailable> {
        self.asked_for_room.set(self.asked_for_room.get() + 1);
        let room = self.room.get().ok_or(Unavailable("rate_limit_failed"))?;
        self.room.set(Some(room.saturating_sub(1)));
        Ok(room > 0)
    }

    fn is_news(&self, fact: String) -> bool {
        let mut known = self.known.borrow_mut();
        let is_news = !known.contains(&fact);
        known.push(fact);
        is_news
    }

    fn record(&self, event: &Event<'_>) {
        self.log.borrow_mut().push(event.to_line());
    }
}

async fn yield_once() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One that is set, until it is dropped.
struct Timer<'a> {
    world: &'a FakeWorld,
    at: Timestamp,
}

impl<'a> Timer<'a> {
    fn set(world: &'a FakeWorld, at: Timestamp) -> Self {
        world.timers.borrow_mut().push(at);
        Self { world, at }
    }

    fn is_first(&self) -> bool {
        self.world.timers.borrow().iter().all(|at| self.at <= *at)
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut timers = self.world.timers.borrow_mut();
        let its_own = timers.iter().position(|at| *at == self.at);
        timers.swap_remove(its_own.unwrap());
    }
}

/// A KV namespace: strongly consistent, as strict as the real one about keys and times to live.
pub struct FakeKv<'a> {
    world: &'a FakeWorld,
    entries: RefCell<BTreeMap<String, Entry>>,
    hidden: RefCell<Vec<String>>,
    pub calls: Cell<usize>,
    /// The call that goes wrong, counted from 0, and how; `usize::MAX` for every call.
    pub fault: Cell<Option<(usize, Fault)>>,
    pub page_size: usize,
    /// Operations that one request may spend on tidying up.
    pub budget: usize,
}

#[derive(Clone)]
struct Entry {
    value: String,
    metadata: Option<String>,
    expires: Timestamp,
}

impl<'a> FakeKv<'a> {
    pub fn new(world: &'a FakeWorld) -> Self {
        Self {
            world,
            entries: RefCell::default(),
            hidden: RefCell::default(),
            calls: Cell::default(),
            fault: Cell::default(),
            page_size: 1000,
            budget: 1000,
        }
    }

    pub fn sessions<'b>(&'b self, app: &App) -> KvSessions<'b, FakeWorld, Self> {
        KvSessions {
            world: self.world,
            kv: self,
            lifetime: app.session_lifetime,
            budget: Budget::of(self.budget),
        }
    }

    pub fn keys(&self) -> Vec<String> {
        let now = self.world.now();
        let entries = self.entries.borrow();
        let live = entries.iter().filter(|(_, entry)| now < entry.expires);
        live.map(|(key, _)| key.clone()).collect()
    }

    pub fn keys_of(&self, kind: &str) -> Vec<String> {
        self.keys()
            .into_iter()
            .filter(|key| key.starts_with(kind))
            .collect()
    }

    pub fn set(&self, key: &str, value: &str, metadata: Option<&str>) {
        let entry = Entry {
            value: value.to_owned(),
            metadata: metadata.map(str::to_owned),
            expires: self.world.now().plus(Duration::from_hours(1)),
        };
        self.entries.borrow_mut().insert(key.to_owned(), entry);
    }

    pub fn remove(&self, key: &str) {
        assert!(self.entries.borrow_mut().remove(key).is_some(), "{key}");
    }

    /// Lists do not show this key: they lag.
    pub fn hide(&self, key: &str) {
        self.hidden.borrow_mut().push(key.to_owned());
    }

    pub fn show(&self) {
        self.hidden.take();
    }

    async fn call<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T, Unavailable> {
        // As the real one: no answer comes at once.
        yield_once().await;
        let number = self.calls.replace(self.calls.get() + 1);
        let its_own = self.fault.get();
        let its_own = its_own.filter(|(at, _)| *at == number || *at == usize::MAX);
        let fault = self.world.faults.next(&format!("KV {name}"));
        match its_own.map(|(_, fault)| fault).or(fault) {
            None => Ok(work()),
            Some(Fault::Before) => Err(Unavailable("kv_failed")),
            Some(Fault::After) => {
                work();
                Err(Unavailable("kv_failed"))
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

/// What kind of key it is.
fn kind_of(key: &str) -> &str {
    key.split('/').next().unwrap()
}

impl Kv for FakeKv<'_> {
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        assert!((1..=100).contains(&keys.len()));
        let now = self.world.now();
        let kinds: Vec<_> = keys.iter().map(|key| kind_of(key)).collect();
        self.call(&format!("get {}", kinds.join(", ")), || {
            let entries = self.entries.borrow();
            let get = |key: &String| entries.get(key).filter(|entry| now < entry.expires);
            keys.iter()
                .map(|key| get(key).map(|entry| entry.value.clone()))
                .collect()
        })
        .await
    }

    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        ttl: Duration,
    ) -> Result<(), Unavailable> {
        assert!(ttl >= limits::KV_MIN_TTL, "{ttl:?}");
        assert!(key.len() <= 512 && metadata.is_none_or(|metadata| metadata.len() <= 1024));
        let entry = Entry {
            value: value.to_owned(),
            metadata: metadata.map(str::to_owned),
            expires: self.world.now().plus(ttl),
        };
        self.call(&format!("put {}", kind_of(key)), || {
            self.entries.borrow_mut().insert(key.to_owned(), entry);
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        self.call(&format!("delete {}", kind_of(key)), || {
            self.entries.borrow_mut().remove(key);
        })
        .await
    }

    async fn list(&self, prefix: &str, cursor: Option<String>) -> Result<Page, Unavailable> {
        self.call(&format!("list {}", kind_of(prefix)), || {
            let after = cursor.unwrap_or_default();
            let keys: Vec<_> = self
                .keys_of(prefix)
                .into_iter()
                .filter(|key| *key > after && !self.hidden.borrow().contains(key))
                .take(self.page_size)
                .collect();
            let cursor = (keys.len() == self.page_size)
                .then(|| keys.last().cloned())
                .flatten();
            let entries = self.entries.borrow();
            Page {
                keys: keys
                    .into_iter()
                    .map(|key| {
                        let metadata = entries[&key].metadata.clone();
                        (key, metadata)
                    })
                    .collect(),
                cursor,
            }
        })
        .await
    }
}

pub struct Bytes(pub Vec<u8>);

impl Body for Bytes {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Refusal> {
        if self.0.len() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(self.0)
    }
}

/// A request that delivers `token`.
pub fn delivery(token: &str) -> Delivery<Bytes> {
    Delivery {
        method: "POST".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        content_encoding: None,
        sender: Sender::default(),
        body: Bytes(format!("logout_token={token}&ignored=1").into_bytes()),
    }
}

/// An app that gives one prepared answer, and remembers what it was sent.
pub struct FakeOrigin {
    pub reply: Result<FakeReply, Unavailable>,
    pub seen: RefCell<Vec<Forward>>,
    /// What happens elsewhere between the request and the answer.
    pub meanwhile: Option<Box<dyn Fn()>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

impl FakeReply {
    pub fn ok(headers: &[(&'static str, &str)]) -> Self {
        Self {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        }
    }
}

impl Reply for FakeReply {
    fn status(&self) -> u16 {
        self.status
    }

    fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .headers
            .iter()
            .filter(|(header, _)| *header == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn set_cookies(&self) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(header, _)| *header == "set-cookie")
            .map(|(_, value)| value.clone())
            .collect()
    }
}

impl Origin for FakeOrigin {
    type Reply = FakeReply;

    async fn send(&self, forward: &Forward) -> Result<FakeReply, Unavailable> {
        self.seen.borrow_mut().push(forward.clone());
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile();
        }
        self.reply.clone()
    }
}
