//! What `wrangler.toml` and the secrets give the Worker.

use std::{
    cell::{OnceCell, RefCell},
    ops::Deref,
    rc::Rc,
};

use js_sys::{JSON, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{AnalyticsEngineDataset, Env, console_error, console_log};

use super::{
    codes,
    deadline::Client,
    desk, http, kv, ledger,
    runtime::{self, Runtime},
    store::Store,
};
use crate::{
    app::{
        budget::Budget, desk::Supervised, front, kv_sessions::KvSessions, ledger::LedgerSessions,
    },
    domain::{
        config::{self, App, Config},
        reserved,
        seal::Authority,
    },
};

#[wasm_bindgen]
extern "C" {
    /// The files of `www`.
    pub(super) type Assets;

    #[wasm_bindgen(method, catch)]
    pub(super) fn fetch(this: &Assets, url: &str) -> Result<Promise, JsValue>;

    /// How often something may be done, by key.
    pub(super) type RateLimit;

    #[wasm_bindgen(method, catch)]
    pub(super) fn limit(this: &RateLimit, options: &Object) -> Result<Promise, JsValue>;
}

/// What an isolate has been given.
pub(super) struct Bound {
    pub(super) config: Rc<Config>,
    pub(super) kv: kv::Namespace,
    /// None where sessions live in KV alone.
    pub(super) ledger: Option<ledger::Namespace>,
    pub(super) codes: codes::Namespace,
    /// None where they are not bound.
    pub(super) desks: Option<desk::Namespace>,
    pub(super) assets: Option<Assets>,
    pub(super) limiter: Option<RateLimit>,
    pub(super) dataset: Option<AnalyticsEngineDataset>,
    pub(super) env: Env,
}

/// The same for one request.
#[derive(Clone)]
pub(super) struct Bindings {
    pub(super) world: Runtime,
}

impl Deref for Bindings {
    type Target = Bound;

    fn deref(&self) -> &Bound {
        &self.world.bound
    }
}

thread_local! {
    /// Parsed once: an isolate never sees another configuration.
    static CONFIG: OnceCell<Option<Rc<Config>>> = const { OnceCell::new() };
    /// The last: workerd hands every request the same.
    static BOUND: RefCell<Option<Rc<Bound>>> = const { RefCell::new(None) };
}

impl Bound {
    /// `None` if the configuration or a binding is wrong; the log says how.
    fn of(env: &Env) -> Option<Rc<Self>> {
        let is_same = |bound: &Rc<Self>| Object::is(&bound.env, env);
        if let Some(bound) = BOUND.with_borrow(|bound| bound.clone().filter(is_same)) {
            return Some(bound);
        }
        Self::new(env)
    }

    /// Once per isolate, and not part of what every request runs.
    #[inline(never)]
    fn new(env: &Env) -> Option<Rc<Self>> {
        let read = || {
            let problems = match read_config(env) {
                Ok(config) => return Some(Rc::new(config)),
                Err(problems) => problems,
            };
            for problem in problems {
                report(&problem);
            }
            None
        };
        let config = CONFIG.with(|cell| cell.get_or_init(read).clone())?;
        http::listen(&reserved::pattern(&config), &front::telling(&config));
        if env.kv("SESSIONS").is_err() {
            report("SESSIONS: the KV namespace is not bound");
            return None;
        }
        let objects = |name| {
            env.durable_object(name)
                .ok()
                .and_then(|_| binding(env, name))
        };
        let bound = Rc::new(Self {
            config,
            kv: binding(env, "SESSIONS")?,
            ledger: objects(LEDGER).map(ledger::Namespace),
            codes: codes::Namespace(objects(CODES)),
            desks: objects(DESK).map(desk::Namespace),
            assets: env.assets(ASSETS).ok().and_then(|_| binding(env, ASSETS)),
            limiter: env
                .rate_limiter(LIMIT)
                .ok()
                .and_then(|_| binding(env, LIMIT)),
            dataset: env.analytics_engine("ANALYTICS").ok(),
            env: env.clone(),
        });
        if BOUND.replace(Some(bound.clone())).is_none() && bound.ledger.is_none() {
            console_log!("{KV_ALONE}");
        }
        Some(bound)
    }
}

/// What is bound by that name, in the runtime's own terms.
fn binding<T: JsCast>(env: &Env, name: &str) -> Option<T> {
    let binding = Reflect::get(env, &JsValue::from_str(name)).ok()?;
    Some(binding.unchecked_into())
}

impl Bindings {
    /// Without a client. `None` if the configuration or a binding is wrong; the log says how.
    pub(super) fn of(env: &Env) -> Option<Self> {
        let world = Runtime {
            client: None,
            bound: Bound::of(env)?,
        };
        Some(Self { world })
    }

    /// Those of a request for whose answer a client waits.
    pub(super) fn with_client(mut self, client: Rc<Client>) -> Self {
        self.world.client = Some(client);
        self
    }

    /// The sessions of an app, where desks have a say.
    pub(super) fn sessions<'a>(
        &'a self,
        app: &'a App,
    ) -> Supervised<'a, Runtime, Store<'a>, desk::Namespace> {
        Supervised {
            world: &self.world,
            app,
            sessions: self.store(app),
            desks: self.desks.as_ref(),
        }
    }

    /// The sessions of an app.
    pub(super) fn store(&self, app: &App) -> Store<'_> {
        match &self.ledger {
            Some(ledger) => Store::Ledger(LedgerSessions {
                world: &self.world,
                kv: &self.kv,
                ledger,
                lifetime: app.session_lifetime,
                lease: app.ledger_lease,
            }),
            None => Store::Kv(self.kv_sessions(app)),
        }
    }

    /// Those of an app in KV alone.
    pub(super) fn kv_sessions(&self, app: &App) -> KvSessions<'_, Runtime, kv::Namespace> {
        KvSessions {
            world: &self.world,
            kv: &self.kv,
            lifetime: app.session_lifetime,
            budget: Budget::of(self.config.kv_operations),
        }
    }
}

/// The binding of the ledger.
const LEDGER: &str = "LEDGER";
/// The binding of the records of authorization codes.
const CODES: &str = "CODES";
/// That of the desks.
const DESK: &str = "DESK";
/// That of the files of `www`.
const ASSETS: &str = "ASSETS";
/// That of the limit for senders of forged tokens.
const LIMIT: &str = "LOGOUT_LIMIT";
/// What is told at the start where it is not bound.
const KV_ALONE: &str = r#"{"code":"ledger_not_bound","guarantee":"a logout takes effect when KV shows it: typically within a minute"}"#;

/// Reads the configuration when the isolate starts, so that its first request need not wait. The clock
/// stands still then: what is wrong by it is looked at again, and told, by that request.
#[wasm_bindgen]
#[expect(unreachable_pub, reason = "it is what the module exports")]
pub fn prepare(env: &Env) {
    if let Ok(config) = read_config(env) {
        let _ = CONFIG.with(|cell| cell.set(Some(Rc::new(config))));
    }
}

/// # Errors
/// What is wrong.
#[inline(never)]
fn read_config(env: &Env) -> Result<Config, Vec<String>> {
    let mut variables = Vec::new();
    for name in Object::keys(env.unchecked_ref::<Object>())
        .iter()
        .filter_map(|name| name.as_string())
    {
        const OURS: [&str; 7] = [
            "ISSUER_",
            "APP_",
            "HOST_",
            "LIMITS",
            "OPERATOR",
            "SEAL_KEYS",
            "ANNOUNCE_KEY_",
        ];
        let is_ours = OURS.iter().any(|beginning| name.starts_with(beginning));
        if is_ours && let Ok(value) = Reflect::get(env, &JsValue::from_str(&name)) {
            // A table arrives as an object, a secret as text.
            let json = value.as_string().or_else(|| {
                JSON::stringify(&value)
                    .ok()
                    .and_then(|text| text.as_string())
            });
            variables.push((name, json.unwrap_or_default()));
        }
    }
    let authority = if env.durable_object(LEDGER).is_ok() {
        Authority::Ledger
    } else {
        Authority::Kv
    };
    let config = config::parse(&variables, authority, runtime::now())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let is_unbound = |name: &&str| env.service(name).is_err();
    let mut missing: Vec<_> = config
        .services()
        .filter(is_unbound)
        .map(|name| format!("{name}: the service is not bound"))
        .collect();
    if config.relays() && env.durable_object(CODES).is_err() {
        missing.push("CODES: the relay needs this binding".to_owned());
    }
    let has_desk = env.durable_object(DESK).is_ok();
    let idle = config.breakers().filter(|_| !has_desk);
    missing.extend(
        idle.map(|issuer| format!("ISSUER_{}.breaker: needs the binding DESK", issuer.name)),
    );
    if missing.is_empty() {
        Ok(config)
    } else {
        Err(missing)
    }
}

fn report(problem: &str) {
    console_error!(
        "{}",
        serde_json::json!({ "code": "configuration_wrong", "problem": problem })
    );
}
