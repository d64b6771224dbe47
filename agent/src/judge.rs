//! Whether the other side of a TLS connection is who it says it is.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Certificates between one and a root: there are two or three of a public authority, and some servers present more than lead
/// there. The ways through them are as many as their product; through thousands, which come before any proof of a key, a
/// processor is on its way for a minute.
const MAX_BETWEEN: usize = 10;

/// What is said of whoever answers.
pub type Verdict = Result<ServerCertVerified, rustls::Error>;

/// Somebody beside a judge, who hears each verdict.
pub trait Beside: fmt::Debug + Send + Sync {
    /// The verdict that holds, of the certificates that were presented and what the judge says of them.
    fn hear(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], judged: Verdict) -> Verdict;
}

impl Beside for () {
    fn hear(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], judged: Verdict) -> Verdict {
        judged
    }
}

/// A judge of who answers, with somebody beside.
#[derive(Debug)]
pub struct Judge<T> {
    inner: Arc<dyn ServerCertVerifier>,
    beside: T,
}

impl<T: Beside> Judge<T> {
    /// Judges as `inner` does where no more is presented than leads to a root, and has each verdict heard.
    pub fn new(inner: Arc<dyn ServerCertVerifier>, beside: T) -> Self {
        Self { inner, beside }
    }
}

impl<T: Beside> ServerCertVerifier for Judge<T> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verdict {
        let judged = if intermediates.len() > MAX_BETWEEN {
            Err(rustls::Error::General(format!(
                "{} certificates were presented beside the one of the other side, and those that lead to a root are at most \
                 {MAX_BETWEEN}: see what answers there",
                intermediates.len()
            )))
        } else {
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        self.beside.hear(end_entity, intermediates, judged)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::crypto::ring::default_provider;

    use super::*;

    /// Look for a way through all that is presented, and whoever answers in a controller's place holds a processor for minutes.
    #[test]
    fn no_more_certificates_are_looked_at_than_lead_to_a_root() {
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap());
        let own = own.unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(own.clone()).unwrap();
        let inner =
            WebPkiServerVerifier::builder_with_provider(roots.into(), default_provider().into()).build().unwrap();
        let judge = Judge::new(inner, ());
        let told = |presented: usize| {
            let presented = vec![own.clone(); presented];
            let verdict =
                judge.verify_server_cert(&own, &presented, &"localhost".try_into().unwrap(), &[], UnixTime::now());
            verdict.map_or_else(|error| error.to_string(), |_| String::new())
        };
        assert_eq!(told(MAX_BETWEEN), "");
        assert!(told(MAX_BETWEEN + 1).contains("11 certificates were presented"), "{}", told(MAX_BETWEEN + 1));
    }
}
