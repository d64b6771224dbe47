//! F14, F16: a disk that is full, and one that fails.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postern_store::{Batch, Disk, Options, RealDisk, SpoolId, Store};

use crate::lab::{Folder, TASKS, put};

const MIB: u64 = 1024 * 1024;
const PAYLOAD: SpoolId = SpoolId([0xab; 16]);
const OTHER: SpoolId = SpoolId([0xcd; 16]);

/// A disk with as much free space as the test says, and barriers that fail on demand.
#[derive(Debug, Default)]
struct Failing {
    free: AtomicU64,
    fails: AtomicBool,
    syncs: AtomicU64,
}

impl Disk for Failing {
    fn sync(&self, db: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        RealDisk.sync(db)
    }

    fn free(&self, _: &File) -> io::Result<u64> {
        Ok(self.free.load(Ordering::SeqCst))
    }
}

fn open(folder: &Folder, disk: &Arc<Failing>) -> Store {
    let disk: Arc<dyn Disk> = Arc::<Failing>::clone(disk);
    folder.open_with(&Options { headroom: 8 * MIB, disk, ..Options::default() }).unwrap().store
}

fn delete(key: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.delete(TASKS, key).unwrap();
    batch
}

/// F16. Seen to fail with the error passed to this group's waiters alone: the second barrier
/// succeeds, as Linux lets it, and a lost write is acknowledged.
#[tokio::test]
async fn f16_a_failed_barrier_breaks_the_store_for_good() {
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(1 << 40, Ordering::SeqCst);
    let store = open(&folder, &disk);
    store.commit(put(TASKS, b"before", b"")).await.unwrap();

    disk.fails.store(true, Ordering::SeqCst);
    let (one, two) = tokio::join!(store.commit(put(TASKS, b"1", b"")), store.commit(put(TASKS, b"2", b"")));
    assert!(one.unwrap_err().is_broken());
    assert!(two.unwrap_err().is_broken());
    assert!(store.is_broken());
    let syncs = disk.syncs.load(Ordering::SeqCst);

    disk.fails.store(false, Ordering::SeqCst);
    assert!(store.commit(put(TASKS, b"3", b"")).await.unwrap_err().is_broken());
    assert_eq!(disk.syncs.load(Ordering::SeqCst), syncs, "the fsync was tried again");
    assert_eq!(store.commits(), 1);
    drop(store);

    assert!(folder.copy().store().get(TASKS, b"before").unwrap().is_some());
}

/// F14. Seen to fail without the look at the free space: the first put is taken.
#[tokio::test]
async fn f14_on_a_full_disk_only_the_essential_is_written() {
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(100 * MIB, Ordering::SeqCst);
    let store = open(&folder, &disk);
    store.commit(put(TASKS, b"old", b"value")).await.unwrap();
    assert_eq!(folder.join("headroom").metadata().unwrap().len(), 8 * MIB);

    disk.free.store(MIB, Ordering::SeqCst);
    let refused = store.commit(put(TASKS, b"new", b"value")).await.unwrap_err();
    assert!(refused.is_disk_full(), "{refused}");
    assert!(folder.join("headroom").exists());
    assert_eq!(store.get(TASKS, b"new").unwrap(), None);

    // The space comes back to this disk when the headroom goes.
    disk.free.store(2 * MIB, Ordering::SeqCst);
    store.commit(delete(b"old")).await.unwrap();
    let mut outcome = put(TASKS, b"outcome", b"value");
    outcome.essential();
    store.commit(outcome).await.unwrap();
    assert!(!store.is_broken());
}

/// Seen to fail with the space given up by the committer alone, which runs only once the store is open.
#[tokio::test]
async fn f14_a_store_on_a_full_disk_is_opened_with_the_space_that_is_kept() {
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(100 * MIB, Ordering::SeqCst);
    open(&folder, &disk).commit(put(TASKS, b"owed", b"value")).await.unwrap();
    disk.free.store(3 * MIB, Ordering::SeqCst);
    drop(open(&folder, &disk));
    assert!(folder.join("headroom").exists(), "there is room enough to open it");
    disk.free.store(0, Ordering::SeqCst);
    let store = open(&folder, &disk);
    assert!(!folder.join("headroom").exists());
    assert!(store.get(TASKS, b"owed").unwrap().is_some());
}

#[test]
fn f14_new_work_is_not_let_in_while_a_write_might_be_refused() {
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(100 * MIB, Ordering::SeqCst);
    let store = open(&folder, &disk);
    assert!(store.has_room_for(80 * MIB).unwrap());
    assert!(!store.has_room_for(81 * MIB).unwrap());
    assert!(!store.has_room_for(u64::MAX).unwrap());
    disk.free.store(20 * MIB - 1, Ordering::SeqCst);
    assert!(!store.has_room_for(0).unwrap());
}

/// F14. Take the look at the disk out of the writer, and payloads eat what the records of tasks need.
#[test]
fn f14_a_payload_leaves_the_records_of_tasks_their_room() {
    const LENGTH: u64 = 3 * 64 * 1024;
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(100 * MIB, Ordering::SeqCst);
    let store = open(&folder, &disk);
    let spool = store.spool().unwrap();
    let piece = vec![1; 64 * 1024];
    let mut writer = spool.write(PAYLOAD, LENGTH).unwrap();
    writer.append(&piece).unwrap();
    writer.sync().unwrap();

    disk.free.store(10 * MIB, Ordering::SeqCst);
    assert!(writer.append(&piece).unwrap_err().is_disk_full());
    assert_eq!(writer.offset(), 64 * 1024);
    let unknown = spool.begin(OTHER).unwrap();
    unknown.finish_here().unwrap();
    let mut unknown = spool.begin(OTHER).unwrap();
    unknown.append(&[1]).unwrap();
    assert!(unknown.finish_here().unwrap_err().is_disk_full());

    disk.free.store(11 * MIB, Ordering::SeqCst);
    drop(writer);
    let mut writer = spool.write(PAYLOAD, LENGTH).unwrap();
    assert_eq!(writer.offset(), 64 * 1024);
    writer.append(&piece).and_then(|()| writer.append(&piece)).unwrap();
    assert_eq!(writer.offset(), LENGTH);
}

#[tokio::test]
async fn f14_the_headroom_is_released_for_the_essential_and_kept_again_later() {
    let folder = Folder::new();
    let disk = Arc::new(Failing::default());
    disk.free.store(100 * MIB, Ordering::SeqCst);
    let store = open(&folder, &disk);
    store.commit(put(TASKS, b"old", b"value")).await.unwrap();

    disk.free.store(MIB, Ordering::SeqCst);
    // This disk shows no space even now, so the batch is refused, and nothing broke.
    assert!(store.commit(delete(b"old")).await.unwrap_err().is_disk_full());
    assert!(!folder.join("headroom").exists());

    // With the headroom gone, what can wait may not eat what it freed.
    disk.free.store(9 * MIB, Ordering::SeqCst);
    assert!(store.commit(put(TASKS, b"new", b"")).await.unwrap_err().is_disk_full());
    store.commit(delete(b"old")).await.unwrap();
    assert!(!folder.join("headroom").exists());

    disk.free.store(18 * MIB, Ordering::SeqCst);
    store.commit(put(TASKS, b"new", b"")).await.unwrap();
    assert!(folder.join("headroom").exists());
    assert!(!store.is_broken());
}
