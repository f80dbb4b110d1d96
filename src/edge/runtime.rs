//! The runtime's clock, timers, randomness, network and log.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::{AbortSignal, Headers, RequestCache, RequestInit, RequestRedirect};
use worker::AnalyticsEngineDataPointBuilder;

use super::{
    bindings::Bound,
    deadline::{self, Client},
    http,
    promises::outcome,
    webcrypto,
};
use crate::{
    app::{
        audit::Event,
        ports::{Unavailable, World},
    },
    domain::{
        desk::Notes,
        digest::Digest,
        jwks::PublicKey,
        jws::Algorithm,
        key_cache::KeyCache,
        leases::{Leases, Suspects},
        limits,
        opened::Opened,
        time::Timestamp,
        url::HttpUrl,
    },
};

#[wasm_bindgen]
extern "C" {
    /// Writes a line to the log: as it is, where the crate's macro would format it first.
    #[wasm_bindgen(js_namespace = console)]
    fn log(line: &str);
}

/// The Workers runtime, for one request.
#[derive(Clone)]
pub(super) struct Runtime {
    /// Who waits for the answer, if somebody does.
    pub(super) client: Option<Rc<Client>>,
    pub(super) bound: Rc<Bound>,
}

thread_local! {
    static LEASES: RefCell<Leases> = RefCell::default();
    static SUSPECTS: RefCell<Suspects> = RefCell::default();
    static OPENED: RefCell<Opened> = RefCell::default();
    static NOTES: RefCell<Notes> = RefCell::default();
    static KEY_CACHES: RefCell<HashMap<String, KeyCache>> = RefCell::default();
    static KNOWN: RefCell<HashSet<String>> = RefCell::default();
}

/// Facts remembered per isolate; enough for every cookie of many apps.
const KNOWN_FACTS: usize = 1024;

/// The time.
pub(super) fn now() -> Timestamp {
    time(js_sys::Date::now())
}

/// A time of JavaScript's.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole milliseconds, far below 2^53"
)]
pub(super) const fn time(millis: f64) -> Timestamp {
    Timestamp::from_millis(millis as i64)
}

impl World for Runtime {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep(&self, span: Duration) {
        match &self.client {
            Some(client) => client.sleep(span).await,
            None => deadline::sleep(span).await,
        }
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|_| Unavailable("no_randomness"))?;
        Ok(bytes)
    }

    async fn fetch_dated(
        &self,
        url: &HttpUrl,
        timeout: Duration,
    ) -> Result<(Vec<u8>, Option<Timestamp>), Unavailable> {
        let unreachable = Unavailable("op_unreachable");
        let init = RequestInit::new();
        let headers = Headers::new().map_err(|_| unreachable)?;
        headers
            .set("Accept", "application/json, application/jwk-set+json")
            .map_err(|_| unreachable)?;
        init.set_headers(&headers);
        // With `follow` a redirect could lead anywhere; with `error` workerd throws.
        init.set_redirect(RequestRedirect::Manual);
        init.set_cache(RequestCache::NoStore);
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(millis)));
        let response = http::fetch_url(url.as_str(), &init)
            .await
            .map_err(|_| unreachable)?;
        if response.status() != 200 {
            return Err(Unavailable("op_answer_not_200"));
        }
        let date = http::header(&response.headers(), "date")
            .map(|date| js_sys::Date::parse(&date))
            .and_then(|millis| Timestamp::from_numeric_date(millis / 1000.0));
        let body = http::read_all(response.body(), limits::OP_DOCUMENT_BYTES)
            .await
            .map_err(|unread| match unread {
                http::Unread::TooLarge => Unavailable("op_answer_too_large"),
                http::Unread::Broken => unreachable,
            })?;
        Ok((body, date))
    }

    async fn verifies(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        webcrypto::verifies(algorithm, key, signed, signature)
            .await
            .unwrap_or(false)
    }

    fn with_key_cache<T>(&self, issuer: &str, use_it: impl FnOnce(&mut KeyCache) -> T) -> T {
        KEY_CACHES.with_borrow_mut(|caches| use_it(caches.entry(issuer.to_owned()).or_default()))
    }

    fn with_leases<T>(&self, use_it: impl FnOnce(&mut Leases) -> T) -> T {
        LEASES.with_borrow_mut(use_it)
    }

    fn with_suspects<T>(&self, use_it: impl FnOnce(&mut Suspects) -> T) -> T {
        SUSPECTS.with_borrow_mut(use_it)
    }

    fn with_opened<T>(&self, use_it: impl FnOnce(&mut Opened) -> T) -> T {
        OPENED.with_borrow_mut(use_it)
    }

    fn has_journal(&self) -> bool {
        self.bound.desks.is_some() && self.bound.config.operator.is_some()
    }

    fn with_notes<T>(&self, use_it: impl FnOnce(&mut Notes) -> T) -> T {
        NOTES.with_borrow_mut(use_it)
    }

    async fn has_room(&self, sender: &Digest) -> Result<bool, Unavailable> {
        let Some(limiter) = &self.bound.limiter else {
            return Ok(true);
        };
        let failed = Unavailable("rate_limit_failed");
        let options = Object::new();
        Reflect::set(&options, &"key".into(), &sender.to_string().into()).map_err(|_| failed)?;
        let answer = outcome(limiter.limit(&options)).await.map_err(|_| failed)?;
        let success = Reflect::get(&answer, &"success".into()).map_err(|_| failed)?;
        success.as_bool().ok_or(failed)
    }

    fn is_news(&self, fact: String) -> bool {
        KNOWN.with_borrow_mut(|known| known.len() < KNOWN_FACTS && known.insert(fact))
    }

    fn record(&self, event: &Event<'_>) {
        log(&event.to_line());
        if let Some(dataset) = &self.bound.dataset
            && let Some(point) = event.point()
        {
            // Whether it was taken changes nothing. Of one invocation come three at most: the platform
            // takes 25.
            let _ = AnalyticsEngineDataPointBuilder::new()
                .indexes([point.index])
                .blobs(point.blobs)
                .doubles(point.doubles)
                .write_to(dataset);
        }
    }
}
