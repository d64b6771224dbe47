//! TLS that ends at a proxy, as companies have it to look into what passes.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The name of the authority that vouches for everybody.
const AUTHORITY: &str = "Example Corp TLS Inspection";

/// An authority nobody outside the company knows, and a certificate of its making.
pub(super) struct Interceptor(TlsAcceptor);

impl fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interceptor")
    }
}

impl Interceptor {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, AUTHORITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = || KeyPair::generate().expect("a fresh key");
        let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate authority");
        let key = key();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).expect("the names are well-formed");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let chain = vec![certificate.der().clone(), authority.der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS")
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .expect("the key fits its certificate");
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Ends TLS here and reads whatever is said.
    pub(super) async fn listen_in(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = self.0.accept(stream).await?;
        let mut said = [0; 1024];
        while stream.read(&mut said).await? > 0 {}
        Ok(())
    }
}
