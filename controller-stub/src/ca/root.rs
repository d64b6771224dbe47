//! A root: a key, its certificate, and the two files that hold them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use postern_protocol::enrollment;
use postern_protocol::time::UnixMillis;
use postern_store::private;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::parse_x509_certificate;

use super::{CaError, MAX_FILE, ROOT_LIFE, common_name, limit};

/// Which root: they are numbered in the order in which they were made, and no number is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RootNo(pub u32);

impl RootNo {
    /// The root that a controller begins with.
    pub const FIRST: Self = Self(1);

    /// The number of the root that is made after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The file of this root with this ending. Those of the first have no number.
    fn file(self, directory: &Path, ending: &str) -> PathBuf {
        directory.join(if self == Self::FIRST { format!("ca.{ending}") } else { format!("ca-{self}.{ending}") })
    }
}

impl Default for RootNo {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for RootNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whoever makes a root is alone, so that two who begin at once make the same one. No other process has this directory: the
/// ledger in it is locked.
static MAKING: Mutex<()> = Mutex::new(());

/// A root, able to sign.
pub struct Root {
    number: RootNo,
    pub(super) issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Root {
    /// Opens a root in `directory` that was made before.
    pub fn open(directory: &Path, number: RootNo, wall: UnixMillis) -> Result<Self, CaError> {
        for ending in ["key", "der"] {
            let path = number.file(directory, ending);
            if !path.try_exists().unwrap_or(true) {
                return Err(CaError::Missing { path });
            }
        }
        Self::make(directory, number, wall)
    }

    /// Makes a root in `directory`, or what is missing of it: one in whose making a process died is completed.
    pub fn make(directory: &Path, number: RootNo, wall: UnixMillis) -> Result<Self, CaError> {
        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let [key_path, path] = ["key", "der"].map(|ending| number.file(directory, ending));
        let is_there = |path: &Path| path.try_exists().unwrap_or(true);
        // The key is written first: it was there, and another in its place would shut every member out.
        if is_there(&path) && !is_there(&key_path) {
            return Err(CaError::Missing { path: key_path });
        }
        let key = load_or_make_key(&key_path)?;
        let certificate = load_or_make_certificate(&path, &key, number, wall)?;
        if !is_of(&certificate, &key) {
            return Err(CaError::Unfit { key: key_path, certificate: path });
        }
        if !is_as_signed(&certificate) {
            return Err(CaError::Altered { path });
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|source| CaError::Unreadable { path, source })?;
        Ok(Self { number, issuer, certificate })
    }

    /// Whether both files of a root are in `directory`.
    pub fn is_kept(directory: &Path, number: RootNo) -> bool {
        ["key", "der"].iter().all(|ending| number.file(directory, ending).is_file())
    }

    /// Its number.
    pub const fn number(&self) -> RootNo {
        self.number
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of its subject public key info: what a token pins.
    pub fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.issuer.key().subject_public_key_info()).into()
    }

    /// The same for people.
    pub fn fingerprint(&self) -> String {
        enrollment::fingerprint(&self.issuer.key().subject_public_key_info())
    }

    /// From when until when it is valid; nothing if its certificate cannot be read.
    pub fn validity(&self) -> Option<(UnixMillis, UnixMillis)> {
        let (_, parsed) = parse_x509_certificate(&self.certificate).ok()?;
        let millis = |secs: i64| UnixMillis(u64::try_from(secs).unwrap_or(0).saturating_mul(1000));
        let validity = parsed.validity();
        Some((millis(validity.not_before.timestamp()), millis(validity.not_after.timestamp())))
    }
}

/// Whether a certificate that can be read is of this key.
fn is_of(certificate: &[u8], key: &KeyPair) -> bool {
    parse_x509_certificate(certificate).map_or(true, |(_, it)| it.public_key().raw == key.subject_public_key_info())
}

/// Whether a certificate that can be read is what its own key signed. A name that was damaged would otherwise be found when
/// it is written into a member's certificate, by a panic.
fn is_as_signed(certificate: &[u8]) -> bool {
    parse_x509_certificate(certificate).map_or(true, |(_, it)| it.verify_signature(None).is_ok())
}

fn load_or_make_key(path: &Path) -> Result<KeyPair, CaError> {
    if let Some(der) = private::read_if_any(path, MAX_FILE)? {
        let der = PrivatePkcs8KeyDer::from(der.as_slice());
        return KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map_err(|source| CaError::Unreadable { path: path.to_owned(), source });
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CaError::Sign)?;
    private::replace(path, key.serialized_der())?;
    Ok(key)
}

/// The key is written first, so a crash in between leaves a key without a certificate.
fn load_or_make_certificate(
    path: &Path,
    key: &KeyPair,
    number: RootNo,
    wall: UnixMillis,
) -> Result<CertificateDer<'static>, CaError> {
    if let Some(der) = private::read_if_any(path, MAX_FILE)? {
        return Ok(CertificateDer::from(der.to_vec()));
    }
    let made = params(number, wall).self_signed(key).map_err(CaError::Sign)?;
    private::replace(path, made.der())?;
    Ok(made.der().clone())
}

fn params(number: RootNo, wall: UnixMillis) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("postern controller root {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, wall, ROOT_LIFE);
    params
}
