//! What is changed together or not at all.

use crate::record::{MAX_KEY, MAX_VALUE};
use crate::{StoreError, Table};

/// The most that one batch may hold, keys and values together, in bytes.
///
/// It equals the size at which a commit group is closed, so that one batch never makes a group
/// larger than two of them.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;

/// What every operation is counted with beside its key and value, so that a batch of empty records
/// is bounded too.
const OPERATION_BYTES: usize = 64;

/// Changes that become durable together or not at all, over any number of tables.
///
/// A later change to a key wins over an earlier one in the same batch.
#[derive(Default)]
pub struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
    puts: bool,
    essential: bool,
}

pub(crate) struct Operation {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    /// `None` deletes.
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    /// A batch without changes.
    ///
    /// Committing it is allowed: it resolves when everything before it is durable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `value` under `key`, whatever was there before.
    ///
    /// Keys are stored in clear, so they hold ids and big-endian numbers, never names or secrets.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] when the key exceeds [`MAX_KEY`], the value [`MAX_VALUE`] or the
    /// batch [`MAX_BATCH_BYTES`]. Larger values are put in [`parts`](crate::parts), large payloads
    /// belong in the [`Spool`](crate::Spool).
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        check(table, "value", value.len(), MAX_VALUE)?;
        self.push(table, key, Some(value))?;
        self.puts = true;
        Ok(())
    }

    /// Removes what is stored under `key`, if anything is.
    ///
    /// # Errors
    ///
    /// As for [`Batch::put`].
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.push(table, key, None)
    }

    /// Lets this batch use the space that is kept for a full disk.
    ///
    /// For what frees space or keeps a promise already made: outcomes, acknowledgements. A batch
    /// of deletes alone is essential by itself.
    pub fn essential(&mut self) {
        self.essential = true;
    }

    /// Whether nothing was put or deleted.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many keys are put or deleted.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    pub(crate) fn is_essential(&self) -> bool {
        self.essential || !self.puts
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }

    fn push(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        check(table, "key", key.len(), MAX_KEY)?;
        let bytes = self.bytes + OPERATION_BYTES + key.len() + value.map_or(0, <[u8]>::len);
        check(table, "batch", bytes, MAX_BATCH_BYTES)?;
        self.operations.push(Operation { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
        self.bytes = bytes;
        Ok(())
    }
}

fn check(table: Table, what: &'static str, len: usize, limit: usize) -> Result<(), StoreError> {
    if len > limit {
        return Err(StoreError::TooLarge { table: table.name(), what, len, limit });
    }
    Ok(())
}
