//! Encryption of what is written: one cipher, one nonce source, for records and spool chunks.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::StoreKey;

/// Random, and long enough (192 bits) that two never meet.
pub(crate) const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// What sealing adds to the length.
pub(crate) const SEAL_OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// The store's cipher, with its key already set up.
#[derive(Clone)]
pub(crate) struct Sealer(XChaCha20Poly1305);

impl Sealer {
    pub(crate) fn new(key: &StoreKey) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(*key.expose())))
    }

    /// Appends nonce, ciphertext and tag of `plain` to `out`.
    pub(crate) fn seal(&self, associated: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let (_, body) = out.split_at_mut(start);
        let tag = self
            .0
            .encrypt_inout_detached(&XNonce::from(nonce), associated, body.into())
            .expect("the cipher fails only beyond 256 GiB, and no caller seals more than a chunk");
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// What was sealed, or `None` if these are not the bytes, key or place it was sealed for.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = body.to_vec();
        self.0.decrypt_in_place(&XNonce::from(*nonce), associated, &mut plain).ok()?;
        Some(plain)
    }
}
