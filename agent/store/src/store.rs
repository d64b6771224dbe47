//! The store as its owner uses it: reads, commits, the spool.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;

use crate::committer::{CommitWatch, Committer, Sealed};
use crate::engine::Engine;
use crate::headroom::Lookout;
use crate::lock::Lock;
use crate::record;
use crate::seal::Sealer;
use crate::{Batch, Opened, Options, Spool, SpoolError, StoreError, StoreKey, Table};

/// Which life of the store this is: 16 random bytes made with it.
///
/// A controller that sees another one than before knows that the member has forgotten everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

/// How far the committer is; for a watchdog that compares two looks by its own clock.
///
/// Stuck means: `pending` is not 0 and `settled` has not moved for longer than any disk may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Batches accepted and not yet answered.
    pub pending: u64,
    /// Batches answered, well or badly, since the store was opened.
    pub settled: u64,
}

/// The open store. Clones share it; the last one to go closes it.
///
/// Closing waits for what was already handed to [`Store::commit`], so the last clone should not be
/// dropped where waiting for the disk does harm.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the committer ends, sled closes, the lock goes.
struct Inner {
    committer: Committer,
    db: Engine,
    sealer: Sealer,
    incarnation: Incarnation,
    directory: PathBuf,
    lookout: Arc<Lookout>,
    lock: Arc<Lock>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.committer.state().broken().is_some() {
            self.db.leave_open();
        }
    }
}

impl Store {
    /// Opens the store at `directory`, making it if it is not there.
    ///
    /// Blocks while sled recovers and every record is read: call it once, at the start. `now` is
    /// the name given to a store that has to be moved aside, in seconds of Unix time.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`], [`StoreError::OtherFormat`], [`StoreError::WrongKey`] and
    /// [`StoreError::Private`] leave the store as it is. A damaged store is no error: it is
    /// moved aside and [`Opened::recovered`] tells.
    pub fn open(directory: &Path, key: &StoreKey, options: &Options, now: u64) -> Result<Opened, StoreError> {
        crate::open::open(directory, key, options, now)
    }

    pub(crate) fn new(
        committer: Committer,
        db: Engine,
        sealer: Sealer,
        incarnation: Incarnation,
        directory: PathBuf,
        lookout: Lookout,
        lock: Lock,
    ) -> Self {
        let (lookout, lock) = (Arc::new(lookout), Arc::new(lock));
        let inner = Inner { committer, db, sealer, incarnation, directory, lookout, lock };
        Self { inner: Arc::new(inner) }
    }

    /// Makes a batch durable. Resolves after it is: until then nobody may be told of it.
    ///
    /// Batches are applied in the order in which these futures are first polled, many at a time
    /// under one barrier. A future dropped after its first poll leaves its batch committed or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`]: not written, may be tried again. [`StoreError::Broken`]: nothing
    /// is known about this batch and no other will be taken; exit.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let sealed = Sealed::new(&self.inner.sealer, batch)?;
        self.inner.committer.commit(sealed).await
    }

    /// [`Store::commit`] for code that is not async, such as a command, or a start that blocks a runtime's thread anyway.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<(), StoreError> {
        let sealed = Sealed::new(&self.inner.sealer, batch)?;
        self.inner.committer.commit_blocking(sealed)
    }

    /// The value under `key`, if there is one.
    ///
    /// Reads see a batch a moment before it is durable, so only a resolved [`Store::commit`] is
    /// a reason to tell anyone. A read takes microseconds from the cache and one small disk read
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadRecord`] when the record is damaged.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let disk_key = record::disk_key(table, key);
        let found = self.inner.db.get(&disk_key).map_err(StoreError::engine("read"))?;
        found.map(|it| record::open(&self.inner.sealer, Some(table.name()), &disk_key, &it)).transpose()
    }

    /// Keys and values of a table in the order of the keys, from either end.
    ///
    /// # Errors
    ///
    /// Each item is an error of its own, as for [`Store::get`].
    pub fn scan(
        &self,
        table: Table,
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<> {
        self.scan_prefix(table, &[])
    }

    /// [`Store::scan`] over the keys that sort before `end`.
    ///
    /// # Errors
    ///
    /// Each item is an error of its own, as for [`Store::get`].
    pub fn scan_below(
        &self,
        table: Table,
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<> {
        let keys = record::disk_key(table, &[])..record::disk_key(table, end);
        self.opened(table, self.inner.db.range(keys))
    }

    /// [`Store::scan`] over the keys that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// Each item is an error of its own, as for [`Store::get`].
    pub fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<> {
        self.opened(table, self.inner.db.scan_prefix(record::disk_key(table, prefix)))
    }

    fn opened(
        &self,
        table: Table,
        found: sled::Iter,
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<> {
        let sealer = self.inner.sealer.clone();
        found.map(move |item| {
            let (disk_key, found) = item.map_err(StoreError::engine("read"))?;
            let value = record::open(&sealer, Some(table.name()), &disk_key, &found)?;
            Ok((disk_key.get(1..).unwrap_or_default().to_vec(), value))
        })
    }

    /// The keys alone of the records whose keys begin with `prefix`, in their order.
    ///
    /// # Errors
    ///
    /// Each item is an error of its own, when it cannot be read.
    pub fn scan_keys(&self, table: Table, prefix: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + use<> {
        self.inner.db.scan_prefix(record::disk_key(table, prefix)).keys().map(|key| {
            let disk_key = key.map_err(StoreError::engine("read"))?;
            Ok(disk_key.get(1..).unwrap_or_default().to_vec())
        })
    }

    /// The files of big payloads beside the store, under the same key and lock.
    ///
    /// # Errors
    ///
    /// When its directory cannot be made or is open to others.
    pub fn spool(&self) -> Result<Spool, SpoolError> {
        let directory = self.inner.directory.join("spool");
        Spool::open(directory, self.inner.sealer.clone(), Arc::clone(&self.inner.lookout), Arc::clone(&self.inner.lock))
    }

    /// Whether the disk has room for new work that brings payloads of this many bytes.
    ///
    /// To be asked before work is taken: what was taken has to be written whatever the disk says.
    ///
    /// # Errors
    ///
    /// When the disk cannot be looked at.
    pub fn has_room_for(&self, bytes: u64) -> Result<bool, StoreError> {
        self.inner
            .lookout
            .has_room_for(bytes)
            .map_err(StoreError::io("look at the free space of", &self.inner.directory))
    }

    /// Whether what is written at `path` takes the room of this store.
    ///
    /// # Errors
    ///
    /// When either cannot be looked at.
    pub fn shares_disk_with(&self, path: &Path) -> io::Result<bool> {
        Ok(fs::metadata(path)?.dev() == fs::metadata(&self.inner.directory)?.dev())
    }

    /// How many bytes are free on the disk of the store.
    ///
    /// # Errors
    ///
    /// When the disk cannot be looked at.
    pub fn free(&self) -> Result<u64, StoreError> {
        self.inner.lookout.free().map_err(StoreError::io("look at the free space of", &self.inner.directory))
    }

    /// How many bytes the engine says that its files have.
    ///
    /// # Errors
    ///
    /// When it cannot look.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.inner.db.size_on_disk().map_err(StoreError::engine("measure"))
    }

    /// Which life of the store this is.
    pub fn incarnation(&self) -> Incarnation {
        self.inner.incarnation
    }

    /// Batches made durable since the store was opened.
    pub fn commits(&self) -> u64 {
        self.inner.committer.state().commits()
    }

    /// Barriers (flush and fdatasync) that took, since the store was opened.
    pub fn barriers(&self) -> u64 {
        self.inner.committer.state().barriers()
    }

    /// How far the committer is; for a watchdog.
    pub fn commit_watch(&self) -> CommitWatch {
        self.inner.committer.watch()
    }

    /// Whether a commit group failed, so that the process has to exit.
    pub fn is_broken(&self) -> bool {
        self.inner.committer.state().broken().is_some()
    }

    /// The directory the store is in.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("directory", &self.inner.directory)
            .field("incarnation", &self.inner.incarnation)
            .finish_non_exhaustive()
    }
}
