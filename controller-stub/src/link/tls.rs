//! TLS as agents see it: version 1.3, our own roots, client certificates welcome and checked.

use std::sync::Arc;

use postern_protocol::time::UnixMillis;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::ca::{Authority, CaError};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The listener's certificate cannot be made.
    #[error(transparent)]
    Issue(#[from] CaError),
    /// A root or the listener's certificate cannot be used.
    #[error("the listener's certificate cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The roots cannot be used to check members.
    #[error("the certificate authority cannot be used to check members")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The listener's configuration at `names`: its certificate is of the root that signs, and members' may be of every root
/// that is trusted. An applicant has no certificate yet, so one is asked for but not required here; sessions require it,
/// see `accept`.
pub fn server_config(authority: &Authority, names: &[String], wall: UnixMillis) -> Result<Arc<ServerConfig>, TlsError> {
    let identity = authority.issue_server(names, wall)?;
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    for root in authority.roots() {
        roots.add(root.certificate().clone())?;
    }
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
