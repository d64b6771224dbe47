//! Who a client certificate names.

use postern_protocol::enrollment;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId};
use rustls_pki_types::CertificateDer;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::FromDer as _;

/// The member a verified certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its id.
    pub member: MemberId,
    /// The certificate's serial number, big-endian without leading zeros.
    pub serial: Vec<u8>,
    /// From when on the certificate is valid: of two that one authority issued, the later one was issued later.
    pub begins: UnixMillis,
    /// When it runs out.
    pub expires: UnixMillis,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

impl Peer {
    /// Reads the one name `spiffe://<cluster>/<member>` of a certificate that TLS has verified already.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return None };
        let (cluster, member) = enrollment::read_certificate_name(uri)?;
        let serial: Vec<u8> = parsed.raw_serial().iter().copied().skip_while(|byte| *byte == 0).collect();
        let millis = |secs: i64| UnixMillis(u64::try_from(secs).unwrap_or(0).saturating_mul(1000));
        let (begins, expires) = (parsed.validity().not_before, parsed.validity().not_after);
        let (begins, expires) = (millis(begins.timestamp()), millis(expires.timestamp()));
        Some(Self { cluster, member, serial, begins, expires, certificate: certificate.to_vec() })
    }
}

/// Whether the key of a member's certificate signed `statement`: ECDSA with SHA-256, DER.
pub fn has_signed(certificate: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return false };
    let key = &parsed.public_key().subject_public_key.data;
    let known = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
    let fitting = known.iter().filter(|(scheme, _)| *scheme == rustls::SignatureScheme::ECDSA_NISTP256_SHA256);
    fitting.flat_map(|(_, algorithms)| *algorithms).any(|it| it.verify_signature(key, statement, signature).is_ok())
}

/// Whether the key of `root` signed a certificate.
pub fn is_signed_by(certificate: &[u8], root: &[u8]) -> bool {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return false };
    has_signed(root, parsed.tbs_certificate.as_ref(), &parsed.signature_value.data)
}

/// Whether a signing request is for the key that a certificate has already.
pub fn has_key_of(certificate: &[u8], request: &[u8]) -> bool {
    let certified = parse_x509_certificate(certificate).map(|(_, parsed)| parsed.public_key().raw.to_vec());
    let requested = X509CertificationRequest::from_der(request)
        .map(|(_, parsed)| parsed.certification_request_info.subject_pki.raw.to_vec());
    matches!((certified, requested), (Ok(certified), Ok(requested)) if certified == requested)
}

/// The fingerprint of the member whose certificate this is; empty if it is none.
pub fn fingerprint(certificate: &[u8]) -> String {
    parse_x509_certificate(certificate)
        .map(|(_, parsed)| enrollment::fingerprint(parsed.public_key().raw))
        .unwrap_or_default()
}

/// Whether this fingerprint is meant by what somebody wrote, in letters of either case.
pub fn is_meant(fingerprint: &str, written: &str) -> bool {
    fingerprint.eq_ignore_ascii_case(written.trim())
}
