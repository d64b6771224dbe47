//! Events of the audit log on their way into its files.
//!
//! A row is committed together with what it tells of: rows count up to the last one that is *released*, by the write
//! behind them. What a crash left behind it is written over. Rows that stand in a file are *written*, and go.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postern_store::audit::{Event, Head};
use postern_store::{Batch, Table, parts};
use tokio::sync::Notify;

use super::{AgentStoreError, META, Store, record, unreadable};

pub(super) const AUDIT: Table = Table::new("audit", 10);
pub(super) const RELEASED: &[u8] = b"audit_released";
const WRITTEN: &[u8] = b"audit_written";

/// Rows that may wait for their file before nothing more is begun: two of the largest units of a batch, and some.
const MOST_WAITING: u64 = 25_000;
/// Their bytes likewise: as many as the space that is kept for a full disk has room for.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How long a change waits for the file to catch up: it does in less than a second, or not by itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of rows that are handed out at once, and how many rows: their removal fits one batch of the engine.
const AT_ONCE: usize = 512 * 1024;
const ROWS_AT_ONCE: u64 = 500;

/// How far the rows are.
#[derive(Debug, Default)]
pub struct AuditRows {
    /// The number of the next row.
    next: AtomicU64,
    /// The last row that counts.
    released: AtomicU64,
    /// The last row that stands in a file.
    written: AtomicU64,
    /// The bytes of the rows that wait for their file.
    bytes: AtomicUsize,
    /// The last line of the log that this store knows of.
    head: Mutex<Option<Head>>,
    changed: Notify,
}

impl AuditRows {
    pub(super) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// How many rows wait for their file.
    pub fn waiting(&self) -> u64 {
        self.released.load(Ordering::Acquire).saturating_sub(self.written.load(Ordering::Acquire))
    }

    /// The last line of the log that this store knows of; `None` before the first.
    pub fn head(&self) -> Option<Head> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for what comes of another change.
    pub fn has_room(&self) -> bool {
        self.waiting() <= MOST_WAITING && self.bytes.load(Ordering::Acquire) <= MOST_BYTES
    }

    /// Waits a while until there is.
    pub async fn room(&self) -> bool {
        let room = async {
            loop {
                let changed = self.changed.notified();
                if self.has_room() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, room).await.is_ok()
    }

    /// Waits until there are rows for a file.
    pub async fn some(&self) {
        loop {
            let changed = self.changed.notified();
            if self.waiting() > 0 {
                return;
            }
            changed.await;
        }
    }

    /// As if the last row that counts were this one.
    #[cfg(test)]
    pub(crate) fn pretend(&self, released: u64) {
        self.released(released, 0);
    }

    /// The rows up to this one count; those that did not before have so many bytes.
    pub(super) fn released(&self, upto: u64, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.released.store(upto, Ordering::Release);
        self.changed.notify_waiters();
    }
}

impl Store {
    /// Commits what a crash leaves of a commit that takes several batches.
    #[cfg(test)]
    pub(crate) async fn commit_all_but_the_last_batch(&self, writes: &[postern_agent_core::Write]) {
        let (mut batches, _) = super::Transaction::new(&self.engine, &self.audit).batches(writes).unwrap();
        assert!(batches.pop().is_some() && !batches.is_empty());
        for batch in batches {
            self.engine.commit(batch).await.unwrap();
        }
    }

    /// How far the rows of the audit log are.
    pub fn audit(&self) -> &AuditRows {
        &self.audit
    }

    /// Finds out how far the rows are.
    pub(super) fn restore_audit(&self) -> Result<(), AgentStoreError> {
        let released = self.meta_number(RELEASED)?;
        self.audit.next.store(released + 1, Ordering::Relaxed);
        if let Some(bytes) = self.engine.get(META, WRITTEN)? {
            let (row, head) = record::read_written(&bytes).map_err(unreadable(META, WRITTEN))?;
            self.audit.written.store(row, Ordering::Release);
            *self.audit.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        }
        let written = self.audit.written.load(Ordering::Acquire);
        let bytes = (written + 1..=released).map(|number| self.audit_row(number).map(|row| row.len()));
        self.audit.released(released, bytes.sum::<Result<usize, _>>()?);
        Ok(())
    }

    fn audit_row(&self, number: u64) -> Result<Vec<u8>, AgentStoreError> {
        Ok(parts::read(&self.engine, AUDIT, &number.to_be_bytes())?.unwrap_or_default())
    }

    /// The next rows for a file: the number of the last, how many bytes they have in the store, and what they say.
    pub fn audit_rows(&self) -> Result<(u64, usize, Vec<Event>), AgentStoreError> {
        let (written, released) =
            (self.audit.written.load(Ordering::Acquire), self.audit.released.load(Ordering::Acquire));
        let (mut last, mut rows, mut bytes) = (written, Vec::new(), 0);
        for number in written + 1..=released.min(written + ROWS_AT_ONCE) {
            let row = self.audit_row(number)?;
            bytes += row.len();
            rows.push(record::read_audit(&row).map_err(unreadable(AUDIT, &number.to_be_bytes()))?);
            last = number;
            if bytes > AT_ONCE {
                break;
            }
        }
        Ok((last, bytes, rows))
    }

    /// The rows up to this one, of so many bytes, stand in a file, whose last line is `head`. Blocks.
    pub fn audit_written(&self, upto: u64, bytes: usize, head: Head) -> Result<(), AgentStoreError> {
        let mut batch = Batch::new();
        for number in self.audit.written.load(Ordering::Acquire) + 1..=upto {
            for key in self.engine.scan_keys(AUDIT, &number.to_be_bytes()) {
                batch.delete(AUDIT, &key?)?;
            }
        }
        batch.put(META, WRITTEN, &record::written(upto, head)?)?;
        batch.essential();
        self.engine.commit_blocking(batch)?;
        *self.audit.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        self.audit.written.store(upto, Ordering::Release);
        self.audit.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.audit.changed.notify_waiters();
        Ok(())
    }
}
