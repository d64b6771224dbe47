//! TLS as agents see it: version 1.3, our own root, client certificates welcome and checked.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use crate::ca::ServerIdentity;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The root or the listener's certificate cannot be used.
    #[error("the listener's certificate cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The root cannot be used to check members.
    #[error("the certificate authority cannot be used to check members")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The listener's configuration. An applicant has no certificate yet, so one is asked for but not required here;
/// sessions require it, see `accept`.
pub fn server_config(identity: ServerIdentity, root: &CertificateDer<'static>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)?;
    // Every session proves the certificate anew.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}
