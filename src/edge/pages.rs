//! The Worker's own answers: pages of `www` for people, short texts for programs.

use web_sys::Response;
use worker::Result;

use super::{
    bindings::Bindings,
    http,
    proxy::{self, Answer, Behind, Seen},
};
use crate::{
    app::{
        audit::Event,
        front::{Own, OwnKind, Served},
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
    request: &web_sys::Request,
    path: &str,
) -> Result<Response> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
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
            let response = Response::new_with_opt_readable_stream_and_init(
                file.body().as_ref(),
                &http::init(200),
            )?;
            let headers = response.headers();
            if let Some(kind) = http::header(&file.headers(), "content-type") {
                headers.set("Content-Type", &kind)?;
            }
            headers.set("Cache-Control", "public, max-age=300")?;
            secure(&response)?;
            Ok(response)
        }
        None => http::plain(404, "Not found.\n"),
    }
}

/// What the client gets: the app's answer, or one of ours; of `app`, found by a prefix.
pub(super) async fn deliver(
    bindings: &Bindings,
    seen: &Seen,
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
    render(bindings, seen, &own, behind, app).await
}

/// An answer of the gate: a page where a person looks, a text elsewhere.
async fn render(
    bindings: &Bindings,
    seen: &Seen,
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
    let page = match page.filter(|_| seen.is_navigation) {
        Some(page) => read(bindings, page).await,
        None => None,
    };
    let response = match page {
        Some(page) => {
            let page = page.replace("{continue}", app.map_or("/", |(_, prefix)| prefix));
            let response = Response::new_with_opt_str_and_init(Some(&page), &http::init(status))?;
            response
                .headers()
                .set("Content-Type", "text/html; charset=utf-8")?;
            response.headers().set("Cache-Control", "no-store")?;
            response
        }
        None => http::plain(status, text)?,
    };
    let headers = response.headers();
    match own.kind {
        OwnKind::Unavailable => headers.set("Retry-After", "5")?,
        OwnKind::MethodNotAllowed => {
            headers.set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")?;
        }
        _ => {}
    }
    if let Some(location) = &own.location {
        headers.set("Location", location)?;
    }
    for line in &own.set_cookies {
        headers.append("Set-Cookie", line)?;
    }
    if !seen.is_navigation {
        for (name, value) in behind.cross_origin_headers().await.unwrap_or_default() {
            headers.set(name, &value)?;
        }
    }
    secure(&response)?;
    Ok(response)
}

fn secure(response: &Response) -> Result<()> {
    let headers = response.headers();
    headers.set("Content-Security-Policy", CONTENT_SECURITY_POLICY)?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    headers.set("Referrer-Policy", "no-referrer")?;
    Ok(())
}

async fn read(bindings: &Bindings, path: &str) -> Option<String> {
    let body = asset(bindings, path).await?.body();
    let bytes = http::read_all(body, 64 * 1024).await.ok()?;
    String::from_utf8(bytes).ok()
}

/// A file of `www`; `None` also if the assets cannot be had: the texts must do then.
pub(super) async fn asset(bindings: &Bindings, path: &str) -> Option<Response> {
    // The binding looks at the path alone.
    let url = format!("https://assets.invalid{path}");
    let response: Response = bindings
        .assets
        .as_ref()?
        .fetch(url, None)
        .await
        .ok()?
        .into();
    (response.status() == 200).then_some(response)
}
