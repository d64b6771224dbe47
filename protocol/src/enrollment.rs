//! How a member gets its certificate.
//!
//! The agent dials the controller's enrollment path, pins the CA by the hash in its token, and sends one
//! [`Enroll`](v1::Enroll) with a proof: an HMAC over the TLS channel's exporter, the signing request and the sealing
//! key. The token's secret never travels, and a relay that ends TLS itself has another exporter.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::codec;
use crate::frame::frames;
use crate::id::{ClusterName, Incarnation, InvalidId, MemberId, TokenId};
use crate::seal::SealingPublicKey;

/// The WebSocket path of enrollment.
pub const PATH: &str = "/v1/enroll";
/// The WebSocket subprotocol of enrollment.
pub const SUBPROTOCOL: &str = "postern-enroll.v1";
/// The label of the TLS exporter (RFC 8446, section 7.5) the proof is bound to; no context, 32 bytes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-postern-enroll-v1";

/// The most bytes a certificate's serial number has (RFC 5280, section 4.1.2.2).
pub const MAX_SERIAL: usize = 20;

const TEXT_PREFIX: &str = "postern-token-";

/// What an operator hands to an administrator so that one agent can enroll: single use, short-lived, secret.
#[derive(Clone)]
pub struct EnrollmentToken {
    /// The cluster the agent will be a member of.
    pub cluster: ClusterName,
    /// The token's id, which is not secret.
    pub id: TokenId,
    /// The key of the proof, derived from the token's secret.
    pub key: ProofKey,
    /// SHA-256 of the subject public key info of the cluster's CA.
    pub ca_sha256: [u8; 32],
}

#[derive(Encode, Decode)]
struct TokenBytes {
    cluster: ClusterName,
    id: TokenId,
    secret: [u8; 32],
    ca_sha256: [u8; 32],
}

/// The text of a token, secret included: to be shown once.
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// Writes a token with this secret.
    pub fn new(cluster: ClusterName, id: TokenId, secret: &Zeroizing<[u8; 32]>, ca_sha256: [u8; 32]) -> Self {
        let bytes = codec::encode(&TokenBytes { cluster, id, secret: **secret, ca_sha256 })
            .map(Zeroizing::new)
            .expect("a token is far smaller than a frame");
        Self(Zeroizing::new(format!("{TEXT_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnrollmentToken {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId {
            what: "token for enrollment",
            expected: "the whole text that `postern-controller token create` printed, beginning with `postern-token-`",
        };
        let body = text.trim().strip_prefix(TEXT_PREFIX).filter(|body| body.len() <= 512).ok_or(invalid.clone())?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| invalid.clone())?);
        let token: TokenBytes = codec::decode(&bytes).map_err(|_| invalid)?;
        let key = ProofKey::derive(&Zeroizing::new(token.secret));
        Ok(Self { cluster: token.cluster, id: token.id, key, ca_sha256: token.ca_sha256 })
    }
}

/// The key of the proof. The controller keeps this, not the secret it is derived from.
#[derive(Clone)]
pub struct ProofKey(Zeroizing<[u8; 32]>);

impl ProofKey {
    /// Derives it from a token's secret.
    pub fn derive(secret: &Zeroizing<[u8; 32]>) -> Self {
        let hash = Sha256::new().chain_update(b"postern/enroll-key/v1").chain_update(secret.as_slice()).finalize();
        Self(Zeroizing::new(hash.into()))
    }

    /// The key with these bytes.
    pub const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the controller's ledger.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The proof that whoever knows the token's secret sends this request over this channel.
    pub fn prove(&self, exporter: &[u8; 32], request: &Request<'_>) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        mac.update(b"postern/enroll/v1");
        mac.update(exporter);
        mac.update(request.incarnation.as_bytes());
        mac.update(&request.sealing_key.0);
        mac.update(request.csr);
        mac.finalize().into_bytes().into()
    }

    /// Whether `proof` is the one for this request over this channel. Takes the same time either way.
    pub fn verify(&self, exporter: &[u8; 32], request: &Request<'_>, proof: &[u8; 32]) -> bool {
        self.prove(exporter, request).ct_eq(proof).into()
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(***)")
    }
}

/// The fingerprint of a member: SHA-256 of its TLS key's subject public key info (DER), in groups of four digits. What
/// an administrator and an operator compare before the operator approves.
pub fn fingerprint(public_key_info: &[u8]) -> String {
    let groups: Vec<String> = Sha256::digest(public_key_info).chunks(2).map(|pair| HEXLOWER.encode(pair)).collect();
    groups.join(":")
}

/// The one name in a member's certificate.
pub fn certificate_name(cluster: &ClusterName, member: MemberId) -> String {
    format!("spiffe://{cluster}/{member}")
}

/// The cluster and the member of such a name.
pub fn read_certificate_name(name: &str) -> Option<(ClusterName, MemberId)> {
    let (cluster, member) = name.strip_prefix("spiffe://")?.split_once('/')?;
    Some((cluster.parse().ok()?, member.parse().ok()?))
}

/// What a proof vouches for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The life of the agent's store.
    pub incarnation: Incarnation,
    /// The agent's sealing key.
    pub sealing_key: &'a SealingPublicKey,
    /// The certificate signing request, DER.
    pub csr: &'a [u8],
}

/// What a member signs with the key of its old certificate to be given another, once the old one has run out.
///
/// The exporter binds it to one TLS channel, as the proof of an enrollment: a relay gains nothing.
pub fn recovery_statement(exporter: &[u8; 32], sealing_key: &SealingPublicKey, serial: &[u8], csr: &[u8]) -> Vec<u8> {
    let length = u8::try_from(serial.len()).unwrap_or(u8::MAX);
    [b"postern/recover/v1".as_slice(), exporter, &sealing_key.0, &[length], serial, csr].concat()
}

frames! {
    /// What a controller receives on the enrollment path.
    pub enum FromApplicant {
        /// Asks for membership.
        60 1 Enroll,
        /// Asks for a member's next certificate, because its last one has run out.
        63 1 Recover,
    }
}

frames! {
    /// What an applicant receives on the enrollment path.
    pub enum FromAuthority {
        /// Membership.
        61 1 Enrolled,
        /// No membership.
        62 1 EnrollRefused,
    }
}

/// The frozen structs of enrollment.
pub mod v1 {
    use bincode::{Decode, Encode};

    use crate::bounded::{Bytes, Text};
    use crate::code::Code;
    use crate::codes;
    use crate::id::{ClusterName, Incarnation, MemberId, TokenId};
    use crate::message::v1::TrustBundle;
    use crate::seal::SealingPublicKey;

    use super::MAX_SERIAL;

    /// Asks for membership.
    #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
    pub struct Enroll {
        /// The token.
        pub token: TokenId,
        /// The life of the agent's store.
        pub incarnation: Incarnation,
        /// The agent's host name, for people.
        pub host: Text<255>,
        /// The agent's version, for people.
        pub agent_version: Text<64>,
        /// The agent's sealing key.
        pub sealing_key: SealingPublicKey,
        /// The certificate signing request, DER. Only its public key counts; the CA writes all names.
        pub csr: Bytes<4096>,
        /// See [`ProofKey::prove`](super::ProofKey::prove).
        pub proof: [u8; 32],
    }

    /// Asks for a member's next certificate, because its last one has run out.
    #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
    pub struct Recover {
        /// The member.
        pub member: MemberId,
        /// The serial number of the certificate that has run out, big-endian without leading zeros.
        pub serial: Bytes<MAX_SERIAL>,
        /// The agent's sealing key.
        pub sealing_key: SealingPublicKey,
        /// The certificate signing request, DER, for a key of its own.
        pub csr: Bytes<4096>,
        /// The signature of [`recovery_statement`](super::recovery_statement) by the old certificate's key: ECDSA with
        /// SHA-256, DER.
        pub proof: Bytes<80>,
    }

    /// Membership.
    #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
    pub struct Enrolled {
        /// The cluster.
        pub cluster: ClusterName,
        /// The member.
        pub member: MemberId,
        /// The member's certificate, DER.
        pub certificate: Bytes<4096>,
        /// The roots to trust. Whoever stores the certificate has stored them before.
        pub trust: TrustBundle,
        /// Whether the member may work at once, or has to be approved first.
        pub approved: bool,
    }

    codes! {
        /// Why an applicant is refused.
        pub enum EnrollRefusal {
            /// Unknown, used up or expired, or the proof does not fit. Not told apart on purpose.
            1 InvalidToken = "invalid_token",
            /// The request makes no sense.
            2 InvalidRequest = "invalid_request",
            /// Too many attempts; try again later.
            3 Overloaded = "overloaded",
            /// The controller cannot write to its store.
            4 StoreFault = "store_fault",
            /// No such member, not its last certificate, or the proof does not fit. Not told apart on purpose.
            5 InvalidProof = "invalid_proof",
            /// The member was revoked.
            6 Revoked = "revoked",
            /// The certificate ran out longer ago than this controller allows.
            7 TooLate = "too_late",
        }
    }

    /// No membership.
    #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
    pub struct EnrollRefused {
        /// Why.
        pub reason: Code<EnrollRefusal>,
        /// A sentence for people.
        pub message: Text<512>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> TokenText {
        let secret = Zeroizing::new([5; 32]);
        TokenText::new("acme".parse().unwrap(), TokenId::from_bytes([1; 16]), &secret, [2; 32])
    }

    #[test]
    fn a_token_survives_its_text_and_shows_no_secret() {
        let token: EnrollmentToken = text().expose().parse().unwrap();
        assert_eq!(token.cluster.as_str(), "acme");
        assert_eq!(token.ca_sha256, [2; 32]);
        assert_eq!(token.key.expose(), ProofKey::derive(&Zeroizing::new([5; 32])).expose());
        assert_eq!(format!("{:?}", token.key), "ProofKey(***)");
    }

    #[test]
    fn a_cut_token_is_refused_with_the_form_that_was_expected() {
        let text = text();
        let error = text.expose()[..40].parse::<EnrollmentToken>().err().unwrap();
        assert!(error.to_string().contains("postern-controller token create"), "{error}");
    }

    #[test]
    fn a_fingerprint_can_be_read_aloud() {
        let fingerprint = fingerprint(b"key");
        assert!(fingerprint.starts_with("2c70:e12b:7a06:46f9:"), "{fingerprint}");
        assert_eq!(fingerprint.len(), 79);
    }

    #[test]
    fn a_proof_is_bound_to_channel_and_request() {
        let key = ProofKey::derive(&Zeroizing::new([5; 32]));
        let sealing_key = SealingPublicKey([3; 32]);
        let request = Request { incarnation: Incarnation::from_bytes([4; 16]), sealing_key: &sealing_key, csr: b"csr" };
        let proof = key.prove(&[1; 32], &request);
        assert!(key.verify(&[1; 32], &request, &proof));
        assert!(!key.verify(&[2; 32], &request, &proof), "another channel");
        assert!(!key.verify(&[1; 32], &Request { csr: b"other", ..request }, &proof), "another request");
        let other = SealingPublicKey([9; 32]);
        assert!(!key.verify(&[1; 32], &Request { sealing_key: &other, ..request }, &proof), "another sealing key");
    }

    #[test]
    fn a_statement_of_recovery_says_each_part_and_where_it_ends() {
        let key = SealingPublicKey([3; 32]);
        let statement = recovery_statement(&[1; 32], &key, b"serial", b"csr");
        assert_eq!(statement.len(), 18 + 32 + 32 + 1 + 6 + 3);
        assert!(statement.ends_with(b"\x06serialcsr"));
        assert_ne!(statement, recovery_statement(&[1; 32], &key, b"serialc", b"sr"));
    }
}
