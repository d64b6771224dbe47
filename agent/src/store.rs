//! What the agent keeps on disk, as records of its own kind.
//!
//! The engine below ([`postern_store`]) stores bytes; here offers, states, journals, reports and tombstones become
//! bytes and back.

pub mod audit;
pub mod collection;
#[cfg(test)]
pub(crate) mod lab;
pub mod record;
mod scrub;
mod transaction;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use postern_agent_core::{Membership, Restored, RestoredTask, TaskState, Tombstone, Write};
use postern_health::Stopwatch;
use postern_protocol::codec::CodecError;
use postern_protocol::id::Incarnation;
use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ReportNo, SessionNo, StreamId, SystemName, TaskId};
use postern_store::{
    Batch, CommitWatch, Home, HomeError, Options, Recovered, Spool, SpoolError, SpoolId, StoreError, Table, parts,
};
use transaction::Transaction;

use self::audit::AuditRows;
use crate::clock;
use crate::connector::{Bucket, JournalEntry};
use crate::metrics::metrics;

const OFFERS: Table = Table::new("offers", 1);
const STATES: Table = Table::new("states", 2);
const JOURNAL: Table = Table::new("journal", 3);
const REPORTS: Table = Table::new("reports", 4);
const TOMBSTONES: Table = Table::new("tombstones", 5);
const META: Table = Table::new("meta", 6);
const KEPT: Table = Table::new("kept", 7);
const BUCKETS: Table = Table::new("buckets", 9);

/// Keys whose removal fits one batch of the engine: each takes at most 64 bytes more than its own.
const DELETED_AT_ONCE: usize = 1_000;

/// Content of buckets that is committed together: with its keys it fits one batch of the engine, as does a single one of
/// the largest.
const BUCKETS_AT_ONCE: usize = 128 * 1024;

/// What the keys of a small bucket take in a batch: of the part it had, and of the one it gets.
const BUCKET_KEYS: usize = 512;

const SESSION: &[u8] = b"session";
const MEMBERSHIP: &[u8] = b"membership";
const NEXT_REPORT: &[u8] = b"next_report";

/// Why what is on disk could not be written or understood.
#[derive(Debug, thiserror::Error)]
pub enum AgentStoreError {
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] postern_store::KeyError),
    /// A record is whole but makes no sense to this version.
    #[error(
        "record {key} of table {table} is of another version, and this one cannot read it: start the other one again"
    )]
    Record {
        /// The table.
        table: &'static str,
        /// The key, in hexadecimal if it is no text.
        key: String,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
    /// A record could not become bytes.
    #[error("a record is too large for the store")]
    Encode(#[from] CodecError),
}

impl From<HomeError> for AgentStoreError {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Key(error) => error.into(),
            HomeError::Store(error) => error.into(),
            HomeError::Spool(error) => error.into(),
        }
    }
}

/// The agent's store.
#[derive(Clone)]
pub struct Store {
    engine: postern_store::Store,
    spool: Spool,
    audit: Arc<AuditRows>,
}

impl Store {
    /// Opens the store with its key wherever that is, making both if there are none. Blocks while it is read through.
    pub fn open_in(home: &Home) -> Result<(Self, Option<Recovered>), AgentStoreError> {
        Self::open_with(home, &Options::default())
    }

    /// The store that is there, for whoever only asks what is in it: one that is damaged is left for the agent's next start.
    pub fn open_whole(home: &Home) -> Result<Self, AgentStoreError> {
        let options = Options { replace: false, ..Options::default() };
        Self::open_with(home, &options).map(|(store, _)| store)
    }

    /// [`Self::open_in`] with other options.
    pub(crate) fn open_with(home: &Home, options: &Options) -> Result<(Self, Option<Recovered>), AgentStoreError> {
        let now = clock::unix_millis().0 / 1000;
        let opened = home.open(options, now)?;
        let spool = opened.store.spool()?;
        let store = Self { engine: opened.store, spool, audit: Arc::default() };
        store.restore_audit()?;
        Ok((store, opened.recovered))
    }

    /// The life of this store.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation::from_bytes(self.engine.incarnation().0)
    }

    /// The files of payloads.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Whether the disk has room for new work that brings payloads of this many bytes. A disk that cannot be looked at
    /// has none.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        self.engine.has_room_for(bytes).unwrap_or_else(|error| {
            tracing::error!(error = %Chain(&error), "the disk cannot be looked at");
            false
        })
    }

    /// Whether there is room for new work without payloads, and for what has to be told of it.
    pub fn has_room_for_work(&self) -> bool {
        self.audit().has_room() && self.engine.has_room_for(0).unwrap_or(false)
    }

    /// Refuses so many bytes for a directory on the disk of the store if they would leave that too little room.
    pub fn may_write_into(&self, directory: &Path, bytes: u64) -> io::Result<()> {
        if !self.engine.shares_disk_with(directory)? || self.has_room_for(bytes) {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Whether it takes nothing any more, and the process has to end.
    pub fn is_broken(&self) -> bool {
        self.engine.is_broken()
    }

    /// The bytes of the store's records on disk, and those that are free there; nothing of what cannot be looked at.
    pub fn space(&self) -> (Option<u64>, Option<u64>) {
        (self.engine.size().ok(), self.engine.free().ok())
    }

    /// How far the disk is with what it was given; for the watchdog.
    pub fn commit_watch(&self) -> CommitWatch {
        self.engine.commit_watch()
    }

    /// Batches committed and barriers paid for them, since the store was opened.
    pub fn commits_and_barriers(&self) -> (u64, u64) {
        (self.engine.commits(), self.engine.barriers())
    }

    /// Makes writes durable, in this order. A `DeleteTask` is in one batch with the write before it.
    pub async fn commit(&self, writes: &[Write]) -> Result<(), AgentStoreError> {
        let watch = Stopwatch::start();
        let committed = self.commit_all(writes).await;
        metrics().commit_duration.took(watch.elapsed(), &[]);
        committed
    }

    async fn commit_all(&self, mut writes: &[Write]) -> Result<(), AgentStoreError> {
        // A task that ends and is taken anew begins with an empty journal, so its old one goes first.
        while let Some(anew) = taken_anew(writes) {
            let (before, from) = writes.split_at(anew);
            self.commit_together(before).await?;
            writes = from;
        }
        self.commit_together(writes).await
    }

    async fn commit_together(&self, writes: &[Write]) -> Result<(), AgentStoreError> {
        let (batches, released) = Transaction::new(&self.engine, &self.audit).batches(writes)?;
        // One after the other: a full disk may refuse one and have room for the next, and what came before must be there.
        for batch in batches {
            self.engine.commit(batch).await?;
        }
        if let Some(released) = released {
            let bytes = |write: &Write| if let Write::PutAudit(event) = write { event.len() } else { 0 };
            self.audit.released(released, writes.iter().map(bytes).sum());
        }
        for write in writes {
            if let Write::DeleteTask(task) = write {
                // A batch's may be larger than any one commit, and what is left behind a crash is swept away at the next
                // start.
                self.delete_below(JOURNAL, task.as_bytes()).await?;
            }
        }
        Ok(())
    }

    /// Removes what is under the keys that begin with `prefix`, piece by piece.
    async fn delete_below(&self, table: Table, prefix: &[u8]) -> Result<(), AgentStoreError> {
        loop {
            let mut batch = Batch::new();
            for key in self.engine.scan_keys(table, prefix).take(DELETED_AT_ONCE) {
                batch.delete(table, &key?)?;
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.engine.commit(batch).await?;
        }
    }

    /// Everything the ledger goes on from, after all of it was looked at.
    pub fn restore(&self) -> Result<Restored, AgentStoreError> {
        self.sweep_records()?;
        let mut tasks = parts::read_all(&self.engine, OFFERS)?
            .into_iter()
            .map(|(key, bytes)| self.restore_task(&key, &bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let reports = parts::read_all(&self.engine, REPORTS)?
            .iter()
            .map(|(key, bytes)| record::read_report(bytes).map_err(unreadable(REPORTS, key)))
            .collect::<Result<Vec<_>, _>>()?;
        self.check_payloads(&mut tasks, &reports)?;
        let mut tombstones = Vec::new();
        for item in self.engine.scan(TOMBSTONES) {
            let (key, bytes) = item?;
            tombstones.push(record::read_tombstone(&bytes).map_err(unreadable(TOMBSTONES, &key))?);
        }
        Ok(Restored {
            tasks,
            reports,
            tombstones,
            next_report: ReportNo(self.meta_number(NEXT_REPORT)?),
            session: SessionNo(self.meta_number(SESSION)?),
            membership: self.membership()?,
        })
    }

    fn restore_task(&self, key: &[u8], bytes: &[u8]) -> Result<RestoredTask, AgentStoreError> {
        let (offer, origin) = record::read_task(bytes).map_err(unreadable(OFFERS, key))?;
        let state = match parts::read(&self.engine, STATES, key)? {
            Some(bytes) => record::read_state(&bytes).map_err(unreadable(STATES, key))?,
            None => TaskState::Journaled { unended: 0 },
        };
        let journal = self.engine.scan_keys(JOURNAL, key).count();
        Ok(RestoredTask {
            origin,
            state,
            journal: u32::try_from(journal).unwrap_or(u32::MAX),
            // Whether they are whole is looked at when all tasks are known.
            streams_here: Vec::new(),
            offer,
        })
    }

    /// A task's journal, oldest entry first. A batch's may be larger than the memory there is for it.
    pub fn journal(&self, task: TaskId) -> impl Iterator<Item = Result<JournalEntry, AgentStoreError>> + use<> {
        self.engine.scan_prefix(JOURNAL, task.as_bytes()).map(|item| {
            let (key, bytes) = item?;
            record::read_entry(&bytes).map_err(unreadable(JOURNAL, &key))
        })
    }

    /// The newest session and the number of the next report, without looking at anything else.
    pub fn standing(&self) -> Result<(SessionNo, ReportNo), AgentStoreError> {
        let next = ReportNo(self.meta_number(NEXT_REPORT)?).max(ReportNo(1));
        Ok((SessionNo(self.meta_number(SESSION)?), next))
    }

    /// How many outcomes are owed to the controller, with those that wait for their results to be taken, and when the oldest
    /// of their tasks was made.
    pub fn owed(&self) -> Result<(u64, Option<UnixMillis>), AgentStoreError> {
        let mut made = Vec::new();
        for (key, bytes) in parts::read_all(&self.engine, REPORTS)? {
            made.push(record::read_report(&bytes).map_err(unreadable(REPORTS, &key))?.task.made());
        }
        for (key, bytes) in parts::read_all(&self.engine, OFFERS)? {
            let task = self.restore_task(&key, &bytes)?;
            if matches!(task.state, TaskState::Concluded(_)) && !task.origin.is_local() {
                made.push(task.offer.task.made());
            }
        }
        Ok((u64::try_from(made.len()).unwrap_or(u64::MAX), made.into_iter().min_by_key(|made| made.0)))
    }

    fn meta_number(&self, key: &[u8]) -> Result<u64, AgentStoreError> {
        match self.engine.get(META, key)? {
            Some(bytes) => record::read_number(&bytes).map_err(unreadable(META, key)),
            None => Ok(0),
        }
    }

    fn membership(&self) -> Result<Option<Membership>, AgentStoreError> {
        let bytes = self.engine.get(META, MEMBERSHIP)?;
        bytes.map(|bytes| record::read_membership(&bytes).map_err(unreadable(META, MEMBERSHIP))).transpose()
    }

    /// A small fact kept for a connector.
    pub fn recall(&self, system: &SystemName, key: &str) -> Result<Option<Vec<u8>>, AgentStoreError> {
        Ok(self.engine.get(KEPT, &kept_key(system, key))?)
    }

    /// Keeps a small fact for a connector. Durable when it returns.
    pub async fn keep(&self, system: &SystemName, key: &str, value: &[u8]) -> Result<(), AgentStoreError> {
        let mut batch = Batch::new();
        batch.put(KEPT, &kept_key(system, key), value)?;
        batch.essential();
        Ok(self.engine.commit(batch).await?)
    }

    /// Forgets a small fact.
    pub async fn forget(&self, system: &SystemName, key: &str) -> Result<(), AgentStoreError> {
        let mut batch = Batch::new();
        batch.delete(KEPT, &kept_key(system, key))?;
        Ok(self.engine.commit(batch).await?)
    }

    /// A bucket kept for a connector.
    pub fn bucket(&self, system: &SystemName, key: &str) -> Result<Option<Vec<u8>>, AgentStoreError> {
        Ok(parts::read(&self.engine, BUCKETS, &kept_key(system, key))?)
    }

    /// Keeps buckets for a connector, or forgets them, in this order. Each is kept whole or not at all; all are durable
    /// when it returns.
    pub async fn keep_buckets(&self, system: &SystemName, buckets: &[Bucket]) -> Result<(), AgentStoreError> {
        let (mut batch, mut bytes) = (Batch::new(), 0);
        for (key, bucket) in buckets {
            let len = bucket.as_ref().map_or(0, Vec::len) + BUCKET_KEYS;
            if bytes + len > BUCKETS_AT_ONCE {
                self.engine.commit(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += len;
            let key = kept_key(system, key);
            // A later change wins over an earlier one of the same batch, so parts that are not put over go.
            for part in parts::keys(&self.engine, BUCKETS, &key) {
                batch.delete(BUCKETS, &part?)?;
            }
            let cut = bucket.as_deref().map(|bucket| parts::cut(BUCKETS, &key, bucket)).transpose()?;
            for (key, part) in cut.into_iter().flatten() {
                batch.put(BUCKETS, &key, &part)?;
            }
        }
        Ok(self.engine.commit(batch).await?)
    }

    /// The buckets kept for a connector whose keys begin with `prefix`, in the order of keys.
    pub fn buckets(
        &self,
        system: &SystemName,
        prefix: &str,
    ) -> impl Iterator<Item = Result<(String, Vec<u8>), AgentStoreError>> + use<> {
        let skip = system.as_str().len() + 1;
        parts::scan_prefix(&self.engine, BUCKETS, &kept_key(system, prefix)).map(move |item| {
            let (key, bucket) = item?;
            Ok((String::from_utf8_lossy(key.get(skip..).unwrap_or_default()).into_owned(), bucket))
        })
    }

    /// Forgets the buckets whose keys begin with `prefix`, batch by batch.
    pub async fn forget_buckets(&self, system: &SystemName, prefix: &str) -> Result<(), AgentStoreError> {
        self.delete_below(BUCKETS, &kept_key(system, prefix)).await
    }

    /// Whether a task is held, which it is until its report is owed.
    pub fn holds(&self, task: TaskId) -> Result<bool, AgentStoreError> {
        Ok(parts::keys(&self.engine, OFFERS, task.as_bytes()).next().transpose()?.is_some())
    }

    /// Whether a report of a task is owed to the controller, with results.
    pub fn owes_results(&self, task: TaskId) -> Result<bool, AgentStoreError> {
        for item in parts::scan_prefix(&self.engine, REPORTS, &[]) {
            let (key, bytes) = item?;
            let report = record::read_report(&bytes).map_err(unreadable(REPORTS, &key))?;
            if report.task == task && !report.streams.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is remembered of an ended task whose outcome was handed over.
    pub fn tombstone(&self, task: TaskId) -> Result<Option<Tombstone>, AgentStoreError> {
        let bytes = self.engine.get(TOMBSTONES, task.as_bytes())?;
        bytes.map(|bytes| record::read_tombstone(&bytes).map_err(unreadable(TOMBSTONES, task.as_bytes()))).transpose()
    }
}

/// Where a task is put that was deleted before.
fn taken_anew(writes: &[Write]) -> Option<usize> {
    let mut deleted = BTreeSet::new();
    writes.iter().position(|write| match write {
        Write::DeleteTask(task) => {
            deleted.insert(*task);
            false
        }
        Write::PutTask(offer, _) => deleted.contains(&offer.task),
        Write::PutState(..)
        | Write::PutAudit(_)
        | Write::PutJournal(..)
        | Write::PutReport(_)
        | Write::DeleteReport(_)
        | Write::PutTombstone(_)
        | Write::DeleteTombstone(_)
        | Write::PutSession(_)
        | Write::PutMembership(_) => false,
    })
}

fn kept_key(system: &SystemName, key: &str) -> Vec<u8> {
    [system.as_str().as_bytes(), b"/", key.as_bytes()].concat()
}

fn unreadable(table: Table, key: &[u8]) -> impl FnOnce(CodecError) -> AgentStoreError {
    let key = HEXLOWER.encode(key);
    move |source| AgentStoreError::Record { table: table.name(), key, source }
}

/// The spool's name of a payload.
pub fn spool_id(stream: StreamId) -> SpoolId {
    SpoolId(*stream.as_bytes())
}

#[cfg(test)]
mod tests;
