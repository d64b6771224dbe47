//! Streams sealed segment by segment.

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use zeroize::Zeroizing;

use super::{SealError, TAG, cipher};
use crate::stream::CHUNK;

/// The most plaintext bytes of one segment of a sealed stream: with its tag it fills one chunk.
pub const SEGMENT: usize = CHUNK - TAG;

/// The key of a sealed stream. It seals one stream once.
pub type StreamKey = Zeroizing<[u8; 32]>;

fn segment_nonce(index: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let (number, rest) = nonce.split_at_mut(8);
    number.copy_from_slice(&index.to_le_bytes());
    rest.copy_from_slice(&[0, 0, 0, u8::from(last)]);
    nonce.into()
}

/// Seals a stream segment by segment. The nonce is the segment's number and whether it is the last, so that segments
/// can be neither reordered nor dropped from the end.
pub struct SegmentSealer {
    cipher: ChaCha20Poly1305,
    next: u64,
}

impl SegmentSealer {
    /// Begins a stream under a fresh key.
    pub fn new(key: &StreamKey) -> Self {
        Self { cipher: cipher(key), next: 0 }
    }

    /// Seals the next segment: [`SEGMENT`] bytes, fewer only for the last.
    pub fn seal(&mut self, plaintext: &[u8], last: bool) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > SEGMENT || (plaintext.len() < SEGMENT && !last) {
            return Err(SealError::TooLarge);
        }
        let nonce = segment_nonce(self.next, last);
        self.next += 1;
        self.cipher.encrypt(&nonce, plaintext).map_err(|_| SealError::TooLarge)
    }
}

/// Opens a stream segment by segment.
pub struct SegmentOpener {
    cipher: ChaCha20Poly1305,
    next: u64,
}

impl SegmentOpener {
    /// Begins a stream.
    pub fn new(key: &StreamKey) -> Self {
        Self { cipher: cipher(key), next: 0 }
    }

    /// Opens the next segment.
    pub fn open(&mut self, ciphertext: &[u8], last: bool) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let nonce = segment_nonce(self.next, last);
        self.next += 1;
        self.cipher.decrypt(&nonce, ciphertext).map(Zeroizing::new).map_err(|_| SealError::Altered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_be_reordered_or_dropped_from_the_end() {
        let stream_key = Zeroizing::new([7; 32]);
        let mut sealer = SegmentSealer::new(&stream_key);
        let first = sealer.seal(&vec![1; SEGMENT], false).unwrap();
        let second = sealer.seal(b"end", true).unwrap();
        assert_eq!(first.len(), CHUNK);

        let mut opener = SegmentOpener::new(&stream_key);
        assert!(opener.open(&first, false).is_ok());
        assert_eq!(opener.open(&second, true).unwrap().as_slice(), b"end");

        assert_eq!(SegmentOpener::new(&stream_key).open(&second, true), Err(SealError::Altered));
        assert_eq!(SegmentOpener::new(&stream_key).open(&first, true), Err(SealError::Altered));
    }
}
