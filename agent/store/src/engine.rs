//! sled, closed only as far as the disk lets it.

use std::io;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// sled, which syncs when it closes, and panics where that fails.
pub(crate) struct Engine(Option<sled::Db>);

impl Engine {
    pub(crate) const fn new(db: sled::Db) -> Self {
        Self(Some(db))
    }

    /// Closes it, if nobody else has it open.
    pub(crate) fn close(mut self) -> io::Result<()> {
        close(self.0.take())
    }

    /// Lets it end with the process: what a sync has failed for is not to be synced again.
    pub(crate) fn leave_open(&mut self) {
        std::mem::forget(self.0.take());
    }
}

impl Deref for Engine {
    type Target = sled::Db;

    fn deref(&self) -> &sled::Db {
        self.0.as_ref().expect("it is there until it is closed")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = close(self.0.take()) {
            tracing::error!(%error, "nothing that was told is lost by it");
        }
    }
}

fn close(db: Option<sled::Db>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(|| drop(db))).map_err(|_| io::Error::other("the disk failed while sled closed"))
}
