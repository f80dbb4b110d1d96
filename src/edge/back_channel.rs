//! The back-channel logout endpoint, as HTTP.

use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::join;
use web_sys::Response;
use worker::{Context, Result};

use super::{
    bindings::Bindings,
    http::{self, Incoming},
};
use crate::{
    app::{
        desk,
        logout::{self, Answer, Delivery},
        ports::Unavailable,
    },
    domain::{config::App, refusal::Refusal, sender::Sender},
};

/// Receives a logout token. The work goes on even if the OP hangs up, be it before the body has been
/// read, and after the answer if it could not be finished before: most OPs never send a token again.
pub(super) async fn receive(
    bindings: &Bindings,
    context: &Context,
    app: &Rc<App>,
    incoming: &Incoming,
) -> Result<Response> {
    let (bindings, app, incoming) = (bindings.clone(), app.clone(), incoming.clone());
    let (answered, answer) = oneshot::channel();
    context.wait_until(async move {
        let delivery = Delivery {
            method: incoming.head.method().to_owned(),
            content_type: incoming.header("content-type"),
            content_encoding: incoming.header("content-encoding"),
            sender: Sender {
                address: incoming.header("cf-connecting-ip"),
                worker: incoming.header("cf-worker"),
            },
            body: &incoming,
        };
        let (world, sessions) = (&bindings.world, bindings.sessions(&app));
        let (answer, unfinished) = logout::receive(world, &sessions, &app, delivery).await;
        // Nobody waits any more if the OP has hung up.
        let _ = answered.send(answer);
        let Some(unfinished) = unfinished else {
            return tell(&bindings, &app).await;
        };
        let finish = logout::finish(world, &sessions, &app, unfinished);
        join(tell(&bindings, &app), finish).await;
        tell(&bindings, &app).await;
    });
    respond(
        answer
            .await
            .unwrap_or(Answer::Unavailable(Unavailable("work_lost"))),
    )
}

/// Tells the app's journal, if there is one, what has been noted.
async fn tell(bindings: &Bindings, app: &App) {
    let journal = bindings.desks.as_ref();
    if let Some(desks) = journal.filter(|_| bindings.config.operator.is_some()) {
        desk::tell(&bindings.world, desks, app).await;
    }
}

/// The answers of Back-Channel Logout 1.0 section 2.8: fixed texts, never stored.
fn respond(answer: Answer) -> Result<Response> {
    const REFUSED: &str =
        r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#;
    const UNAVAILABLE: &str = r#"{"error":"temporarily_unavailable","error_description":"Please send the logout token again."}"#;
    let (json, no_store) = (http::JSON, http::NO_STORE);
    match answer {
        Answer::Done => http::answer(200, None, &[no_store]),
        Answer::Refused(Refusal::Method) => {
            http::answer(405, Some(REFUSED), &[json, no_store, ("Allow", "POST")])
        }
        Answer::Refused(_) => http::answer(400, Some(REFUSED), &[json, no_store]),
        Answer::Unavailable(_) => http::answer(
            503,
            Some(UNAVAILABLE),
            &[json, no_store, ("Retry-After", "2")],
        ),
    }
}
