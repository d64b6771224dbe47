//! Sealing a task's secrets in the submitter's own process, so that the controller only carries ciphertext.

use data_encoding::BASE64;
use postern_protocol::seal::{
    SEGMENT, SealContext, SealError, SealedField, SealedOutput, SealingKey, SealingPublicKey, SegmentSealer, StreamKey,
};
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
        Ok(OpaqueView { name: name.to_owned(), bytes: BASE64.encode(&bytes) })
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

#[cfg(test)]
mod tests {
    use postern_protocol::seal::SegmentOpener;
    use postern_protocol::stream::CHUNK;

    use super::*;

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
