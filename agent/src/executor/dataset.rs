//! A sealed dataset in the spool, read in clear and never written so.

use std::io::{self, Read};

use postern_protocol::seal::{SegmentOpener, StreamKey};
use postern_protocol::stream::CHUNK_BYTES;
use postern_store::SpoolReader;
use zeroize::Zeroizing;

/// Opens one segment at a time.
pub(super) struct SealedDataset {
    reader: SpoolReader,
    opener: SegmentOpener,
    offset: u64,
    segment: Zeroizing<Vec<u8>>,
    read: usize,
}

impl SealedDataset {
    pub(super) fn new(reader: SpoolReader, key: &StreamKey) -> Self {
        Self { reader, opener: SegmentOpener::new(key), offset: 0, segment: Zeroizing::new(Vec::new()), read: 0 }
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let sealed = self.reader.read_at(self.offset).map_err(io::Error::other)?;
        self.offset += CHUNK_BYTES;
        let last = self.offset >= self.reader.len();
        self.segment = self.opener.open(&sealed, last).map_err(io::Error::other)?;
        self.read = 0;
        Ok(())
    }
}

impl Read for SealedDataset {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.segment.len() {
            // Even an empty dataset has one segment: without it, nothing vouches for there being nothing.
            if self.offset > 0 && self.offset >= self.reader.len() {
                return Ok(0);
            }
            self.next_segment()?;
        }
        let rest = self.segment.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.read += count;
        Ok(count)
    }
}
