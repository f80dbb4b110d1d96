//! The back-channel logout endpoint, as HTTP.

use std::rc::Rc;

use futures_util::future::join;
use web_sys::Response;
use worker::Result;

use super::{
    bindings::Bindings,
    deadline::{Client, Hold},
    http::{Content, Incoming, JSON, NO_STORE, Names, Ready},
};
use crate::{
    app::{
        desk,
        logout::{self, Answer, Delivery},
        ports::World as _,
    },
    domain::{config::App, refusal::Refusal, sender::Sender},
};

/// Receives a logout token, and answers the client itself. The work goes on even if the OP hangs up, be it
/// before the body has been read, and after the answer if it could not be finished before: most OPs
/// never send a token again.
pub(super) async fn receive(
    bindings: &Bindings,
    client: &Client,
    app: &Rc<App>,
    incoming: &Incoming,
) -> Result<Option<Response>> {
    let _hold = Hold::of(client);
    let values = HEADERS.with(|names| incoming.values(names));
    let [content_type, content_encoding, length, address, worker] = values.all();
    let delivery = Delivery {
        method: &incoming.method,
        content_type,
        content_encoding,
        sender: Sender { address, worker },
        body: Content::of(&incoming.request, length),
    };
    let (world, sessions) = (&bindings.world, bindings.sessions(app));
    let (answer, unfinished) = logout::receive(world, &sessions, app, delivery).await;
    let answered = respond(answer).map(|answer| client.answer(answer));
    if let Some(unfinished) = unfinished {
        let finish = logout::finish(world, &sessions, app, unfinished);
        join(tell(bindings, app), finish).await;
    }
    tell(bindings, app).await;
    answered.map(|()| None)
}

/// Tells the app's journal, if there is one, what has been noted.
async fn tell(bindings: &Bindings, app: &App) {
    if let Some(desks) = bindings.desks.as_ref()
        && bindings.world.has_journal()
    {
        desk::tell(&bindings.world, desks, app).await;
    }
}

const REFUSED: &str =
    r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#;
const UNAVAILABLE: &str = r#"{"error":"temporarily_unavailable","error_description":"Please send the logout token again."}"#;

thread_local! {
    /// What is asked of a delivery.
    static HEADERS: Names<5> = Names::of([
        "content-type",
        "content-encoding",
        "content-length",
        "cf-connecting-ip",
        "cf-worker",
    ]);
    // The answers of Back-Channel Logout 1.0 section 2.8: fixed texts, never stored.
    static DONE: Ready = Ready::of(200, None, &[NO_STORE]);
    static REFUSAL: Ready = Ready::of(400, Some(REFUSED), &[JSON, NO_STORE]);
    static NOT_POST: Ready = Ready::of(405, Some(REFUSED), &[JSON, NO_STORE, ("Allow", "POST")]);
    static OUTAGE: Ready = Ready::of(503, Some(UNAVAILABLE), &[JSON, NO_STORE, ("Retry-After", "2")]);
}

fn respond(answer: Answer) -> Result<Response> {
    let ready = match answer {
        Answer::Done => &DONE,
        Answer::Refused(Refusal::Method) => &NOT_POST,
        Answer::Refused(_) => &REFUSAL,
        Answer::Unavailable(_) => &OUTAGE,
    };
    ready.with(Ready::respond)
}
