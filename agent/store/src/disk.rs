//! What is asked of the disk beside sled.

use std::fmt::Debug;
use std::fs::File;
use std::io;

/// What the store asks of the disk beside sled: a seam, so that tests can make it fail.
pub trait Disk: Debug + Send + Sync {
    /// Makes everything written to `db` so far survive a power cut.
    ///
    /// # Errors
    ///
    /// Any error breaks the store for good.
    fn sync(&self, db: &File) -> io::Result<()>;

    /// Bytes that this process may still write on the file system of `db`.
    ///
    /// # Errors
    ///
    /// The system's.
    fn free(&self, db: &File) -> io::Result<u64>;
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn sync(&self, db: &File) -> io::Result<()> {
        db.sync_data()
    }

    fn free(&self, db: &File) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(db)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
