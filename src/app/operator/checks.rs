//! The self-test of an app: what can be seen from here of what has to be right.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Backends, Failure, Office};
use crate::{
    app::{
        desk::Desks,
        ports::{Unavailable, World},
    },
    domain::{
        config::{App, Issuer, KeySource, SessionSid},
        jwks::{BadDocument, KeySet},
        jws::Algorithm,
        limits,
        metadata::Metadata,
        route::{self, Place},
        seal::Authority,
        time::Timestamp,
        url::HttpUrl,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Pass,
    Warn,
    Fail,
    Unknown,
}

use Outcome::{Fail, Pass, Unknown, Warn};

#[derive(Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    outcome: Outcome,
    detail: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, outcome: Outcome, detail: impl Into<String>) {
        self.0.push(Check {
            name,
            outcome,
            detail: detail.into(),
        });
    }
}

impl<W: World, B: Backends, D: Desks> Office<'_, W, B, D> {
    pub(super) async fn checks(&self, app: &App) -> Result<Value, Failure> {
        let mut checks = Checks::default();
        let issuer = &app.issuer;
        let key_set = match &issuer.keys {
            KeySource::KeySet(url) => {
                let detail = "The key set is configured; the metadata are not read.";
                for check in METADATA {
                    checks.add(check, Unknown, detail);
                }
                Some(url.clone())
            }
            KeySource::Discovery(url) => self.metadata(app, url, &mut checks).await,
        };
        self.keys(issuer, key_set, &mut checks).await;
        self.stores(issuer, &mut checks).await;
        checks.add(
            "routes",
            Unknown,
            "Cannot be seen from here: the route must fail closed (request limit failure mode), \
             and workers_dev and preview_urls must be off.",
        );
        let mut hosts = app.routes.iter().map(|route| &route.host);
        let is_reached = hosts.all(|host| {
            let place = route::locate(self.config, host, &app.logout_path);
            matches!(place, Place::BackChannel(found) if found.id == app.id)
        });
        if is_reached {
            checks.add(
                "logout_path",
                Pass,
                "It is reached on every host of the app.",
            );
        } else {
            let detail = "On a host of the app it belongs to something else.";
            checks.add("logout_path", Fail, detail);
        }
        Ok(json!({ "checks": checks.0 }))
    }

    /// Looks at the OP's metadata; gives the address of its key set.
    async fn metadata(&self, app: &App, url: &HttpUrl, checks: &mut Checks) -> Option<HttpUrl> {
        let issuer = &app.issuer;
        let fetched = self.world.fetch_dated(url, limits::OP_FETCH).await;
        let (body, date) = match fetched {
            Ok(fetched) => fetched,
            Err(Unavailable(code)) => {
                checks.add(
                    "discovery",
                    Fail,
                    format!("The metadata cannot be had: {code}."),
                );
                for check in METADATA.into_iter().skip(1) {
                    checks.add(check, Unknown, "The metadata cannot be had.");
                }
                return None;
            }
        };
        checks.add("discovery", Pass, "The metadata can be had.");
        let metadata: Value = serde_json::from_slice(&body).unwrap_or_default();
        let key_set = Metadata::parse(&body, &issuer.issuer)
            .and_then(|metadata| metadata.key_set_url(issuer.schemes));
        match &key_set {
            Err(BadDocument::OtherIssuer) => {
                checks.add("issuer", Fail, "The metadata are of another issuer.");
            }
            Err(bad) => checks.add("issuer", Fail, format!("The metadata: {}.", bad.code())),
            Ok(_) => checks.add("issuer", Pass, "The metadata are this issuer's."),
        }
        let says = |name: &str| metadata.get(name).and_then(Value::as_bool) == Some(true);
        if says(LOGOUT) {
            checks.add(
                LOGOUT,
                Pass,
                "The provider says that it sends logout tokens.",
            );
        } else {
            let detail = "The provider does not say that it sends logout tokens.";
            checks.add(LOGOUT, Warn, detail);
        }
        if says(LOGOUT_SESSION) {
            checks.add(
                LOGOUT_SESSION,
                Pass,
                "The provider says that they name a sid.",
            );
        } else if app.session_sid == SessionSid::Required {
            let detail = "The provider does not say that they name a sid, and the app needs one.";
            checks.add(LOGOUT_SESSION, Warn, detail);
        } else {
            let detail = "The provider does not say that they name a sid; the app does without.";
            checks.add(LOGOUT_SESSION, Pass, detail);
        }
        clock(date, self.world.now(), issuer, checks);
        key_set.ok()
    }

    async fn keys(&self, issuer: &Issuer, url: Option<HttpUrl>, checks: &mut Checks) {
        let fetched = match url {
            None => Err("Where they are is not known.".to_owned()),
            Some(url) => match self.world.fetch(&url, limits::OP_FETCH).await {
                Err(Unavailable(code)) => Err(format!("They cannot be had: {code}.")),
                Ok(body) => KeySet::parse(&body).map_err(|bad| format!("{}.", bad.code())),
            },
        };
        let mut of = |check: &'static str, algorithm: Algorithm| match &fetched {
            Err(detail) => checks.add(check, Fail, detail),
            Ok(keys) if keys.candidates(None, algorithm).is_empty() => {
                let detail = format!("None of them is for {}.", algorithm.name());
                checks.add(check, Fail, detail);
            }
            Ok(_) => {
                let detail = format!("There is one for {}.", algorithm.name());
                checks.add(check, Pass, detail);
            }
        };
        of("keys", issuer.logout_alg);
        of("id_token_keys", issuer.id_token_alg);
    }

    async fn stores(&self, issuer: &Issuer, checks: &mut Checks) {
        match self.backends.try_kv().await {
            Ok(()) => checks.add("kv", Pass, "It answers."),
            Err(Unavailable(code)) => checks.add("kv", Fail, format!("It fails: {code}.")),
        }
        match self.backends.try_ledger().await {
            None => checks.add("ledger", Unknown, "It is not bound."),
            Some(Ok(())) => checks.add("ledger", Pass, "It answers."),
            Some(Err(Unavailable(code))) => {
                checks.add("ledger", Fail, format!("It fails: {code}."));
            }
        }
        if issuer.dry_run {
            let detail = "dry_run is on: logouts are answered with 200 and end nothing.";
            checks.add("mode", Warn, detail);
        } else if self.config.authority == Authority::Kv {
            let detail = "KV alone: a logout takes effect within a minute or so.";
            checks.add("mode", Warn, detail);
        } else {
            checks.add("mode", Pass, "The ledger: a logout takes effect at once.");
        }
    }
}

const LOGOUT: &str = "backchannel_logout_supported";
const LOGOUT_SESSION: &str = "backchannel_logout_session_supported";
/// The checks that need the metadata, the first of them whether they can be had.
const METADATA: [&str; 5] = ["discovery", "issuer", LOGOUT, LOGOUT_SESSION, "clock"];

/// Compares the OP's clock with ours. The date of an answer is in whole seconds.
fn clock(date: Option<Timestamp>, now: Timestamp, issuer: &Issuer, checks: &mut Checks) {
    let Some(date) = date else {
        return checks.add("clock", Unknown, "The provider's answer has no date.");
    };
    let difference = date.since(now).max(now.since(date)).as_secs();
    let detail = format!("The provider's clock differs by {difference} s.");
    let outcome = if difference > issuer.clock_skew.as_secs() {
        Fail
    } else if difference > limits::OP_CLOCK_SPREAD.as_secs() {
        Warn
    } else {
        Pass
    };
    checks.add("clock", outcome, detail);
}
