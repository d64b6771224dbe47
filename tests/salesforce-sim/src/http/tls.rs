//! TLS with a certificate authority of the simulator's own, or with given files.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Names the made-up certificate is good for, besides those a configuration adds.
const NAMES: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "::1",
    "login.salesforce.com",
    "test.salesforce.com",
    "*.salesforce.com",
    "*.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
    "*.develop.my.salesforce.com",
];

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The own certificate could not be made.
    #[error("the simulator's own certificate could not be made")]
    Made(#[from] rcgen::Error),
    /// The given certificate or key is not PEM.
    #[error("the certificate or its key cannot be read: both must be PEM files")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// Certificate and key do not fit.
    #[error("certificate and key cannot be used together")]
    Rustls(#[from] rustls::Error),
}

/// A server configuration, and what a client has to trust.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

impl Tls {
    /// Makes an authority and a certificate for [`NAMES`] and `more`.
    pub(crate) fn made_up(more: &[String]) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "salesforce-sim test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let names: Vec<String> = NAMES.iter().map(|it| (*it).to_owned()).chain(more.iter().cloned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "salesforce-sim");
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        Self::from_pem(&certificate.pem(), &key.serialize_pem(), authority.pem())
    }

    /// Uses a certificate chain and key; `ca_pem` is what clients are told to trust.
    pub(crate) fn from_pem(certificate: &str, key: &str, ca_pem: String) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}
