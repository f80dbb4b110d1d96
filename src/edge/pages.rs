//! The Worker's own answers: pages of `www` for people, short texts for programs.

use wasm_bindgen::JsCast as _;
use web_sys::Response;
use worker::Result;

use super::{
    bindings::Bindings,
    http::{self, Incoming},
    promises::outcome,
    proxy::{self, Answer, Behind},
};
use crate::{
    app::{
        apart,
        audit::Event,
        front::{Origin as _, Own, OwnKind, Served},
        operator,
        ports::World as _,
    },
    domain::{config::App, route},
};

/// No script at all, nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves a path of our own: the files of `www`, and a sign of life.
pub(super) async fn own_path(
    bindings: &Bindings,
    incoming: &Incoming,
    path: &str,
) -> Result<Response> {
    if !incoming.is_get() {
        return http::get_only();
    }
    if path == "/health" {
        return http::plain(200, "ok\n");
    }
    // The pages are answers to something, each with a way on: see `render`.
    let is_file = route::is_plain_path(path)
        && !operator::is_page(path)
        && path.split('.').next_back() != Some("html");
    match asset(bindings, path).await.filter(|_| is_file) {
        Some(file) => {
            let [content, kind, referrer] = SECURE;
            let cached = ("Cache-Control", "public, max-age=300");
            http::file(&file, &[cached, content, kind, referrer])
        }
        None => http::plain(404, "Not found.\n"),
    }
}

/// What the client gets: the app's answer, or one of ours; of `app`, found by a prefix.
pub(super) async fn deliver(
    bindings: &Bindings,
    served: Served<Answer>,
    behind: &Behind<'_>,
    app: Option<(&App, &str)>,
) -> Result<Response> {
    let own = match served {
        Served::Own(own) => own,
        Served::Reply(reply, changes) => {
            if let Ok(response) = proxy::apply(reply, &changes) {
                return Ok(response);
            }
            let code = "answer_not_rebuildable";
            let app = app.map(|(app, _)| app);
            bindings.world.record(&Event::new(code, app));
            Own::new(OwnKind::BadGateway, code)
        }
    };
    apart(render(bindings, &own, behind, app)).await
}

/// An answer of the gate: a page where a person looks, a text elsewhere.
async fn render(
    bindings: &Bindings,
    own: &Own,
    behind: &Behind<'_>,
    app: Option<(&App, &str)>,
) -> Result<Response> {
    let (status, page, text) = match own.kind {
        OwnKind::BadRequest => (400, Some("/error.html"), "The request could not be read.\n"),
        OwnKind::SeeOther => (303, None, ""),
        OwnKind::MethodNotAllowed => (405, None, "Method not allowed.\n"),
        OwnKind::Unauthorized => (401, Some("/signed-out.html"), "You have been signed out.\n"),
        OwnKind::SignedOut => (
            409,
            Some("/signed-out.html"),
            "You were just signed out. Please continue.\n",
        ),
        OwnKind::BadGateway => (
            502,
            Some("/error.html"),
            "The application's answer could not be delivered.\n",
        ),
        OwnKind::Unavailable => (
            503,
            Some("/error.html"),
            "The service is not available for the moment.\n",
        ),
    };
    let page = match page.filter(|_| behind.is_navigation()) {
        Some(page) => read(bindings, page).await,
        None => None,
    };
    let prefix = app.map_or("/", |(_, prefix)| prefix);
    let page = page.map(|page| page.replace("{continue}", prefix));
    let kind = page.as_ref().map_or(http::TEXT, |_| HTML);
    let mut headers = vec![kind, http::NO_STORE];
    headers.extend(SECURE);
    match own.kind {
        OwnKind::Unavailable => headers.push(("Retry-After", "5")),
        OwnKind::MethodNotAllowed => {
            headers.push(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        _ => {}
    }
    headers.extend(own.location.as_ref().map(|to| ("Location", to.as_str())));
    let cookies = own.set_cookies.iter();
    headers.extend(cookies.map(|line| ("Set-Cookie", line.as_str())));
    let mut cross_origin = Vec::new();
    if !behind.is_navigation() {
        cross_origin = behind.cross_origin_headers().await.unwrap_or_default();
    }
    let cross_origin = cross_origin.iter();
    headers.extend(cross_origin.map(|(name, value)| (*name, value.as_str())));
    http::answer(status, Some(page.as_deref().unwrap_or(text)), &headers)
}

const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");

/// Nothing in an answer of ours runs, whatever it is taken for.
pub(super) const SECURE: [(&str, &str); 3] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
];

async fn read(bindings: &Bindings, path: &str) -> Option<String> {
    let body = asset(bindings, path).await?.body();
    let bytes = http::read_all(body, 64 * 1024).await.ok()?;
    String::from_utf8(bytes).ok()
}

/// A file of `www`; `None` also if the assets cannot be had: the texts must do then.
pub(super) async fn asset(bindings: &Bindings, path: &str) -> Option<Response> {
    // The binding looks at the path alone.
    let url = format!("https://assets.invalid{path}");
    let answer = outcome(bindings.assets.as_ref()?.fetch(&url)).await.ok()?;
    let response: Response = answer.unchecked_into();
    (response.status() == 200).then_some(response)
}
