//! Requests to an app and its answers, in the runtime's own types: bodies stream through, and an
//! answer is rebuilt only if one of its headers must change.

use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Request, RequestInit, RequestRedirect, Response};
use worker::Env;

use super::{
    bindings::Bindings,
    http::{self, Content, Head, HeaderChanges, Incoming},
    promises::outcome,
    runtime::Runtime,
};
use crate::{
    app::{
        front::{self, Changes, CookieHeader, Forward, Origin, Reply},
        ports::{Unavailable, read_in_time},
    },
    domain::{config, form, limits, refusal::Refusal, url::RequestUrl},
};

#[wasm_bindgen]
extern "C" {
    type Service;

    /// The `worker` crate's would rebuild the answer.
    #[wasm_bindgen(method, js_name = fetch, catch)]
    fn fetch(this: &Service, request: &Request) -> Result<Promise, JsValue>;
}

impl Incoming {
    /// What the gate looks at.
    pub(super) fn for_the_gate<'a>(&'a self, target: &RequestUrl<'a>) -> front::Request<'a> {
        front::Request {
            method: &self.method,
            host: target.host,
            path: target.path,
            query: target.query,
            url: &self.url,
            referer: self.head().header("referer"),
            cookies: self.head().header("cookie"),
            is_navigation: self.is_navigation(),
        }
    }

    /// Whether a person is looking at a page that this request loads.
    pub(super) fn is_navigation(&self) -> bool {
        let header = |name| self.head().header(name);
        let accepts_html = || header("accept").is_some_and(|types| types.contains("text/html"));
        // Whatever is in a frame has no business with pages of ours.
        header("sec-fetch-dest").is_none_or(|destination| destination == "document")
            && header("sec-fetch-mode").map_or_else(accepts_html, |mode| mode == "navigate")
    }
}

/// What is behind the gate.
pub(super) struct Behind<'a> {
    incoming: &'a Incoming,
    target: &'a RequestUrl<'a>,
    origin: &'a config::Origin,
    /// The header in which the app announces logins: a client's copy might be reflected.
    announcement: Option<&'a str>,
    env: &'a Env,
    world: &'a Runtime,
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

impl<'a> Behind<'a> {
    pub(super) fn of(
        bindings: &'a Bindings,
        incoming: &'a Incoming,
        target: &'a RequestUrl<'a>,
        origin: &'a config::Origin,
        announcement: Option<&'a str>,
    ) -> Self {
        Self {
            incoming,
            target,
            origin,
            announcement,
            env: &bindings.env,
            world: &bindings.world,
        }
    }

    /// Whether a person is looking at a page that the request loads.
    pub(super) fn is_navigation(&self) -> bool {
        self.incoming.is_navigation()
    }

    /// The request to send: body, method and `redirect: manual` stay. The app's redirects are for the
    /// browser.
    fn rewrite(&self, forward: &Forward) -> Result<Option<Request>, JsValue> {
        let head = self.incoming.head();
        let mut changes = HeaderChanges::default();
        for (name, _) in head.headers().filter(|(name, _)| self.is_stripped(name)) {
            changes.remove(name);
        }
        match &forward.cookies {
            CookieHeader::Unchanged => {}
            CookieHeader::Replaced(Some(cookies)) => changes.set("cookie", cookies),
            CookieHeader::Replaced(None) => changes.remove("cookie"),
        }
        if forward.unconditional {
            for name in CONDITIONS {
                changes.remove(name);
            }
        }
        self.say_where_it_was_sent(&mut changes, head.header("cf-connecting-ip"));
        let url = match (self.origin, &forward.target) {
            (_, Some((path, query))) => Some(self.at(path, query)),
            (config::Origin::Url(_), None) => Some(self.at(self.target.path, self.target.query)),
            (_, None) => None,
        };
        if changes.are_none() && url.is_none() {
            return Ok(None);
        }
        let request = &self.incoming.request;
        changes.to_request(request, url.as_deref()).map(Some)
    }

    /// Whether a client's copy of a header that only we, or the app, may set is taken out. Servers
    /// that hand headers on as variables read `_`, and some every other sign, as `-`.
    fn is_stripped(&self, name: &str) -> bool {
        let is_elsewhere = matches!(self.origin, config::Origin::Url(_));
        let read = |byte: u8| {
            if byte.is_ascii_alphanumeric() {
                byte.to_ascii_lowercase()
            } else {
                b'-'
            }
        };
        let begins = |own: &str| {
            own.len() <= name.len()
                && name
                    .bytes()
                    .map(read)
                    .zip(own.bytes().map(read))
                    .all(|(a, b)| a == b)
        };
        let is = |own: &str| name.len() == own.len() && begins(own);
        begins("edge-logout-")
            // A client's credentials are its own.
            || (name != "authorization" && self.announcement.is_some_and(is))
            || (is_elsewhere && (begins("x-forwarded-") || is("forwarded")))
    }

    /// Scheme and authority that the client asked.
    fn own_base(&self) -> String {
        format!("{}://{}", self.target.scheme, self.target.host)
    }

    /// The address of a path where the requests for the app go.
    fn at(&self, path: &str, query: &str) -> String {
        let base = match self.origin {
            config::Origin::Url(origin) => origin.as_str().trim_end_matches('/').to_owned(),
            config::Origin::Itself | config::Origin::Service(_) => self.own_base(),
        };
        format!("{base}{path}{query}")
    }

    /// An app at another address finds its public one in headers.
    fn say_where_it_was_sent(&self, changes: &mut HeaderChanges, client: Option<&str>) {
        if let config::Origin::Url(_) = self.origin {
            changes.set("X-Forwarded-Host", self.target.host);
            changes.set("X-Forwarded-Proto", self.target.scheme);
            if let Some(client) = client {
                changes.set("X-Forwarded-For", client);
            }
        }
    }

    async fn ask(&self, request: &Request) -> Result<Response, JsValue> {
        match self.origin {
            config::Origin::Service(name) => {
                let service = Reflect::get(self.env, &JsValue::from_str(name))?;
                let answer = service.unchecked_ref::<Service>().fetch(request);
                Ok(outcome(answer).await?.unchecked_into())
            }
            config::Origin::Itself | config::Origin::Url(_) => http::fetch(request).await,
        }
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
        let asking = self.incoming.head().header("origin");
        let Some(asking) = asking.filter(|asking| *asking != own) else {
            return Ok(Vec::new());
        };
        let init = RequestInit::new();
        init.set_method("OPTIONS");
        init.set_redirect(RequestRedirect::Manual);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(PREFLIGHT_MILLIS)));
        // Neither parameters nor query: they may hold what the app must not see.
        let path = self.target.path.split(';').next().unwrap_or_default();
        let preflight = Request::new_with_str_and_init(&self.at(path, ""), &init)?;
        let mut changes = HeaderChanges::default();
        self.say_where_it_was_sent(&mut changes, None);
        changes.set("Origin", asking);
        changes.set("Access-Control-Request-Method", &self.incoming.method);
        let preflight = changes.to_request(&preflight, None)?;
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
pub(super) struct Answer {
    response: Response,
    /// Read if it is telling.
    head: Option<Head>,
}

impl Reply for Answer {
    fn status(&self) -> u16 {
        self.response.status()
    }

    fn is_telling(&self) -> bool {
        self.head.is_some()
    }

    fn header(&self, name: &str) -> Option<String> {
        match &self.head {
            Some(head) => head.header(name).map(str::to_owned),
            None => http::header(&self.response.headers(), name),
        }
    }

    fn set_cookies(&self) -> Vec<String> {
        let headers = self.head.iter().flat_map(Head::headers);
        let cookies = headers.filter(|(name, _)| *name == "set-cookie");
        cookies.map(|(_, line)| line.to_owned()).collect()
    }
}

impl Origin for Behind<'_> {
    type Reply = Answer;

    async fn form(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let (request, head) = (&self.incoming.request, self.incoming.head());
        if request.body().is_none() {
            return Ok(None);
        }
        let kind = head.header("content-type");
        form::check_head("POST", kind, head.header("content-encoding"))?;
        if !kind.is_some_and(form::is_ascii_compatible) {
            return Err(Refusal::ContentType);
        }
        let copy = request.clone().map_err(|_| Refusal::BodyUnreadable)?;
        let body = Content::of(&copy, head);
        read_in_time(self.world, body, limits::RELAYED_FORM_BYTES)
            .await
            .map(Some)
    }

    async fn send(&self, forward: &Forward) -> Result<Answer, Unavailable> {
        let unreachable = |_: JsValue| Unavailable("origin_unreachable");
        let rewritten = self.rewrite(forward).map_err(unreachable)?;
        let request = rewritten.as_ref().unwrap_or(&self.incoming.request);
        let response = self.ask(request).await.map_err(unreachable)?;
        let head = Head::of_answer(&response);
        Ok(Answer { response, head })
    }
}

/// The answer with its changes.
///
/// # Errors
/// If the runtime cannot rebuild it (a status outside 200 to 599): it must not be delivered, since
/// its cookies are the app's own.
pub(super) fn apply(answer: Answer, changes: &Changes) -> Result<Response, JsValue> {
    if *changes == Changes::default() {
        return Ok(answer.response);
    }
    let mut headers = HeaderChanges::default();
    for name in &changes.drop_headers {
        headers.remove(name);
    }
    if let Some(lines) = &changes.set_cookies {
        headers.remove("Set-Cookie");
        for line in lines {
            headers.add("Set-Cookie", line);
        }
    }
    if let Some(directives) = changes.cache_control {
        headers.set("Cache-Control", directives);
    }
    if changes.is_private {
        for name in OTHER_CACHE_HEADERS {
            headers.remove(name);
        }
    }
    headers.to_answer(&answer.response)
}
