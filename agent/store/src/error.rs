//! Why the store did not do what it was asked, and how far it can be trusted after.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::private::PrivateError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store at `{path}` is in use by {}: stop it first", holder(*pid))]
    InUse {
        /// The store's directory.
        path: PathBuf,
        /// The process that holds it, when it wrote down its number.
        pid: Option<u32>,
    },
    /// Another version of the program wrote it, which this one cannot take over from. Nothing was touched.
    #[error(
        "the store at `{path}` has format {found}, of version {version}, and this is version {ours}, which reads {}: {}",
        formats(.known), way_out(*found, .known)
    )]
    OtherFormat {
        /// The store's directory.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The version that gave it this format, as far as it says.
        version: String,
        /// The version of this program.
        ours: &'static str,
        /// The formats this version can read.
        known: RangeInclusive<u32>,
    },
    /// The store was written with another key. Nothing was touched.
    #[error("the key does not fit the store at `{path}`: bring back the key it was made with")]
    WrongKey {
        /// The store's directory.
        path: PathBuf,
    },
    /// A directory or file of the store is not private, or cannot be made so.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The operating system refused.
    #[error("failed to {doing} `{path}`")]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// sled refused.
    #[error("failed to {doing} the store")]
    Engine {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// What sled said.
        #[source]
        source: sled::Error,
    },
    /// The system refused sled what it needs to open a store, which may be sound.
    #[error(
        "the system refused what the store needs to be opened, threads perhaps (`{said}`): see what the host and the unit allow \
         (`TasksMax`, `ulimit -u`), then start again; nothing was moved"
    )]
    Machine {
        /// What sled said when it gave up.
        said: String,
    },
    /// A record is not what was written. A restart scrubs the store and moves it aside.
    #[error("record {key} of table `{table}` is damaged ({reason}): restart to recover")]
    BadRecord {
        /// The table's name, or its tag when the reader has no name for it.
        table: String,
        /// The record's key in hexadecimal.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record is whole, and in a form that only another version knows. Nothing was moved aside.
    #[error(
        "record {key} of table `{table}` is of another version of the store's records, {found}, and this program reads \
         {known} alone: start the version again that ran last"
    )]
    OtherRecord {
        /// The table's name, or its tag when the reader has no name for it.
        table: String,
        /// The record's key in hexadecimal.
        key: String,
        /// The version found.
        found: u8,
        /// The version that this program reads.
        known: u8,
    },
    /// A record in parts lacks one of them.
    #[error("record {key} of table `{table}` lacks a part")]
    Incomplete {
        /// The table's name.
        table: &'static str,
        /// The record's key in hexadecimal.
        key: String,
    },
    /// The disk is too full for this batch; nothing of it was written. Free space, then try again.
    #[error("the disk is full: {free} bytes are free and {needed} are needed")]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be free.
        needed: u64,
    },
    /// A key, value, record or batch exceeds its bound.
    #[error("{what} of {len} bytes for table `{table}` exceeds {limit}")]
    TooLarge {
        /// The table's name.
        table: &'static str,
        /// `key`, `value`, `record` or `batch`.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The store is damaged, and was left as it is because that was asked for.
    #[error("the store at `{path}` is damaged ({reason}) and was left as it is")]
    Left {
        /// The store's directory.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// The store is damaged and was not moved aside: a new one is damaged at once, or nobody took
    /// the earlier ones away.
    #[error(
        "the store at `{path}` cannot be read ({reason}) and {kept} damaged ones are kept there: \
         check the disk, then remove `corrupt-*`"
    )]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// How many are there.
        kept: usize,
        /// Why the present one cannot be read.
        reason: String,
    },
    /// The disk did not take a commit group. The process must exit: what is on disk is unknown
    /// until the store is opened again.
    #[error("the store is broken: restart to recover")]
    Broken(#[source] Arc<Broken>),
    /// The system gave no random bytes.
    #[error("failed to obtain random bytes: {0}")]
    Entropy(getrandom::Error),
}

/// What broke the store.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// sled did not take the group.
    #[error("failed to write a commit group")]
    Write(#[source] sled::Error),
    /// The system did not make it durable. It is never tried again: after a failed fsync a second
    /// one can succeed without the data.
    #[error("failed to make a commit group durable")]
    Sync(#[source] io::Error),
    /// The committer's thread is gone.
    #[error("the committer stopped")]
    Stopped,
}

impl StoreError {
    /// Whether another process has the store (exit code 79).
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }

    /// Whether another version wrote the store, and this one cannot read it (exit code 78).
    pub const fn is_other_format(&self) -> bool {
        matches!(self, Self::OtherFormat { .. } | Self::OtherRecord { .. })
    }

    /// Whether the batch may be committed later, when space is free.
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// Whether the process must exit (exit code 74).
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) const fn engine(doing: &'static str) -> impl FnOnce(sled::Error) -> Self {
        move |source| Self::Engine { doing, source }
    }
}

fn formats(known: &RangeInclusive<u32>) -> String {
    let (first, last) = (known.start(), known.end());
    if first == last { format!("format {last}") } else { format!("formats {first} to {last}") }
}

fn way_out(found: u32, known: &RangeInclusive<u32>) -> &'static str {
    if found > *known.end() { "start the newer version again" } else { "start a version in between first" }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
