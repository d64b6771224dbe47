//! A store in a folder of its own.

use std::fs::{self, DirBuilder};
use std::future::Future;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use postern_store::{Batch, Opened, Options, Store, StoreError, StoreKey, Table};

pub(crate) const TASKS: Table = Table::new("tasks", 1);
pub(crate) const OUTBOX: Table = Table::new("outbox", 2);

/// When stores are opened, in seconds of Unix time.
pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn open(&self) -> Opened {
        self.open_with(&Options::default()).unwrap()
    }

    pub(crate) fn open_with(&self, options: &Options) -> Result<Opened, StoreError> {
        Store::open(&self.path(), &key(), options, NOW)
    }

    /// Opens a store that has to be sound.
    pub(crate) fn store(&self) -> Store {
        let Opened { store, recovered } = self.open();
        assert_eq!(recovered, None);
        store
    }

    /// sled as it is below a closed store, whose threads let go of its file a moment later.
    pub(crate) fn sled(&self) -> sled::Db {
        for _ in 0..1000 {
            match sled::open(self.join("data")) {
                Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("{} is still locked", self.join("data").display());
    }

    /// What another process would find: a broken store stays open until its own ends.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        for (path, content) in self.files() {
            let to = copy.path().join(path.strip_prefix(self.path()).unwrap());
            DirBuilder::new().recursive(true).mode(0o700).create(to.parent().unwrap()).unwrap();
            fs::write(to, content).unwrap();
        }
        copy
    }

    /// Every file below the store's directory, with its content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.path(), &mut found);
        found.sort();
        found
    }
}

fn collect(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let content = fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
}

pub(crate) fn key() -> StoreKey {
    StoreKey::from_bytes([42; 32])
}

pub(crate) fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key, value).unwrap();
    batch
}

/// Puts `count` records, in groups, with values that do not compress and are easy to check.
pub(crate) fn fill(store: &Store, count: u64) {
    for first in (0..count).step_by(50) {
        let mut batch = Batch::new();
        for number in first..count.min(first + 50) {
            batch.put(TASKS, &number.to_be_bytes(), &value(number)).unwrap();
        }
        store.commit_blocking(batch).unwrap();
    }
}

pub(crate) fn value(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(40)
}

/// Polls once; the first poll of a commit hands it over.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
