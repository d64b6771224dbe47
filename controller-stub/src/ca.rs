//! The certificate authority of this controller: one root for the members of all its clusters and for itself, and two
//! while one takes the place of the other.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_protocol::enrollment::certificate_name;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId};
use postern_store::private::PrivateError;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::after;
use crate::random;

pub mod peer;
mod root;

pub use root::{Root, RootNo};

/// A key and a certificate are far smaller.
const MAX_FILE: usize = 64 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the root is valid. A pilot outlives neither it nor its algorithms.
const ROOT_LIFE: Duration = DAY.saturating_mul(20 * 365);
/// How long the listener's certificate is valid; a new one is made at every start, and at half of it.
pub(crate) const SERVER_LIFE: Duration = DAY.saturating_mul(397);
/// How far certificates reach into the past, for members whose clock is behind; a twentieth of their life at most, which
/// members renew at half of it.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The root's files cannot be used.
    #[error("the certificate authority's files cannot be used")]
    File(#[from] PrivateError),
    /// The root's files do not hold a key and its certificate.
    #[error("`{path}` does not hold what this program wrote: bring back the original")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rcgen::Error,
    },
    /// A root's certificate is not what its key signed.
    #[error("`{path}` was changed since this program wrote it: bring back the original")]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// A root that was made before is gone. Another in its place would shut every member out.
    #[error("`{path}` is gone: bring it back from a backup")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A root's certificate is of another key.
    #[error("`{key}` is not the key of `{certificate}`: bring both back from the same backup")]
    Unfit {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// A public name cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate: give host names and IP addresses as `--public-name`")]
    BadName {
        /// The name.
        name: String,
    },
    /// The signing request is not one.
    #[error("the signing request cannot be used: {0}")]
    BadRequest(String),
    /// Signing failed.
    #[error("failed to sign a certificate")]
    Sign(#[source] rcgen::Error),
}

/// A certificate that was just made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// When it runs out.
    pub expires: UnixMillis,
    /// The root that signed it.
    pub root: RootNo,
}

/// What the listener presents.
pub struct ServerIdentity {
    /// Its certificate, then that of the root that signed it: an applicant pins the root by its hash.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// The roots that are trusted, of which one signs. Never changes: a step of a rotation makes another.
pub struct Authority {
    signing: Arc<Root>,
    other: Option<Arc<Root>>,
}

impl Authority {
    /// A root that signs, and one that is trusted beside it.
    pub const fn new(signing: Arc<Root>, other: Option<Arc<Root>>) -> Self {
        Self { signing, other }
    }

    /// Opens the root that a controller begins with in `directory`, making it at the first start.
    pub fn open(directory: &Path, wall: UnixMillis) -> Result<Self, CaError> {
        Ok(Self::new(Arc::new(Root::make(directory, RootNo::FIRST, wall)?), None))
    }

    /// Opens the root that signs, and the one that is trusted beside it.
    pub fn open_roots(
        directory: &Path,
        signing: RootNo,
        other: Option<RootNo>,
        wall: UnixMillis,
    ) -> Result<Self, CaError> {
        let open = |number| Root::open(directory, number, wall).map(Arc::new);
        Ok(Self::new(open(signing)?, other.map(open).transpose()?))
    }

    /// The root that signs.
    pub const fn signing(&self) -> &Arc<Root> {
        &self.signing
    }

    /// Every root that is trusted; the first signs.
    pub fn roots(&self) -> impl Iterator<Item = &Arc<Root>> {
        std::iter::once(&self.signing).chain(&self.other)
    }

    /// The root that is trusted and signed this certificate.
    pub fn signer_of(&self, certificate: &[u8]) -> Option<RootNo> {
        self.roots().find(|root| peer::is_signed_by(certificate, root.certificate())).map(|root| root.number())
    }

    /// Makes a certificate for the listener at `names`: host names or IP addresses.
    pub fn issue_server(&self, names: &[String], wall: UnixMillis) -> Result<ServerIdentity, CaError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("postern controller");
        params.subject_alt_names = names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, wall, SERVER_LIFE);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CaError::Sign)?;
        let made = params.signed_by(&key, &self.signing.issuer).map_err(CaError::Sign)?;
        Ok(ServerIdentity {
            chain: vec![made.der().clone(), self.signing.certificate().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// Makes a member's certificate. Of the request only the public key counts; every name is written here.
    pub fn issue_member(
        &self,
        csr: &[u8],
        cluster: &ClusterName,
        member: MemberId,
        life: Duration,
        wall: UnixMillis,
    ) -> Result<Issued, CaError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
            .map_err(|error| CaError::BadRequest(error.to_string()))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(CaError::BadRequest("its key is not of the P-256 curve".to_owned()));
        }
        let serial = serial();
        let uri = certificate_name(cluster, member);
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&member.to_string());
        params.subject_alt_names =
            vec![SanType::URI(uri.clone().try_into().map_err(|_| CaError::BadName { name: uri })?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, wall, life);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let made = CertificateSigningRequestParams { params, public_key: request.public_key }
            .signed_by(&self.signing.issuer)
            .map_err(CaError::Sign)?;
        Ok(Issued {
            certificate: made.der().clone(),
            serial: serial.to_vec(),
            expires: after(wall, life),
            root: self.signing.number(),
        })
    }
}

fn limit(params: &mut CertificateParams, wall: UnixMillis, life: Duration) {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(wall.0);
    params.not_before = now - BACKDATE.min(life / 20);
    params.not_after = now + life;
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
}

/// Sixteen random bytes that read as a positive number without padding.
fn serial() -> [u8; 16] {
    let mut serial: [u8; 16] = random::bytes();
    let [first, ..] = &mut serial;
    *first = (*first & 0x7f) | 0x40;
    serial
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn server_name(name: &str) -> Result<SanType, CaError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let plain = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    let bad = || CaError::BadName { name: name.to_owned() };
    if !plain {
        return Err(bad());
    }
    Ok(SanType::DnsName(name.to_owned().try_into().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);
    const WEEK: Duration = DAY.saturating_mul(7);

    fn csr() -> Vec<u8> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        params.distinguished_name = common_name("somebody else");
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_root_survives_a_restart_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), NOW).unwrap();
        let again = Authority::open(folder.path(), NOW).unwrap();
        assert_eq!(first.signing().spki_sha256(), again.signing().spki_sha256());
        assert_eq!(first.signing().certificate(), again.signing().certificate());
        assert_eq!(fs::metadata(folder.path().join("ca.key")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_root_interrupted_after_its_key_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), NOW).unwrap();
        fs::remove_file(folder.path().join("ca.der")).unwrap();
        let again = Authority::open(folder.path(), NOW).unwrap();
        assert_eq!(first.signing().spki_sha256(), again.signing().spki_sha256());
    }

    /// Take the lock out of `make`, and one has a key that is not in the file.
    #[test]
    fn those_who_make_a_root_at_once_make_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let number = RootNo(2);
        let make = || Root::make(folder.path(), number, NOW).unwrap();
        let roots: Vec<Root> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let kept = Root::open(folder.path(), number, NOW).unwrap();
        for root in roots {
            assert_eq!((root.fingerprint(), root.certificate()), (kept.fingerprint(), kept.certificate()));
        }
    }

    #[test]
    fn a_key_and_a_certificate_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for number in [RootNo(2), RootNo(3)] {
            Root::make(folder.path(), number, NOW).unwrap();
        }
        fs::copy(folder.path().join("ca-3.key"), folder.path().join("ca-2.key")).unwrap();
        let error = Root::open(folder.path(), RootNo(2), NOW).err().unwrap().to_string();
        assert!(error.contains("ca-2.key") && error.contains("ca-2.der") && error.contains("backup"), "{error}");
    }

    /// Leave `is_as_signed` out, and a name that cannot be written is found by a panic when a member enrolls.
    #[test]
    fn a_root_that_was_altered_in_what_its_key_signed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.der");
        let made = Authority::open(folder.path(), NOW).unwrap().signing().certificate().to_vec();
        let (_, parsed) = x509_parser::parse_x509_certificate(&made).unwrap();
        let head = 4;
        for place in 0..head + parsed.tbs_certificate.as_ref().len() {
            let mut altered = made.clone();
            altered[place] ^= 0x10;
            fs::write(&path, altered).unwrap();
            let error = Authority::open(folder.path(), NOW).err().map(|it| it.to_string()).unwrap_or_default();
            assert!(error.contains("ca.der") && error.contains("bring"), "byte {place}: {error}");
        }
    }

    #[test]
    fn a_certificate_whose_key_is_gone_gets_no_other() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path(), NOW).unwrap();
        fs::remove_file(folder.path().join("ca.key")).unwrap();
        let error = Authority::open(folder.path(), NOW).err().unwrap();
        assert!(matches!(&error, CaError::Missing { path } if path.ends_with("ca.key")), "{error}");
        assert!(!folder.path().join("ca.key").exists());
    }

    /// Take `subject_alt_names` from the request instead and this fails.
    #[test]
    fn a_member_gets_the_names_the_authority_writes_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), NOW).unwrap();
        let member = MemberId::from_bytes([7; 16]);
        let issued = authority.issue_member(&csr(), &"acme".parse().unwrap(), member, WEEK, NOW).unwrap();
        let peer = peer::Peer::from_certificate(&issued.certificate).unwrap();
        assert_eq!((peer.cluster.as_str(), peer.member), ("acme", member));
        assert_eq!(peer.serial, issued.serial);
        assert!(!issued.certificate.windows(12).any(|it| it == b"evil.example"));
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), NOW).unwrap();
        let member = MemberId::from_bytes([7; 16]);
        let refused = authority.issue_member(b"nonsense", &"acme".parse().unwrap(), member, WEEK, NOW);
        assert!(matches!(refused, Err(CaError::BadRequest(_))));
    }

    #[test]
    fn a_public_name_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), NOW).unwrap();
        let error = authority.issue_server(&["not a name".to_owned()], NOW).err().unwrap();
        assert!(error.to_string().contains("`not a name`"), "{error}");
        assert!(authority.issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()], NOW).is_ok());
    }
}
