//! A connector's memory in the store.

use std::io;

use postern_agent_core::Payload;
use postern_protocol::plain::Chain;
use postern_protocol::{Failure, FailureClass, Outcome, SystemName, TaskId};

use crate::connector::{Bucket, Keep, Pending, Visit, unwritten};
use crate::store::{AgentStoreError, Store};

/// The facts kept for one connected system.
pub struct Kept {
    store: Store,
    system: SystemName,
}

impl Kept {
    /// The memory of `system` in `store`.
    pub const fn new(store: Store, system: SystemName) -> Self {
        Self { store, system }
    }

    /// The memory of some system in a store in `folder`.
    #[cfg(test)]
    pub fn in_folder(folder: &std::path::Path) -> Self {
        let (store, _) = Store::open(folder).unwrap();
        Self::new(store, "acme".parse().unwrap())
    }
}

impl Keep for Kept {
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.store.recall(&self.system, key).map_err(|error| forgot(&error))
    }

    fn keep<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async move { self.store.keep(&self.system, key, &value).await.map_err(|error| forgot(&error)) })
    }

    fn forget<'a>(&'a self, key: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async move { self.store.forget(&self.system, key).await.map_err(|error| forgot(&error)) })
    }

    fn bucket(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.store.bucket(&self.system, key).map_err(|error| forgot(&error))
    }

    fn keep_buckets(&self, buckets: Vec<Bucket>) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async move { self.store.keep_buckets(&self.system, &buckets).await.map_err(|error| forgot(&error)) })
    }

    fn each_bucket(&self, prefix: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
        for bucket in self.store.buckets(&self.system, prefix) {
            let (key, bucket) = bucket.map_err(|error| forgot(&error))?;
            visit(&key, &bucket)?;
        }
        Ok(())
    }

    fn forget_buckets<'a>(&'a self, prefix: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async move { self.store.forget_buckets(&self.system, prefix).await.map_err(|error| forgot(&error)) })
    }

    fn delivered(&self, task: TaskId) -> Result<bool, Failure> {
        let stone = self.store.tombstone(task).map_err(|error| forgot(&error))?;
        Ok(stone.is_some_and(|stone| stone.outcome == Outcome::Succeeded && stone.payload == Payload::HandedOver))
    }

    fn taken_anew(&self, task: TaskId) -> Result<bool, Failure> {
        let stone = self.store.tombstone(task).map_err(|error| forgot(&error))?;
        Ok(stone.is_some_and(|stone| stone.payload == Payload::Lost))
    }

    fn owed(&self, task: TaskId) -> Result<bool, Failure> {
        if self.store.holds(task).map_err(|error| forgot(&error))? {
            return Ok(true);
        }
        // There may be many reports to look through.
        Ok(!self.delivered(task)? && self.store.owes_results(task).map_err(|error| forgot(&error))?)
    }
}

fn forgot(error: &AgentStoreError) -> Failure {
    if matches!(error, AgentStoreError::Store(error) if error.is_disk_full()) {
        return unwritten(&io::ErrorKind::StorageFull.into());
    }
    Failure::new(FailureClass::Internal, "store", format!("The agent's store failed: {}", Chain(error)))
        .with_next_step("Look at the agent's log and its disk")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::connector::DISK_FULL;
    use crate::store::lab::Disklike;

    /// F14. Take it for a store that is broken, and a delta or a collection of a full disk fails at once.
    #[tokio::test]
    async fn f14_what_the_disk_has_no_room_to_remember_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, store) = Disklike::with_store(folder.path());
        let kept = Kept::new(store, "acme".parse().unwrap());
        disk.free.store(1 << 20, Ordering::SeqCst);
        let failure = kept.keep_buckets(vec![("key".to_owned(), Some(vec![7; 100]))]).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.class.known()), (DISK_FULL, Some(FailureClass::Transient)));
    }
}
