//! Secrets sealed by the submitter to the members of a cluster, so that the controller only ever carries ciphertext.
//!
//! HPKE base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. A fresh data key encrypts a
//! field; the data key is wrapped for every member key. The associated data binds a field to its task, kind, connected
//! system and name, so that it cannot be moved. Outputs go the other way, sealed to the requester's key.
//!
//! A dataset is sealed whole, in segments that fill one stream chunk each, see [`SegmentSealer`].

mod field;
mod key;
mod output;
mod segment;

pub use field::{MAX_RECIPIENTS, SealedField, WrappedKey};
pub use hpke::rand_core::CryptoRng;
pub use key::{KeyId, SealingKey, SealingPublicKey};
pub use output::SealedOutput;
pub use segment::{SEGMENT, SegmentOpener, SegmentSealer, StreamKey};

use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit as _};
use zeroize::Zeroizing;

use crate::code::CodeSet as _;
use crate::id::{SystemName, TaskId};
use crate::task::TaskKind;

/// The most bytes a sealed field may hold.
pub const MAX_SECRET: usize = 2048;

/// The most keys a member can open sealed fields with: the present one, those before it that something may still be
/// sealed to, and the one that comes next.
pub const MAX_MEMBER_KEYS: usize = 4;

/// What a ciphertext is longer than its plaintext.
const TAG: usize = 16;

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
    #[error("it is sealed to keys that this member does not have ({0}); seal it again, to the present keys")]
    NotForUs(String),
    /// The ciphertext, its key or what it is bound to does not match.
    #[error("it cannot be opened: it was altered, or sealed for another task, kind, system or field")]
    Altered,
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

fn cipher(key: &Zeroizing<[u8; 32]>) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(**key))
}

#[cfg(test)]
mod tests {
    use hpke::rand_core::{TryCryptoRng, TryRng};

    use super::*;
    use crate::bounded::Text;

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

    /// Each way to write a point whose multiples are few: an exchange with one comes to nothing, whatever the other half is.
    fn points_of_low_order() -> Vec<SealingPublicKey> {
        let of_order_eight = [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        ];
        // -1, 0 and 1, the last two also as numbers beyond the prime, 2^255 - 19.
        let small = |first: u8, rest: u8, last: u8| {
            let mut bytes = [rest; 32];
            (bytes[0], bytes[31]) = (first, last);
            SealingPublicKey(bytes)
        };
        let others =
            [small(0xec, 0xff, 0x7f), small(0, 0, 0), small(1, 0, 0), small(0xed, 0xff, 0x7f), small(0xee, 0xff, 0x7f)];
        of_order_eight.into_iter().map(|it| it.parse().unwrap()).chain(others).collect()
    }

    /// Have the check say yes to all, and a field is not sealed to anybody because of one key.
    #[test]
    fn a_key_that_nothing_can_be_sealed_to_is_known_for_one_and_no_other_is() {
        let system = system();
        for key in points_of_low_order() {
            let sealed = SealedField::seal(context(&system), "password", b"x", &[key], &mut Counting(0));
            assert_eq!(sealed, Err(SealError::BadKey(key.id())));
            assert_eq!(key.check(), Err(SealError::BadKey(key.id())), "{key}");
        }
        for number in 0..8 {
            assert_eq!(key(number).public().check(), Ok(()));
        }
    }

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
}
