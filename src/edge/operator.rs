//! The operator's side, as HTTP: static pages, and an API in JSON.

use std::rc::Rc;

use futures_channel::oneshot;
use web_sys::{Request, Response};
use worker::{Context, Result};

use super::{back_channel::Stream, bindings::Bindings, desk, http, pages};
use crate::{
    app::{
        ledger::Command,
        operator::{self, Answer, Backends, Office},
        ports::{self, Kv as _, Ledger as _, Sessions, Unavailable, in_time},
    },
    domain::{
        config::App,
        digest::Digest,
        ledger::List,
        limits,
        operator::{HEADER, Provenance},
        route,
        session::{SessionId, SubjectKey},
        url::RequestUrl,
    },
};

/// Scripts and styles of our own, and no text that a script could take for one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'";

const API: &str = "/api";

/// Whether a path of the Worker's own is the operator's.
pub(super) fn has(path: &str) -> bool {
    operator::is_page(path) || route::covers(API, path)
}

/// Serves the operator's page, one of its files, or a request of it. Where there is no operator, or
/// the host has no app, none of them exists.
pub(super) async fn serve(
    bindings: &Rc<Bindings>,
    context: &Context,
    target: &RequestUrl<'_>,
    path: &str,
    request: Request,
) -> Result<Response> {
    if operator::apps_at(&bindings.config, target.host).is_empty() {
        return pages::own_path(bindings, &request, path).await;
    }
    match path.strip_prefix(API) {
        Some(path) => api(bindings, context, target, path, request).await,
        None => page(bindings, path, &request).await,
    }
}

/// Answers a request of the API. What was begun is finished, and the journals are told, even if nobody
/// waits any more.
async fn api(
    bindings: &Rc<Bindings>,
    context: &Context,
    target: &RequestUrl<'_>,
    path: &str,
    request: Request,
) -> Result<Response> {
    let (path, query) = (path.to_owned(), target.query.to_owned());
    let (scheme, host) = (target.scheme.to_owned(), target.host.to_owned());
    let bindings = bindings.clone();
    let (answered, answer) = oneshot::channel();
    context.wait_until(async move {
        let (world, desks) = (&bindings.world, bindings.desks.as_ref());
        let Some(office) = Office::at(&host, world, &bindings.config, &*bindings, desks) else {
            return;
        };
        let origin = format!("{scheme}://{host}");
        let asked = ask(&office, &path, &query, &origin, request);
        let work = in_time(world, limits::OPERATOR_DEADLINE, async { Ok(asked.await) });
        let answer = Box::pin(work).await.unwrap_or_else(Answer::from);
        // Nobody waits any more if the operator has left.
        let _ = answered.send(answer);
        office.tell().await;
    });
    let lost = |_| Answer::from(Unavailable("work_lost"));
    respond(&answer.await.unwrap_or_else(lost))
}

async fn ask(
    office: &Office<'_, impl ports::World, Bindings, desk::Namespace>,
    path: &str,
    query: &str,
    origin: &str,
    request: Request,
) -> Answer {
    let headers = request.headers();
    let header = |name: &str| http::header(&headers, name);
    let (mark, from, site) = (header(HEADER), header("origin"), header("sec-fetch-site"));
    let (authorization, assertion) = (header("authorization"), header("cf-access-jwt-assertion"));
    let (content_type, content_encoding) = (header("content-type"), header("content-encoding"));
    let asked = operator::Request {
        method: &request.method(),
        path,
        query,
        origin,
        provenance: Provenance {
            header: mark.as_deref(),
            origin: from.as_deref(),
            site: site.as_deref(),
        },
        authorization: authorization.as_deref(),
        assertion: assertion.as_deref(),
        content_type: content_type.as_deref(),
        content_encoding: content_encoding.as_deref(),
        body: Stream(request.body()),
    };
    office.answer(asked).await
}

fn respond(answer: &Answer) -> Result<Response> {
    let response = http::json(answer.status, &answer.body.to_string())?;
    let headers = response.headers();
    headers.set("X-Content-Type-Options", "nosniff")?;
    if let Some(method) = answer.allow {
        headers.set("Allow", method)?;
    }
    match answer.status {
        401 => headers.set("WWW-Authenticate", "Bearer")?,
        503 => headers.set("Retry-After", "2")?,
        _ => {}
    }
    Ok(response)
}

/// The page, or a file of it. They hold no data, so anybody may have them.
async fn page(bindings: &Bindings, path: &str, request: &Request) -> Result<Response> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return http::get_only();
    }
    let is_start = path == "/operator";
    let name = if is_start {
        "/operator/index.html"
    } else {
        path
    };
    let is_file =
        route::is_plain_path(path) && (is_start || path.split('.').next_back() != Some("html"));
    let Some(file) = pages::asset(bindings, name).await.filter(|_| is_file) else {
        return http::plain(404, "Not found.\n");
    };
    let body = file.body();
    let response =
        Response::new_with_opt_readable_stream_and_init(body.as_ref(), &http::init(200))?;
    let headers = response.headers();
    if let Some(kind) = http::header(&file.headers(), "content-type") {
        headers.set("Content-Type", &kind)?;
    }
    headers.set("Cache-Control", "no-store")?;
    headers.set("Content-Security-Policy", CONTENT_SECURITY_POLICY)?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    headers.set("Referrer-Policy", "no-referrer")?;
    headers.set("Cross-Origin-Opener-Policy", "same-origin")?;
    Ok(response)
}

impl Backends for Bindings {
    fn sessions(&self, app: &App) -> impl Sessions {
        self.store(app)
    }

    async fn try_kv(&self) -> Result<(), Unavailable> {
        self.kv.get_many(&["self-test".to_owned()]).await.map(drop)
    }

    async fn try_ledger(&self) -> Option<Result<(), Unavailable>> {
        let nobody = List::User(SubjectKey(Digest::of("self-test", &[])));
        let command = Command::Alive(SessionId::from_random([0; 16]));
        let answer = self.ledger.as_ref()?.ask(nobody, command).await;
        Some(answer.map(drop))
    }
}
