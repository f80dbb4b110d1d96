//! The relay, as HTTP.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use web_sys::{
    AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response, ResponseInit,
};
use worker::Result;

use super::{back_channel::Stream, bindings::Bindings, http};
use crate::{
    app::{
        ports::Unavailable,
        relay::{self, Incoming, Relayed, TokenEndpoint, TokenReply},
    },
    domain::{
        config::App,
        limits, route,
        url::{HttpUrl, RequestUrl},
    },
};

/// Headers of the request that are of the way here, and none of the OP's business.
const OF_THE_WAY: [&str; 10] = [
    "accept-encoding",
    "cdn-loop",
    "connection",
    "content-length",
    "cookie",
    "forwarded",
    "host",
    "transfer-encoding",
    "true-client-ip",
    "x-real-ip",
];

/// Headers of the answer that are not the app's: cookies of the OP, and how the body was sent.
const OF_THE_OP: [&str; 5] = [
    "connection",
    "content-encoding",
    "content-length",
    "set-cookie",
    "transfer-encoding",
];

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
        let headers =
            Headers::new_with_headers(&self.request.headers()).map_err(|_| unreachable)?;
        for name in http::names(&headers) {
            let is_of_the_way = OF_THE_WAY.contains(&name.as_str())
                || ["cf-", "x-forwarded-", "edge-logout-"]
                    .iter()
                    .any(|beginning| name.starts_with(beginning));
            if is_of_the_way {
                headers.delete(&name).map_err(|_| unreachable)?;
            }
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(body.as_slice()));
        init.set_redirect(RequestRedirect::Manual);
        let millis = u32::try_from(limits::TOKEN_ENDPOINT.as_millis()).unwrap_or(u32::MAX);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(millis)));
        let response: Response = http::fetch_url(url.as_str(), &init)
            .await
            .map_err(|_| unreachable)?
            .unchecked_into();
        if (300..400).contains(&response.status()) {
            return Err(Unavailable("token_endpoint_redirects"));
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
pub(super) async fn token(bindings: &Bindings, app: &App, request: &Request) -> Result<Response> {
    let headers = request.headers();
    let url = request.url();
    let incoming = Incoming {
        method: request.method(),
        url: url.split('?').next().unwrap_or_default().to_owned(),
        content_type: http::header(&headers, "content-type"),
        content_encoding: http::header(&headers, "content-encoding"),
        authorization: http::header(&headers, "authorization"),
        has_dpop: http::header(&headers, "dpop").is_some(),
        body: Stream(request.body()),
    };
    let op = Op { request };
    match relay::token(&bindings.world, &bindings.codes, &op, app, incoming).await {
        Relayed::Reply(reply) => deliver(&reply),
        Relayed::Refused(refused) => error(400, refused.error(), refused.code()),
        Relayed::Unavailable(Unavailable(code)) => {
            let response = error(503, "temporarily_unavailable", code)?;
            response.headers().set("Retry-After", "2")?;
            Ok(response)
        }
    }
}

fn deliver(reply: &Reply) -> Result<Response> {
    let headers = Headers::new_with_headers(&reply.response.headers())?;
    for name in OF_THE_OP {
        headers.delete(name)?;
    }
    let init = ResponseInit::new();
    init.set_status(reply.status());
    init.set_headers(&headers);
    let body: ArrayBuffer = Uint8Array::from(reply.body()).buffer();
    // No body is not the same as an empty one: some statuses may have none.
    let body = (!reply.body.is_empty()).then_some(&body);
    let response =
        Response::new_with_opt_buffer_source_and_init(body.map(JsCast::unchecked_ref), &init)?;
    Ok(response)
}

/// An answer as of RFC 6749 section 5.2. The code is what the log shows.
fn error(status: u16, error: &str, code: &str) -> Result<Response> {
    let body = format!(r#"{{"error":"{error}","error_description":"edge-logout: {code}"}}"#);
    json(status, &body)
}

fn json(status: u16, body: &str) -> Result<Response> {
    let response = Response::new_with_opt_str_and_init(Some(body), &http::init(status))?;
    let headers = response.headers();
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    Ok(response)
}

/// The OP's metadata, with the relay's token endpoint.
pub(super) async fn metadata(
    bindings: &Bindings,
    app: &App,
    request: &Request,
    target: &RequestUrl<'_>,
) -> Result<Response> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
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
