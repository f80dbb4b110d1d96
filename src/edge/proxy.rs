//! Requests to an app and its answers, in the runtime's own types: bodies stream through, and an
//! answer is rebuilt only if one of its headers must change.

use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Request, RequestInit, RequestRedirect, Response};
use worker::Env;

use super::{
    bindings::Bindings,
    http::{self, Content, GateHead, Head, HeaderChanges, Incoming},
    promises::outcome,
    runtime::Runtime,
};
use crate::{
    app::{
        front::{self, Changes, CookieHeader, Forward, Origin, Reply},
        ports::{Unavailable, read_in_time},
    },
    domain::{
        config::{self, App},
        form, limits,
        refusal::Refusal,
        reserved::Reserved,
        url::RequestUrl,
    },
};

#[wasm_bindgen]
extern "C" {
    type Service;

    /// The `worker` crate's would rebuild the answer.
    #[wasm_bindgen(method, js_name = fetch, catch)]
    fn fetch(this: &Service, request: &Request) -> Result<Promise, JsValue>;
}

/// What is behind the gate.
pub(super) struct Behind<'a> {
    incoming: &'a Incoming,
    head: &'a GateHead,
    target: &'a RequestUrl<'a>,
    origin: &'a config::Origin,
    app: Option<&'a App>,
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
        app: Option<&'a App>,
    ) -> Self {
        Self {
            incoming,
            head: incoming.gate_head(),
            target,
            origin,
            app,
            env: &bindings.env,
            world: &bindings.world,
        }
    }

    /// What the gate looks at.
    pub(super) fn request(&self) -> front::Request<'_> {
        front::Request {
            method: &self.incoming.method,
            arrived: self.incoming.arrived,
            host: self.target.host,
            path: self.target.path,
            query: self.target.query,
            url: &self.incoming.url,
            cookies: self.head.cookies(),
        }
    }

    /// The request to send: body, method and `redirect: manual` stay. The app's redirects are for the
    /// browser.
    fn rewrite(&self, forward: &Forward) -> Result<Option<Request>, JsValue> {
        let mut changes = HeaderChanges::default();
        for name in self.head.names() {
            if Reserved::at(self.origin, self.app).any(|reserved| reserved.means(name)) {
                changes.remove(name);
            }
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
        self.say_where_it_was_sent(&mut changes);
        self.say_who_sent_it(&mut changes);
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
    fn say_where_it_was_sent(&self, changes: &mut HeaderChanges) {
        if let config::Origin::Url(_) = self.origin {
            changes.set("X-Forwarded-Host", self.target.host);
            changes.set("X-Forwarded-Proto", self.target.scheme);
        }
    }

    fn say_who_sent_it(&self, changes: &mut HeaderChanges) {
        if let config::Origin::Url(_) = self.origin
            && let Some(client) = self.incoming.header("cf-connecting-ip")
        {
            changes.set("X-Forwarded-For", &client);
        }
    }

    fn ask(&self, request: &Request) -> Result<Promise, JsValue> {
        match self.origin {
            config::Origin::Service(name) => {
                let service = Reflect::get(self.env, &JsValue::from_str(name))?;
                service.unchecked_ref::<Service>().fetch(request)
            }
            config::Origin::Itself | config::Origin::Url(_) => http::send(request),
        }
    }

    fn ask_with(&self, forward: &Forward) -> Result<Promise, JsValue> {
        let rewritten = self.rewrite(forward)?;
        self.ask(rewritten.as_ref().unwrap_or(&self.incoming.request))
    }

    /// Sends the request on as it came. Somebody else hears the answer.
    pub(super) fn send_on(&self) -> Result<Promise, JsValue> {
        self.ask_with(&Forward::UNCHANGED)
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
        let asking = self.incoming.header("origin");
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
        self.say_where_it_was_sent(&mut changes);
        changes.set("Origin", &asking);
        changes.set("Access-Control-Request-Method", &self.incoming.method);
        let preflight = changes.to_request(&preflight, None)?;
        let answer: Response = outcome(self.ask(&preflight)).await?.unchecked_into();
        let answer = answer.headers();
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

    fn is_navigation(&self) -> bool {
        let header = |name| self.incoming.header(name);
        let accepts_html = || header("accept").is_some_and(|types| types.contains("text/html"));
        // Whatever is in a frame has no business with pages of ours.
        header("sec-fetch-dest").is_none_or(|destination| destination == "document")
            && header("sec-fetch-mode").map_or_else(accepts_html, |mode| mode == "navigate")
    }

    fn referer(&self) -> Option<String> {
        self.incoming.header("referer")
    }

    async fn form(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let request = &self.incoming.request;
        if request.body().is_none() {
            return Ok(None);
        }
        let header = |name| self.incoming.header(name);
        let (kind, coding) = (header("content-type"), header("content-encoding"));
        form::check_head("POST", kind.as_deref(), coding.as_deref())?;
        if !kind.as_deref().is_some_and(form::is_ascii_compatible) {
            return Err(Refusal::ContentType);
        }
        let copy = request.clone().map_err(|_| Refusal::BodyUnreadable)?;
        let body = Content::of(&copy, header("content-length").as_deref());
        read_in_time(self.world, body, limits::RELAYED_FORM_BYTES)
            .await
            .map(Some)
    }

    async fn send(&self, forward: &Forward) -> Result<Answer, Unavailable> {
        let sent = self.incoming.answer.clone();
        let answer = sent.map_or_else(|| self.ask_with(forward), Ok);
        let response = match &self.world.client {
            Some(client) if forward.hands_over => client.hand_over(answer).await,
            _ => outcome(answer).await,
        };
        let unreachable = |_| Unavailable("origin_unreachable");
        let response: Response = response.map_err(unreachable)?.unchecked_into();
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
