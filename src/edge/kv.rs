//! The KV binding.

use std::time::Duration;

use js_sys::{Array, Promise};
use serde_json::value::RawValue;
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};

use super::{promises::outcome, texts::text};
use crate::{
    app::ports::{Kv, Page, Unavailable},
    domain::limits,
};

#[wasm_bindgen]
extern "C" {
    /// A KV namespace.
    pub(super) type Namespace;

    #[wasm_bindgen(method, catch, js_name = delete)]
    fn remove(this: &Namespace, key: &str) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(raw_module = "./kv.js")]
extern "C" {
    #[wasm_bindgen(js_name = getMany, catch)]
    fn get_many(kv: &Namespace, keys: &str, cache_ttl: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn put(
        kv: &Namespace,
        key: &str,
        value: &str,
        expiration_ttl: f64,
        metadata: Option<&str>,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = deletePairs, catch)]
    fn delete_pairs(kv: &Namespace, keys: &str, at_once: usize) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn list(kv: &Namespace, prefix: &str, cursor: Option<String>) -> Result<Promise, JsValue>;
}

fn failed(_: JsValue) -> Unavailable {
    // The error may name keys; the code says enough.
    Unavailable("kv_failed")
}

impl Kv for Namespace {
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        let (keys, cache_ttl) = (keys.join("\n"), limits::KV_CACHE_TTL.as_secs_f64());
        let values = outcome(get_many(self, &keys, cache_ttl))
            .await
            .map_err(failed)?;
        let read = |value: JsValue| match value.dyn_ref().map(text) {
            None if !value.is_null() => Err(Unavailable("kv_answer_incomplete")),
            value => Ok(value),
        };
        Array::from(&values).iter().map(read).collect()
    }

    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        ttl: Duration,
    ) -> Result<(), Unavailable> {
        let put = put(self, key, value, ttl.as_secs_f64(), metadata);
        outcome(put).await.map(drop).map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        outcome(self.remove(key)).await.map(drop).map_err(failed)
    }

    /// In one crossing: of many sessions, a few for each would cost more than all that is decided.
    async fn delete_pairs(&self, pairs: Vec<[String; 2]>) -> Result<(), Unavailable> {
        if pairs.is_empty() {
            return Ok(());
        }
        let keys = pairs.as_flattened().join("\n");
        let deleted = delete_pairs(self, &keys, limits::KV_PARALLEL_DELETES);
        outcome(deleted).await.map(drop).map_err(failed)
    }

    async fn list(&self, prefix: &str, cursor: Option<String>) -> Result<Page, Unavailable> {
        let page = outcome(list(self, prefix, cursor)).await.map_err(failed)?;
        let page = page.dyn_ref().map(text).unwrap_or_default();
        let (keys, cursor): (Vec<(String, Option<&RawValue>)>, _) =
            serde_json::from_str(&page).map_err(|_| Unavailable("kv_answer_incomplete"))?;
        let text = |metadata: &RawValue| metadata.get().to_owned();
        Ok(Page {
            keys: keys
                .into_iter()
                .map(|(key, metadata)| (key, metadata.map(text)))
                .collect(),
            cursor,
        })
    }
}
