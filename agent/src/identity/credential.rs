//! A key, the signing request for it, and the certificate once there is one, in one file: they change together.

use std::path::Path;

use data_encoding::BASE64;
use postern_agent_core::renewal::Validity;
use postern_protocol::enrollment::certificate_name;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SigningKey as _};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use super::IdentityError;

/// The width of a line of base64 in PEM.
const LINE: usize = 64;

/// What a member is recognized by, or is about to be.
pub struct Credential {
    key: KeyPair,
    request: CertificateSigningRequestDer<'static>,
    certificate: Option<CertificateDer<'static>>,
}

impl Credential {
    /// A new key and a request for its certificate. The request names nothing: the CA writes all names.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let request = CertificateParams::default().serialize_request(&key)?.der().clone();
        Ok(Self { key, request, certificate: None })
    }

    /// What a file says; `path` is where it is.
    pub fn parse(pem: &[u8], path: &Path) -> Result<Self, IdentityError> {
        let damaged = |reason: String| IdentityError::Damaged { path: path.to_owned(), reason };
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| damaged(error.to_string()))?;
        let key = KeyPair::from_der_and_sign_algo(&key, &rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|error| damaged(error.to_string()))?;
        let request = CertificateSigningRequestDer::from_pem_slice(pem).map_err(|error| damaged(error.to_string()))?;
        let certificate = CertificateDer::pem_slice_iter(pem).next().transpose();
        Ok(Self { key, request, certificate: certificate.map_err(|error| damaged(error.to_string()))? })
    }

    /// What a file is to say.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(self.key.serialize_pem());
        let request = section("CERTIFICATE REQUEST", &self.request);
        let certificate = self.certificate.as_ref().map(|it| section("CERTIFICATE", it)).unwrap_or_default();
        // Room for all of it, because a text that grows leaves copies of the key behind.
        let mut pem = Zeroizing::new(String::with_capacity(key.len() + request.len() + certificate.len()));
        for part in [key.as_str(), &request, &certificate] {
            pem.push_str(part);
        }
        pem
    }

    /// The same with its certificate.
    pub fn with_certificate(&self, certificate: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::Pkcs8(self.key.serialized_der().into());
        let key = KeyPair::from_der_and_sign_algo(&key, &rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateDer::from(certificate.to_vec());
        Ok(Self { key, request: self.request.clone(), certificate: Some(certificate) })
    }

    /// The signing request, DER. The same bytes each time, so that asking again after a lost answer is recognized.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// SHA-256 of the signing request.
    pub fn request_digest(&self) -> [u8; 32] {
        Sha256::digest(&self.request).into()
    }

    /// The certificate, once there is one.
    pub const fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certificate.as_ref()
    }

    /// Whether its certificate is of another member than this one, as far as it can be read.
    pub fn is_anothers(&self, cluster: &ClusterName, member: MemberId) -> bool {
        self.certificate.as_ref().and_then(|it| name(it)).is_some_and(|it| it != certificate_name(cluster, member))
    }

    /// Whether its certificate is of its key.
    pub fn is_whole(&self) -> bool {
        let public = self.key.subject_public_key_info();
        let certificate = self.certificate.as_ref().and_then(|it| x509_parser::parse_x509_certificate(it).ok());
        certificate.is_some_and(|(_, parsed)| parsed.public_key().raw == public)
    }

    /// The key, for TLS.
    pub fn tls_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    /// The key's signature: ECDSA with SHA-256, DER.
    pub fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, IdentityError> {
        Ok(self.key.sign(statement)?)
    }

    /// A number that is uniform over all certificates, and the same each time for this one.
    pub fn draw(&self) -> u32 {
        let digest: [u8; 32] = Sha256::digest(self.certificate.as_deref().unwrap_or_default()).into();
        let [a, b, c, d, ..] = digest;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// A section of a PEM file.
pub(super) fn section(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The fingerprint of the member whose certificate this is; empty if it is none.
pub fn fingerprint(certificate: &[u8]) -> String {
    x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| postern_protocol::enrollment::fingerprint(parsed.public_key().raw))
        .unwrap_or_default()
}

/// Whom a certificate names; `None` if it cannot be read.
fn name(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|it| if let GeneralName::URI(uri) = it { Some((*uri).to_owned()) } else { None })
}

/// How long a certificate is valid; `None` if it cannot be read.
pub fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let millis = |secs: i64| UnixMillis(u64::try_from(secs).unwrap_or(0).saturating_mul(1000));
    let validity = parsed.validity();
    Some(Validity { begins: millis(validity.not_before.timestamp()), ends: millis(validity.not_after.timestamp()) })
}

/// The serial number of a certificate, big-endian without leading zeros; `None` if it cannot be read.
pub fn serial(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.raw_serial().iter().copied().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take what a controller gives for the certificate of the key that it was asked for with, and a member that had renewed has
    /// neither its old key nor its new one.
    #[test]
    fn a_certificate_of_another_key_makes_no_credential_whole() {
        let (own, other) = (Credential::generate().unwrap(), Credential::generate().unwrap());
        let certificate = CertificateParams::default().self_signed(&other.key).unwrap();
        assert!(other.with_certificate(certificate.der()).unwrap().is_whole());
        assert!(!own.with_certificate(certificate.der()).unwrap().is_whole());
        assert!(!own.is_whole());
    }
}
