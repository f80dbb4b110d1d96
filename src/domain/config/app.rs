//! Reading one app.

use std::{iter, rc::Rc};

use super::{
    Announce, App, CookieNames, Issuer, KeySource, OnEnded, Origin, SessionSid, Source,
    fields::Fields,
};
use crate::domain::{
    digest::Digest,
    limits,
    route::{self, Route},
    seal::Authority,
    time::Timestamp,
    url::{self, HttpUrl, Schemes},
};

/// The header that announces a login where `announce` says nothing else.
const ID_TOKEN: &str = "edge-logout-id-token";

/// What an app's fields are read with.
pub(super) struct Known<'a> {
    pub(super) issuers: &'a [Rc<Issuer>],
    /// Whether none of the issuers has a problem of its own.
    pub(super) all_issuers: bool,
    /// The app's secret for announcements.
    pub(super) announce_key: Option<&'a str>,
    pub(super) authority: Authority,
    pub(super) now: Timestamp,
}

pub(super) fn read_app(name: &str, fields: &mut Fields<'_>, known: &Known<'_>) -> Option<App> {
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
    let login_paths = read_login_paths(fields, announce.as_ref());
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

    let ledger_lease = fields.seconds("ledger_lease_seconds").unwrap_or_default();
    if ledger_lease > limits::LEDGER_LEASE_MAX {
        fields.problem("ledger_lease_seconds", "must be at most 60");
    } else if !ledger_lease.is_zero() && known.authority != Authority::Ledger {
        fields.problem("ledger_lease_seconds", "needs the binding LEDGER");
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
    let is_relayed = announce.as_ref() == Some(&Announce::Relay);
    if is_relayed && issuer.token_endpoint.is_none() && matches!(issuer.keys, KeySource::KeySet(_))
    {
        let reason = "from = \"relay\" needs the issuer's token_endpoint, where jwks_uri is given";
        fields.problem("announce", reason);
    }
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
        ledger_lease,
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
        Some("relay") => Some(Announce::Relay),
        Some("form_post") => Some(Announce::FormPost),
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
            announce.problem(
                "from",
                "must be one of header, cookie, session, relay, form_post",
            );
            None
        }
    };
    announce.refuse_unknown();
    read
}

fn read_login_paths(fields: &mut Fields<'_>, announce: Option<&Announce>) -> Vec<String> {
    let is_late = fields.flag("announce_late");
    let login_paths = fields.paths("login_paths");
    let is_seen = announce.is_some_and(|announce| !announce.is_made_by_the_app());
    if is_late && is_seen {
        fields.problem("announce_late", "is for apps that announce logins");
    }
    match (is_late || is_seen, login_paths.is_empty()) {
        (true, true) => fields.problem(
            "login_paths",
            "must name at least one, with announce_late, relay or form_post",
        ),
        (false, false) => fields.problem(
            "login_paths",
            "serve announce_late, relay and form_post only",
        ),
        _ => {}
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

pub(super) fn read_origin(fields: &mut Fields<'_>) -> Origin {
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
