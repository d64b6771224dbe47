//! Opening: every guard that has to stand before sled looks at its files.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::committer::{Committer, GROUP_KEY, Log};
use crate::engine::Engine;
use crate::format::{self, Found};
use crate::headroom::{Headroom, Lookout};
use crate::lock::Lock;
use crate::private::{self, PrivateError};
use crate::seal::Sealer;
use crate::store::Incarnation;
use crate::watermark::{Mark, Watermark};
use crate::{Disk, RealDisk, Store, StoreError, StoreKey, Table, record, rekey};

const INCARNATION_KEY: &[u8] = b"incarnation";

/// sled's page cache, of which it holds two to three times as much in memory. The working set is a few thousand small
/// records; a batch's journal is written once and read once.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// How often, and after how long, sled's file is asked for again: a second in all.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Damaged stores kept for a person to look at. Whoever has this many has a disk to replace, and
/// more would fill it.
const MAX_ASIDE: usize = 8;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Disk space kept for essential batches, in bytes. 8 MiB hold tens of thousands of deletes.
    ///
    /// After the disk was full, batches that can wait are taken again when this much and 2 MiB
    /// are free. sled uses the space of deleted records again but does not give it back, so what
    /// may fill a disk of its own needs a bound (a quota on what is waiting) below that size.
    pub headroom: u64,
    /// Whether a new store takes the place of one that is damaged, which is kept beside it. Else it is left as it is.
    pub replace: bool,
    /// The disk; another one only in tests.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self { headroom: 8 * 1024 * 1024, replace: true, disk: Arc::new(RealDisk) }
    }
}

/// An open store, and what had to be done for it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What was not as it should be, if anything.
    pub recovered: Option<Recovered>,
}

/// What opening had to mend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The store could not be read: this is a new one, with a new incarnation, and empty.
    pub moved_aside: Option<MovedAside>,
    /// Half-made or damaged snapshots that were taken out of sled's way. Nothing was lost by it.
    pub snapshots: usize,
}

/// A store that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedAside {
    /// Where it is now.
    pub to: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// How the errors of a system that is short of threads, memory or descriptors are shown in a panic that unwrapped them: `EAGAIN`,
/// `ENOMEM`, `ENFILE` and `EMFILE` of Linux.
const SHORTAGES: [&str; 4] = ["Os { code: 11,", "Os { code: 12,", "Os { code: 23,", "Os { code: 24,"];

/// Why an attempt did not lead to an open store.
pub(crate) enum Failed {
    /// The store is damaged.
    Damaged { reason: String, snapshot: bool },
    /// The machine is not as it should be; the store may be sound.
    Error(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Error(error)
    }
}

impl From<PrivateError> for Failed {
    fn from(error: PrivateError) -> Self {
        Self::Error(error.into())
    }
}

/// A sled that was read from end to end.
pub(crate) struct Scrubbed {
    pub(crate) db: Engine,
    incarnation: Incarnation,
    group: u64,
}

pub(crate) fn open(directory: &Path, key: &StoreKey, options: &Options, now: u64) -> Result<Opened, StoreError> {
    let sealer = Sealer::new(key);
    if directory.exists() {
        // Before the lock: a refused store is not touched at all.
        private::check_directory(directory)?;
        format::look(directory, &sealer)?;
    }
    private::directory(directory)?;
    let lock = Lock::take(directory)?;
    // Also when an earlier process made it, and was killed before it was durable.
    private::sync_parent(directory)?;
    let file = File::open(directory).map_err(StoreError::io("open", directory))?;
    Headroom::open(directory, options.headroom, Arc::clone(&options.disk)).release_to_open(&file)?;
    rekey::settle(directory, &sealer)?;

    let mut recovered = Recovered::default();
    let scrubbed = match attempt(directory, &sealer, &mut recovered) {
        Ok(scrubbed) => scrubbed,
        Err(Failed::Error(error)) => return Err(error),
        Err(Failed::Damaged { reason, .. }) if !options.replace => {
            return Err(StoreError::Left { path: directory.to_owned(), reason });
        }
        Err(Failed::Damaged { reason, .. }) => {
            let to = move_aside(directory, now, &reason)?;
            tracing::error!(to = %to.display(), reason, "the store was moved aside");
            recovered.moved_aside = Some(MovedAside { to, reason });
            attempt(directory, &sealer, &mut recovered).map_err(|failed| match failed {
                Failed::Error(error) => error,
                Failed::Damaged { reason, .. } => StoreError::Damaged { path: directory.to_owned(), kept: 1, reason },
            })?
        }
    };

    let store = start(directory, sealer, options, scrubbed, lock)?;
    let recovered = (recovered != Recovered::default()).then_some(recovered);
    Ok(Opened { store, recovered })
}

fn start(
    directory: &Path,
    sealer: Sealer,
    options: &Options,
    Scrubbed { db, incarnation, group }: Scrubbed,
    lock: Lock,
) -> Result<Store, StoreError> {
    let path = directory.join("data").join("db");
    let file = File::options().read(true).write(true).open(&path).map_err(StoreError::io("open", &path))?;
    // The incarnation of a new store must not change after it was told.
    file.sync_all().map_err(StoreError::io("sync", &path))?;
    let log = Log {
        db: sled::Db::clone(&db),
        file,
        disk: Arc::clone(&options.disk),
        headroom: Headroom::open(directory, options.headroom, Arc::clone(&options.disk)),
        watermark: Watermark::open(directory, Mark { incarnation, group })?,
        sealer: sealer.clone(),
        incarnation,
        group,
    };
    let committer = Committer::start(log).map_err(StoreError::io("start the committer of", directory))?;
    let lookout = Lookout::open(directory, options.headroom, Arc::clone(&options.disk))?;
    Ok(Store::new(committer, db, sealer, incarnation, directory.to_owned(), lookout, lock))
}

/// Opens what is there, or makes a new store.
pub(crate) fn attempt(directory: &Path, sealer: &Sealer, recovered: &mut Recovered) -> Result<Scrubbed, Failed> {
    let data = directory.join("data");
    let fresh = !data.exists();
    match format::look(directory, sealer)? {
        Found::Ours | Found::Rekeyed => (),
        Found::Nothing if fresh => format::write(directory, sealer)?,
        Found::Nothing | Found::Unreadable => {
            return Err(Failed::Damaged {
                reason: "its `format` file is missing or unreadable".to_owned(),
                snapshot: false,
            });
        }
    }
    if fresh {
        // It belongs to a store that is gone; the new one would look like a loss beside it.
        Watermark::remove(directory)?;
        guarded(|| make(directory, sealer))?;
    }
    private::directory(&data)?;
    private::sync_parent(&data)?;

    recovered.snapshots += remove_half_made_snapshots(&data)?;
    let mark = Watermark::read(directory)?;
    match open_sled(&data, sealer, mark) {
        Err(Failed::Damaged { snapshot: true, .. }) if has_snapshot(&data)? => {
            recovered.snapshots += set_snapshots_aside(&data)?;
            open_sled(&data, sealer, mark)
        }
        other => other,
    }
}

/// A new store is there when it is whole and durable: half-made, it could not be told from a damaged one.
fn make(directory: &Path, sealer: &Sealer) -> Result<(), Failed> {
    let new = directory.join("data.new");
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        removed => removed.map_err(StoreError::io("remove", &new))?,
    }
    private::directory(&new)?;
    let db = sled_at(&new)?;
    let mut incarnation = Incarnation([0; 16]);
    getrandom::fill(&mut incarnation.0).map_err(StoreError::Entropy)?;
    let key = record::disk_key(Table::SYSTEM, INCARNATION_KEY);
    let record = record::seal(sealer, &key, &incarnation.0)?;
    db.insert(key, record).map_err(StoreError::engine("begin"))?;
    db.flush().map_err(StoreError::engine("begin"))?;
    db.close().map_err(StoreError::io("close", &new))?;
    private::tighten(&new).map_err(StoreError::io("make private", &new))?;
    let data = directory.join("data");
    fs::rename(&new, &data).map_err(StoreError::io("move", &new))?;
    Ok(private::sync_parent(&data)?)
}

/// sled takes a snapshot that a kill left half-made for the newest one, and then cannot open.
fn remove_half_made_snapshots(data: &Path) -> Result<usize, StoreError> {
    let mut removed = 0;
    for path in snapshots(data)? {
        if path.extension().is_some_and(|it| it == "generating") {
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn has_snapshot(data: &Path) -> Result<bool, StoreError> {
    Ok(!snapshots(data)?.is_empty())
}

/// A snapshot only spares sled reading its whole log, so without it the store is complete.
fn set_snapshots_aside(data: &Path) -> Result<usize, StoreError> {
    let mut moved = 0;
    for path in snapshots(data)? {
        // One name, so that at most one is kept; it must not begin like a snapshot.
        let to = data.join("damaged.snap");
        tracing::warn!(snapshot = %path.display(), "a damaged snapshot was set aside");
        fs::rename(&path, &to).map_err(StoreError::io("move", &path))?;
        moved += 1;
    }
    Ok(moved)
}

fn snapshots(data: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(data).map_err(StoreError::io("read", data))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", data))?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Opens sled and reads all of it.
fn open_sled(data: &Path, sealer: &Sealer, mark: Option<Mark>) -> Result<Scrubbed, Failed> {
    guarded(|| {
        let db = sled_at(data)?;
        private::tighten(data).map_err(StoreError::io("make private", data))?;
        scrub(db, sealer, mark)
    })
}

pub(crate) fn sled_at(data: &Path) -> Result<Engine, Failed> {
    let open = || sled::Config::new().path(data).cache_capacity(CACHE_BYTES).open();
    for _ in 0..TRIES {
        match open() {
            Err(sled::Error::Io(error)) if is_held(&error) => std::thread::sleep(PAUSE),
            opened => return opened.map(Engine::new).map_err(|error| judge(error, "open")),
        }
    }
    open().map(Engine::new).map_err(|error| judge(error, "open"))
}

/// Nobody else can have sled's file, as the lock is ours: it is one that this process has just closed, whose threads let go
/// of it a moment later.
fn is_held(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// sled asserts in many places, so a panic is damage too. It also unwraps what the system refuses it, as a thread where there
/// is none to spare; that says nothing of the store.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>();
        Err(match said.filter(|it| SHORTAGES.iter().any(|shortage| it.contains(shortage))) {
            Some(said) => Failed::Error(StoreError::Machine { said: said.clone() }),
            None => Failed::Damaged { reason: "sled panicked reading it".to_owned(), snapshot: true },
        })
    })
}

/// Tells damage to the files from trouble of the machine.
pub(crate) fn judge(error: sled::Error, doing: &'static str) -> Failed {
    let snapshot = match &error {
        sled::Error::Corruption { at, .. } => at.is_none(),
        sled::Error::Io(source) if !is_damage(source) => {
            return Failed::Error(StoreError::Engine { doing, source: error });
        }
        sled::Error::Io(_)
        | sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => true,
    };
    Failed::Damaged { reason: error.to_string(), snapshot }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// Reads every record, and checks that none of the last groups is missing.
fn scrub(db: Engine, sealer: &Sealer, mark: Option<Mark>) -> Result<Scrubbed, Failed> {
    let damage = |reason: String| Failed::Damaged { reason, snapshot: false };
    let mut incarnation = None;
    let mut group = None;
    let incarnation_key = record::disk_key(Table::SYSTEM, INCARNATION_KEY);
    let group_key = record::disk_key(Table::SYSTEM, GROUP_KEY);
    for item in &**db {
        let (key, found) = item.map_err(|error| judge(error, "read"))?;
        let value = record::open(sealer, None, &key, &found).map_err(|bad| {
            // The checksum of such a record fits, so no bit of it has flipped.
            if bad.is_other_format() { Failed::Error(bad) } else { damage(bad.to_string()) }
        })?;
        if *key == incarnation_key {
            incarnation = value.try_into().ok().map(Incarnation);
        } else if *key == group_key {
            group = value.try_into().ok().map(u64::from_be_bytes);
        }
    }

    let marked = mark.map_or(0, |it| it.group);
    let Some(incarnation) = incarnation else {
        return Err(damage("its first record is missing".to_owned()));
    };
    if mark.is_some_and(|it| it.incarnation != incarnation && it.group > 0) {
        return Err(damage("it is not the store its watermark belongs to".to_owned()));
    }
    let group = group.unwrap_or(0);
    if group < marked {
        return Err(damage(format!("it ends at group {group} and had reached {marked}")));
    }
    Ok(Scrubbed { db, incarnation, group })
}

/// Takes a damaged store out of the way, with the spool that only it could explain.
///
/// The format goes first and the data last: what a crash in between leaves is data without a
/// format, which is damaged too. Without its watermark alone it could look sound.
fn move_aside(directory: &Path, now: u64, reason: &str) -> Result<PathBuf, StoreError> {
    let kept = aside(directory)?;
    if kept.len() >= MAX_ASIDE {
        return Err(StoreError::Damaged { path: directory.to_owned(), kept: kept.len(), reason: reason.to_owned() });
    }
    let to = (0..=kept.len())
        .map(|again| match again {
            0 => directory.join(format!("corrupt-{now}")),
            _ => directory.join(format!("corrupt-{now}-{again}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| directory.join("corrupt"));
    private::directory(&to)?;
    for name in ["format", "watermark", "spool", "spool.rekeyed", "data.rekeyed", "data"] {
        let from = directory.join(name);
        match fs::rename(&from, to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            moved => moved.map_err(StoreError::io("move", &from))?,
        }
    }
    private::sync_parent(&to)?;
    Ok(to)
}

pub(crate) fn aside(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", directory))?;
        if entry.file_name().to_string_lossy().starts_with("corrupt-") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take every panic for damage, and a host that has no thread to spare moves a sound store aside, with all that is owed.
    #[test]
    fn what_the_system_refuses_sled_is_no_damage() {
        let of_sled =
            |error: io::Error| guarded::<()>(|| panic!("called `Result::unwrap()` on an `Err` value: {error:?}"));
        for code in [11, 12, 23, 24] {
            let failed = of_sled(io::Error::from_raw_os_error(code)).unwrap_err();
            assert!(matches!(failed, Failed::Error(StoreError::Machine { .. })), "{code}");
        }
        let failed = of_sled(io::Error::other("a page is not where it should be")).unwrap_err();
        assert!(matches!(failed, Failed::Damaged { .. }));
    }
}
