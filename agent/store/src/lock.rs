//! One process on a store at a time.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::{StoreError, private};

/// Longest process number in decimal, with room to spare: the file may hold anything.
const PID_LEN: u64 = 16;

/// The right to be the only process on a store, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child being started at this moment has a copy of it until it becomes its
        // own program.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Takes the lock of the store at `directory`.
    pub(crate) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let error = || StoreError::io("lock", &path);
        let mut file = private::options().create(true).truncate(false).open(&path).map_err(error())?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.take(PID_LEN).read_to_string(&mut text);
                return Err(StoreError::InUse { path: directory.to_owned(), pid: text.trim().parse().ok() });
            }
            taken => taken.map_err(Into::into).map_err(error())?,
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(error())?;
        Ok(Self { file })
    }
}
