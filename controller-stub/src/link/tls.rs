//! TLS as agents see it: version 1.3, our own roots, client certificates welcome and checked.

use std::sync::Arc;

use postern_protocol::time::UnixMillis;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};

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
        .with_client_cert_verifier(Arc::new(OfRoot(verifier)))
        .with_single_cert(identity.chain, identity.key)?;
    // Every session proves the certificate anew.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// Takes certificates of a root itself, as every member's is. Whatever else is presented is not looked at: it comes before any
/// proof of a key, and the way through thousands of certificates to a root that is none of them takes a processor a minute or
/// more.
#[derive(Debug)]
struct OfRoot(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for OfRoot {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.verify_client_cert(end_entity, &[], now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// Look for a way through what is presented, and whoever can open a connection holds a processor for a minute with each.
    #[test]
    fn a_certificate_is_of_a_root_itself_whatever_is_presented_with_it() {
        let [root_key, between_key, key] = [(); 3].map(|()| KeyPair::generate().unwrap());
        let root = named("root").self_signed(&root_key).unwrap();
        let between = named("between").signed_by(&between_key, &Issuer::new(named("root"), &root_key)).unwrap();
        let member = |issuer| CertificateParams::default().signed_by(&key, &issuer).unwrap();
        let [direct, indirect] =
            [member(Issuer::new(named("root"), &root_key)), member(Issuer::new(named("between"), &between_key))];
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let inner =
            WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into()).build().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_millis(crate::clock::wall().0));
        let presented = [between.der().clone()];
        assert!(inner.verify_client_cert(indirect.der(), &presented, now).is_ok(), "there is a way");
        let verifier = OfRoot(inner);
        assert!(verifier.verify_client_cert(direct.der(), &presented, now).is_ok());
        assert!(verifier.verify_client_cert(indirect.der(), &presented, now).is_err());
    }
}
