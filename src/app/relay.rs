//! The relay: stands in for the OP's token endpoint, so that apps that announce nothing are known by
//! the ID tokens that they receive there.
//!
//! A token request goes on byte for byte, and so does the answer. What is remembered is who logged in
//! with which code, as hashes, until the callback request with that code is answered.

use super::{
    audit::{Class, Event},
    keys,
    ports::{Body, Codes, Unavailable, World, read_in_time, within},
    verify::{self, NotVerified},
};
use crate::domain::{
    authorization_code::CodeKey,
    config::{App, KeySource},
    form, limits,
    token_endpoint::{self, Grant, NotRelayed, TokenRequest},
    url::HttpUrl,
};

/// A request to the relay, as HTTP shows it.
#[derive(Debug)]
pub struct Incoming<B> {
    /// The method, as sent.
    pub method: String,
    /// The address that was asked, without a query.
    pub url: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// Whether there is a `DPoP` header.
    pub has_dpop: bool,
    /// The body.
    pub body: B,
}

/// An answer of the token endpoint.
pub trait TokenReply {
    /// HTTP status.
    fn status(&self) -> u16;
    /// The body.
    fn body(&self) -> &[u8];
}

/// The OP's token endpoint.
pub trait TokenEndpoint {
    /// Its answers.
    type Reply: TokenReply;

    /// Sends the request on, with this body, to the address given; no redirects, at most
    /// [`limits::TOKEN_ANSWER_BYTES`] of an answer.
    ///
    /// # Errors
    /// [`Unavailable`] if there is no such answer.
    async fn ask(&self, url: &HttpUrl, body: Vec<u8>) -> Result<Self::Reply, Unavailable>;
}

/// What the app's back end gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Relayed<R> {
    /// The OP's answer.
    Reply(R),
    /// The request, or the login, is not one that is relayed.
    Refused(NotRelayed),
    /// We, or the OP, are not available: 503.
    Unavailable(Unavailable),
}

enum Stopped {
    Refused(NotRelayed),
    Unavailable(Unavailable),
}

impl From<NotRelayed> for Stopped {
    fn from(refused: NotRelayed) -> Self {
        Self::Refused(refused)
    }
}

impl From<Unavailable> for Stopped {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Relays a token request of `app`'s back end.
pub async fn token<E: TokenEndpoint>(
    world: &impl World,
    codes: &impl Codes,
    endpoint: &E,
    app: &App,
    incoming: Incoming<impl Body>,
) -> Relayed<E::Reply> {
    match relay(world, codes, endpoint, app, incoming).await {
        Ok(reply) => Relayed::Reply(reply),
        Err(Stopped::Refused(refused)) => {
            world.record(&Event::new(refused.code(), Some(app)).class(Class::Refused));
            Relayed::Refused(refused)
        }
        Err(Stopped::Unavailable(unavailable)) => {
            world.record(&Event::new(unavailable.0, Some(app)));
            Relayed::Unavailable(unavailable)
        }
    }
}

async fn relay<E: TokenEndpoint>(
    world: &impl World,
    codes: &impl Codes,
    endpoint: &E,
    app: &App,
    incoming: Incoming<impl Body>,
) -> Result<E::Reply, Stopped> {
    let (grant, body) = read(world, app, incoming).await?;
    let url = its_token_endpoint(world, app).await?;
    let asked = endpoint.ask(&url, body);
    let reply = within(world, limits::TOKEN_ENDPOINT, asked).await?;
    if let Grant::Code(code) = grant
        && (200..300).contains(&reply.status())
    {
        remember(world, codes, app, &code, reply.body()).await?;
    }
    Ok(reply)
}

async fn read(
    world: &impl World,
    app: &App,
    incoming: Incoming<impl Body>,
) -> Result<(Grant, Vec<u8>), NotRelayed> {
    let (content_type, content_encoding) = (incoming.content_type, incoming.content_encoding);
    let head = form::check_head(
        &incoming.method,
        content_type.as_deref(),
        content_encoding.as_deref(),
    );
    head.map_err(NotRelayed::Malformed)?;
    let body = read_in_time(world, incoming.body, limits::RELAYED_FORM_BYTES).await;
    let body = body.map_err(NotRelayed::Malformed)?;
    let request = TokenRequest {
        url: &incoming.url,
        authorization: incoming.authorization.as_deref(),
        has_dpop: incoming.has_dpop,
        body: &body,
    };
    let grant = request.read(app)?;
    Ok((grant, body))
}

/// Remembers who logged in with a code. If that cannot be, the app must not learn it either: nobody
/// could end what it would begin.
async fn remember(
    world: &impl World,
    codes: &impl Codes,
    app: &App,
    code: &CodeKey,
    answer: &[u8],
) -> Result<(), Stopped> {
    let token = token_endpoint::id_token(answer)?;
    let now = world.now();
    let deadline = now.plus(limits::BACK_CHANNEL_DEADLINE);
    let login = match verify::login(world, app, &token, now, deadline).await {
        Ok(login) => login,
        Err(NotVerified::Refused(refusal)) => return Err(NotRelayed::IdToken(refusal).into()),
        Err(NotVerified::Unavailable(unavailable)) => return Err(unavailable.into()),
    };
    let redeemed = codes.redeem(code, login);
    if !within(world, limits::BACK_CHANNEL_DEADLINE, redeemed).await? {
        return Err(NotRelayed::NoCallback.into());
    }
    world.record(&Event::new("login_relayed", Some(app)).of(login.subject.0.short()));
    Ok(())
}

async fn its_token_endpoint(world: &impl World, app: &App) -> Result<HttpUrl, Unavailable> {
    let issuer = &app.issuer;
    match (&issuer.token_endpoint, &issuer.keys) {
        (Some(url), _) => Ok(url.clone()),
        (None, KeySource::Discovery(url)) => {
            let metadata = keys::metadata(world, issuer, url).await?;
            let url = metadata.token_endpoint(issuer.schemes);
            url.map_err(|document| Unavailable(document.code()))
        }
        // No configuration is read that has neither.
        (None, KeySource::KeySet(_)) => Err(Unavailable("token_endpoint_not_allowed")),
    }
}

/// The OP's metadata with `token_endpoint` in place of its own, as JSON; none if the OP's are not
/// looked at.
///
/// # Errors
/// [`Unavailable`].
pub async fn metadata(
    world: &impl World,
    app: &App,
    token_endpoint: &str,
) -> Result<Option<String>, Unavailable> {
    let KeySource::Discovery(url) = &app.issuer.keys else {
        return Ok(None);
    };
    let metadata = keys::metadata(world, &app.issuer, url).await;
    let metadata = metadata.inspect_err(|Unavailable(code)| {
        world.record(&Event::new(code, Some(app)));
    })?;
    Ok(Some(metadata.relayed(token_endpoint)))
}

#[cfg(test)]
mod tests;
