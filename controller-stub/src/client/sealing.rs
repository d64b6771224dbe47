//! Sealing a task's secrets in the submitter's own process, so that the controller only carries ciphertext.

use std::io::{self, Write};

use data_encoding::BASE64;
use postern_protocol::seal::{
    SEGMENT, SealContext, SealError, SealedField, SealedOutput, SealingKey, SealingPublicKey, SegmentOpener,
    SegmentSealer, StreamKey,
};
use postern_protocol::stream::CHUNK;
use postern_protocol::{SystemName, TaskId, TaskRequest, codec};
use zeroize::Zeroizing;

use crate::random;
use crate::state::tasks::OpaqueView;

/// What secrets of one task are bound to.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The task.
    pub task: TaskId,
    /// The connected system.
    pub system: SystemName,
    /// What is to be done.
    pub request: TaskRequest,
}

impl Binding {
    /// Seals one secret to the cluster's keys.
    pub fn seal(&self, name: &str, secret: &[u8], keys: &[SealingPublicKey]) -> Result<OpaqueView, SealError> {
        let target = self.request.target();
        let field = SealedField::seal(self.context(&target), name, secret, keys, &mut random::generator())?;
        let bytes = codec::encode(&field).map_err(|_| SealError::TooLarge)?;
        Ok(OpaqueView::new(name, &bytes))
    }

    /// Opens a secret that came of the task.
    pub fn open(&self, output: &OpaqueView, key: &SealingKey) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = BASE64.decode(output.bytes.as_bytes()).map_err(|_| SealError::Altered)?;
        let sealed: SealedOutput = codec::decode(&bytes).map_err(|_| SealError::Altered)?;
        let target = self.request.target();
        sealed.open(self.context(&target), key)
    }

    fn context<'a>(&'a self, target: &'a str) -> SealContext<'a> {
        SealContext { task: self.task, kind: self.request.kind(), system: &self.system, target }
    }
}

/// A dataset under a fresh key.
pub struct SealedDataset {
    /// The ciphertext, segment after segment.
    pub bytes: Vec<u8>,
    /// The key.
    pub key: StreamKey,
}

/// Seals a dataset whole.
pub fn dataset(plain: &[u8]) -> Result<SealedDataset, SealError> {
    let key: StreamKey = random::secret();
    let mut sealer = SegmentSealer::new(&key);
    let mut bytes = Vec::with_capacity(plain.len() + plain.len() / SEGMENT * 16 + 16);
    let mut rest = plain;
    loop {
        let (segment, after) = rest.split_at(rest.len().min(SEGMENT));
        bytes.extend(sealer.seal(segment, after.is_empty())?);
        if after.is_empty() {
            return Ok(SealedDataset { bytes, key });
        }
        rest = after;
    }
}

/// Opens a payload that comes in pieces of any size, and writes it in clear.
pub struct Opening<'a> {
    opener: SegmentOpener,
    /// What is not opened yet: whether a segment is the last is known only when more comes, or the end.
    segment: Vec<u8>,
    out: &'a mut dyn Write,
}

impl<'a> Opening<'a> {
    /// Opens with the key of the payload.
    pub fn new(key: &StreamKey, out: &'a mut dyn Write) -> Self {
        Self { opener: SegmentOpener::new(key), segment: Vec::with_capacity(CHUNK), out }
    }

    /// The payload ends here. Without this, its last segment is not written: a payload that broke off is never whole.
    pub fn finish(mut self) -> io::Result<()> {
        self.open(true)
    }

    fn open(&mut self, last: bool) -> io::Result<()> {
        let plain = self.opener.open(&self.segment, last).map_err(io::Error::other)?;
        self.segment.clear();
        self.out.write_all(&plain)
    }
}

impl Write for Opening<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.segment.len() == CHUNK {
            self.open(false)?;
        }
        let count = bytes.len().min(CHUNK - self.segment.len());
        self.segment.extend(bytes.iter().take(count));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leave the `last` of `finish` out, or write what is left on drop, and this fails.
    #[test]
    fn a_payload_is_opened_whole_or_found_to_be_broken() {
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT] {
            let plain = vec![7; length];
            let sealed = dataset(&plain).unwrap();
            let mut out = Vec::new();
            let mut opening = Opening::new(&sealed.key, &mut out);
            sealed.bytes.chunks(1_000).for_each(|piece| opening.write_all(piece).unwrap());
            opening.finish().unwrap();
            assert_eq!(out, plain, "{length}");

            let mut out = Vec::new();
            let mut opening = Opening::new(&sealed.key, &mut out);
            let cut = sealed.bytes.len().saturating_sub(1) / CHUNK * CHUNK;
            opening.write_all(&sealed.bytes[..cut]).unwrap();
            assert!(opening.finish().is_err(), "{length}");
        }
    }

    #[test]
    fn a_dataset_of_any_length_opens_segment_by_segment() {
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT] {
            let plain = vec![7; length];
            let sealed = dataset(&plain).unwrap();
            let mut opener = SegmentOpener::new(&sealed.key);
            let mut joined = Vec::new();
            let mut chunks = sealed.bytes.chunks(CHUNK).peekable();
            while let Some(chunk) = chunks.next() {
                joined.extend_from_slice(&opener.open(chunk, chunks.peek().is_none()).unwrap());
            }
            assert_eq!(joined, plain, "{length}");
        }
    }
}
