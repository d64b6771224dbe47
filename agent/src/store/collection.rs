//! What is remembered of a collection: when it ran last, and what came of it.

use bincode::{Decode, Encode};
use postern_protocol::bounded::Text;
use postern_protocol::code::Code;
use postern_protocol::codec;
use postern_protocol::{Outcome, SystemName, TaskId};
use postern_store::{Batch, Table};
use sha2::{Digest as _, Sha256};

use super::{AgentStoreError, Store, unreadable};

const COLLECTIONS: Table = Table::new("collections", 8);

/// A collection as it was left.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// From when on its runs are counted, in milliseconds since 1970: when it was first seen, or last begun.
    pub since: u64,
    /// The last run that was begun.
    pub run: Option<Run>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Run {
    /// When it began, in milliseconds since 1970.
    pub begun: u64,
    /// The task it is.
    pub task: TaskId,
    /// How it ended, if it did.
    pub end: Option<End>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct End {
    /// Its outcome.
    pub outcome: Code<Outcome>,
    /// Why it did not succeed.
    pub told: Text<512>,
    /// Users in its file.
    pub users: u64,
    /// Users it told to be gone.
    pub removed: u64,
}

impl Store {
    /// What is remembered of a collection.
    pub fn collection(&self, system: &SystemName, name: &str) -> Result<Option<Record>, AgentStoreError> {
        let key = key(system, name);
        let bytes = self.engine.get(COLLECTIONS, &key)?;
        bytes.map(|bytes| codec::decode(&bytes).map_err(unreadable(COLLECTIONS, &key))).transpose()
    }

    /// Remembers it. Durable when it returns.
    pub async fn keep_collection(
        &self,
        system: &SystemName,
        name: &str,
        record: &Record,
    ) -> Result<(), AgentStoreError> {
        let mut batch = Batch::new();
        batch.put(COLLECTIONS, &key(system, name), &codec::encode(record)?)?;
        batch.essential();
        Ok(self.engine.commit(batch).await?)
    }
}

/// Keys stand in clear, so they hold no names.
fn key(system: &SystemName, name: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(system.as_str());
    hash.update(b"/");
    hash.update(name.to_lowercase());
    hash.finalize().into_iter().take(16).collect()
}
