//! The operator's side, as HTTP: static pages, and an API in JSON.

use web_sys::Response;
use worker::Result;

use super::{
    bindings::Bindings,
    deadline::{Client, Hold},
    desk,
    http::{self, Incoming, Names},
    pages,
};
use crate::{
    app::{
        ledger::Command,
        operator::{self, Answer, Backends, Office},
        ports::{self, Kv as _, Ledger as _, Sessions, Unavailable, within},
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
    bindings: &Bindings,
    client: &Client,
    target: &RequestUrl<'_>,
    path: &str,
    incoming: &Incoming,
) -> Result<Option<Response>> {
    if operator::apps_at(&bindings.config, target.host).is_empty() {
        return pages::own_path(bindings, incoming, path).await.map(Some);
    }
    match path.strip_prefix(API) {
        Some(path) => api(bindings, client, target, path, incoming).await,
        None => page(bindings, path, incoming).await.map(Some),
    }
}

/// Answers a request of the API itself. What was begun is finished, and the journals are told, even if
/// nobody waits any more.
async fn api(
    bindings: &Bindings,
    client: &Client,
    target: &RequestUrl<'_>,
    path: &str,
    incoming: &Incoming,
) -> Result<Option<Response>> {
    let _hold = Hold::of(client);
    let (world, desks) = (&bindings.world, bindings.desks.as_ref());
    let Some(office) = Office::at(target.host, world, &bindings.config, bindings, desks) else {
        return respond(&Answer::from(Unavailable("work_lost"))).map(Some);
    };
    let origin = format!("{}://{}", target.scheme, target.host);
    let asked = ask(&office, path, target.query, &origin, incoming);
    let work = within(world, limits::OPERATOR_DEADLINE, async { Ok(asked.await) });
    let answer = Box::pin(work).await.unwrap_or_else(Answer::from);
    let answered = respond(&answer).map(|answer| client.answer(answer));
    office.tell().await;
    answered.map(|()| None)
}

async fn ask(
    office: &Office<'_, impl ports::World, Bindings, desk::Namespace>,
    path: &str,
    query: &str,
    origin: &str,
    incoming: &Incoming,
) -> Answer {
    let values = incoming.values(&Names::of([
        HEADER,
        "origin",
        "sec-fetch-site",
        "authorization",
        "cf-access-jwt-assertion",
        "content-type",
        "content-encoding",
    ]));
    let [
        header,
        declared,
        site,
        authorization,
        assertion,
        content_type,
        content_encoding,
    ] = values.all();
    let asked = operator::Request {
        method: &incoming.method,
        path,
        query,
        origin,
        provenance: Provenance {
            header,
            origin: declared,
            site,
        },
        authorization,
        assertion,
        content_type,
        content_encoding,
        body: incoming.body(),
    };
    office.answer(asked).await
}

fn respond(answer: &Answer) -> Result<Response> {
    let mut headers = vec![http::JSON, http::NO_STORE, NO_SNIFF];
    headers.extend(answer.allow.map(|method| ("Allow", method)));
    match answer.status {
        401 => headers.push(("WWW-Authenticate", "Bearer")),
        503 => headers.push(("Retry-After", "2")),
        _ => {}
    }
    http::answer(answer.status, Some(&answer.body.to_string()), &headers)
}

const NO_SNIFF: (&str, &str) = ("X-Content-Type-Options", "nosniff");

/// The page, or a file of it. They hold no data, so anybody may have them.
async fn page(bindings: &Bindings, path: &str, incoming: &Incoming) -> Result<Response> {
    if !incoming.is_get() {
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
    let headers = [
        http::NO_STORE,
        NO_SNIFF,
        ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ];
    http::file(&file, &headers)
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
