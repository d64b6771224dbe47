//! A disk for tests that does what they say.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use postern_store::{Disk, Home, Options, RealDisk};

use super::Store;

/// A disk with as much free space as the test says, and that is as busy as it says.
#[derive(Debug)]
pub(crate) struct Disklike {
    pub(crate) free: AtomicU64,
    busy: Mutex<bool>,
    changed: Condvar,
}

impl Disklike {
    /// One with a lot of space, and a store on it that keeps 3 MiB from whoever can wait, and 2 MiB from everybody.
    pub(crate) fn with_store(folder: &Path) -> (Arc<Self>, Store) {
        let disk = Arc::<Self>::default();
        let options = Options { headroom: 1 << 20, disk: Arc::<Self>::clone(&disk), ..Options::default() };
        let (store, _) = Store::open_with(&Home::with_key_file(folder), &options).unwrap();
        (disk, store)
    }

    pub(crate) fn is_busy(&self, busy: bool) {
        *self.busy.lock().unwrap() = busy;
        self.changed.notify_all();
    }
}

impl Disk for Disklike {
    fn sync(&self, db: &File) -> io::Result<()> {
        drop(self.changed.wait_while(self.busy.lock().unwrap(), |busy| *busy).unwrap());
        RealDisk.sync(db)
    }

    fn free(&self, _: &File) -> io::Result<u64> {
        Ok(self.free.load(Ordering::SeqCst))
    }
}

impl Default for Disklike {
    /// One with a lot of space, and nothing to do.
    fn default() -> Self {
        Self { free: AtomicU64::new(1 << 40), busy: Mutex::new(false), changed: Condvar::new() }
    }
}
