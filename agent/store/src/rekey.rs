//! Another key for everything in a store.
//!
//! Records and payloads are written once more, under the new key, beside the old ones. The `format` file is what decides:
//! it is replaced at once, and names the new key and that the new ones have to take the place of the old. Cut short before,
//! the store is the old one; cut short after, the next process that opens it goes on.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::Engine;
use crate::format::{self, Found};
use crate::headroom::FLOOR;
use crate::lock::Lock;
use crate::open::{Failed, Recovered, aside, attempt, guarded, judge, sled_at};
use crate::seal::Sealer;
use crate::{Options, SpoolError, StoreError, StoreKey, private, record, spool};

/// What has a place of its own under each key.
const PLACES: [&str; 2] = ["spool", "data"];
/// Records between two looks at how far it is.
const LOOK_EVERY: u64 = 10_000;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rekeyed {
    /// So many records are written.
    Records(u64),
    /// So many payloads are written, and all records.
    Payloads(u64),
}

/// A store that nobody else has, about to get another key.
pub(crate) struct Rekeying {
    directory: PathBuf,
    old: Sealer,
    db: Engine,
    lock: Lock,
}

impl Rekeying {
    /// Takes the store, and reads it from end to end.
    pub(crate) fn begin(directory: &Path, key: &StoreKey, options: &Options) -> Result<Self, StoreError> {
        let old = Sealer::new(key);
        private::check_directory(directory)?;
        format::look(directory, &old)?;
        let lock = Lock::take(directory)?;
        settle(directory, &old)?;
        let kept = aside(directory)?.len();
        if kept > 0 {
            // Nobody could read them any more.
            let reason = "the old key would be gone".to_owned();
            return Err(StoreError::Damaged { path: directory.to_owned(), kept, reason });
        }
        let scrubbed = attempt(directory, &old, &mut Recovered::default());
        let db = scrubbed.map_err(|failed| explain(failed, directory))?.db;
        check_room(directory, options)?;
        Ok(Self { directory: directory.to_owned(), old, db, lock })
    }

    /// Writes everything under the new key, and removes what was under the old one. The store is held until the result
    /// is dropped.
    pub(crate) fn finish(self, key: &StoreKey, told: &mut dyn FnMut(Rekeyed)) -> Result<Lock, SpoolError> {
        let Self { directory, old, db, lock } = self;
        let new = Sealer::new(key);
        let data = beside(&directory, "data");
        guarded(|| copy_records(&db, &data, &old, &new, told)).map_err(|failed| explain(failed, &directory))?;
        db.close().map_err(StoreError::io("close", &directory))?;
        let payloads = directory.join("spool");
        if payloads.is_dir() {
            let mut count = 0;
            spool::rekey(&payloads, &beside(&directory, "spool"), &old, &new, || {
                count += 1;
                told(Rekeyed::Payloads(count));
            })?;
        }
        private::sync_directory(&directory).map_err(StoreError::io("sync", &directory))?;
        format::write_rekeyed(&directory, &new)?;
        settle(&directory, &new)?;
        Ok(lock)
    }
}

/// Brings a store that was about to get another key to one of its two ends. Nobody else has it.
pub(crate) fn settle(directory: &Path, sealer: &Sealer) -> Result<(), StoreError> {
    let is_rekeyed = match format::look(directory, sealer)? {
        Found::Rekeyed => true,
        Found::Ours => false,
        // Which of them is sound nobody knows: they are moved aside together.
        Found::Nothing | Found::Unreadable => return Ok(()),
    };
    for name in PLACES {
        let (old, new) = (directory.join(name), beside(directory, name));
        if !new.try_exists().map_err(StoreError::io("read", &new))? {
            continue;
        }
        if is_rekeyed {
            remove(&old)?;
            private::rename(&new, &old)?;
        } else {
            remove(&new)?;
        }
    }
    if is_rekeyed { format::write(directory, sealer) } else { Ok(()) }
}

fn beside(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.rekeyed"))
}

fn remove(directory: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed
            .map_err(StoreError::io("remove", directory))
            .and_then(|()| private::sync_parent(directory).map_err(StoreError::from)),
    }
}

/// sled keeps a few megabytes in memory, whatever there is.
fn copy_records(
    from: &Engine,
    to: &Path,
    old: &Sealer,
    new: &Sealer,
    told: &mut dyn FnMut(Rekeyed),
) -> Result<(), Failed> {
    private::directory(to)?;
    let copy = sled_at(to)?;
    let mut count = 0;
    for item in &***from {
        let (key, found) = item.map_err(|error| judge(error, "read"))?;
        let value = record::open(old, None, &key, &found)?;
        let sealed = record::seal(new, &key, &value)?;
        copy.insert(key, sealed).map_err(StoreError::engine("write"))?;
        count += 1;
        if count % LOOK_EVERY == 0 {
            told(Rekeyed::Records(count));
        }
    }
    copy.flush().map_err(StoreError::engine("write"))?;
    told(Rekeyed::Records(count));
    copy.close().map_err(StoreError::io("close", to))?;
    Ok(private::tighten(to).map_err(StoreError::io("make private", to))?)
}

/// Everything is there twice for a while.
fn check_room(directory: &Path, options: &Options) -> Result<(), StoreError> {
    let error = || StoreError::io("look at the size of", directory);
    let mut needed = FLOOR;
    for name in PLACES {
        needed = needed.saturating_add(size(&directory.join(name)).map_err(error())?);
    }
    let free = File::open(directory).and_then(|it| options.disk.free(&it)).map_err(error())?;
    if free < needed { Err(StoreError::DiskFull { free, needed }) } else { Ok(()) }
}

fn size(directory: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        read => read?,
    };
    entries
        .map(|entry| {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() { size(&entry.path()) } else { Ok(found.len()) }
        })
        .sum()
}

fn explain(failed: Failed, directory: &Path) -> StoreError {
    match failed {
        Failed::Error(error) => error,
        Failed::Damaged { reason, .. } => StoreError::Damaged { path: directory.to_owned(), kept: 0, reason },
    }
}
