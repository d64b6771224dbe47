//! The certificates, keys and roots that members and their controller know each other by.

use bincode::{Decode, Encode};

use crate::bounded::{Bytes, List, Text};
use crate::code::Code;
use crate::codes;
use crate::seal::{KeyId, MAX_MEMBER_KEYS, SealingPublicKey};

/// The most roots that are trusted at once: a rotation has two.
pub const MAX_ROOTS: usize = 4;

/// A public key that a member can open sealed fields with.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AnnouncedKey {
    /// Its id.
    pub id: KeyId,
    /// The key.
    pub public: SealingPublicKey,
}

/// Asks for the certificate that follows the member's present one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertRenew {
    /// The signing request, DER, for a key of its own. Only its public key counts; the CA writes all names.
    pub csr: Bytes<4096>,
}

/// The certificate asked for. It takes the place of the present one in the first `Hello` under it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertIssued {
    /// SHA-256 of the signing request.
    pub request: [u8; 32],
    /// The certificate, DER.
    pub certificate: Bytes<4096>,
}

codes! {
    /// Why there is no next certificate.
    pub enum CertRefusal {
        /// The signing request cannot be used, or its key is the present one.
        1 InvalidRequest = "invalid_request",
        /// The authority cannot sign.
        2 AuthorityFault = "authority_fault",
        /// Too many were asked for; the message says when to ask again.
        3 Overloaded = "overloaded",
    }
}

/// There is no next certificate; the present one stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertRefused {
    /// SHA-256 of the signing request.
    pub request: [u8; 32],
    /// Why.
    pub reason: Code<CertRefusal>,
    /// A sentence for people.
    pub message: Text<512>,
}

/// The keys the member can open sealed fields with have changed. Every one of them is on its disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyAnnounce {
    /// All of them, the newest first.
    pub keys: List<AnnouncedKey, MAX_MEMBER_KEYS>,
}

/// Keys that were announced are on the controller's disk, and the newest is what submitters are given.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyAck {
    /// The newest.
    pub newest: KeyId,
}

/// The roots that members trust from now on, in the place of those before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TrustBundle {
    /// Its number, which the acknowledgement repeats.
    pub number: u64,
    /// The certificates of the roots, DER. New certificates are of the first.
    pub roots: List<Bytes<4096>, MAX_ROOTS>,
}

/// A bundle is on disk, and every connection from now on is opened with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TrustBundleAck {
    /// Its number.
    pub number: u64,
}
