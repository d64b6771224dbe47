//! Tasks signed by whoever originated them, so that a controller can delay a task but neither invent nor alter it.
//!
//! Ed25519 (RFC 8032) over the task's [`header`]. What the header says of parameters, secrets and payloads are hashes of
//! their bytes as they travel.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::codec::{self, CodecError};
use crate::id::InvalidId;
use crate::message::v1::Offer;
use crate::seal::KeyId;

/// The public key of somebody who signs tasks: 32 bytes of Ed25519. In text, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignerKey(pub [u8; 32]);

impl SignerKey {
    /// The key's short name.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.id())
    }
}

impl FromStr for SignerKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        digits(text).map(Self).ok_or(InvalidId { what: "SignerKey", expected: "64 hexadecimal digits" })
    }
}

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The 32 bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no Ed25519 key")]
pub struct NoKey;

/// Both halves of a key that signs tasks. Wiped on drop, printed by nobody.
pub struct SigningKey {
    private: Zeroizing<[u8; 32]>,
    public: SignerKey,
}

impl SigningKey {
    /// The key whose private half these 32 bytes are: fresh randomness, or what was kept of it.
    pub fn from_private(private: Zeroizing<[u8; 32]>) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(private.as_slice()).map_err(|_| NoKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoKey)?;
        Ok(Self { private, public: SignerKey(public) })
    }

    /// The public half.
    pub const fn public(&self) -> &SignerKey {
        &self.public
    }

    /// The private half, to be written to a file nobody else can read.
    pub fn expose_private(&self) -> &[u8; 32] {
        &self.private
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ***)", self.public.id())
    }
}

/// What an originator says to a task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TaskSignature {
    /// The key it was signed with.
    pub key: KeyId,
    /// Milliseconds, from the making of its id, in which the task may be begun; zero: as long as signatures last.
    pub deadline_ms: u64,
    /// The signature.
    pub bytes: [u8; 64],
}

/// A signature as interfaces for people and programs show it. The deadline is that of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SignatureView {
    /// The key's short name, 16 hexadecimal digits.
    pub key: String,
    /// The signature, 128 hexadecimal digits.
    pub bytes: String,
}

impl TaskSignature {
    /// Signs the task of an offer.
    pub fn sign(offer: &Offer, deadline_ms: u64, key: &SigningKey) -> Result<Self, CodecError> {
        let malformed = |reason: &str| CodecError::Malformed { reason: reason.to_owned() };
        let pair =
            Ed25519KeyPair::from_seed_unchecked(key.private.as_slice()).map_err(|_| malformed("no Ed25519 key"))?;
        let signed = pair.sign(&header(offer, deadline_ms)?);
        let bytes = signed.as_ref().try_into().map_err(|_| malformed("no Ed25519 signature"))?;
        Ok(Self { key: key.public.id(), deadline_ms, bytes })
    }

    /// Whether the owner of `key` signed the task of this offer as it is.
    pub fn is_of(&self, offer: &Offer, key: &SignerKey) -> bool {
        let Ok(header) = header(offer, self.deadline_ms) else { return false };
        self.key == key.id() && UnparsedPublicKey::new(&ED25519, key.0).verify(&header, &self.bytes).is_ok()
    }

    /// The signature as it is shown.
    pub fn view(&self) -> SignatureView {
        SignatureView { key: self.key.to_string(), bytes: HEXLOWER.encode(&self.bytes) }
    }

    /// The signature that is shown so, of a task with this deadline.
    pub fn of_view(view: &SignatureView, deadline_ms: u64) -> Result<Self, InvalidId> {
        let key = view.key.parse()?;
        let bytes = digits(&view.bytes);
        let bytes = bytes.ok_or(InvalidId { what: "signature", expected: "128 hexadecimal digits" })?;
        Ok(Self { key, deadline_ms, bytes })
    }
}

/// The bytes that are signed: a label, then what makes the task this one. Lengths and counts are `u16`, numbers
/// little-endian.
pub fn header(offer: &Offer, deadline_ms: u64) -> Result<Vec<u8>, CodecError> {
    let mut header = b"postern/task/v1".to_vec();
    header.extend(offer.task.as_bytes());
    header.extend(offer.kind.number().to_le_bytes());
    header.extend(offer.kind_rev.to_le_bytes());
    for text in [offer.system.as_str(), offer.target.as_str()] {
        header.extend(count(text.len()));
        header.extend(text.as_bytes());
    }
    header.extend(deadline_ms.to_le_bytes());
    header.extend(Sha256::digest(&*offer.params));
    header.extend(count(offer.sealed.len()));
    for field in &offer.sealed {
        header.extend(Sha256::digest(codec::encode(field)?));
    }
    header.extend(count(offer.streams.len()));
    for stream in &offer.streams {
        header.extend(stream.length.to_le_bytes());
        header.extend(stream.sha256);
    }
    header.push(u8::from(offer.requester.is_some()));
    header.extend(offer.requester.iter().flat_map(|key| key.0));
    Ok(header)
}

fn count(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{Bytes, List, Text};
    use crate::id::{Epoch, StreamId, TaskId};
    use crate::message::v1::StreamRef;
    use crate::seal::{SealedField, SealingPublicKey, WrappedKey};
    use crate::task::import_batch::{self, Format};
    use crate::task::{TaskKind, TaskRequest};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_private(Zeroizing::new([seed; 32])).unwrap()
    }

    fn sealed(ciphertext: u8, wrapped: u8) -> SealedField {
        let wrapped =
            WrappedKey { key: KeyId::of(&[1]), enc: [2; 32], wrapped: Bytes::new(vec![wrapped; 48]).unwrap() };
        let (name, ciphertext) = (Text::new("dataset_key").unwrap(), Bytes::new(vec![ciphertext; 48]).unwrap());
        SealedField { name, ciphertext, keys: List::new(vec![wrapped]).unwrap() }
    }

    fn offer() -> Offer {
        let stream = StreamRef { id: StreamId::from_bytes([3; 16]), length: 100, sha256: [4; 32] };
        let request = TaskRequest::ImportBatch(import_batch::Request::new(Format::Csv));
        let params = Bytes::new(vec![5; 10]).unwrap();
        Offer {
            epoch: Epoch(1),
            lease_ttl_ms: 1,
            target: Text::new("a@b.c").unwrap(),
            attempt: 1,
            sealed: List::new(vec![sealed(6, 7)]).unwrap(),
            streams: List::new(vec![stream]).unwrap(),
            requester: Some(SealingPublicKey([8; 32])),
            ..Offer::new(TaskId::from_bytes([9; 16]), "acme".parse().unwrap(), &request, params)
        }
    }

    /// Leave any field, or the count before what has no fixed length, out of the header, and an offer that differs in it passes
    /// for the one that was signed.
    #[test]
    fn f51_a_signature_is_of_one_task_and_of_all_that_makes_it() {
        let (one, signed) = (key(1), offer());
        let signature = TaskSignature::sign(&signed, 60_000, &one).unwrap();
        assert!(signature.is_of(&signed, one.public()));
        let stream = |length, hash| StreamRef { id: StreamId::from_bytes([3; 16]), length, sha256: [hash; 32] };
        let list = |streams: Vec<StreamRef>| List::new(streams).unwrap();
        let forged = [
            Offer { task: TaskId::from_bytes([8; 16]), ..offer() },
            Offer { kind: TaskKind::Export.into(), ..offer() },
            Offer { kind_rev: 2, ..offer() },
            Offer { system: "acmf".parse().unwrap(), ..offer() },
            Offer { target: Text::new("a@b.d").unwrap(), ..offer() },
            Offer { system: "acm".parse().unwrap(), target: Text::new("ea@b.c").unwrap(), ..offer() },
            Offer { params: Bytes::new(vec![5; 11]).unwrap(), ..offer() },
            Offer { sealed: List::default(), ..offer() },
            Offer { sealed: List::new(vec![sealed(7, 7)]).unwrap(), ..offer() },
            Offer { sealed: List::new(vec![sealed(6, 6)]).unwrap(), ..offer() },
            Offer { sealed: List::new(vec![sealed(6, 7), sealed(6, 7)]).unwrap(), ..offer() },
            Offer { streams: List::default(), ..offer() },
            Offer { streams: list(vec![stream(100, 5)]), ..offer() },
            Offer { streams: list(vec![stream(101, 4)]), ..offer() },
            Offer { requester: None, ..offer() },
            Offer { requester: Some(SealingPublicKey([9; 32])), ..offer() },
        ];
        for forged in forged {
            assert!(!signature.is_of(&forged, one.public()), "{forged:?}");
        }
        assert!(!TaskSignature { deadline_ms: 0, ..signature.clone() }.is_of(&signed, one.public()));
        assert!(!signature.is_of(&signed, key(2).public()));
        let given_out_again = Offer { epoch: Epoch(7), attempt: 3, reconcile: true, deadline_ms: 5, ..offer() };
        assert!(signature.is_of(&given_out_again, one.public()), "a lease is no part of the task");
    }

    /// Whoever writes a submitter in another language can check it by these.
    #[test]
    fn the_header_and_the_signature_are_what_the_protocol_says() {
        let offer = offer();
        let header = header(&offer, 60_000).unwrap();
        let mut expected = Vec::new();
        expected.extend(b"postern/task/v1");
        expected.extend([9; 16]);
        expected.extend([7, 0, 1, 0]);
        expected.extend(b"\x04\0acme\x05\0a@b.c");
        expected.extend([0x60, 0xea, 0, 0, 0, 0, 0, 0]);
        expected.extend(Sha256::digest([5; 10]));
        expected.extend([1, 0]);
        expected.extend(Sha256::digest(codec::encode(&sealed(6, 7)).unwrap()));
        expected.extend([1, 0]);
        expected.extend([100, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([4; 32]);
        expected.push(1);
        expected.extend([8; 32]);
        assert_eq!(header, expected);
        let signature = TaskSignature::sign(&offer, 60_000, &key(1)).unwrap();
        assert_eq!(TaskSignature::of_view(&signature.view(), 60_000), Ok(signature));
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn a_key_is_that_of_the_standard() {
        let seed = HEXLOWER.decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = SigningKey::from_private(Zeroizing::new(seed.try_into().unwrap())).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public().to_string(), public);
        assert_eq!(public.parse(), Ok(*key.public()));
        assert!(!format!("{key:?}").contains("9d61"));
    }
}
