//! Secrets for the requester of a task.

use bincode::{Decode, Encode};
use zeroize::Zeroizing;

use super::{CryptoRng, MAX_SECRET, SealContext, SealError, SealingKey, SealingPublicKey, TAG};
use crate::bounded::{Bytes, Text};

const OUTPUT_INFO: &[u8] = b"postern/output/v1";

/// A secret that came of a task, for its requester alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealedOutput {
    /// Its name.
    pub name: Text<64>,
    /// The encapsulated key of HPKE.
    pub enc: [u8; 32],
    /// The secret, encrypted.
    pub ciphertext: Bytes<{ MAX_SECRET + TAG }>,
}

impl SealedOutput {
    /// Seals `secret` to the requester's key.
    pub fn seal(
        context: SealContext<'_>,
        name: &str,
        secret: &[u8],
        requester: &SealingPublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        let (enc, ciphertext) = requester.seal(OUTPUT_INFO, secret, &context.associated_data(name), rng)?;
        Ok(Self {
            name: Text::new(name).map_err(|_| SealError::TooLarge)?,
            enc,
            ciphertext: Bytes::new(ciphertext).map_err(|_| SealError::TooLarge)?,
        })
    }

    /// Opens it with the requester's key.
    pub fn open(&self, context: SealContext<'_>, key: &SealingKey) -> Result<Zeroizing<Vec<u8>>, SealError> {
        key.open(OUTPUT_INFO, &self.enc, &self.ciphertext, &context.associated_data(&self.name))
    }
}
