//! Who judges whether the other side of a TLS connection is who it says it is, and who has a say beside: a bound on what is
//! looked at, which every judge of this agent has, and whoever hears or words the verdict.

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

/// How a judge is asked what it says of what was presented.
pub type Asked<'a> = &'a dyn Fn() -> Verdict;

/// Somebody beside a judge.
pub trait Beside: fmt::Debug + Send + Sync {
    /// The verdict that holds, of the certificate of the other side and what was presented with it.
    fn verdict(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], judge: Asked<'_>) -> Verdict;
}

/// Has no judge asked where more is presented than leads to a root.
#[derive(Debug)]
struct Bound;

impl Beside for Bound {
    fn verdict(&self, _: &CertificateDer<'_>, between: &[CertificateDer<'_>], judge: Asked<'_>) -> Verdict {
        if between.len() <= MAX_BETWEEN {
            return judge();
        }
        Err(rustls::Error::General(format!(
            "{} certificates were presented beside the one of the other side, and those that lead to a root are at most \
             {MAX_BETWEEN}: see what answers there",
            between.len()
        )))
    }
}

/// A judge of who answers, with somebody beside.
#[derive(Debug)]
pub struct Judge<T> {
    inner: Arc<dyn ServerCertVerifier>,
    beside: T,
}

impl<T: Beside> Judge<T> {
    /// Judges as `inner` does, with this one beside.
    pub fn new(inner: Arc<dyn ServerCertVerifier>, beside: T) -> Self {
        Self { inner, beside }
    }
}

/// This judge, which is not asked where more is presented than leads to a root: for wherever a judge is made.
pub fn bounded(inner: Arc<dyn ServerCertVerifier>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Judge::new(inner, Bound))
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
        let judge = || self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        self.beside.verdict(end_entity, intermediates, &judge)
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

    use super::*;
    use crate::http::{Roots, SystemRoots};
    use crate::link::tls;

    /// Look for a way through all that is presented, and whoever answers in a controller's place holds a processor for minutes.
    #[test]
    fn no_more_certificates_are_looked_at_than_lead_to_a_root() {
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap());
        let (own, pem) = own.map(|own| (own.der().clone(), own.pem())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        std::fs::write(&file, pem).unwrap();
        let roots = |system| Roots { files: vec![file.clone()], system }.judge().unwrap();
        for (whose, judge) in [
            ("the controller's", tls::verifier(std::slice::from_ref(&own)).unwrap()),
            ("a system's", roots(SystemRoots::Ignored)),
            ("a system's, with the roots of this host", roots(SystemRoots::Trusted)),
        ] {
            let told = |presented: usize| {
                let presented = vec![own.clone(); presented];
                let verdict =
                    judge.verify_server_cert(&own, &presented, &"localhost".try_into().unwrap(), &[], UnixTime::now());
                verdict.map_or_else(|error| error.to_string(), |_| String::new())
            };
            assert_eq!(told(MAX_BETWEEN), "", "{whose}");
            let more = told(MAX_BETWEEN + 1);
            assert!(more.contains("11 certificates were presented"), "{whose}: {more}");
        }
    }
}
