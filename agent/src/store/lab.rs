//! A disk for tests that does what they say.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use postern_store::{Disk, RealDisk};

/// A disk with as much free space as the test says, and that is as busy as it says.
#[derive(Debug)]
pub(crate) struct Disklike {
    pub(crate) free: AtomicU64,
    busy: Mutex<bool>,
    changed: Condvar,
}

impl Disklike {
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
