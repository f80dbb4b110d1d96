//! Reading the variables into the types of the configuration.

use std::{iter, rc::Rc};

use base64ct::{Base64, Encoding};

use super::{
    Announce, App, Config, CookieNames, HostRule, Issuer, KeySource, OnEnded, Origin, Problem,
    SealKey, SealKeys, SessionSid, SidScope, Source, fields::Fields,
};
use crate::domain::{
    digest::Digest,
    jws::{Algorithm, Types},
    limits,
    route::{self, Route},
    time::Timestamp,
    url::{self, HttpUrl, Schemes},
};

/// The header that announces a login where `announce` says nothing else.
const ID_TOKEN: &str = "edge-logout-id-token";

/// Reads the variables, each a name and the JSON text of its value (of a secret the text itself);
/// those that do not concern us are ignored.
///
/// # Errors
/// Every [`Problem`] there is.
pub fn parse(variables: &[(String, String)], now: Timestamp) -> Result<Config, Vec<Problem>> {
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
            let known = Known {
                issuers: &issuers,
                all_issuers: all_issuers_known,
                announce_key: value_of(&format!("ANNOUNCE_KEY_{app_name}")),
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
    match seal_keys {
        Some(seal_keys) if problems.is_empty() => Ok(Config {
            apps,
            hosts,
            seal_keys,
            kv_operations,
        }),
        _ => Err(problems),
    }
}

/// What an app's fields are read with.
struct Known<'a> {
    issuers: &'a [Rc<Issuer>],
    /// Whether none of the issuers has a problem of its own.
    all_issuers: bool,
    /// The app's secret for announcements.
    announce_key: Option<&'a str>,
    now: Timestamp,
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

fn read_app(name: &str, fields: &mut Fields<'_>, known: &Known<'_>) -> Option<App> {
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
    let accept_unsealed_until = fields.moment("accept_unsealed_until");
    let announce = read_announce(fields, known.announce_key);
    let login_paths = read_login_paths(fields);
    let on_ended = read_on_ended(fields);
    let anonymous_paths = fields.paths("anonymous_paths");
    let is_anonymous = |path: &String| {
        anonymous_paths
            .iter()
            .any(|prefix| route::covers(prefix, path))
    };
    if login_paths.iter().any(is_anonymous) {
        fields.problem(
            "login_paths",
            "lie under anonymous_paths, which set no session cookies",
        );
    }

    if !limits::SESSION_LIFETIME_BOUNDS.contains(&session_lifetime) {
        fields.problem("session_lifetime", "must be from 60 to 2592000 seconds");
    }
    if accept_unsealed_until.is_some_and(|until| until.since(known.now) > limits::UNSEALED_MAX) {
        fields.problem("accept_unsealed_until", "must be at most seven days ahead");
    }
    let its_issuer = issuer.as_ref().and_then(|issuer| {
        let mut issuers = known.issuers.iter();
        let its_issuer = issuers.find(|known| known.issuer == *issuer).cloned();
        // Otherwise it may be one that has a problem of its own.
        if its_issuer.is_none() && known.all_issuers {
            fields.problem("issuer", "is no configured issuer (ISSUER_*.issuer)");
        }
        its_issuer
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
    let (issuer, client_id) = (its_issuer?, client_id?);
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
        // Long ago, if none is named.
        accept_unsealed_until: accept_unsealed_until.unwrap_or(Timestamp::from_seconds(0)),
        announce: announce?,
        login_paths,
        on_ended: on_ended?,
        anonymous_paths,
        session_lifetime,
    })
}

fn read_announce(fields: &mut Fields<'_>, key: Option<&str>) -> Option<Announce> {
    let Some(mut announce) = fields.table("announce") else {
        return Some(Announce::IdToken(Source::Header {
            name: ID_TOKEN.to_owned(),
            scheme: None,
        }));
    };
    let from = announce.required_text("from");
    let read = match from.as_deref() {
        Some("header") => {
            let name = announce.text("name").unwrap_or(ID_TOKEN.to_owned());
            let scheme = announce.text("scheme");
            if !iter::chain([&name], &scheme).all(|text| url::is_token(text)) {
                announce.problem("", "name and scheme may hold letters, digits, - and _");
            }
            let name = name.to_ascii_lowercase();
            // An announcement is taken out.
            if ["cookie", "set-cookie", "location"].contains(&name.as_str())
                || name.starts_with("content-")
            {
                announce.problem("name", "is a header that the app needs");
            }
            Some(Announce::IdToken(Source::Header { name, scheme }))
        }
        Some("cookie") => {
            let name = announce.required_text("name");
            if name.as_ref().is_some_and(|name| !is_cookie_name(name)) {
                announce.problem("name", "must be a cookie name");
            }
            name.map(|name| Announce::IdToken(Source::Cookie { name }))
        }
        Some("session") => match key {
            Some(key) if key.len() >= limits::ANNOUNCE_KEY_BYTES => Some(Announce::Session {
                key: Digest::of("announce-key", &[key]),
            }),
            _ => {
                let reason =
                    "needs the secret ANNOUNCE_KEY_<name of the app>, 32 characters or more";
                announce.problem("from", reason);
                None
            }
        },
        _ => {
            announce.problem("from", "must be one of header, cookie, session");
            None
        }
    };
    announce.refuse_unknown();
    read
}

fn read_login_paths(fields: &mut Fields<'_>) -> Vec<String> {
    let is_late = fields.flag("announce_late");
    let login_paths = fields.paths("login_paths");
    if is_late && login_paths.is_empty() {
        fields.problem("login_paths", "must name at least one, with announce_late");
    } else if !is_late && !login_paths.is_empty() {
        fields.problem("login_paths", "serve announce_late = true only");
    }
    login_paths
}

fn read_on_ended(fields: &mut Fields<'_>) -> Option<OnEnded> {
    let location = fields.text("ended_location");
    let choices = [("anonymous", 0), ("redirect", 1), ("unauthorized", 2)];
    match (fields.choice("on_ended", &choices), location) {
        (Some(1), Some(location)) => {
            let path = location.split('?').next().unwrap_or_default();
            let is_path = route::is_plain_path(path) && url::is_printable(&location);
            if !is_path && HttpUrl::parse(&location, Schemes::Https).is_err() {
                let reason =
                    "must be a path of plain segments on the app's host, or an https:// URL";
                fields.problem("ended_location", reason);
            }
            Some(OnEnded::Redirect(location))
        }
        (Some(1), None) => {
            fields.problem(
                "ended_location",
                "is missing: on_ended = \"redirect\" needs it",
            );
            None
        }
        (_, Some(_)) => {
            fields.problem("ended_location", "serves on_ended = \"redirect\" only");
            None
        }
        (Some(2), None) => Some(OnEnded::Unauthorized),
        (_, None) => Some(OnEnded::Anonymous),
    }
}

fn read_origin(fields: &mut Fields<'_>) -> Origin {
    let Some(text) = fields.text("origin") else {
        return Origin::Itself;
    };
    if let Some(binding) = text
        .strip_prefix("service:")
        .filter(|name| url::is_token(name))
    {
        return Origin::Service(binding.to_owned());
    }
    let reason = match HttpUrl::parse(&text, Schemes::HttpToo) {
        Ok(origin) if origin.is_bare_origin() => return Origin::Url(origin),
        Ok(_) => "is scheme and host only: the path is the request's".to_owned(),
        Err(_) => "must be https://..., http://..., or service:<binding>".to_owned(),
    };
    // A problem fails the whole configuration, so nobody takes this for "no origin".
    fields.problem("origin", reason);
    Origin::Itself
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

fn is_cookie_name(text: &str) -> bool {
    let is_sign = |b: u8| b.is_ascii_graphic() && !b"*=;,\"".contains(&b);
    !text.is_empty() && text.bytes().all(is_sign)
}

fn read_cookie_names(fields: &mut Fields<'_>, field: &str, names: Vec<String>) -> CookieNames {
    let is_name = |text: &str| is_cookie_name(text.strip_suffix('*').unwrap_or(text));
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

/// `SEAL_KEYS`: a JSON list of `{"id": ..., "key": base64 of 32 bytes, "seal_from": moment}`.
fn read_seal_keys(json: &str, problems: &mut Vec<Problem>) -> Option<SealKeys> {
    let problem = |reason: &str| Problem {
        field: "SEAL_KEYS".into(),
        reason: reason.into(),
    };
    let entries: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let earlier_problems = problems.len();
    let mut keys: Vec<SealKey> = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let variable = format!("SEAL_KEYS[{position}]");
        let mut fields = Fields::of(&variable, &entry.to_string(), problems);
        let key = read_seal_key(&mut fields);
        fields.refuse_unknown();
        if key
            .as_ref()
            .is_some_and(|key| keys.iter().any(|other| other.id == key.id))
        {
            fields.problem("id", "is another key's");
        }
        keys.extend(key);
    }
    if problems.len() > earlier_problems {
        return None;
    }
    let Some(always) = keys.iter().position(|key| key.seal_from.is_none()) else {
        problems.push(problem(
            "must be a JSON list with a key that has no seal_from",
        ));
        return None;
    };
    let first = keys.remove(always);
    if keys.iter().any(|key| key.seal_from.is_none()) {
        problems.push(problem(
            "may hold one key without seal_from, the first to seal",
        ));
    }
    Some(SealKeys {
        first,
        others: keys,
    })
}

fn read_seal_key(fields: &mut Fields<'_>) -> Option<SealKey> {
    let id = fields.required_text("id");
    let key = fields.required_text("key");
    let seal_from = fields.moment("seal_from");
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
        seal_from,
    })
}
