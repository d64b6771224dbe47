//! Who may vouch for a connected system.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::Version;
use crate::config::read_file;
use crate::judge::bounded;

/// A few hundred certificates.
const MAX_BYTES: usize = 1024 * 1024;

/// Who may vouch for a connected system.
#[derive(Debug, Clone)]
pub struct Roots {
    /// PEM files of further root certificates.
    pub files: Vec<PathBuf>,
    /// Whether the roots of the operating system count too.
    pub system: SystemRoots,
}

/// Whether the roots of the operating system count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemRoots {
    /// They do.
    Trusted,
    /// Only the files' roots count.
    Ignored,
}

/// The roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A file cannot be read.
    #[error(
        "the root certificates in `{path}` cannot be read; correct the path, or let the agent's user read the file"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificates.
    #[error("`{0}` holds no root certificates that can be used; it must be a PEM file of certificates")]
    NotCertificates(PathBuf),
    /// Nobody is trusted.
    #[error("no root certificates: install the system's (package `ca-certificates`) or name a file of your own")]
    None,
    /// The TLS library refused.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Roots {
    /// The TLS configuration that trusts these roots, on the `ring` provider, and offers this version of HTTP.
    pub(super) fn client_config(&self, version: Version) -> Result<ClientConfig, RootsError> {
        let mut config = self.trusting()?;
        config.alpn_protocols = match version {
            Version::Http1 => vec![b"http/1.1".to_vec()],
            Version::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(config)
    }

    fn trusting(&self) -> Result<ClientConfig, RootsError> {
        Self::judged_by(self.judge()?)
    }

    /// TLS to a system whose other side is judged so.
    pub fn judged_by(judge: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, RootsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(RootsError::Tls)?;
        Ok(builder.dangerous().with_custom_certificate_verifier(judge).with_no_client_auth())
    }

    /// Whoever decides whether the other side is who it says it is.
    pub fn judge(&self) -> Result<Arc<dyn ServerCertVerifier>, RootsError> {
        let provider = Arc::new(ring::default_provider());
        let extra = self.certificates()?;
        if self.system == SystemRoots::Ignored {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(extra);
            let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
            return Ok(bounded(judge.map_err(|_| RootsError::None)?));
        }
        let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(|_| RootsError::None)?;
        Ok(bounded(Arc::new(verifier)))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, RootsError> {
        let mut all = Vec::new();
        for path in &self.files {
            let unreadable = |source| RootsError::Unreadable { path: path.clone(), source };
            let pem = read_file(path, MAX_BYTES).map_err(unreadable)?;
            let wrong = || RootsError::NotCertificates(path.clone());
            let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| wrong())?;
            let (_, ignored) = RootCertStore::empty().add_parsable_certificates(found.clone());
            if found.is_empty() || ignored > 0 {
                return Err(wrong());
            }
            all.extend(found);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(content: &str, system: SystemRoots) -> Result<ClientConfig, RootsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, content).unwrap();
        Roots { files: vec![path], system }.client_config(Version::Http1)
    }

    #[test]
    fn a_file_of_certificates_is_enough() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        assert!(roots(&pem, SystemRoots::Ignored).is_ok());
        assert!(roots(&pem, SystemRoots::Trusted).is_ok());
    }

    /// Cut it at the bound, and the last root is missing without a word.
    #[test]
    fn no_root_is_cut_off() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let long = format!("{pem}{}{pem}", "\n".repeat(1024 * 1024));
        let error = roots(&long, SystemRoots::Ignored).unwrap_err();
        assert!(
            matches!(&error, RootsError::Unreadable { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
        );
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(matches!(roots("", SystemRoots::Trusted), Err(RootsError::NotCertificates(_))));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots(broken, SystemRoots::Ignored), Err(RootsError::NotCertificates(_))));
        let nothing = Roots { files: Vec::new(), system: SystemRoots::Ignored };
        assert!(matches!(nothing.client_config(Version::Http1), Err(RootsError::None)));
    }
}
