//! What `wrangler.toml` and the secrets give the Worker.

use std::{cell::OnceCell, rc::Rc};

use js_sys::{JSON, Object, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{Env, Fetcher, console_error};

use super::{kv::Namespace, runtime::Runtime};
use crate::{
    app::{
        kv_sessions::{Budget, KvSessions},
        ports::World as _,
    },
    domain::config::{self, App, Config},
};

/// The bindings of one request, over the configuration of the isolate.
pub(super) struct Bindings {
    pub(super) config: Rc<Config>,
    pub(super) kv: Namespace,
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
    pub(super) fn of(env: &Env) -> Option<Self> {
        let config = CONFIG.with(|cell| cell.get_or_init(|| read_config(env)).clone())?;
        let Ok(kv) = env.kv("SESSIONS") else {
            report("SESSIONS: the KV namespace is not bound");
            return None;
        };
        Some(Self {
            config,
            kv: Namespace(kv),
            assets: env.assets("ASSETS").ok(),
            world: Runtime,
            env: env.clone(),
        })
    }

    /// The sessions of an app.
    pub(super) fn sessions(&self, app: &App) -> KvSessions<'_, Runtime, Namespace> {
        KvSessions {
            world: &self.world,
            kv: &self.kv,
            lifetime: app.session_lifetime,
            budget: Budget::of(self.config.kv_operations),
        }
    }
}

fn read_config(env: &Env) -> Option<Rc<Config>> {
    let mut variables = Vec::new();
    for name in Object::keys(env.unchecked_ref::<Object>())
        .iter()
        .filter_map(|name| name.as_string())
    {
        const OURS: [&str; 6] = [
            "ISSUER_",
            "APP_",
            "HOST_",
            "LIMITS",
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
    match config::parse(&variables, Runtime.now()) {
        Ok(config) => {
            let bound = |name: &&str| env.service(name).is_ok();
            let missing: Vec<_> = config.services().filter(|name| !bound(name)).collect();
            for name in &missing {
                report(&format!("{name}: the service is not bound"));
            }
            missing.is_empty().then(|| Rc::new(config))
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
