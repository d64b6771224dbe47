//! Writing a payload, and going on with one that was begun.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::chunk::{self, CHUNK, SEALED_CHUNK};
use super::reader::read_sealed;
use super::{Spool, SpoolError, SpoolId};
use crate::private;

/// A payload that is being written, from its beginning to its end.
///
/// Dropping it keeps what was synced; [`Spool::write`] goes on from there.
pub struct SpoolWriter {
    spool: Spool,
    id: SpoolId,
    /// Announced length in bytes.
    len: u64,
    file: File,
    hash: Sha256,
    /// Chunks that are in the file.
    chunks: u64,
    /// Those of them that a power cut leaves.
    synced: u64,
    /// What does not fill a chunk yet.
    rest: Vec<u8>,
}

impl SpoolWriter {
    pub(super) fn open(spool: &Spool, id: SpoolId, len: u64) -> Result<Self, SpoolError> {
        let file = private::options()
            .create(true)
            .truncate(false)
            .open(spool.part(id))
            .map_err(SpoolError::io("create", id))?;
        spool.sync_names(id)?;
        let mut writer =
            Self { spool: spool.clone(), id, len, file, hash: Sha256::new(), chunks: 0, synced: 0, rest: Vec::new() };
        writer.resume()?;
        Ok(writer)
    }

    /// Where the next byte goes: everything before it was accepted, not all of it is durable.
    pub fn offset(&self) -> u64 {
        durable(self.chunks).saturating_add(chunk::to_u64(self.rest.len()))
    }

    /// Where a writer goes on after a power cut, always at the beginning of a 64 KiB chunk. What
    /// is between this and [`SpoolWriter::offset`] has to be sent again then.
    pub fn durable(&self) -> u64 {
        durable(self.synced)
    }

    /// Appends bytes of the payload, any number at a time.
    ///
    /// # Errors
    ///
    /// [`SpoolError::TooLong`] takes none of them. After any other error the writer is at a chunk's
    /// beginning it can name: ask [`SpoolWriter::offset`] and go on from there.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        if self.offset().saturating_add(chunk::to_u64(bytes.len())) > self.len {
            return Err(SpoolError::TooLong { id: self.id, limit: self.len });
        }
        while !bytes.is_empty() {
            let room = CHUNK.saturating_sub(self.rest.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == CHUNK {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    /// Makes the chunks written so far durable and returns [`SpoolWriter::durable`].
    ///
    /// # Errors
    ///
    /// [`SpoolError::Io`]: what was not durable is gone from the file, so drop the writer and
    /// resume.
    pub fn sync(&mut self) -> Result<u64, SpoolError> {
        if let Err(error) = self.file.sync_all() {
            // The cache may show these bytes although the disk does not have them, and a second
            // sync may succeed without them.
            let _ = self.file.set_len(chunk::position(self.synced));
            return Err(SpoolError::io("sync", self.id)(error));
        }
        self.synced = self.chunks;
        Ok(self.durable())
    }

    /// Completes a payload of unknown length where it ends, and returns its length and SHA-256.
    ///
    /// # Errors
    ///
    /// As for [`SpoolWriter::finish`], but for [`SpoolError::Mismatch`].
    pub fn finish_here(mut self) -> Result<(u64, [u8; 32]), SpoolError> {
        let len = self.offset();
        if !self.rest.is_empty() {
            self.write_chunk()?;
        }
        let sha256 = self.hash.clone().finalize().into();
        self.complete()?;
        Ok((len, sha256))
    }

    /// Completes the payload: compares it with what was announced, makes it durable, and gives it
    /// its final name. After this a record may refer to it.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Mismatch`] removes the file. After another error it can be resumed.
    pub fn finish(mut self, sha256: &[u8; 32]) -> Result<(), SpoolError> {
        if self.offset() != self.len {
            return Err(self.mismatch());
        }
        if !self.rest.is_empty() {
            self.write_chunk()?;
        }
        if <[u8; 32]>::from(self.hash.clone().finalize()) != *sha256 {
            return Err(self.mismatch());
        }
        self.complete()
    }

    /// Makes all of it durable under its final name.
    fn complete(mut self) -> Result<(), SpoolError> {
        self.sync()?;
        fs::rename(self.spool.part(self.id), self.spool.complete(self.id))
            .map_err(SpoolError::io("complete", self.id))?;
        self.spool.sync_names(self.id)
    }

    fn write_chunk(&mut self) -> Result<(), SpoolError> {
        let mut sealed = Vec::with_capacity(SEALED_CHUNK);
        let plain = std::mem::take(&mut self.rest);
        let has_room = self.spool.lookout.may_write(chunk::to_u64(SEALED_CHUNK));
        if !has_room.map_err(SpoolError::io("look at the disk of", self.id))? {
            return Err(SpoolError::DiskFull(self.id));
        }
        self.spool
            .sealer
            .seal(&chunk::associated(self.id, self.chunks), &plain, &mut sealed)
            .map_err(SpoolError::Entropy)?;
        self.file.write_all_at(&sealed, chunk::position(self.chunks)).map_err(SpoolError::io("write", self.id))?;
        self.hash.update(&plain);
        self.chunks += 1;
        Ok(())
    }

    /// Takes over the chunks that are whole and drops everything behind them.
    fn resume(&mut self) -> Result<(), SpoolError> {
        let full = self.len / chunk::to_u64(CHUNK);
        while self.chunks < full {
            let associated = chunk::associated(self.id, self.chunks);
            let sealed = read_sealed(&self.file, self.chunks, CHUNK).map_err(SpoolError::io("read", self.id))?;
            let Some(plain) = sealed.and_then(|sealed| self.spool.sealer.open(&associated, &sealed)) else {
                break;
            };
            self.hash.update(&plain);
            self.chunks += 1;
        }
        self.file.set_len(chunk::position(self.chunks)).map_err(SpoolError::io("resume", self.id))?;
        // What was read may still be in the page cache alone.
        self.sync().map(|_| ())
    }

    fn mismatch(&self) -> SpoolError {
        match fs::remove_file(self.spool.part(self.id)) {
            Ok(()) => SpoolError::Mismatch(self.id),
            Err(source) => SpoolError::io("remove", self.id)(source),
        }
    }
}

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpoolWriter({}, {} of {} bytes)", self.id, self.offset(), self.len)
    }
}

fn durable(chunks: u64) -> u64 {
    chunks.saturating_mul(chunk::to_u64(CHUNK))
}
