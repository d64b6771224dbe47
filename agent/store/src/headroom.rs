//! Disk space that is kept for what cannot wait.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

use crate::{Disk, StoreError, private};

/// Space that has to be free before any group is applied, in bytes.
///
/// sled rewrites the pages a group touches and pads its 512 KiB segments, so a group of 256 KiB
/// can write a few times as much.
pub(crate) const FLOOR: u64 = 2 * 1024 * 1024;

/// Disk space kept for the essential.
///
/// A failed write cannot be repeated: sled's state is unknown after it. So the space is looked at
/// before a group is applied, and batches that can wait are refused while it is short. Essential
/// ones get the space of a preallocated file. It is kept again as soon as there is room for it.
///
/// This is no guarantee. Another process may take the space between the look and the write, and
/// on thin volumes or under quotas the number of free bytes is no promise. Then the write fails
/// and the store is broken: the process exits, and after a restart holds what it had promised.
#[derive(Debug)]
pub(crate) struct Headroom {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    kept: bool,
    /// The file system does not keep space, as over some networks: it is not asked with every group.
    refuses: bool,
}

/// Looks at the disk from outside of the committer, for those who can still say no.
#[derive(Debug)]
pub(crate) struct Lookout {
    disk: Arc<dyn Disk>,
    directory: File,
    /// What a batch has to leave free.
    left: u64,
}

impl Lookout {
    pub(crate) fn open(directory: &Path, headroom: u64, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let file = File::open(directory).map_err(StoreError::io("open", directory))?;
        Ok(Self { disk, directory: file, left: FLOOR.saturating_add(headroom) })
    }

    /// How many bytes are free.
    pub(crate) fn free(&self) -> io::Result<u64> {
        self.disk.free(&self.directory)
    }

    /// Whether there is room for new work of so many bytes: beside them twice what a batch has to leave free, so that what
    /// was let in just before is not refused for it.
    pub(crate) fn has_room_for(&self, bytes: u64) -> io::Result<bool> {
        Ok(self.free()? >= self.left.saturating_mul(2).saturating_add(bytes))
    }

    /// Whether so many bytes of a payload can be written and a batch still finds what it has to leave free: payloads can
    /// wait, and the records of tasks cannot.
    pub(crate) fn may_write(&self, bytes: u64) -> io::Result<bool> {
        Ok(self.free()? >= self.left.saturating_add(bytes))
    }
}

/// What a group may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    free: u64,
    /// What a batch that can wait has to leave for those that cannot.
    reserved: u64,
}

impl Room {
    /// Lets a batch in, or refuses it before any of it is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`], and the batch must not be applied.
    pub(crate) fn admit(self, essential: bool) -> Result<(), StoreError> {
        let needed = if essential { FLOOR } else { FLOOR.saturating_add(self.reserved) };
        if self.free < needed {
            return Err(StoreError::DiskFull { free: self.free, needed });
        }
        Ok(())
    }
}

impl Headroom {
    pub(crate) fn open(directory: &Path, bytes: u64, disk: Arc<dyn Disk>) -> Self {
        let path = directory.join("headroom");
        // A file of another size is a half-made one, or the configuration changed.
        let kept = fs::metadata(&path).is_ok_and(|found| found.len() == bytes);
        Self { disk, path, bytes, kept, refuses: false }
    }

    /// Looks at the disk before a group is written through `db`; `essential` tells whether one of
    /// its batches may use the space kept.
    pub(crate) fn survey(&mut self, db: &File, essential: bool) -> Result<Room, StoreError> {
        let mut free = self.free(db)?;
        // Twice the size, so that it is not kept and released in turns.
        if !self.kept && !self.refuses && free >= self.bytes.saturating_mul(2).saturating_add(FLOOR) {
            self.keep();
            free = self.free(db)?;
        }
        if self.kept && essential && free < FLOOR {
            self.release();
            free = self.free(db)?;
        }
        let reserved = if self.kept { 0 } else { self.bytes };
        Ok(Room { free, reserved })
    }

    /// Gives up what is kept where even opening the engine, which writes a little, would find no space: what an agent owes
    /// can be handed over from a full disk, too.
    pub(crate) fn release_to_open(&mut self, directory: &File) -> Result<(), StoreError> {
        if self.kept && self.free(directory)? < FLOOR {
            self.release();
        }
        Ok(())
    }

    fn free(&self, db: &File) -> Result<u64, StoreError> {
        self.disk.free(db).map_err(StoreError::io("look at the free space of", &self.path))
    }

    fn keep(&mut self) {
        let made = private::options()
            .create(true)
            .truncate(true)
            .open(&self.path)
            .and_then(|file| fallocate_all(&file, self.bytes));
        match made {
            Ok(()) => self.kept = true,
            Err(error) => {
                tracing::warn!(%error, "could not keep space for a full disk: new work is refused earlier instead");
                self.refuses = true;
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    fn release(&mut self) {
        match fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!("the disk is full: using the space kept for that"),
            Err(error) => tracing::warn!(%error, "could not release the space kept"),
        }
        self.kept = false;
    }
}

fn fallocate_all(file: &File, bytes: u64) -> io::Result<()> {
    if bytes > 0 {
        fallocate(file, FallocateFlags::empty(), 0, bytes)?;
    }
    Ok(())
}
