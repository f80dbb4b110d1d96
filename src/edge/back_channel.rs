//! The back-channel logout endpoint, as HTTP.

use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::join;
use web_sys::{Request, Response};
use worker::{Context, Result};

use super::{bindings::Bindings, http};
use crate::{
    app::{
        desk,
        logout::{self, Answer, Delivery},
        ports::{Body, Unavailable},
    },
    domain::{config::App, refusal::Refusal, sender::Sender},
};

/// A body as it comes.
pub(super) struct Stream(pub(super) Option<web_sys::ReadableStream>);

impl Body for Stream {
    async fn read(self, limit: usize) -> std::result::Result<Vec<u8>, Refusal> {
        http::read_all(self.0, limit)
            .await
            .map_err(|unread| match unread {
                http::Unread::TooLarge => Refusal::BodyTooLarge,
                http::Unread::Broken => Refusal::BodyUnreadable,
            })
    }
}

/// Receives a logout token. The work goes on even if the OP hangs up, and after the answer if it
/// could not be finished before: most OPs never send a token again.
pub(super) async fn receive(
    bindings: &Rc<Bindings>,
    context: &Context,
    app: &Rc<App>,
    request: Request,
) -> Result<Response> {
    let (bindings, app) = (bindings.clone(), app.clone());
    let (answered, answer) = oneshot::channel();
    let work = async move {
        let sessions = bindings.sessions(&app);
        let headers = request.headers();
        let delivery = Delivery {
            method: request.method(),
            content_type: http::header(&headers, "content-type"),
            content_encoding: http::header(&headers, "content-encoding"),
            sender: Sender {
                address: http::header(&headers, "cf-connecting-ip"),
                worker: http::header(&headers, "cf-worker"),
            },
            body: Stream(request.body()),
        };
        let (answer, unfinished) =
            logout::receive(&bindings.world, &sessions, &app, delivery).await;
        // Nobody waits any more if the OP has hung up.
        let _ = answered.send(answer);
        let journal = bindings.desks.as_ref();
        let journal = journal.filter(|_| bindings.config.operator.is_some());
        let tell = async || {
            if let Some(desks) = journal {
                desk::tell(&bindings.world, desks, &app).await;
            }
        };
        let Some(unfinished) = unfinished else {
            return tell().await;
        };
        let finish = logout::finish(&bindings.world, &sessions, &app, unfinished);
        join(tell(), finish).await;
        tell().await;
    };
    context.wait_until(work);
    respond(
        answer
            .await
            .unwrap_or(Answer::Unavailable(Unavailable("work_lost"))),
    )
}

/// The answers of Back-Channel Logout 1.0 section 2.8: fixed texts, never stored.
fn respond(answer: Answer) -> Result<Response> {
    let (status, body) = match answer {
        Answer::Done => (200, None),
        Answer::Refused(refusal) => (
            if refusal == Refusal::Method { 405 } else { 400 },
            Some(
                r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#,
            ),
        ),
        Answer::Unavailable(_) => (
            503,
            Some(
                r#"{"error":"temporarily_unavailable","error_description":"Please send the logout token again."}"#,
            ),
        ),
    };
    let response = Response::new_with_opt_str_and_init(body, &http::init(status))?;
    let headers = response.headers();
    headers.set("Cache-Control", "no-store")?;
    match status {
        405 => headers.set("Allow", "POST")?,
        503 => headers.set("Retry-After", "2")?,
        _ => {}
    }
    if body.is_some() {
        headers.set("Content-Type", "application/json")?;
    }
    Ok(response)
}
