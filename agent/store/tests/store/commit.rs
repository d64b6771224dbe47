//! Group commit: order, bounds, barriers.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use postern_store::{Batch, Disk, MAX_BATCH_BYTES, MAX_KEY, MAX_VALUE, Options, Progress, RealDisk, Store, StoreError};

use crate::lab::{Folder, OUTBOX, TASKS, poll, put};

/// More barriers than any test lets through, so that nobody waits for the test to look.
const WAITING: usize = 1000;

/// A disk whose barriers wait until the test lets them go.
#[derive(Debug)]
struct Gate {
    db: PathBuf,
    /// Gets what sled's file holds when a barrier begins.
    arrived: mpsc::SyncSender<Vec<u8>>,
    go: Mutex<mpsc::Receiver<()>>,
}

impl Disk for Gate {
    fn sync(&self, db: &File) -> io::Result<()> {
        let _ = self.arrived.send(fs::read(&self.db)?);
        // An error means that the test has ended: then nothing needs to wait.
        let _ = self.go.lock().unwrap().recv();
        RealDisk.sync(db)
    }

    fn free(&self, db: &File) -> io::Result<u64> {
        RealDisk.free(db)
    }
}

/// A store behind a gate. Fields are dropped in this order, so that the gate opens first.
struct Gated {
    go: mpsc::SyncSender<()>,
    arrivals: mpsc::Receiver<Vec<u8>>,
    store: Store,
    _folder: Folder,
}

impl Gated {
    fn new() -> Self {
        let folder = Folder::new();
        let (arrived, arrivals) = mpsc::sync_channel(WAITING);
        let (go, gate) = mpsc::sync_channel(WAITING);
        let disk = Gate { db: folder.join("data/db"), arrived, go: Mutex::new(gate) };
        let options = Options { disk: Arc::new(disk), ..Options::default() };
        let store = folder.open_with(&options).unwrap().store;
        Self { go, arrivals, store, _folder: folder }
    }

    /// Waits for a barrier to begin, and returns what sled's file holds then.
    fn barrier(&self) -> Vec<u8> {
        self.arrivals.recv_timeout(Duration::from_secs(20)).expect("a barrier begins")
    }
}

/// Seen to fail without the `fdatasync` (no barrier ever begins), with it before the flush (the file
/// does not hold the record yet), and with the answer given before the write.
#[tokio::test]
async fn a_commit_resolves_only_after_a_barrier_that_follows_the_write() {
    let gated = Gated::new();
    let mut commit = pin!(gated.store.commit(put(TASKS, b"a key to look for", b"value")));
    assert!(poll(commit.as_mut()).is_pending());

    let file = gated.barrier();

    let needle = b"a key to look for";
    assert!(file.windows(needle.len()).any(|window| window == needle), "synced before written");
    assert!(poll(commit.as_mut()).is_pending(), "resolved before the barrier");
    assert_eq!(gated.store.commit_watch().look(), Progress { pending: 1, settled: 0 });
    gated.go.send(()).unwrap();
    commit.await.unwrap();
    assert_eq!(gated.store.commit_watch().look(), Progress { pending: 0, settled: 1 });
}

/// Seen to fail with a group of one.
#[tokio::test]
async fn commits_that_wait_together_share_a_barrier() {
    let gated = Gated::new();
    let mut first = pin!(gated.store.commit(put(TASKS, b"first", b"")));
    assert!(poll(first.as_mut()).is_pending());
    gated.barrier();

    // These gather behind the first one's barrier.
    let mut waiting = (0..100_u64)
        .map(|it| Box::pin(gated.store.commit(put(TASKS, &it.to_be_bytes(), b"value"))))
        .collect::<Vec<_>>();
    for commit in &mut waiting {
        assert!(poll(commit.as_mut()).is_pending());
    }
    for _ in 0..101 {
        gated.go.send(()).unwrap();
    }
    first.await.unwrap();
    for commit in waiting {
        commit.await.unwrap();
    }

    assert_eq!(gated.store.commits(), 101);
    assert_eq!(gated.store.barriers(), 3, "one alone, then 64 and 36");
}

#[tokio::test]
async fn batches_are_applied_in_the_order_they_were_handed_over() {
    let gated = Gated::new();
    let mut commits = (0..60_u64)
        .map(|it| Box::pin(gated.store.commit(put(TASKS, b"counter", &it.to_be_bytes()))))
        .collect::<Vec<_>>();
    for commit in &mut commits {
        assert!(poll(commit.as_mut()).is_pending());
    }
    for _ in 0..60 {
        gated.go.send(()).unwrap();
    }
    for commit in commits {
        commit.await.unwrap();
    }

    assert_eq!(gated.store.get(TASKS, b"counter").unwrap().unwrap(), 59_u64.to_be_bytes());
}

#[tokio::test]
async fn an_empty_batch_resolves_when_everything_before_it_is_durable() {
    let gated = Gated::new();
    let mut first = pin!(gated.store.commit(put(TASKS, b"first", b"")));
    let mut empty = pin!(gated.store.commit(Batch::new()));
    assert!(poll(first.as_mut()).is_pending());
    gated.barrier();
    assert!(poll(empty.as_mut()).is_pending());
    gated.go.send(()).unwrap();
    gated.go.send(()).unwrap();
    empty.await.unwrap();
    assert!(poll(first.as_mut()).is_ready());
}

#[test]
fn keys_values_and_batches_have_bounds() {
    let mut batch = Batch::new();
    let too_large = |result: Result<(), StoreError>, expected: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { what, .. } if what == expected), "{error}");
    };
    too_large(batch.put(TASKS, b"key", &vec![0; MAX_VALUE + 1]), "value");
    too_large(batch.put(TASKS, &[0; MAX_KEY + 1], b"value"), "key");
    too_large(batch.delete(TASKS, &[0; MAX_KEY + 1]), "key");
    assert!(batch.is_empty());

    for number in 0..MAX_BATCH_BYTES / (MAX_VALUE + 72) {
        batch.put(TASKS, &number.to_be_bytes(), &[0; MAX_VALUE]).unwrap();
    }
    too_large(batch.put(TASKS, b"one more", &[0; MAX_VALUE]), "batch");
}

/// Seen to fail with the caller's own thread waiting: the runtime forbids it.
#[tokio::test]
async fn a_runtimes_thread_may_wait_for_a_commit() {
    let folder = Folder::new();
    let store = folder.store();
    store.commit_blocking(put(TASKS, b"key", b"value")).unwrap();
    assert_eq!(store.get(TASKS, b"key").unwrap().as_deref(), Some(&b"value"[..]));
}

/// Seen to fail with values of 64 KiB allowed: sled then writes files to `blobs` and never syncs
/// them.
#[test]
fn the_largest_values_stay_in_the_file_that_is_synced() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 0..600_u64 {
        // Spread over the pages rather than one after the other.
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let mut batch = put(TASKS, &key, &[7; MAX_VALUE]);
        batch.put(OUTBOX, &key.repeat(16), &[8; MAX_VALUE]).unwrap();
        store.commit_blocking(batch).unwrap();
    }

    assert_eq!(fs::read_dir(folder.join("data/blobs")).unwrap().count(), 0);
    drop(store);
    assert_eq!(folder.store().scan(OUTBOX).count(), 600);
}
