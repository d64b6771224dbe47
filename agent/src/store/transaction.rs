//! Writes of the ledger as batches of the engine.

use std::collections::BTreeSet;

use postern_agent_core::Write;
use postern_store::{Batch, Store, Table, parts};

use super::audit::{AUDIT, AuditRows, RELEASED};
use super::{
    AgentStoreError, JOURNAL, MEMBERSHIP, META, NEXT_REPORT, OFFERS, REPORTS, SESSION, STATES, TOMBSTONES, record,
};

/// A batch is handed over when it has grown to about this size; the engine's own bound is twice as large.
const BATCH_BYTES: usize = 128 * 1024;

/// The entries of one step stay together up to this, a little below the engine's own bound: the notes of its end are some
/// tens of KiB, and understood together.
const STEP_BYTES: usize = 240 * 1024;

/// Writes on their way to the engine.
pub(super) struct Transaction<'a> {
    engine: &'a Store,
    rows: &'a AuditRows,
    batches: Vec<Batch>,
    batch: Batch,
    bytes: usize,
    /// What this transaction puts: a delete behind it must find that too, although the engine does not have it yet.
    put: BTreeSet<(u8, Vec<u8>)>,
    /// The last row of the audit log that is put.
    row: Option<u64>,
    /// Whether it counts: by the write behind it, of which it tells.
    is_released: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(engine: &'a Store, rows: &'a AuditRows) -> Self {
        let (batch, put) = (Batch::new(), BTreeSet::new());
        Self { engine, rows, batches: Vec::new(), batch, bytes: 0, put, row: None, is_released: true }
    }

    /// The batches, in their order, and the last row of the audit log that counts when all are durable.
    pub(super) fn batches(mut self, writes: &[Write]) -> Result<(Vec<Batch>, Option<u64>), AgentStoreError> {
        let mut before: Option<&Write> = None;
        for write in writes {
            match (before, write) {
                // A report and the end of its task belong together; tasks that are dropped in a row do not.
                (Some(Write::DeleteTask(_)), Write::DeleteTask(_)) => self.make_room(),
                (_, Write::DeleteTask(_)) => (),
                (Some(Write::PutJournal(task, _, one)), Write::PutJournal(same, _, other))
                    if task == same && one.step == other.step && self.bytes <= STEP_BYTES => {}
                _ => self.make_room(),
            }
            self.add(write)?;
            before = Some(write);
        }
        self.release()?;
        self.batches.push(self.batch);
        // New work is let in only while there is room for it; what follows may use the space kept for a full disk.
        self.batches.iter_mut().for_each(Batch::essential);
        Ok((self.batches, self.row))
    }

    /// Lets the rows so far count, in the batch at hand.
    fn release(&mut self) -> Result<(), AgentStoreError> {
        if let Some(row) = self.row.filter(|_| !self.is_released) {
            self.is_released = true;
            self.put(META, RELEASED.to_vec(), &record::number(row))?;
        }
        Ok(())
    }

    /// Hands the batch over if it has grown enough.
    fn make_room(&mut self) {
        if self.bytes > BATCH_BYTES {
            self.batches.push(std::mem::take(&mut self.batch));
            self.bytes = 0;
        }
    }

    fn add(&mut self, write: &Write) -> Result<(), AgentStoreError> {
        if !matches!(write, Write::PutAudit(_)) {
            self.release()?;
        }
        match write {
            Write::PutAudit(event) => {
                let number = self.rows.take_number();
                (self.row, self.is_released) = (Some(number), false);
                self.put_parts(AUDIT, &number.to_be_bytes(), event)
            }
            Write::PutTask(offer, origin) => {
                self.put_parts(OFFERS, offer.task.as_bytes(), &record::task(offer, *origin)?)
            }
            Write::PutState(task, state) => self.put_parts(STATES, task.as_bytes(), &record::state(state)?),
            Write::PutJournal(task, number, entry) => {
                let key = [task.as_bytes().as_slice(), &number.to_be_bytes()].concat();
                self.put(JOURNAL, key, &record::entry(entry)?)
            }
            // Its journal goes when everything else is written.
            Write::DeleteTask(task) => {
                [OFFERS, STATES].into_iter().try_for_each(|table| self.delete(table, task.as_bytes()))
            }
            Write::PutReport(report) => {
                self.put(META, NEXT_REPORT.to_vec(), &record::number(report.number.next().0))?;
                self.put_parts(REPORTS, &report.number.0.to_be_bytes(), &record::report(report)?)
            }
            Write::DeleteReport(number) => self.delete(REPORTS, &number.0.to_be_bytes()),
            Write::PutTombstone(stone) => {
                self.put(TOMBSTONES, stone.task.as_bytes().to_vec(), &record::tombstone(stone)?)
            }
            Write::DeleteTombstone(task) => self.delete(TOMBSTONES, task.as_bytes()),
            Write::PutSession(session) => self.put(META, SESSION.to_vec(), &record::number(session.0)),
            Write::PutMembership(membership) => self.put(META, MEMBERSHIP.to_vec(), &record::membership(membership)?),
        }
    }

    fn put(&mut self, table: Table, key: Vec<u8>, value: &[u8]) -> Result<(), AgentStoreError> {
        self.batch.put(table, &key, value)?;
        self.bytes += key.len() + value.len() + 64;
        self.put.insert((table.tag(), key));
        Ok(())
    }

    fn put_parts(&mut self, table: Table, key: &[u8], record: &[u8]) -> Result<(), AgentStoreError> {
        parts::cut(table, key, record)?.into_iter().try_for_each(|(key, value)| self.put(table, key, &value))
    }

    /// Deletes every key that begins with `prefix`.
    fn delete(&mut self, table: Table, prefix: &[u8]) -> Result<(), AgentStoreError> {
        let mut keys: Vec<Vec<u8>> = self
            .put
            .range((table.tag(), prefix.to_vec())..)
            .take_while(|(tag, key)| *tag == table.tag() && key.starts_with(prefix))
            .map(|it| it.1.clone())
            .collect();
        for key in self.engine.scan_keys(table, prefix) {
            keys.push(key?);
        }
        for key in keys {
            self.batch.delete(table, &key)?;
            self.bytes += key.len() + 64;
            self.put.remove(&(table.tag(), key));
        }
        Ok(())
    }
}
