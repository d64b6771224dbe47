//! Connected apps: who may use which grant.

use ring::signature;
use rustls_pki_types::pem::{PemObject, SectionKind};

use crate::secret::Secret;
use crate::seed::AppSeed;

/// A connected app.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) consumer_key: String,
    pub(crate) consumer_secret: Secret,
    pub(crate) run_as: Option<String>,
    pub(crate) password_flow: bool,
    pub(crate) approved: Option<Vec<String>>,
    /// The RSA key of its certificate, as PKCS#1 DER.
    key: Option<Vec<u8>>,
}

/// The certificate of a seeded app is not one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate of the connected app `{app}` is neither a PEM certificate nor a PEM public key with an RSA key"
)]
pub struct BadCertificate {
    /// The name of the app.
    pub app: String,
}

impl App {
    pub(crate) fn new(seed: &AppSeed) -> Result<Self, BadCertificate> {
        let key = match &seed.certificate {
            None => None,
            Some(pem) => Some(rsa_key(pem).ok_or_else(|| BadCertificate { app: seed.name.clone() })?),
        };
        Ok(Self {
            name: seed.name.clone(),
            consumer_key: seed.consumer_key.clone(),
            consumer_secret: seed.consumer_secret.clone(),
            run_as: seed.run_as.clone(),
            password_flow: seed.password_flow,
            approved: seed.approved.clone(),
            key,
        })
    }

    /// Whether `signature` is this app's RS256 signature of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.as_deref().is_some_and(|key| {
            signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key)
                .verify(message, signature)
                .is_ok()
        })
    }

    /// Whether an administrator approved this user for the app.
    pub(crate) fn approves(&self, username: &str) -> bool {
        self.approved.as_ref().is_none_or(|list| list.iter().any(|it| it.eq_ignore_ascii_case(username)))
    }
}

/// The PKCS#1 key inside a certificate or a public key.
fn rsa_key(pem: &str) -> Option<Vec<u8>> {
    use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

    let (kind, der): (SectionKind, Vec<u8>) = PemObject::from_pem_slice(pem.as_bytes()).ok()?;
    if kind == SectionKind::Certificate {
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        return Some(certificate.public_key().subject_public_key.data.to_vec());
    }
    let (_, info) = SubjectPublicKeyInfo::from_der(&der).ok()?;
    (kind == SectionKind::PublicKey).then(|| info.subject_public_key.data.to_vec())
}
