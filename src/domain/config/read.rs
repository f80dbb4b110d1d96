//! Reading the variables into the types of the configuration.

use std::rc::Rc;

use super::{
    App, Breaker, Config, HostRule, Issuer, KeySource, Problem, SidScope,
    app::{Known, read_app, read_origin},
    fields::Fields,
    operator::read_operator,
    seal_keys::read_seal_keys,
};
use crate::domain::{
    jws::{Algorithm, Types},
    limits,
    seal::Authority,
    time::Timestamp,
    url::{HttpUrl, Schemes},
};

/// Reads the variables, each a name and the JSON text of its value (of a secret the text itself);
/// those that do not concern us are ignored.
///
/// # Errors
/// Every [`Problem`] there is.
pub fn parse(
    variables: &[(String, String)],
    authority: Authority,
    now: Timestamp,
) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();

    let value_of = |wanted: &str| {
        let mut values = variables.iter();
        let (_, value) = values.find(|(name, _)| name == wanted)?;
        Some(value.as_str())
    };
    let mut issuers = Vec::new();
    let mut all_issuers_known = true;
    for (name, json) in &variables {
        if let Some(issuer_name) = name.strip_prefix("ISSUER_") {
            let mut fields = Fields::of(name, json, &mut problems);
            match read_issuer(issuer_name, &mut fields) {
                Some(issuer) => issuers.push(Rc::new(issuer)),
                None => all_issuers_known = false,
            }
            fields.refuse_unknown();
        }
    }
    for (position, issuer) in issuers.iter().enumerate() {
        if issuers
            .iter()
            .take(position)
            .any(|other| other.issuer == issuer.issuer)
        {
            problems.push(Problem {
                field: "ISSUER_*.issuer".into(),
                reason: format!("{} is configured twice", issuer.issuer),
            });
        }
    }

    let mut apps = Vec::new();
    for (name, json) in &variables {
        if let Some(app_name) = name.strip_prefix("APP_") {
            let mut fields = Fields::of(name, json, &mut problems);
            let known = Known {
                issuers: &issuers,
                all_issuers: all_issuers_known,
                announce_key: value_of(&format!("ANNOUNCE_KEY_{app_name}")),
                authority,
                now,
            };
            if let Some(app) = read_app(app_name, &mut fields, &known) {
                apps.push(Rc::new(app));
            }
            fields.refuse_unknown();
        }
    }
    if !variables.iter().any(|(name, _)| name.starts_with("APP_")) {
        problems.push(Problem {
            field: "APP_*".into(),
            reason: "no app is configured".into(),
        });
    }
    problems.extend(conflicts(&apps));

    let mut hosts = Vec::new();
    for (name, json) in &variables {
        if name.starts_with("HOST_") {
            let mut fields = Fields::of(name, json, &mut problems);
            if let Some(rule) = read_host(&mut fields, &apps) {
                if hosts.iter().any(|other: &HostRule| other.host == rule.host) {
                    fields.problem("host", "is configured twice");
                }
                hosts.push(rule);
            }
            fields.refuse_unknown();
        }
    }
    let seal_keys = if let Some(json) = value_of("SEAL_KEYS") {
        read_seal_keys(json, &mut problems)
    } else {
        problems.push(Problem {
            field: "SEAL_KEYS".into(),
            reason: "the secret is missing".into(),
        });
        None
    };
    let kv_operations = match value_of("LIMITS") {
        Some(json) => read_kv_operations(json, &mut problems),
        None => limits::KV_OPERATIONS,
    };
    let operator = read_operator(
        value_of("OPERATOR_KEY"),
        value_of("OPERATOR"),
        &mut problems,
    );
    match seal_keys {
        Some(seal_keys) if problems.is_empty() => Ok(Config {
            apps,
            hosts,
            seal_keys,
            authority,
            kv_operations,
            operator,
        }),
        _ => Err(problems),
    }
}

fn read_issuer(name: &str, fields: &mut Fields<'_>) -> Option<Issuer> {
    let schemes = if fields.flag("allow_insecure_http") {
        Schemes::HttpToo
    } else {
        Schemes::Https
    };
    let issuer = fields.required_text("issuer");
    let discovery = fields.text("discovery");
    let jwks_uri = fields.text("jwks_uri");
    let token_endpoint = fields.text("token_endpoint");
    let logout_alg = read_algorithm(fields, "logout_alg");
    let id_token_alg = read_algorithm(fields, "id_token_alg");
    let logout_types = if fields.flag("require_typ") {
        Types::LogoutTokenExplicit
    } else {
        Types::LogoutToken
    };
    let allow_missing_exp = fields.flag("allow_missing_exp");
    let sid_scope = fields.choice(
        "sid_scope",
        &[("sid", SidScope::Sid), ("sub", SidScope::Sub)],
    );
    let trusted_audiences = fields.texts("trusted_audiences");
    let clock_skew = fields.seconds("clock_skew").unwrap_or(limits::CLOCK_SKEW);
    if clock_skew > limits::CLOCK_SKEW_MAX {
        fields.problem("clock_skew", "must be at most 300 seconds");
    }
    let dry_run = fields.flag("dry_run");
    let breaker = read_breaker(fields);

    let issuer = issuer?;
    if let Err(problem) = HttpUrl::parse(&issuer, schemes) {
        fields.problem("issuer", problem.to_string());
        return None;
    }
    if issuer.contains('?') {
        fields.problem(
            "issuer",
            "may have no query (OpenID Connect Core section 2)",
        );
        return None;
    }
    let (field, address) = match (discovery, jwks_uri) {
        (Some(_), Some(_)) => {
            fields.problem("jwks_uri", "give either jwks_uri or discovery, not both");
            return None;
        }
        (None, Some(jwks_uri)) => ("jwks_uri", jwks_uri),
        (Some(discovery), None) => ("discovery", discovery),
        // Appended, not put in place of the issuer's path (Discovery section 4.1).
        (None, None) => (
            "discovery",
            format!(
                "{}/.well-known/openid-configuration",
                issuer.trim_end_matches('/')
            ),
        ),
    };
    let address = match HttpUrl::parse(&address, schemes) {
        Ok(address) => address,
        Err(problem) => {
            fields.problem(field, problem.to_string());
            return None;
        }
    };
    let token_endpoint = match token_endpoint.map(|url| HttpUrl::parse(&url, schemes)) {
        None => None,
        Some(Ok(url)) => Some(url),
        Some(Err(problem)) => {
            fields.problem("token_endpoint", problem.to_string());
            None
        }
    };
    Some(Issuer {
        name: name.to_owned(),
        issuer,
        token_endpoint,
        keys: if field == "jwks_uri" {
            KeySource::KeySet(address)
        } else {
            KeySource::Discovery(address)
        },
        schemes,
        logout_alg,
        id_token_alg,
        logout_types,
        allow_missing_exp,
        sid_scope: sid_scope.unwrap_or(SidScope::Sid),
        trusted_audiences,
        clock_skew,
        dry_run,
        breaker,
    })
}

fn read_breaker(fields: &mut Fields<'_>) -> Option<Breaker> {
    let mut breaker = fields.table("breaker")?;
    let sessions = breaker.number("sessions");
    let span = breaker.seconds("seconds");
    if !sessions.is_some_and(|sessions| limits::BREAKER_SESSIONS.contains(&sessions)) {
        breaker.problem("sessions", "must be from 1 to 10000");
    }
    if !span.is_some_and(|span| limits::BREAKER_SPAN.contains(&span)) {
        breaker.problem("seconds", "must be from 1 to 3600");
    }
    breaker.refuse_unknown();
    Some(Breaker {
        sessions: sessions?,
        span: span?,
    })
}

fn read_algorithm(fields: &mut Fields<'_>, name: &str) -> Algorithm {
    let choices = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    fields.choice(name, &choices).unwrap_or(Algorithm::Rs256)
}

fn read_host(fields: &mut Fields<'_>, apps: &[Rc<App>]) -> Option<HostRule> {
    let host = fields.required_text("host");
    let unmatched = fields.choice("unmatched", &[("refuse", false), ("pass", true)]);
    let origin = read_origin(fields);
    let host = host?.to_ascii_lowercase();
    let mut routes = apps.iter().flat_map(|app| &app.routes);
    if !routes.any(|route| route.host == host) {
        fields.problem("host", "is the host of no app's route");
    }
    unmatched
        .unwrap_or(false)
        .then_some(HostRule { host, origin })
}

fn read_kv_operations(json: &str, problems: &mut Vec<Problem>) -> usize {
    let mut fields = Fields::of("LIMITS", json, problems);
    let operations = fields
        .number("kv_operations")
        .unwrap_or(limits::KV_OPERATIONS);
    if !limits::KV_OPERATIONS_BOUNDS.contains(&operations) {
        fields.problem("kv_operations", "must be from 20 to 1000");
    }
    fields.refuse_unknown();
    operations
}

/// Two apps that claim one place.
fn conflicts(apps: &[Rc<App>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (position, app) in apps.iter().enumerate() {
        for other in apps.iter().take(position) {
            if app.issuer == other.issuer && app.client_id == other.client_id {
                problems.push(Problem {
                    field: format!("APP_{}.client_id", app.name),
                    reason: format!("is APP_{}'s: one app may have several routes", other.name),
                });
            }
            for route in &app.routes {
                if other.routes.contains(route) {
                    problems.push(Problem {
                        field: format!("APP_{}.routes", app.name),
                        reason: format!("{route} belongs to APP_{} already", other.name),
                    });
                }
                let same_host = other.routes.iter().any(|theirs| theirs.host == route.host);
                if same_host && app.logout_path == other.logout_path {
                    problems.push(Problem {
                        field: format!("APP_{}.logout_path", app.name),
                        reason: format!("is APP_{}'s on the same host", other.name),
                    });
                }
            }
        }
    }
    problems
}
