//! Reading the variables into the types of the configuration.

use std::rc::Rc;

use base64ct::{Base64, Encoding};

use super::{
    App, Config, CookieNames, Issuer, KeySource, Problem, SealKey, SessionSid, SidScope,
    fields::Fields,
};
use crate::domain::{
    digest::Digest,
    jws::{Algorithm, Types},
    limits,
    route::{self, Route},
    url::{self, HttpUrl, Schemes},
};

/// Reads the variables, each a name and the JSON text of its value; those that do not concern us
/// are ignored.
///
/// # Errors
/// Every [`Problem`] there is.
pub fn parse(variables: &[(String, String)]) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();

    let mut issuers = Vec::new();
    let mut all_issuers_known = true;
    for (name, json) in &variables {
        if name.starts_with("ISSUER_") {
            let mut fields = Fields::of(name, json, &mut problems);
            match read_issuer(&mut fields) {
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
            if let Some(app) = read_app(app_name, &mut fields, &issuers, all_issuers_known) {
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

    let seal_key = if let Some((_, json)) = variables.iter().find(|(name, _)| name == "SEAL_KEYS") {
        read_seal_key(json, &mut problems)
    } else {
        problems.push(Problem {
            field: "SEAL_KEYS".into(),
            reason: "the secret is missing".into(),
        });
        None
    };
    let kv_operations = match variables.iter().find(|(name, _)| name == "LIMITS") {
        Some((_, json)) => read_kv_operations(json, &mut problems),
        None => limits::KV_OPERATIONS,
    };
    match seal_key {
        Some(seal_key) if problems.is_empty() => Ok(Config {
            apps,
            seal_key,
            kv_operations,
        }),
        _ => Err(problems),
    }
}

fn read_issuer(fields: &mut Fields<'_>) -> Option<Issuer> {
    let schemes = if fields.flag("allow_insecure_http") {
        Schemes::HttpToo
    } else {
        Schemes::Https
    };
    let issuer = fields.required_text("issuer");
    let discovery = fields.text("discovery");
    let jwks_uri = fields.text("jwks_uri");
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
    Some(Issuer {
        issuer,
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
    })
}

fn read_algorithm(fields: &mut Fields<'_>, name: &str) -> Algorithm {
    let choices = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    fields.choice(name, &choices).unwrap_or(Algorithm::Rs256)
}

fn read_app(
    name: &str,
    fields: &mut Fields<'_>,
    issuers: &[Rc<Issuer>],
    all_issuers_known: bool,
) -> Option<App> {
    if name.is_empty() {
        fields.problem("", "needs a name after APP_");
    }
    let issuer = fields.required_text("issuer");
    let client_id = fields.required_text("client_id");
    let routes = read_routes(fields);
    let logout_path = fields.required_text("logout_path");
    let origin = read_origin(fields);
    let session_cookies = fields.required_texts("session_cookies");
    let session_cookies = read_cookie_names(fields, "session_cookies", session_cookies);
    let never = fields.texts("never");
    let never = read_cookie_names(fields, "never", never);
    let session_sid = fields.choice(
        "session_sid",
        &[
            ("required", SessionSid::Required),
            ("optional", SessionSid::Optional),
        ],
    );
    let session_lifetime = fields
        .seconds("session_lifetime")
        .unwrap_or(limits::SESSION_LIFETIME);

    if !limits::SESSION_LIFETIME_BOUNDS.contains(&session_lifetime) {
        fields.problem("session_lifetime", "must be from 60 to 2592000 seconds");
    }
    let known = issuer.as_ref().and_then(|issuer| {
        let known = issuers
            .iter()
            .find(|known| known.issuer == *issuer)
            .cloned();
        // Otherwise it may be one that has a problem of its own.
        if known.is_none() && all_issuers_known {
            fields.problem("issuer", "is no configured issuer (ISSUER_*.issuer)");
        }
        known
    });
    if logout_path
        .as_ref()
        .is_some_and(|path| !route::is_plain_path(path) || route::own_path(path).is_some())
    {
        fields.problem(
            "logout_path",
            "must be an absolute path of plain segments, not under /.edge-logout/",
        );
    }
    let (issuer, client_id) = (known?, client_id?);
    Some(App {
        name: name.to_owned(),
        id: Digest::of("app", &[name, &issuer.issuer, &client_id]),
        issuer,
        client_id,
        routes: routes?,
        logout_path: logout_path?,
        origin,
        session_sid: session_sid.unwrap_or(SessionSid::Required),
        session_cookies,
        never,
        session_lifetime,
    })
}

fn read_origin(fields: &mut Fields<'_>) -> Option<HttpUrl> {
    let text = fields.text("origin")?;
    let reason = match HttpUrl::parse(&text, Schemes::HttpToo) {
        Ok(origin) if origin.is_bare_origin() => return Some(origin),
        Ok(_) => "is scheme and host only: the path is the request's".to_owned(),
        Err(problem) => problem.to_string(),
    };
    // A problem fails the whole configuration, so nobody takes this for "no origin".
    fields.problem("origin", reason);
    None
}

fn read_routes(fields: &mut Fields<'_>) -> Option<Vec<Route>> {
    let texts = fields.required_texts("routes");
    let mut routes = Vec::new();
    for (position, text) in texts.iter().enumerate() {
        match Route::parse(text) {
            Some(route) => routes.push(route),
            None => fields.problem(
                &format!("routes[{position}]"),
                "must be host[:port]/prefix, without scheme, default port, wildcard or trailing slash",
            ),
        }
    }
    (!texts.is_empty() && routes.len() == texts.len()).then_some(routes)
}

fn read_cookie_names(fields: &mut Fields<'_>, field: &str, names: Vec<String>) -> CookieNames {
    let is_name = |text: &str| {
        let stem = text.strip_suffix('*').unwrap_or(text);
        !stem.is_empty()
            && stem
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"*=;,\"".contains(&b))
    };
    for (position, text) in names.iter().enumerate() {
        if !is_name(text) {
            fields.problem(
                &format!("{field}[{position}]"),
                "must be a cookie name, or the beginning of names followed by *",
            );
        }
    }
    CookieNames(names)
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

/// `SEAL_KEYS`: a JSON list of one `{"id": ..., "key": base64 of 32 bytes}`.
fn read_seal_key(json: &str, problems: &mut Vec<Problem>) -> Option<SealKey> {
    let entries: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let [entry] = entries.as_slice() else {
        problems.push(Problem {
            field: "SEAL_KEYS".into(),
            reason: "must be a JSON list of exactly one key".into(),
        });
        return None;
    };
    let mut fields = Fields::of("SEAL_KEYS[0]", &entry.to_string(), problems);
    let id = fields.required_text("id");
    let key = fields.required_text("key");
    fields.refuse_unknown();
    let id = id.filter(|id| {
        let right = url::is_token(id) && id.len() <= 16;
        if !right {
            fields.problem("id", "must be 1 to 16 letters, digits, - or _");
        }
        right
    });
    let mut bytes = [0; 32];
    let read = Base64::decode(&key?, &mut bytes).map(<[u8]>::len);
    if read != Ok(bytes.len()) {
        fields.problem("key", "must be the base64 of 32 random bytes");
        return None;
    }
    Some(SealKey {
        id: id?,
        key: bytes,
    })
}
