//! Files of big payloads: written in order, resumed after a crash, read from any place.
//!
//! A payload is cut into chunks of 64 KiB, each sealed for its file and its place. While it grows
//! it is called `<id>.part`; when it is whole, its length and hash are as announced and it is on
//! disk, it is renamed to `<id>`. The record that names it keeps length and hash.
//!
//! All of this blocks: async code calls it from a blocking task.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;

use crate::headroom::Lookout;
use crate::lock::Lock;
use crate::seal::Sealer;
use crate::{StoreError, private};

mod chunk;
mod reader;
mod rekey;
mod writer;

pub use chunk::CHUNK;
pub use reader::SpoolReader;
pub(crate) use rekey::rekey;
pub use writer::SpoolWriter;

/// Names one payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolId(pub [u8; 16]);

impl fmt::Display for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a spool file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The directory is not usable.
    #[error(transparent)]
    Directory(#[from] StoreError),
    /// The disk is full, but for what is kept for the records of tasks. What was synced stays: resume when there is space.
    #[error("the disk is too full for spool file {0}: free space, then resume")]
    DiskFull(SpoolId),
    /// More than the announced length was written.
    #[error("spool file {id} would exceed {limit} bytes")]
    TooLong {
        /// The payload.
        id: SpoolId,
        /// Its announced length in bytes.
        limit: u64,
    },
    /// What arrived is not what was announced. It was removed; begin again.
    #[error("spool file {0} has another length or hash than announced: send it again")]
    Mismatch(SpoolId),
    /// There is no complete file of this name.
    #[error("spool file {0} is missing")]
    Missing(SpoolId),
    /// A chunk or the length is not what was written.
    #[error("spool file {id} is damaged at byte {at}")]
    Damaged {
        /// The payload.
        id: SpoolId,
        /// Where, in bytes of the payload.
        at: u64,
    },
    /// The operating system refused.
    #[error("failed to {doing} spool file {id}")]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// The payload.
        id: SpoolId,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("failed to obtain random bytes: {0}")]
    Entropy(getrandom::Error),
}

impl SpoolError {
    /// Whether it may be tried again when space is free.
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull(_))
    }

    /// Whether the payload is not what was written, or not there at all.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Damaged { .. } | Self::Mismatch(_))
    }

    fn io(doing: &'static str, id: SpoolId) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let kind = source.kind();
            if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                Self::DiskFull(id)
            } else if kind == io::ErrorKind::NotFound {
                Self::Missing(id)
            } else {
                Self::Io { doing, id, source }
            }
        }
    }
}

/// The directory of payloads of one store.
#[derive(Clone)]
pub struct Spool {
    directory: Arc<Path>,
    sealer: Sealer,
    lookout: Arc<Lookout>,
    /// The files belong to the process that holds the store.
    _lock: Arc<Lock>,
}

impl Spool {
    pub(crate) fn open(
        directory: PathBuf,
        sealer: Sealer,
        lookout: Arc<Lookout>,
        lock: Arc<Lock>,
    ) -> Result<Self, SpoolError> {
        private::directory(&directory).and_then(|()| private::sync_parent(&directory)).map_err(StoreError::from)?;
        Ok(Self { directory: directory.into(), sealer, lookout, _lock: lock })
    }

    /// Begins the payload `id` of `len` bytes, or resumes it where it was last durable.
    ///
    /// Every byte there is read again, because the hash over all of them is needed in the end.
    /// What a power cut left behind the last sync is dropped. A complete file of this name is
    /// left alone until [`SpoolWriter::finish`] replaces it.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Io`] and [`SpoolError::DiskFull`].
    pub fn write(&self, id: SpoolId, len: u64) -> Result<SpoolWriter, SpoolError> {
        SpoolWriter::open(self, id, len)
    }

    /// Begins the payload `id`, whose length nobody knows yet, anew. It is completed with
    /// [`SpoolWriter::finish_here`].
    ///
    /// # Errors
    ///
    /// [`SpoolError::Io`] and [`SpoolError::DiskFull`].
    pub fn begin(&self, id: SpoolId) -> Result<SpoolWriter, SpoolError> {
        self.delete(id)?;
        SpoolWriter::open(self, id, u64::MAX)
    }

    /// Opens the complete payload `id`, whose record says `len` bytes.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Missing`], or [`SpoolError::Damaged`] when the file has another length.
    pub fn read(&self, id: SpoolId, len: u64) -> Result<SpoolReader, SpoolError> {
        SpoolReader::open(self, id, len)
    }

    /// Reads all of a complete payload and compares length and SHA-256 with its record.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Missing`], [`SpoolError::Damaged`], [`SpoolError::Mismatch`].
    pub fn verify(&self, id: SpoolId, len: u64, sha256: &[u8; 32]) -> Result<(), SpoolError> {
        if self.read(id, len)?.sha256()? != *sha256 {
            return Err(SpoolError::Mismatch(id));
        }
        Ok(())
    }

    /// Removes the payload `id`, complete or not. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Io`].
    pub fn delete(&self, id: SpoolId) -> Result<(), SpoolError> {
        for path in [self.complete(id), self.part(id)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                removed => removed.map_err(SpoolError::io("remove", id))?,
            }
        }
        Ok(())
    }

    /// Removes every payload, complete or not, that `referenced` does not know; for the scrub at
    /// the start, before anything is written. Returns how many files went.
    ///
    /// Files that are no payloads are left alone.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Directory`] when the directory cannot be read, [`SpoolError::Io`].
    pub fn retain(&self, mut referenced: impl FnMut(SpoolId) -> bool) -> Result<usize, SpoolError> {
        let error = || StoreError::io("read", &self.directory);
        let mut removed = 0;
        for entry in fs::read_dir(&self.directory).map_err(error())? {
            let entry = entry.map_err(error())?;
            let Some(id) = entry.file_name().to_str().and_then(parse) else {
                tracing::warn!(file = %entry.path().display(), "no spool file: left alone");
                continue;
            };
            if !referenced(id) {
                fs::remove_file(entry.path()).map_err(SpoolError::io("remove", id))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Whether a payload `id` that is not complete is there: going on with it has all of it read.
    pub fn is_begun(&self, id: SpoolId) -> bool {
        self.part(id).exists()
    }

    /// Whether a complete payload `id` is there.
    pub fn contains(&self, id: SpoolId) -> bool {
        self.complete(id).exists()
    }

    fn complete(&self, id: SpoolId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn part(&self, id: SpoolId) -> PathBuf {
        self.directory.join(format!("{id}.part"))
    }

    fn sync_names(&self, id: SpoolId) -> Result<(), SpoolError> {
        private::sync_directory(&self.directory).map_err(SpoolError::io("sync", id))
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The payload that a file name stands for.
fn parse(name: &str) -> Option<SpoolId> {
    let digits = name.strip_suffix(".part").unwrap_or(name);
    Some(SpoolId(HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()?))
}
