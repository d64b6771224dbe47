//! Secrets sealed by the submitter to the members of a cluster, so that the controller only ever carries ciphertext.
//!
//! HPKE base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. A fresh data key encrypts a
//! field; the data key is wrapped for every member key. The associated data binds a field to its task, kind, connected
//! system and name, so that it cannot be moved. Outputs go the other way, sealed to the requester's key.
//!
//! A dataset is sealed whole, in segments that fill one stream chunk each, see [`SegmentSealer`].

use bincode::{Decode, Encode};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem as _, X25519HkdfSha256};
pub use hpke::rand_core::CryptoRng;
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::bounded::{Bytes, List, Text};
use crate::code::CodeSet;
use crate::id::{InvalidId, SystemName, TaskId};
use crate::stream::CHUNK;
use crate::task::TaskKind;

type Kem = X25519HkdfSha256;

/// The most bytes a sealed field may hold.
pub const MAX_SECRET: usize = 2048;
/// The most members a field can be sealed to.
pub const MAX_RECIPIENTS: usize = 64;

const TAG: usize = 16;
const WRAP_INFO: &[u8] = b"postern/wrap/v1";
const OUTPUT_INFO: &[u8] = b"postern/output/v1";

/// Why something could not be sealed or opened. Says nothing about the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a point of the curve that can be used.
    #[error("key {0} is not a usable X25519 public key")]
    BadKey(KeyId),
    /// Longer than [`MAX_SECRET`], or more recipients than [`MAX_RECIPIENTS`].
    #[error("the secret or the number of members it is for is too large")]
    TooLarge,
    /// No member to seal to.
    #[error("there is no member key to seal to")]
    NoRecipient,
    /// The field was sealed to other keys.
    #[error("it is sealed to other keys ({0}); submit the task again so that it is sealed to the present members")]
    NotForUs(String),
    /// The ciphertext, its key or what it is bound to does not match.
    #[error("it cannot be opened: it was altered, or sealed for another task, kind, system or field")]
    Altered,
}

/// A short name of a public key: the first eight bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct KeyId([u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The public half of a sealing key: 32 bytes of X25519. In text, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SealingPublicKey(pub [u8; 32]);

impl SealingPublicKey {
    /// The key's short name.
    pub fn id(&self) -> KeyId {
        let hash: [u8; 32] = Sha256::digest(self.0).into();
        let (id, _) = hash.split_first_chunk().expect("a hash is longer than an id");
        KeyId(*id)
    }
}

impl std::fmt::Display for SealingPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl std::fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingPublicKey({})", self.id())
    }
}

impl std::str::FromStr for SealingPublicKey {
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

    fn open(
        &self,
        info: &[u8],
        enc: &[u8; 32],
        ciphertext: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let private =
            <Kem as hpke::Kem>::PrivateKey::from_bytes(self.private.as_slice()).map_err(|_| SealError::Altered)?;
        let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| SealError::Altered)?;
        hpke::single_shot_open::<HpkeAead, HkdfSha256, Kem>(&OpModeR::Base, &private, &enc, info, ciphertext, aad)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKey({}, ***)", self.public.id())
    }
}

fn seal_to(
    recipient: &SealingPublicKey,
    info: &[u8],
    plaintext: &[u8],
    aad: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<([u8; 32], Vec<u8>), SealError> {
    let bad_key = |_| SealError::BadKey(recipient.id());
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&recipient.0).map_err(bad_key)?;
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<HpkeAead, HkdfSha256, Kem>(
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

/// What a secret is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: TaskKind,
    /// The connected system.
    pub system: &'a SystemName,
    /// What the task is about, as in the offer.
    pub target: &'a str,
}

impl SealContext<'_> {
    /// The associated data of `field`: a label, the task id, the kind, then system, target and field, each after
    /// its length as `u16`.
    fn associated_data(&self, field: &str) -> Vec<u8> {
        let mut data = b"postern/field/v1".to_vec();
        data.extend(self.task.as_bytes());
        data.extend(self.kind.code().to_le_bytes());
        for text in [self.system.as_str(), self.target, field] {
            data.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            data.extend(text.as_bytes());
        }
        data
    }
}

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
                let (enc, wrapped) = seal_to(recipient, WRAP_INFO, data_key.as_slice(), &aad, rng)?;
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
            let theirs: Vec<String> = self.keys.iter().map(|wrapped| wrapped.key.to_string()).collect();
            return Err(SealError::NotForUs(theirs.join(", ")));
        };
        let data_key = key.open(WRAP_INFO, &wrapped.enc, &wrapped.wrapped, &aad)?;
        let data_key = data_key.as_slice().try_into().map(Zeroizing::new).map_err(|_| SealError::Altered)?;
        cipher(&data_key)
            .decrypt(&Nonce::default(), Payload { msg: &self.ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Altered)
    }

    fn wrapped_for<'a>(&'a self, keys: &'a [SealingKey]) -> Option<(&'a SealingKey, &'a WrappedKey)> {
        self.keys
            .iter()
            .find_map(|wrapped| keys.iter().find(|key| key.public.id() == wrapped.key).map(|key| (key, wrapped)))
    }
}

fn cipher(key: &Zeroizing<[u8; 32]>) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(**key))
}

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
        let (enc, ciphertext) = seal_to(requester, OUTPUT_INFO, secret, &context.associated_data(name), rng)?;
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
    use hpke::rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// Counts up: enough for tests, useless for secrets.
    struct Counting(u64);

    impl TryRng for Counting {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            self.try_next_u64().map(|n| u32::try_from(n & 0xffff_ffff).unwrap())
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.0 += 1;
            Ok(self.0)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for byte in bytes {
                self.0 += 1;
                *byte = self.0.to_le_bytes()[0];
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    fn key(seed: u8) -> SealingKey {
        SealingKey::from_random(&Zeroizing::new([seed; 32]))
    }

    fn system() -> SystemName {
        "acme".parse().unwrap()
    }

    fn context(system: &SystemName) -> SealContext<'_> {
        SealContext { task: TaskId::from_bytes([9; 16]), kind: TaskKind::ResetPassword, system, target: "a@b.c" }
    }

    #[test]
    fn every_recipient_opens_a_field_and_nobody_else() {
        let system = system();
        let (one, two, other) = (key(1), key(2), key(3));
        let sealed = SealedField::seal(
            context(&system),
            "password",
            b"s3cret",
            &[*one.public(), *two.public()],
            &mut Counting(0),
        )
        .unwrap();
        assert_eq!(sealed.open(context(&system), &[one]).unwrap().as_slice(), b"s3cret");
        assert_eq!(sealed.open(context(&system), &[other.clone(), two]).unwrap().as_slice(), b"s3cret");
        assert!(matches!(sealed.open(context(&system), &[other]), Err(SealError::NotForUs(_))));
    }

    /// F50: leave the associated data out of `seal` and `open` and this fails: a moved field opens.
    #[test]
    fn f50_a_field_moved_to_another_task_kind_system_target_or_name_does_not_open() {
        let (system, elsewhere) = (system(), "elsewhere".parse().unwrap());
        let key = key(1);
        let sealed =
            SealedField::seal(context(&system), "password", b"s3cret", &[*key.public()], &mut Counting(0)).unwrap();
        let moved = [
            SealContext { task: TaskId::from_bytes([8; 16]), ..context(&system) },
            SealContext { kind: TaskKind::ImportBatch, ..context(&system) },
            SealContext { system: &elsewhere, ..context(&system) },
            SealContext { target: "c@b.a", ..context(&system) },
        ];
        for context in moved {
            assert_eq!(sealed.open(context, std::slice::from_ref(&key)), Err(SealError::Altered));
        }
        let renamed = SealedField { name: Text::new("other").unwrap(), ..sealed };
        assert_eq!(renamed.open(context(&system), &[key]), Err(SealError::Altered));
    }

    #[test]
    fn an_output_opens_with_the_requesters_key() {
        let system = system();
        let requester = key(4);
        let sealed =
            SealedOutput::seal(context(&system), "password", b"made up", requester.public(), &mut Counting(0)).unwrap();
        assert_eq!(sealed.open(context(&system), &requester).unwrap().as_slice(), b"made up");
        assert_eq!(sealed.open(context(&system), &key(5)), Err(SealError::Altered));
    }

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
        let key = key(6);
        let again = SealingKey::from_private(Zeroizing::new(*key.expose_private())).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(key.public().to_string().parse::<SealingPublicKey>().unwrap(), *key.public());
        assert!(!format!("{key:?}").contains(&format!("{:02x}", key.expose_private()[0]).repeat(2)));
    }
}
