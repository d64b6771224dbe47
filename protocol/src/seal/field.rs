//! Secrets for the members of a cluster.

use bincode::{Decode, Encode};
use chacha20poly1305::Nonce;
use chacha20poly1305::aead::{Aead, Payload};
use zeroize::Zeroizing;

use super::{CryptoRng, KeyId, MAX_SECRET, SealContext, SealError, SealingKey, SealingPublicKey, TAG, cipher};
use crate::bounded::{Bytes, List, Text};

/// The most members a field can be sealed to.
pub const MAX_RECIPIENTS: usize = 64;

const WRAP_INFO: &[u8] = b"postern/wrap/v1";

/// A data key, wrapped for one member key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WrappedKey {
    /// The member key.
    pub key: KeyId,
    /// The encapsulated key of HPKE.
    pub enc: [u8; 32],
    /// The data key, encrypted.
    pub wrapped: Bytes<48>,
}

/// A secret of a task, for its members alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealedField {
    /// The field's name.
    pub name: Text<64>,
    /// The secret under the data key, with a nonce of zeros: a data key seals one field once.
    pub ciphertext: Bytes<{ MAX_SECRET + TAG }>,
    /// The data key, once for each member key.
    pub keys: List<WrappedKey, MAX_RECIPIENTS>,
}

impl SealedField {
    /// Seals `secret` for every one of `recipients`.
    pub fn seal(
        context: SealContext<'_>,
        name: &str,
        secret: &[u8],
        recipients: &[SealingPublicKey],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        if recipients.is_empty() {
            return Err(SealError::NoRecipient);
        }
        let aad = context.associated_data(name);
        let mut data_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(data_key.as_mut_slice());
        let ciphertext = cipher(&data_key)
            .encrypt(&Nonce::default(), Payload { msg: secret, aad: &aad })
            .map_err(|_| SealError::TooLarge)?;
        let keys = recipients
            .iter()
            .map(|recipient| {
                let (enc, wrapped) = recipient.seal(WRAP_INFO, data_key.as_slice(), &aad, rng)?;
                let wrapped = Bytes::new(wrapped).map_err(|_| SealError::TooLarge)?;
                Ok(WrappedKey { key: recipient.id(), enc, wrapped })
            })
            .collect::<Result<Vec<_>, SealError>>()?;
        Ok(Self {
            name: Text::new(name).map_err(|_| SealError::TooLarge)?,
            ciphertext: Bytes::new(ciphertext).map_err(|_| SealError::TooLarge)?,
            keys: List::new(keys).map_err(|_| SealError::TooLarge)?,
        })
    }

    /// Whether one of `keys` can open it.
    pub fn is_for(&self, keys: &[SealingKey]) -> bool {
        self.wrapped_for(keys).is_some()
    }

    /// Opens it with whichever of `keys` it was sealed to.
    pub fn open(&self, context: SealContext<'_>, keys: &[SealingKey]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let aad = context.associated_data(&self.name);
        let Some((key, wrapped)) = self.wrapped_for(keys) else {
            let theirs: Vec<String> = self.recipients().map(|key| key.to_string()).collect();
            return Err(SealError::NotForUs(theirs.join(", ")));
        };
        let data_key = key.open(WRAP_INFO, &wrapped.enc, &wrapped.wrapped, &aad)?;
        let data_key = data_key.as_slice().try_into().map(Zeroizing::new).map_err(|_| SealError::Altered)?;
        cipher(&data_key)
            .decrypt(&Nonce::default(), Payload { msg: &self.ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered)
    }

    /// The keys it is sealed to.
    pub fn recipients(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|wrapped| wrapped.key)
    }

    fn wrapped_for<'a>(&'a self, keys: &'a [SealingKey]) -> Option<(&'a SealingKey, &'a WrappedKey)> {
        self.keys
            .iter()
            .find_map(|wrapped| keys.iter().find(|key| key.public().id() == wrapped.key).map(|key| (key, wrapped)))
    }
}
