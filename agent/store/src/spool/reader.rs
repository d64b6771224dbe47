//! Reading a payload, from any place in it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::chunk::{self, CHUNK};
use super::{Spool, SpoolError, SpoolId};
use crate::seal::{SEAL_OVERHEAD, Sealer};

/// A complete payload, read from any place.
pub struct SpoolReader {
    id: SpoolId,
    len: u64,
    file: File,
    sealer: Sealer,
}

impl SpoolReader {
    pub(super) fn open(spool: &Spool, id: SpoolId, len: u64) -> Result<Self, SpoolError> {
        let file = File::open(spool.complete(id)).map_err(SpoolError::io("open", id))?;
        let found = file.metadata().map_err(SpoolError::io("read", id))?.len();
        if found != chunk::file_len(len) {
            return Err(SpoolError::Damaged { id, at: len.min(found) });
        }
        Ok(Self { id, len, file, sealer: spool.sealer.clone() })
    }

    /// The payload's length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes from `offset` on, at most 64 KiB of them and never past a chunk's end; none at
    /// the end of the payload.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Damaged`] when the chunk is not what was written.
    pub fn read_at(&self, offset: u64) -> Result<Vec<u8>, SpoolError> {
        if offset >= self.len {
            return Ok(Vec::new());
        }
        let index = offset / chunk::to_u64(CHUNK);
        let mut plain = self.chunk(index)?;
        let skip = usize::try_from(offset % chunk::to_u64(CHUNK)).unwrap_or(CHUNK);
        plain.drain(..skip.min(plain.len()));
        Ok(plain)
    }

    /// The SHA-256 of the whole payload.
    ///
    /// # Errors
    ///
    /// As for [`SpoolReader::read_at`].
    pub fn sha256(&self) -> Result<[u8; 32], SpoolError> {
        let mut hash = Sha256::new();
        for index in 0..chunk::count(self.len) {
            hash.update(self.chunk(index)?);
        }
        Ok(hash.finalize().into())
    }

    fn chunk(&self, index: u64) -> Result<Vec<u8>, SpoolError> {
        let expected = chunk::len_of(index, self.len);
        read_sealed(&self.file, index, expected)
            .map_err(SpoolError::io("read", self.id))?
            .and_then(|sealed| self.sealer.open(&chunk::associated(self.id, index), &sealed))
            .ok_or_else(|| self.damaged(index))
    }

    fn damaged(&self, index: u64) -> SpoolError {
        let at = index.saturating_mul(chunk::to_u64(CHUNK));
        SpoolError::Damaged { id: self.id, at }
    }
}

impl fmt::Debug for SpoolReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpoolReader({}, {} bytes)", self.id, self.len)
    }
}

/// A chunk as it is on the disk; nothing where the file ends before, or the disk gives nothing.
pub(super) fn read_sealed(file: &File, index: u64, plain: usize) -> io::Result<Option<Vec<u8>>> {
    let mut sealed = vec![0; plain + SEAL_OVERHEAD];
    match file.read_exact_at(&mut sealed, chunk::position(index)) {
        Ok(()) => Ok(Some(sealed)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether what was written cannot be had any more. A sector may be unreadable, and a file system with checksums says the same
/// of one that is not what was written.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take it for a failure of the disk, and one sector under one payload keeps the agent from ever starting again.
    #[test]
    fn f23_a_chunk_that_the_disk_does_not_give_is_damaged() {
        // Memory that nobody has: the kernel answers as for a sector that cannot be read.
        let memory = File::open("/proc/self/mem").unwrap();
        let error = memory.read_exact_at(&mut [0], chunk::position(0)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert_eq!(read_sealed(&memory, 0, CHUNK).unwrap(), None);
        assert_eq!(read_sealed(&File::open("/dev/null").unwrap(), 0, CHUNK).unwrap(), None);
    }
}
