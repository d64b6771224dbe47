//! The keys that secrets are sealed to.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem as _, X25519HkdfSha256};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CryptoRng, SealError};
use crate::id::InvalidId;

type Kem = X25519HkdfSha256;

/// A short name of a public key: the first eight bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The short name of a public key.
    pub fn of(public: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(public).into();
        let (id, _) = hash.split_first_chunk().expect("a hash is longer than an id");
        Self(*id)
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(InvalidId { what: "KeyId", expected: "16 hexadecimal digits" })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The public half of a sealing key: 32 bytes of X25519. In text, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SealingPublicKey(pub [u8; 32]);

impl SealingPublicKey {
    /// The key's short name.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// Whether anything can be sealed to it. What is for several keys is sealed to none if one of them is not usable.
    ///
    /// With a point of low order the exchange comes to nothing, whoever's private half the other is.
    pub fn check(&self) -> Result<(), SealError> {
        let bad_key = |_| SealError::BadKey(self.id());
        let (anybody, _) = Kem::derive_keypair(&[0; 32]);
        let point = <Kem as hpke::Kem>::EncappedKey::from_bytes(&self.0).map_err(bad_key)?;
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeR::Base, &anybody, &point, &[])
            .map(drop)
            .map_err(bad_key)
    }

    /// Seals to the owner of the private half: the encapsulated key of HPKE, and the ciphertext.
    pub(super) fn seal(
        &self,
        info: &[u8],
        plaintext: &[u8],
        aad: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<([u8; 32], Vec<u8>), SealError> {
        let bad_key = |_| SealError::BadKey(self.id());
        let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(bad_key)?;
        let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeS::Base,
            &public,
            info,
            plaintext,
            aad,
            rng,
        )
        .map_err(bad_key)?;
        Ok((enc.to_bytes().into(), ciphertext))
    }
}

impl fmt::Display for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({})", self.id())
    }
}

impl FromStr for SealingPublicKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(InvalidId { what: "SealingPublicKey", expected: "64 hexadecimal digits" })
    }
}

impl Serialize for SealingPublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SealingPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Both halves of a sealing key. Wiped on drop, printed by nobody.
#[derive(Clone)]
pub struct SealingKey {
    private: Zeroizing<[u8; 32]>,
    public: SealingPublicKey,
}

impl SealingKey {
    /// Derives a key from 32 bytes of fresh randomness.
    pub fn from_random(random: &Zeroizing<[u8; 32]>) -> Self {
        let (private, public) = Kem::derive_keypair(random.as_slice());
        Self { private: Zeroizing::new(private.to_bytes().into()), public: SealingPublicKey(public.to_bytes().into()) }
    }

    /// The key whose private half this is.
    pub fn from_private(private: Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let parsed = <Kem as hpke::Kem>::PrivateKey::from_bytes(private.as_slice()).map_err(|_| SealError::Altered)?;
        let public = SealingPublicKey(Kem::sk_to_pk(&parsed).to_bytes().into());
        Ok(Self { private, public })
    }

    /// The public half.
    pub const fn public(&self) -> &SealingPublicKey {
        &self.public
    }

    /// The private half, to be written to a file nobody else can read.
    pub fn expose_private(&self) -> &[u8; 32] {
        &self.private
    }

    pub(super) fn open(
        &self,
        info: &[u8],
        enc: &[u8; 32],
        ciphertext: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let private =
            <Kem as hpke::Kem>::PrivateKey::from_bytes(self.private.as_slice()).map_err(|_| SealError::Altered)?;
        let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| SealError::Altered)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &private,
            &enc,
            info,
            ciphertext,
            aad,
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::Altered)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, ***)", self.public.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_in_text_is_64_hexadecimal_digits() {
        let key = SealingPublicKey([0x5e; 32]);
        assert_eq!(key.to_string(), "5e".repeat(32));
        assert_eq!("5E".repeat(32).parse(), Ok(key));
        for bad in ["", "5e", &"5e".repeat(33), &"+e".repeat(32), &"ä".repeat(32), &"5g".repeat(32)] {
            assert!(bad.parse::<SealingPublicKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_private_key_survives_its_bytes() {
        let key = SealingKey::from_random(&Zeroizing::new([6; 32]));
        let again = SealingKey::from_private(Zeroizing::new(*key.expose_private())).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(key.public().to_string().parse::<SealingPublicKey>().unwrap(), *key.public());
        assert!(!format!("{key:?}").contains(&format!("{:02x}", key.expose_private()[0]).repeat(2)));
    }
}
