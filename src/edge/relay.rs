//! The relay, as HTTP.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response, ResponseInit,
};
use worker::Result;

use super::{
    bindings::Bindings,
    http::{self, Incoming},
    pages,
};
use crate::{
    app::{
        ports::Unavailable,
        relay::{self, Relayed, TokenEndpoint, TokenReply},
    },
    domain::{
        config::App,
        limits, route,
        url::{HttpUrl, RequestUrl},
    },
};

/// Headers of the request that go on: all that a token request needs.
const ASKED: [&str; 4] = ["accept", "authorization", "content-type", "user-agent"];

/// Headers of the answer that come back. Others would be the app's: it answers on the app's host.
const ANSWERED: [&str; 5] = [
    "cache-control",
    "content-type",
    "pragma",
    "retry-after",
    "www-authenticate",
];

/// What the runtime undoes.
const CODINGS: [&str; 3] = ["br", "gzip", "identity"];

/// A copy of some of the headers.
fn only(names: &[&str], headers: &Headers) -> std::result::Result<Headers, JsValue> {
    let copy = Headers::new()?;
    for name in names {
        if let Some(value) = http::header(headers, name) {
            copy.set(name, &value)?;
        }
    }
    Ok(copy)
}

struct Op<'a> {
    request: &'a Request,
}

struct Reply {
    response: Response,
    body: Vec<u8>,
}

impl TokenReply for Reply {
    fn status(&self) -> u16 {
        self.response.status()
    }

    fn body(&self) -> &[u8] {
        &self.body
    }
}

impl TokenEndpoint for Op<'_> {
    type Reply = Reply;

    async fn ask(&self, url: &HttpUrl, body: Vec<u8>) -> std::result::Result<Reply, Unavailable> {
        let unreachable = Unavailable("token_endpoint_unreachable");
        let headers = only(&ASKED, &self.request.headers()).map_err(|_| unreachable)?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(body.as_slice()));
        init.set_redirect(RequestRedirect::Manual);
        let millis = u32::try_from(limits::TOKEN_ENDPOINT.as_millis()).unwrap_or(u32::MAX);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(millis)));
        let response = http::fetch_url(url.as_str(), &init)
            .await
            .map_err(|_| unreachable)?;
        let coding = http::header(&response.headers(), "content-encoding");
        let is_readable = coding.is_none_or(|coding| CODINGS.contains(&coding.as_str()));
        match response.status() {
            300..400 => return Err(Unavailable("token_endpoint_redirects")),
            200..600 if is_readable => {}
            _ => return Err(unreachable),
        }
        let body = http::read_all(response.body(), limits::TOKEN_ANSWER_BYTES).await;
        let body = body.map_err(|unread| match unread {
            http::Unread::TooLarge => Unavailable("token_answer_too_large"),
            http::Unread::Broken => unreachable,
        })?;
        Ok(Reply { response, body })
    }
}

/// Relays a token request.
pub(super) async fn token(bindings: &Bindings, app: &App, incoming: &Incoming) -> Result<Response> {
    let header = |name| incoming.header(name);
    let asked = relay::Incoming {
        method: incoming.method.clone(),
        url: incoming
            .url
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        authorization: header("authorization"),
        has_dpop: header("dpop").is_some(),
        body: incoming.body(),
    };
    let op = Op {
        request: &incoming.request,
    };
    match relay::token(&bindings.world, &bindings.codes, &op, app, asked).await {
        Relayed::Reply(reply) => deliver(&reply),
        Relayed::Refused(refused) => error(400, refused.error(), refused.code()),
        Relayed::Unavailable(Unavailable(code)) => error(503, "temporarily_unavailable", code),
    }
}

fn deliver(reply: &Reply) -> Result<Response> {
    let headers = only(&ANSWERED, &reply.response.headers())?;
    let init = ResponseInit::new();
    init.set_status(reply.status());
    init.set_headers(&headers);
    let body: ArrayBuffer = Uint8Array::from(reply.body()).buffer();
    // No body is not the same as an empty one: some statuses may have none.
    let body = (!reply.body.is_empty()).then_some(&body);
    let response =
        Response::new_with_opt_buffer_source_and_init(body.map(JsCast::unchecked_ref), &init)?;
    for (name, value) in pages::SECURE {
        response.headers().set(name, value)?;
    }
    Ok(response)
}

/// An answer as of RFC 6749 section 5.2. The code is what the log shows.
fn error(status: u16, error: &str, code: &str) -> Result<Response> {
    let body = format!(r#"{{"error":"{error}","error_description":"edge-logout: {code}"}}"#);
    json(status, &body)
}

fn json(status: u16, body: &str) -> Result<Response> {
    let [policy, kind, referrer] = pages::SECURE;
    let headers = [http::JSON, http::NO_STORE, policy, kind, referrer];
    http::answer(status, Some(body), &headers)
}

/// The OP's metadata, with the relay's token endpoint.
pub(super) async fn metadata(
    bindings: &Bindings,
    app: &App,
    incoming: &Incoming,
    target: &RequestUrl<'_>,
) -> Result<Response> {
    if !incoming.is_get() {
        return http::get_only();
    }
    let (scheme, host) = (target.scheme, target.host);
    let token_endpoint = format!("{scheme}://{host}{}", route::token_endpoint(app));
    match relay::metadata(&bindings.world, app, &token_endpoint).await {
        Ok(Some(metadata)) => json(200, &metadata),
        Ok(None) => http::plain(404, "Not found.\n"),
        Err(_) => http::plain(
            503,
            "The OpenID Provider is not available for the moment.\n",
        ),
    }
}
