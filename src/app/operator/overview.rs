//! What there is: issuers and apps of a host, and how they stand.

use serde_json::{Value, json};

use super::{Backends, Failure, Office};
use crate::{
    app::{
        desk::{Answer, Command, Desks, OTHER_ANSWER},
        ports::World,
    },
    domain::{
        config::{Announce, App, Issuer, SessionSid, Source},
        desk::Desk,
        route,
        seal::Authority,
    },
};

impl<W: World, B: Backends, D: Desks> Office<'_, W, B, D> {
    pub(super) async fn overview(&self, origin: &str) -> Result<Value, Failure> {
        let (mode, guarantee) = match self.config.authority {
            Authority::Ledger => (
                "ledger",
                "A logout takes effect at once, everywhere: the ledger says what lives.",
            ),
            Authority::Kv => (
                "kv",
                "A logout takes effect when KV shows it: typically within a minute.",
            ),
        };
        let mut issuers = Vec::new();
        for (position, app) in self.apps.iter().enumerate() {
            let mut earlier = self.apps.iter().take(position);
            if !earlier.any(|other| other.issuer.issuer == app.issuer.issuer) {
                issuers.push(self.issuer(&app.issuer).await?);
            }
        }
        let mut apps = Vec::new();
        for app in &self.apps {
            apps.push(self.app(app, origin).await?);
        }
        Ok(json!({
            "now": self.world.now(),
            "mode": mode,
            "guarantee": guarantee,
            "desk": self.desks.is_some(),
            "issuers": issuers,
            "apps": apps,
        }))
    }

    async fn issuer(&self, issuer: &Issuer) -> Result<Value, Failure> {
        let breaker = match issuer.breaker {
            None => Value::Null,
            Some(breaker) => {
                let desk = Desk::of_issuer(issuer);
                let (standing, code) = match self.ask(desk, Command::Standing).await {
                    Ok(Answer::Standing(standing)) => (Some(standing), None),
                    other => (None, Some(other.err().unwrap_or(OTHER_ANSWER).0)),
                };
                json!({
                    "sessions": breaker.sessions,
                    "seconds": breaker.span.as_secs(),
                    "tripped_at": standing.and_then(|standing| standing.tripped_at),
                    "held": standing.map(|standing| standing.held),
                    "code": code,
                })
            }
        };
        Ok(json!({
            "name": issuer.name,
            "issuer": issuer.issuer,
            "logout_alg": issuer.logout_alg.name(),
            "dry_run": issuer.dry_run,
            "breaker": breaker,
        }))
    }

    async fn app(&self, app: &App, origin: &str) -> Result<Value, Failure> {
        // Without its desk there is much that an operator can still do; but that it does not answer
        // must not look like an answer.
        let (ended_before, code) = if self.desks.is_none() {
            (None, None)
        } else {
            match self.ask(Desk::of(app), Command::EndedBefore).await {
                Ok(Answer::EndedBefore(ended_before)) => (ended_before, None),
                other => (None, Some(other.err().unwrap_or(OTHER_ANSWER).0)),
            }
        };
        let announce = match &app.announce {
            Announce::IdToken(Source::Header { .. }) => "header",
            Announce::IdToken(Source::Cookie { .. }) => "cookie",
            Announce::Session { .. } => "session",
            Announce::Relay => "relay",
            Announce::FormPost => "form_post",
        };
        let relay = (app.announce == Announce::Relay).then(|| {
            json!({
                "token_endpoint": format!("{origin}{}", route::token_endpoint(app)),
                "metadata": format!("{origin}{}", route::metadata(app)),
            })
        });
        let routes: Vec<_> = app.routes.iter().map(ToString::to_string).collect();
        Ok(json!({
            "name": app.name,
            "issuer": app.issuer.issuer,
            "client_id": app.client_id,
            "routes": routes,
            "backchannel_logout_uri": format!("{origin}{}", app.logout_path),
            "backchannel_logout_session_required": app.session_sid == SessionSid::Required,
            "announce": announce,
            "relay": relay,
            "ended_before": ended_before,
            "code": code,
        }))
    }
}
