//! Tidying up after past logouts.

use std::time::Duration;

use serde::Serialize;

use super::{
    Ended, KvSessions,
    layout::{Index, Pending},
};
use crate::{
    app::ports::{Kv, Unavailable, World},
    domain::{digest::Digest, time::Timestamp},
};

/// What a run of [`KvSessions::sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Records dealt with.
    pub finished: usize,
    /// Sessions whose entries were still there.
    pub deleted: usize,
    /// Records that failed, or whose turn did not come: the next run takes them up.
    pub left: usize,
    /// Records that cannot be read; left alone.
    pub unreadable: usize,
}

impl<W: World, K: Kv> KvSessions<'_, W, K> {
    /// Goes over the indexes of past logouts once more: whatever their lists did not show then, or
    /// could not be deleted then, goes now. A record stays until its index has been tidied up, and
    /// holds up no other.
    ///
    /// # Errors
    /// [`Unavailable`] if the records cannot be listed.
    pub async fn sweep(&self) -> Result<Swept, Unavailable> {
        let mut swept = Swept::default();
        let mut cursor = None;
        while self.budget.take(1) {
            let page = self.kv.list("pending/", cursor).await?;
            for (key, metadata) in &page.keys {
                let Some((index, pending)) = read(metadata.as_ref()) else {
                    swept.unreadable = swept.unreadable.saturating_add(1);
                    continue;
                };
                if Timestamp::from_seconds(pending.due) > self.world.now() {
                    continue;
                }
                match self.sweep_one(key, &index, &pending).await {
                    Ok(ended) => {
                        swept.finished = swept.finished.saturating_add(1);
                        swept.deleted = swept.deleted.saturating_add(ended.matched);
                    }
                    Err(_) => swept.left = swept.left.saturating_add(1),
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(swept)
    }

    async fn sweep_one(
        &self,
        key: &str,
        index: &Index,
        pending: &Pending,
    ) -> Result<Ended, Unavailable> {
        // Reading and writing the mark, and removing the record.
        self.afford(3)?;
        let logout = Timestamp::from_seconds(pending.logout);
        let lifetime = Duration::from_secs(pending.lifetime);
        self.write_mark(index, logout, lifetime).await?;
        if pending.widens {
            self.afford(1)?;
            for subject in self.subjects(index).await? {
                self.afford(3)?;
                self.write_mark(&subject, logout, lifetime).await?;
                self.write_pending(&subject.into(), logout, lifetime)
                    .await?;
            }
        }
        let mut ended = Ended::default();
        self.clean(index, logout, None, &mut ended).await?;
        self.kv.delete(key).await?;
        Ok(ended)
    }
}

impl<W, K> KvSessions<'_, W, K> {
    pub(super) fn afford(&self, operations: usize) -> Result<(), Unavailable> {
        let is_affordable = self.budget.take(operations);
        is_affordable
            .then_some(())
            .ok_or(Unavailable("kv_budget_spent"))
    }
}

fn read(metadata: Option<&String>) -> Option<(Index, Pending)> {
    let pending: Pending = serde_json::from_str(metadata?).ok()?;
    let hash = Digest::parse(&pending.hash)?;
    let kind = pending.kind;
    Some((Index { kind, hash }, pending))
}
