//! How the agent knows that it speaks to its controller, and to nobody in between.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::identity::{Credential, Trust};
use crate::judge::{Asked, Beside, Judge, Verdict, bounded};
use crate::member_state::AGAIN;

/// Why TLS cannot be set up at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key is not usable.
    #[error("the agent's certificate, its key or a root that it trusts is not usable; {AGAIN}")]
    Identity(#[source] rustls::Error),
    /// The verifier cannot be built.
    #[error("the roots that this agent trusts are not usable; {AGAIN}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
}

/// Whoever knows a controller by the roots that are trusted, and nothing else.
pub fn verifier(trusted: &[CertificateDer<'static>]) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in trusted {
        roots.add(root.clone()).map_err(TlsError::Identity)?;
    }
    Ok(bounded(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?))
}

/// TLS for sessions: both sides verified against the cluster's roots, never against the system's.
pub fn for_sessions(trust: &Trust, shown: &Credential) -> Result<Arc<ClientConfig>, TlsError> {
    for_sessions_judged_by(Arc::new(Judge::new(verifier(trust.roots())?, NamesIssuer)), shown)
}

/// The same with another judge of who answers.
pub fn for_sessions_judged_by(
    judge: Arc<dyn ServerCertVerifier>,
    shown: &Credential,
) -> Result<Arc<ClientConfig>, TlsError> {
    let certificate = shown.certificate().ok_or(TlsError::Identity(rustls::Error::NoCertificatesPresented))?;
    let mut config = builder()
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_auth_cert(vec![certificate.clone()], shown.tls_key())
        .map_err(TlsError::Identity)?;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// TLS for a member whose certificate is of no use any more: it shows none, and knows the cluster's roots.
pub fn for_recovery(trust: &Trust) -> Result<Arc<ClientConfig>, TlsError> {
    let judge = Judge::new(verifier(trust.roots())?, NamesIssuer);
    let mut config = builder().dangerous().with_custom_certificate_verifier(Arc::new(judge)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// TLS for enrollment: the CA is the one whose public key has this SHA-256, wherever in the chain it is presented.
pub fn for_enrollment(ca_sha256: [u8; 32]) -> Arc<ClientConfig> {
    let judge = PinnedCa { ca_sha256, provider: provider() };
    let mut config = builder().dangerous().with_custom_certificate_verifier(Arc::new(judge)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Who issued a certificate, in words.
pub fn issuer(certificate: &CertificateDer<'_>) -> String {
    x509_parser::parse_x509_certificate(certificate)
        .map_or_else(|_| "nobody that can be read".to_owned(), |(_, parsed)| parsed.issuer().to_string())
}

/// Whether a certificate is of the public key that has this SHA-256.
pub fn is_of_key(certificate: &CertificateDer<'_>, sha256: &[u8; 32]) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
        let hash: [u8; 32] = Sha256::digest(parsed.public_key().raw).into();
        hash == *sha256
    })
}

/// Says who issued what is not trusted: a proxy that ends TLS is found by its name.
#[derive(Debug)]
struct NamesIssuer;

impl Beside for NamesIssuer {
    fn verdict(&self, own: &CertificateDer<'_>, _: &[CertificateDer<'_>], judge: Asked<'_>) -> Verdict {
        judge().map_err(|error| {
            let foreign = matches!(
                error,
                rustls::Error::InvalidCertificate(
                    rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature
                )
            );
            if !foreign {
                return error;
            }
            rustls::Error::General(format!(
                "the certificate presented was issued by `{}`, not by a root that this agent trusts: another \
                 controller, or a proxy that intercepts TLS and must let this host pass; or the controller's root was \
                 replaced while this agent was away: {AGAIN}",
                issuer(own)
            ))
        })
    }
}

/// Takes the presented CA for the root if its public key is the pinned one.
#[derive(Debug)]
struct PinnedCa {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(ca) = intermediates.iter().find(|certificate| is_of_key(certificate, &self.ca_sha256)) else {
            return Err(rustls::Error::General(format!(
                "the CA presented is not the one the token names (the certificate was issued by `{}`): the token is \
                 for another controller, or was made before the controller's root was replaced, or a proxy intercepts \
                 TLS and must let this host pass",
                issuer(end_entity)
            )));
        };
        let verifier =
            verifier(&[ca.clone().into_owned()]).map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
