//! Requests to an app and its answers, in the runtime's own types: bodies stream through, and an
//! answer is rebuilt only if one of its headers must change.

use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{Headers, RequestInit, Response, ResponseInit};

use super::http;
use crate::{
    app::{
        front::{self, Changes, CookieHeader, Forward, Origin, Reply},
        ports::Unavailable,
    },
    domain::{config::App, url::RequestUrl},
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Headers)]
    type AllHeaders;

    #[wasm_bindgen(method, js_name = getSetCookie)]
    fn get_set_cookie(this: &AllHeaders) -> Vec<String>;
}

/// What the gate looks at in a request, owned.
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) is_navigation: bool,
    cookies: Option<String>,
}

impl Seen {
    pub(super) fn of(request: &web_sys::Request) -> Self {
        let headers = request.headers();
        let accepts_html =
            || http::header(&headers, "accept").is_some_and(|types| types.contains("text/html"));
        Self {
            method: request.method(),
            is_navigation: match http::header(&headers, "sec-fetch-mode") {
                Some(mode) => mode == "navigate",
                None => accepts_html(),
            },
            cookies: http::header(&headers, "cookie"),
        }
    }

    pub(super) fn as_request<'a>(&'a self, target: &RequestUrl<'a>) -> front::Request<'a> {
        front::Request {
            method: &self.method,
            host: target.host,
            path: target.path,
            cookies: self.cookies.as_deref(),
            is_navigation: self.is_navigation,
        }
    }
}

/// The app behind the gate.
pub(super) struct Behind<'a> {
    pub(super) request: &'a web_sys::Request,
    pub(super) target: &'a RequestUrl<'a>,
    pub(super) app: &'a App,
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
        let RequestUrl {
            scheme,
            host,
            path,
            query,
        } = self.target;
        let request = match &self.app.origin {
            None => web_sys::Request::new_with_request(self.request)?,
            Some(origin) => {
                let url = format!("{}{path}{query}", origin.as_str().trim_end_matches('/'));
                let init: &RequestInit = self.request.unchecked_ref();
                web_sys::Request::new_with_str_and_init(&url, init)?
            }
        };
        let headers = request.headers();
        for name in names(&self.request.headers()) {
            if is_stripped(&name, self.app.origin.is_some()) {
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
        if self.app.origin.is_some() {
            headers.set("X-Forwarded-Host", host)?;
            headers.set("X-Forwarded-Proto", scheme)?;
            if let Some(client) = http::header(&headers, "cf-connecting-ip") {
                headers.set("X-Forwarded-For", &client)?;
            }
        }
        Ok(request)
    }
}

/// Whether a client's copy of a header that only we may set is taken out. Some servers read `_`
/// as `-`.
fn is_stripped(name: &str, has_origin: bool) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    name.starts_with("edge-logout-")
        || (has_origin && (name.starts_with("x-forwarded-") || name == "forwarded"))
}

fn names(headers: &Headers) -> Vec<String> {
    headers
        .keys()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_string())
        .collect()
}

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

    async fn send(&self, forward: &Forward) -> Result<Answer, Unavailable> {
        let unreachable = |_: JsValue| Unavailable("origin_unreachable");
        let request = self.rewrite(forward).map_err(unreachable)?;
        let response = http::fetch(&request).await.map_err(unreachable)?;
        Ok(Answer(response.unchecked_into()))
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
    if changes.drop_announcement {
        headers.delete(front::ANNOUNCEMENT)?;
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
    Ok(response)
}
