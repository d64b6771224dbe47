//! The roots that a member trusts: one, or two while one takes the place of the other.

use postern_protocol::message::v1::TrustBundle;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use super::credential::section;
use super::fingerprint;

/// Roots that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTrust {
    /// There is none.
    #[error("it names no root")]
    Empty,
    /// One is none.
    #[error("a root in it is no certificate of an authority")]
    NoRoot,
}

/// The roots that a member trusts, at least one. New certificates are of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust(Vec<CertificateDer<'static>>);

impl Trust {
    /// These roots. What TLS cannot use never takes the place of what it can.
    fn new(roots: Vec<CertificateDer<'static>>) -> Result<Self, UnusableTrust> {
        if roots.is_empty() {
            return Err(UnusableTrust::Empty);
        }
        let mut store = RootCertStore::empty();
        let usable = roots.iter().all(|root| {
            let parsed = parse_x509_certificate(root);
            parsed.is_ok_and(|(_, it)| it.is_ca()) && store.add(root.clone()).is_ok()
        });
        if usable { Ok(Self(roots)) } else { Err(UnusableTrust::NoRoot) }
    }

    /// What a controller says.
    pub fn from_bundle(bundle: &TrustBundle) -> Result<Self, UnusableTrust> {
        Self::new(bundle.roots.iter().map(|root| CertificateDer::from(root.to_vec())).collect())
    }

    /// What a file says.
    pub fn parse(pem: &[u8]) -> Result<Self, UnusableTrust> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        Self::new(roots.map_err(|_| UnusableTrust::NoRoot)?)
    }

    /// What a file is to say.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|root| section("CERTIFICATE", root)).collect()
    }

    /// The roots.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// SHA-256 of each root's key, as tokens name it.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|root| fingerprint(root)).collect()
    }

    /// Whether a certificate is of the root that new ones are of.
    pub fn is_up_to_date(&self, certificate: &[u8]) -> bool {
        let parsed = parse_x509_certificate(certificate);
        let root = self.0.first().map(|root| parse_x509_certificate(root));
        matches!((parsed, root), (Ok((_, certificate)), Some(Ok((_, root)))) if has_signed(&root, &certificate))
    }
}

/// Whether the key of `root` signed `certificate`: ECDSA with SHA-256. Two roots may have one name.
fn has_signed(root: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let key = &root.public_key().subject_public_key.data;
    let (signed, signature) = (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
    let known = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
    let fitting = known.iter().filter(|(scheme, _)| *scheme == rustls::SignatureScheme::ECDSA_NISTP256_SHA256);
    fitting.flat_map(|(_, algorithms)| *algorithms).any(|it| it.verify_signature(key, signed, signature).is_ok())
}

#[cfg(test)]
pub(super) mod tests {
    use postern_protocol::bounded::{Bytes, List};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    /// An authority that has the same name as every other.
    fn authority(number: u8) -> (Vec<u8>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.serial_number = Some(vec![number].into());
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        (root, Issuer::new(params, key))
    }

    fn bundle(roots: &[&[u8]]) -> TrustBundle {
        let roots = roots.iter().map(|it| Bytes::new(it.to_vec()).unwrap()).collect();
        TrustBundle { number: 7, roots: List::new(roots).unwrap() }
    }

    /// So many roots of that many authorities.
    pub(in crate::identity) fn trust(numbers: &[u8]) -> Trust {
        Trust::new(numbers.iter().map(|it| CertificateDer::from(authority(*it).0)).collect()).unwrap()
    }

    #[test]
    fn roots_survive_their_file_in_their_order() {
        let two = trust(&[1, 2]);
        assert_eq!(Trust::parse(two.to_pem().as_bytes()), Ok(two));
    }

    /// Store whatever a controller says, and one bundle without a root shuts the member out for ever.
    #[test]
    fn what_is_no_root_never_takes_the_place_of_one() {
        let (root, issuer) = authority(1);
        let leaf = CertificateParams::default().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        assert_eq!(Trust::from_bundle(&bundle(&[])), Err(UnusableTrust::Empty));
        assert_eq!(Trust::from_bundle(&bundle(&[&root, b"nonsense"])), Err(UnusableTrust::NoRoot));
        assert_eq!(Trust::from_bundle(&bundle(&[leaf.der()])), Err(UnusableTrust::NoRoot));
        assert_eq!(Trust::parse(b""), Err(UnusableTrust::Empty));
    }

    #[test]
    fn a_certificate_is_up_to_date_if_the_first_root_signed_it_whatever_the_names() {
        let ((old, issuer), (new, _)) = (authority(1), authority(2));
        let mut params = CertificateParams::default();
        params.serial_number = Some(vec![9].into());
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let up_to_date = |roots: &[&[u8]]| Trust::from_bundle(&bundle(roots)).unwrap().is_up_to_date(certificate.der());
        assert!(up_to_date(&[&old, &new]));
        assert!(!up_to_date(&[&new, &old]));
    }
}
