//! Requests to an app and its answers, in the runtime's own types: bodies stream through, and an
//! answer is rebuilt only if one of its headers must change.

use js_sys::Reflect;
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Headers, RequestInit, RequestRedirect, Response, ResponseInit};
use worker::Env;

use super::{back_channel::Stream, http, runtime::Runtime};
use crate::{
    app::{
        front::{self, Changes, CookieHeader, Forward, Origin, Reply},
        ports::{Unavailable, read_in_time},
    },
    domain::{config, form, limits, refusal::Refusal, url::RequestUrl},
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Headers)]
    type AllHeaders;

    #[wasm_bindgen(method, js_name = getSetCookie)]
    fn get_set_cookie(this: &AllHeaders) -> Vec<String>;

    type Service;

    /// The `worker` crate's would rebuild the answer.
    #[wasm_bindgen(method, js_name = fetch, catch)]
    async fn fetch(this: &Service, request: &web_sys::Request) -> Result<JsValue, JsValue>;
}

/// What the gate looks at in a request, owned.
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) is_navigation: bool,
    url: String,
    referer: Option<String>,
    cookies: Option<String>,
}

impl Seen {
    pub(super) fn of(request: &web_sys::Request) -> Self {
        let headers = request.headers();
        let is = |name, expected| http::header(&headers, name).map(|value| value == expected);
        let accepts_html =
            || http::header(&headers, "accept").is_some_and(|types| types.contains("text/html"));
        // Whatever is in a frame has no business with pages of ours.
        let is_top = is("sec-fetch-dest", "document").unwrap_or(true);
        Self {
            method: request.method(),
            is_navigation: is_top && is("sec-fetch-mode", "navigate").unwrap_or_else(accepts_html),
            url: request.url(),
            referer: http::header(&headers, "referer"),
            cookies: http::header(&headers, "cookie"),
        }
    }

    pub(super) fn as_request<'a>(&'a self, target: &RequestUrl<'a>) -> front::Request<'a> {
        front::Request {
            method: &self.method,
            host: target.host,
            path: target.path,
            query: target.query,
            url: &self.url,
            referer: self.referer.as_deref(),
            cookies: self.cookies.as_deref(),
            is_navigation: self.is_navigation,
        }
    }
}

/// What is behind the gate.
pub(super) struct Behind<'a> {
    pub(super) request: &'a web_sys::Request,
    pub(super) target: &'a RequestUrl<'a>,
    pub(super) origin: &'a config::Origin,
    /// The header in which the app announces logins: a client's copy might be reflected.
    pub(super) announcement: Option<&'a str>,
    pub(super) env: &'a Env,
    pub(super) world: &'a Runtime,
}

/// Headers that make an answer depend on what the client has already.
const CONDITIONS: [&str; 6] = [
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
];

impl Behind<'_> {
    /// The request to send. Both constructors keep body, method and `redirect: manual`: the app's
    /// redirects are for the browser.
    fn rewrite(&self, forward: &Forward) -> Result<web_sys::Request, JsValue> {
        let init: &RequestInit = self.request.unchecked_ref();
        let request = match (self.origin, &forward.target) {
            (_, Some((path, query))) => self.at(path, query, init)?,
            (config::Origin::Url(_), None) => self.at(self.target.path, self.target.query, init)?,
            (_, None) => web_sys::Request::new_with_request(self.request)?,
        };
        let headers = request.headers();
        for name in http::names(&self.request.headers()) {
            if self.is_stripped(&name) {
                headers.delete(&name)?;
            }
        }
        match &forward.cookies {
            CookieHeader::Unchanged => {}
            CookieHeader::Replaced(Some(cookies)) => headers.set("Cookie", cookies)?,
            CookieHeader::Replaced(None) => headers.delete("Cookie")?,
        }
        if forward.unconditional {
            for name in CONDITIONS {
                headers.delete(name)?;
            }
        }
        let client = http::header(&headers, "cf-connecting-ip");
        self.say_where_it_was_sent(&headers, client.as_deref())?;
        Ok(request)
    }

    /// Whether a client's copy of a header that only we, or the app, may set is taken out. Servers
    /// that hand headers on as variables read `_`, and some every other sign, as `-`.
    fn is_stripped(&self, name: &str) -> bool {
        let is_elsewhere = matches!(self.origin, config::Origin::Url(_));
        let read = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        };
        let name = read(name);
        name.starts_with("edge-logout-")
            // A client's credentials are its own.
            || (name != "authorization" && self.announcement.is_some_and(|own| read(own) == name))
            || (is_elsewhere && (name.starts_with("x-forwarded-") || name == "forwarded"))
    }

    /// Scheme and authority that the client asked.
    fn own_base(&self) -> String {
        format!("{}://{}", self.target.scheme, self.target.host)
    }

    /// A request to where the requests for the app go.
    fn at(&self, path: &str, query: &str, init: &RequestInit) -> Result<web_sys::Request, JsValue> {
        let base = match self.origin {
            config::Origin::Url(origin) => origin.as_str().trim_end_matches('/').to_owned(),
            config::Origin::Itself | config::Origin::Service(_) => self.own_base(),
        };
        web_sys::Request::new_with_str_and_init(&format!("{base}{path}{query}"), init)
    }

    /// An app at another address finds its public one in headers.
    fn say_where_it_was_sent(
        &self,
        headers: &Headers,
        client: Option<&str>,
    ) -> Result<(), JsValue> {
        if let config::Origin::Url(_) = self.origin {
            headers.set("X-Forwarded-Host", self.target.host)?;
            headers.set("X-Forwarded-Proto", self.target.scheme)?;
            if let Some(client) = client {
                headers.set("X-Forwarded-For", client)?;
            }
        }
        Ok(())
    }

    async fn ask(&self, request: &web_sys::Request) -> Result<Response, JsValue> {
        let response = match self.origin {
            config::Origin::Service(name) => {
                let service = Reflect::get(self.env, &JsValue::from_str(name))?;
                service.unchecked_ref::<Service>().fetch(request).await?
            }
            config::Origin::Itself | config::Origin::Url(_) => http::fetch(request).await?,
        };
        Ok(response.unchecked_into())
    }

    /// With which headers the app would let a script of another origin read an answer to this
    /// request: asked by the preflight that a browser would send. Without them the script would not
    /// even see the status of an answer of ours.
    pub(super) async fn cross_origin_headers(
        &self,
    ) -> Result<Vec<(&'static str, String)>, JsValue> {
        const ALLOW: [&str; 3] = [
            "Access-Control-Allow-Origin",
            "Access-Control-Allow-Credentials",
            "Vary",
        ];
        let own = self.own_base();
        let asking = http::header(&self.request.headers(), "origin");
        let Some(asking) = asking.filter(|asking| *asking != own) else {
            return Ok(Vec::new());
        };
        let init = RequestInit::new();
        init.set_method("OPTIONS");
        init.set_redirect(RequestRedirect::Manual);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(PREFLIGHT_MILLIS)));
        // Neither parameters nor query: they may hold what the app must not see.
        let path = self.target.path.split(';').next().unwrap_or_default();
        let preflight = self.at(path, "", &init)?;
        let headers = preflight.headers();
        self.say_where_it_was_sent(&headers, None)?;
        headers.set("Origin", &asking)?;
        headers.set("Access-Control-Request-Method", &self.request.method())?;
        let answer = self.ask(&preflight).await?.headers();
        let allowed = ALLOW.map(|name| Some((name, http::header(&answer, name)?)));
        Ok(allowed.into_iter().flatten().collect())
    }
}

/// What else tells caches how long to keep an answer.
const OTHER_CACHE_HEADERS: [&str; 4] = [
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Surrogate-Control",
    "Expires",
];

/// Time for the preflight.
const PREFLIGHT_MILLIS: u32 = 2000;

/// An answer of the app.
pub(super) struct Answer(Response);

impl Reply for Answer {
    fn status(&self) -> u16 {
        self.0.status()
    }

    fn header(&self, name: &str) -> Option<String> {
        http::header(&self.0.headers(), name)
    }

    fn set_cookies(&self) -> Vec<String> {
        self.0
            .headers()
            .unchecked_into::<AllHeaders>()
            .get_set_cookie()
    }
}

impl Origin for Behind<'_> {
    type Reply = Answer;

    async fn form(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let headers = self.request.headers();
        let header = |name| http::header(&headers, name);
        let (kind, coding) = (header("content-type"), header("content-encoding"));
        if form::check_head("POST", kind.as_deref(), coding.as_deref()).is_err() {
            return Ok(None);
        }
        let copy = self.request.clone().map_err(|_| Refusal::BodyUnreadable)?;
        let body = Stream(copy.body());
        read_in_time(self.world, body, limits::RELAYED_FORM_BYTES)
            .await
            .map(Some)
    }

    async fn send(&self, forward: &Forward) -> Result<Answer, Unavailable> {
        let unreachable = |_: JsValue| Unavailable("origin_unreachable");
        let request = self.rewrite(forward).map_err(unreachable)?;
        self.ask(&request).await.map_err(unreachable).map(Answer)
    }
}

/// The answer with its changes.
///
/// # Errors
/// If the runtime cannot rebuild it (a status outside 200 to 599): it must not be delivered, since
/// its cookies are the app's own.
pub(super) fn apply(Answer(answer): Answer, changes: &Changes) -> Result<Response, JsValue> {
    if *changes == Changes::default() {
        return Ok(answer);
    }
    let init: &ResponseInit = answer.unchecked_ref();
    let response = Response::new_with_opt_readable_stream_and_init(answer.body().as_ref(), init)?;
    let headers = response.headers();
    for name in &changes.drop_headers {
        headers.delete(name)?;
    }
    if let Some(lines) = &changes.set_cookies {
        headers.delete("Set-Cookie")?;
        for line in lines {
            headers.append("Set-Cookie", line)?;
        }
    }
    if let Some(directives) = changes.cache_control {
        headers.set("Cache-Control", directives)?;
    }
    if changes.is_private {
        for name in OTHER_CACHE_HEADERS {
            headers.delete(name)?;
        }
    }
    Ok(response)
}
