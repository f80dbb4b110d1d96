//! Paths: whatever server stands behind, it takes a path for no other place than we do.

#![no_main]

use arbitrary::Arbitrary;
use edge_logout_fuzz::{
    app, config,
    domain::{
        route::{self, Place},
        url::{percent_decode, without_session_ids},
    },
};
use libfuzzer_sys::fuzz_target;
use url::Url;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    on_all: bool,
    crumbs: Vec<Crumb<'a>>,
    query: &'a str,
}

#[derive(Arbitrary, Debug)]
enum Crumb<'a> {
    Known(u8),
    Text(&'a str),
}

const KNOWN: [&str; 28] = [
    "/",
    "/shop",
    "/wiki",
    "/root",
    "shop",
    "wiki",
    "/bclogout",
    "/.edge-logout",
    "/..",
    "..",
    ".",
    "%2e",
    "%2f",
    "%5c",
    "\\",
    "%25",
    "2e",
    "2f",
    "%252e",
    "%252f",
    ";",
    ";jsessionid=1",
    ";shop.sid",
    "%3b",
    "//",
    "%73hop",
    "a",
    "%00",
];

/// Where a path leads that nobody takes for anything else; `None` if to no app.
fn plainly(host: &str, path: &str) -> Option<String> {
    if route::own_path(path).is_some() {
        return Some("own".to_owned());
    }
    let apps = || {
        let apps = config().apps.iter();
        apps.flat_map(|app| app.routes.iter().map(move |route| (app, route)))
            .filter(|(_, route)| route.host == host)
    };
    if let Some((app, _)) = apps().find(|(app, _)| app.logout_path == path) {
        return Some(format!("logout of {}", app.name));
    }
    apps()
        .filter(|(_, route)| route::covers(&route.prefix, path))
        .max_by_key(|(_, route)| route.prefix.len())
        .map(|(app, _)| app.name.clone())
}

/// The path as a URL library normalises it: dot segments and backslashes.
fn normalised(path: &str) -> String {
    let mut url = Url::parse("https://app.example/").expect("a URL");
    url.set_path(path);
    url.path().to_owned()
}

fn merged(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

fn check_place(host: &str, path: &str) {
    let place = match route::locate(config(), host, path) {
        Place::App(app, _) => Some(app.name.clone()),
        Place::BackChannel(app) => Some(format!("logout of {}", app.name)),
        Place::Own(_) => Some("own".to_owned()),
        Place::TokenEndpoint(_) | Place::Metadata(_) => panic!("no app here is relayed"),
        Place::Unmatched(_) | Place::Nowhere => None,
        Place::Ambiguous => return,
    };
    assert_eq!(place, plainly(host, path));
    let decoded = percent_decode(path).into_owned();
    // Not every server resolves dot segments.
    let readings = [
        decoded.clone(),
        decoded.replace('\\', "/"),
        normalised(&decoded),
        normalised(&merged(&decoded)),
    ];
    for reading in readings {
        for reading in [merged(&reading), reading] {
            assert_eq!(plainly(host, &reading), place, "{reading} of {path}");
        }
    }
}

/// An independent look for session ids.
fn has_session_id(path: &str, query: &str) -> bool {
    let is_usual = |field: &&str| {
        let name = percent_decode(field.split('=').next().unwrap_or_default());
        ["jsessionid", "phpsessid"].contains(&name.to_ascii_lowercase().as_str())
    };
    let is_listed = |field: &&str| {
        let name = percent_decode(field.split('=').next().unwrap_or_default());
        app("SHOP").session_cookies.may_mean(&name)
    };
    let parameters = path
        .split('/')
        .flat_map(|segment| segment.split(';').skip(1));
    let mut parameters = parameters.filter(|field| is_usual(field) || is_listed(field));
    let query = query.trim_start_matches('?');
    parameters.next().is_some() || query.split('&').any(|field| is_usual(&field))
}

fn check_session_ids(path: &str, query: &str) {
    let shop = app("SHOP");
    match without_session_ids(shop, path, query) {
        None => assert!(!has_session_id(path, query)),
        Some((path, query)) => {
            assert!(!has_session_id(&path, &query), "{path}{query}");
            assert_eq!(without_session_ids(shop, &path, &query), None);
            assert!(path.starts_with('/') && (query.is_empty() || query.starts_with('?')));
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut path = "/".to_owned();
    for crumb in &input.crumbs {
        path += match crumb {
            Crumb::Known(index) => KNOWN[usize::from(*index) % KNOWN.len()],
            Crumb::Text(text) => text,
        };
    }
    // The runtime cuts off a query, and encodes what is not ASCII.
    if path.contains(['?', '#']) || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return;
    }
    let host = if input.on_all {
        "all.example"
    } else {
        "app.example"
    };
    let _ = route::locate(config(), host, &path);
    // As the runtime gives it.
    let path = normalised(&path);
    check_place(host, &path);
    check_session_ids(&path, "");
    if !input.query.is_empty() && !input.query.contains('#') {
        check_session_ids(&path, &format!("?{}", input.query));
    }
});
