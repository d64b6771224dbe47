//! Who this agent is: its keys, its certificate, its cluster.

use std::path::{Path, PathBuf};

use postern_protocol::id::TokenId;
use postern_protocol::seal::SealingKey;
use postern_protocol::{ClusterName, MemberId};
use postern_store::private::{self, PrivateError};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::random;

/// Files of an identity are far smaller.
const MAX_FILE: usize = 64 * 1024;

/// Why the identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The state directory cannot be made or is not private.
    #[error("the state directory cannot be used; give it to the agent's user, or name another as `state_dir`")]
    StateDir(#[source] PrivateError),
    /// A file failed.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// A file is not what it should be.
    #[error(
        "`{path}` is damaged ({reason}); move its folder away, and enroll this agent as a new member with a fresh token"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// What a member knows of its membership.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The cluster.
    pub cluster: ClusterName,
    /// The member.
    pub member: MemberId,
    /// The controller's URLs it enrolled at.
    pub controllers: Vec<String>,
    /// The token it enrolled with, which is of no use to anybody else.
    #[serde(default)]
    pub token: Option<TokenId>,
}

/// An enrolled agent's identity.
pub struct Identity {
    /// What it knows of its membership.
    pub membership: Membership,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// The certificate's key.
    pub key: PrivateKeyDer<'static>,
    /// The cluster's CA.
    pub ca: CertificateDer<'static>,
}

/// The folder of an identity.
pub struct IdentityDir(PathBuf);

impl IdentityDir {
    /// The identity below a state directory. Makes the folder.
    pub fn open(state_dir: &Path) -> Result<Self, IdentityError> {
        private::directory(state_dir).map_err(IdentityError::StateDir)?;
        let path = state_dir.join("identity");
        private::directory(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The key to which secrets for this agent are sealed: read, or made and written first.
    pub fn sealing_key(&self) -> Result<SealingKey, IdentityError> {
        let path = self.file("sealing.key");
        if let Some(bytes) = private::read_if_any(&path, MAX_FILE)? {
            let damaged = |reason: &str| IdentityError::Damaged { path: path.clone(), reason: reason.to_owned() };
            let bytes = bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| damaged("it has not 32 bytes"))?;
            return SealingKey::from_private(bytes).map_err(|_| damaged("it is not a key"));
        }
        let key = SealingKey::from_random(&random::secret());
        private::replace(&path, key.expose_private())?;
        Ok(key)
    }

    /// The TLS key: read, or made and written first.
    pub fn tls_key(&self) -> Result<KeyPair, IdentityError> {
        let path = self.file("tls.key");
        if let Some(pem) = private::read_if_any(&path, MAX_FILE)? {
            let pem = std::str::from_utf8(&pem).unwrap_or_default();
            return KeyPair::from_pem(pem).map_err(|error| IdentityError::Damaged { path, reason: error.to_string() });
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        private::replace(&path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
        Ok(key)
    }

    /// A signing request for the TLS key, DER: read, or made and written first. It names nothing: the CA writes all
    /// names. The same bytes each time, so that enrolling again after a lost reply is recognized.
    pub fn signing_request(&self) -> Result<Vec<u8>, IdentityError> {
        let path = self.file("request.der");
        if let Some(request) = private::read_if_any(&path, MAX_FILE)? {
            return Ok(request.to_vec());
        }
        let request = CertificateParams::default().serialize_request(&self.tls_key()?)?;
        private::replace(&path, request.der())?;
        Ok(request.der().to_vec())
    }

    /// Writes what enrollment brought. The membership comes last: it says that the rest is whole.
    pub fn enroll(&self, membership: &Membership, certificate: &[u8], ca: &[u8]) -> Result<(), IdentityError> {
        private::replace(&self.file("certificate.der"), certificate)?;
        private::replace(&self.file("ca.der"), ca)?;
        let text = serde_json::to_vec_pretty(membership).expect("a membership is plain data");
        Ok(private::replace(&self.file("membership.json"), &text)?)
    }

    /// The identity, if this agent is enrolled.
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let path = self.file("membership.json");
        let Some(text) = private::read_if_any(&path, MAX_FILE)? else { return Ok(None) };
        let membership = serde_json::from_slice(&text)
            .map_err(|error| IdentityError::Damaged { path, reason: error.to_string() })?;
        let key = PrivateKeyDer::from_pem_slice(self.tls_key()?.serialize_pem().as_bytes())
            .map_err(|error| self.damaged("tls.key", &error.to_string()))?;
        Ok(Some(Identity {
            membership,
            certificate: self.certificate("certificate.der")?,
            ca: self.certificate("ca.der")?,
            key,
        }))
    }

    fn certificate(&self, name: &str) -> Result<CertificateDer<'static>, IdentityError> {
        let bytes = private::read_if_any(&self.file(name), MAX_FILE)?;
        let bytes = bytes.ok_or_else(|| self.damaged(name, "it is missing"))?;
        Ok(CertificateDer::from(bytes.to_vec()))
    }

    fn damaged(&self, name: &str, reason: &str) -> IdentityError {
        IdentityError::Damaged { path: self.file(name), reason: reason.to_owned() }
    }
}

/// The fingerprint of the member whose certificate this is; empty if it is none.
pub fn fingerprint(certificate: &[u8]) -> String {
    x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| postern_protocol::enrollment::fingerprint(parsed.public_key().raw))
        .unwrap_or_default()
}

/// When a certificate ends, in seconds since 1970; `None` if it cannot be read.
pub fn certificate_ends(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let identity = IdentityDir::open(&folder.path().join("state")).unwrap();
        assert_eq!(identity.sealing_key().unwrap().public(), identity.sealing_key().unwrap().public());
        assert_eq!(identity.tls_key().unwrap().serialize_pem(), identity.tls_key().unwrap().serialize_pem());
        assert_eq!(identity.signing_request().unwrap(), identity.signing_request().unwrap());
        assert!(identity.load().unwrap().is_none(), "keys alone are no membership");
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let identity = IdentityDir::open(&folder.path().join("state")).unwrap();
        private::replace(&identity.file("sealing.key"), b"short").unwrap();
        let error = identity.sealing_key().unwrap_err().to_string();
        assert!(error.contains("sealing.key") && error.contains("enroll"), "{error}");
    }
}
