//! The KV binding.

use std::time::Duration;

use worker::kv::{KvError, KvStore};

use crate::{
    app::ports::{Kv, Page, Unavailable},
    domain::limits,
};

/// A KV namespace.
pub(super) struct Namespace(pub(super) KvStore);

fn failed(_: KvError) -> Unavailable {
    // The error may name keys; the code says enough.
    Unavailable("kv_failed")
}

impl Kv for Namespace {
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        let mut values = self
            .0
            .get_bulk(keys)
            .cache_ttl(limits::KV_CACHE_TTL.as_secs())
            .text()
            .await
            .map_err(failed)?;
        keys.iter()
            .map(|key| {
                values
                    .remove(key)
                    .ok_or(Unavailable("kv_answer_incomplete"))
            })
            .collect()
    }

    async fn put(
        &self,
        key: &str,
        value: &str,
        metadata: Option<&str>,
        ttl: Duration,
    ) -> Result<(), Unavailable> {
        let mut put = self
            .0
            .put(key, value)
            .map_err(failed)?
            .expiration_ttl(ttl.as_secs());
        if let Some(metadata) = metadata {
            let metadata: serde_json::Value =
                serde_json::from_str(metadata).map_err(|_| Unavailable("kv_metadata_not_json"))?;
            put = put.metadata(metadata).map_err(failed)?;
        }
        put.execute().await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        self.0.delete(key).await.map_err(failed)
    }

    async fn list(&self, prefix: &str, cursor: Option<String>) -> Result<Page, Unavailable> {
        let mut list = self.0.list().prefix(prefix.to_owned());
        if let Some(cursor) = cursor {
            list = list.cursor(cursor);
        }
        let page = list.execute().await.map_err(failed)?;
        Ok(Page {
            keys: page
                .keys
                .into_iter()
                .map(|key| (key.name, key.metadata.map(|metadata| metadata.to_string())))
                .collect(),
            cursor: page.cursor.filter(|_| !page.list_complete),
        })
    }
}
