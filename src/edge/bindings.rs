//! What `wrangler.toml` and the secrets give the Worker.

use std::{cell::OnceCell, rc::Rc};

use js_sys::{JSON, Object, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{Env, Fetcher, console_error, console_log};

use super::{
    codes,
    deadline::Deadline,
    desk, kv, ledger,
    runtime::{self, Runtime},
    store::Store,
};
use crate::{
    app::{budget::Budget, desk::Supervised, kv_sessions::KvSessions, ledger::LedgerSessions},
    domain::{
        config::{self, App, Config},
        seal::Authority,
    },
};

/// The bindings of one request, over the configuration of the isolate.
pub(super) struct Bindings {
    pub(super) config: Rc<Config>,
    pub(super) kv: kv::Namespace,
    /// None where sessions live in KV alone.
    pub(super) ledger: Option<ledger::Namespace>,
    pub(super) codes: codes::Namespace,
    /// None where they are not bound.
    pub(super) desks: Option<desk::Namespace>,
    pub(super) assets: Option<Fetcher>,
    pub(super) world: Runtime,
    pub(super) env: Env,
}

thread_local! {
    /// Parsed once: an isolate never sees another configuration.
    static CONFIG: OnceCell<Option<Rc<Config>>> = const { OnceCell::new() };
}

impl Bindings {
    /// `None` if the configuration or a binding is wrong; the log says how.
    pub(super) fn of(env: &Env, deadline: Option<Deadline>) -> Option<Self> {
        let config = CONFIG.with(|cell| cell.get_or_init(|| read_config(env)).clone())?;
        let Ok(kv) = env.kv("SESSIONS") else {
            report("SESSIONS: the KV namespace is not bound");
            return None;
        };
        Some(Self {
            config,
            kv: kv::Namespace(kv),
            ledger: env.durable_object(LEDGER).ok().map(ledger::Namespace),
            codes: codes::Namespace(env.durable_object(CODES).ok()),
            desks: env.durable_object(DESK).ok().map(desk::Namespace),
            assets: env.assets("ASSETS").ok(),
            world: Runtime {
                deadline,
                env: env.clone(),
            },
            env: env.clone(),
        })
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
/// What is told at the start where it is not bound.
const KV_ALONE: &str = r#"{"code":"ledger_not_bound","guarantee":"a logout takes effect when KV shows it: typically within a minute"}"#;

fn read_config(env: &Env) -> Option<Rc<Config>> {
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
        console_log!("{KV_ALONE}");
        Authority::Kv
    };
    match config::parse(&variables, authority, runtime::now()) {
        Ok(config) => {
            let bound = |name: &&str| env.service(name).is_ok();
            let missing: Vec<_> = config.services().filter(|name| !bound(name)).collect();
            for name in &missing {
                report(&format!("{name}: the service is not bound"));
            }
            let lacks_codes = config.relays() && env.durable_object(CODES).is_err();
            if lacks_codes {
                report("CODES: the relay needs this binding");
            }
            let has_desk = env.durable_object(DESK).is_ok();
            let idle: Vec<_> = config.breakers().filter(|_| !has_desk).collect();
            for issuer in &idle {
                report(&format!(
                    "ISSUER_{}.breaker: needs the binding DESK",
                    issuer.name
                ));
            }
            (missing.is_empty() && idle.is_empty() && !lacks_codes).then(|| Rc::new(config))
        }
        Err(problems) => {
            for problem in problems {
                report(&problem.to_string());
            }
            None
        }
    }
}

fn report(problem: &str) {
    console_error!(
        "{}",
        serde_json::json!({ "code": "configuration_wrong", "problem": problem })
    );
}
