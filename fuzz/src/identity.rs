//! Certificates, signing requests, what an identity's folder holds, secrets.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use postern_agent::config::SecretSource;
use postern_agent::identity::{self, Credential, IdentityDir, Membership, Trust};
use postern_agent::link::tls;
use postern_controller_stub::ca::{Authority, peer};
use postern_protocol::message::v1::TrustBundle;
use postern_protocol::time::UnixMillis;
use postern_protocol::{MemberId, codec};
use postern_store::{password, private};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use crate::choice;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

/// A signing request at the CA: whatever it says, the certificate names the member that was meant, and has its key.
pub fn signing_request(data: &[u8]) -> bool {
    static AUTHORITY: OnceLock<(Authority, TempDir)> = OnceLock::new();
    let (authority, _) = AUTHORITY.get_or_init(|| {
        let folder = TempDir::new().expect("there is a place for a folder");
        (Authority::open(folder.path(), NOW).expect("an authority can be made"), folder)
    });
    let (cluster, member) = ("acme".parse().expect("it is a name"), MemberId::from_bytes([7; 16]));
    let Ok(issued) = authority.issue_member(data, &cluster, member, DAY, NOW) else { return false };
    let named = peer::Peer::from_certificate(&issued.certificate).expect("it names a member");
    assert_eq!((named.cluster, named.member, named.serial), (cluster, member, issued.serial));
    assert!(peer::has_key_of(&issued.certificate, data), "it is for another key");
    true
}

/// A certificate, as agent and controller look at it.
pub fn certificate(data: &[u8]) -> bool {
    assert_eq!(identity::fingerprint(data), peer::fingerprint(data), "both show the same");
    let serial = identity::serial(data);
    let _ = identity::validity(data);
    if let Some(named) = peer::Peer::from_certificate(&CertificateDer::from(data)) {
        assert_eq!(Some(named.serial), serial, "both read the same");
    }
    assert!(!peer::has_signed(data, b"statement", data), "nobody signed");
    let _ = peer::has_key_of(data, data);
    let _ = peer::is_signed_by(data, data);
    serial.is_some()
}

/// The roots that a controller says are to be trusted, and a certificate that whoever answers shows before anybody is trusted:
/// what is taken is a root to TLS, and means the same from its file.
pub fn trust_bundle(data: &[u8]) -> bool {
    let shown = CertificateDer::from(data);
    let is_read = identity::serial(data).is_some();
    assert_eq!(tls::issuer(&shown) == "nobody that can be read", !is_read, "one reads what the other does not");
    assert!(!tls::is_of_key(&shown, &[7; 32]), "no key has that hash");
    let Ok(bundle) = codec::decode::<TrustBundle>(data) else { return is_read };
    let Ok(trust) = Trust::from_bundle(&bundle) else { return false };
    assert!(trust.roots().iter().map(|root| root.to_vec()).eq(bundle.roots.iter().map(|root| root.to_vec())));
    assert_eq!(Trust::parse(trust.to_pem().as_bytes()).as_ref(), Ok(&trust), "its file says something else");
    assert!(tls::verifier(trust.roots()).is_ok(), "TLS cannot use what was taken");
    for (root, fingerprint) in trust.roots().iter().zip(trust.fingerprints()) {
        assert_eq!(peer::fingerprint(root), fingerprint, "both show the same");
        let _ = trust.is_up_to_date(root);
        let _ = tls::issuer(root);
    }
    true
}

/// The files of an identity, and of a controller's root, by the first byte: what was read is written with the same meaning,
/// and a root that was opened signs.
pub fn identity_file(data: &[u8]) -> bool {
    let (file, bytes) = choice(data);
    match file % 6 {
        0 => credential(bytes),
        1 => {
            let Ok(read) = serde_json::from_slice::<Membership>(bytes) else { return false };
            let written = serde_json::to_vec(&read).expect("what was read can be written");
            let again: Membership = serde_json::from_slice(&written).expect("what was written can be read");
            assert_eq!(serde_json::to_vec(&again).ok(), Some(written), "it means something else");
            true
        }
        2 => {
            let Ok(trust) = Trust::parse(bytes) else { return false };
            assert_eq!(Trust::parse(trust.to_pem().as_bytes()), Ok(trust), "it means something else");
            true
        }
        3 => sealing_keys(bytes),
        4 => root(&[("ca.key", bytes)]),
        _ => {
            static KEY: &[u8] = include_bytes!("../corpus/identity_file/root_key");
            root(&[("ca.key", choice(KEY).1), ("ca.der", bytes)])
        }
    }
}

fn credential(bytes: &[u8]) -> bool {
    let path = Path::new("current.pem");
    let Ok(read) = Credential::parse(bytes, path) else { return false };
    let again = Credential::parse(read.to_pem().as_bytes(), path).expect("what was written can be read");
    assert_eq!((again.request(), again.certificate()), (read.request(), read.certificate()));
    assert_eq!(again.tls_key().secret_der(), read.tls_key().secret_der(), "another key");
    true
}

fn sealing_keys(bytes: &[u8]) -> bool {
    let folder = TempDir::new().expect("there is a place for a folder");
    let state = folder.path().join("state");
    let identity = IdentityDir::open(&state).expect("it can be made");
    let file = state.join("identity/sealing.keys");
    private::replace(&file, bytes).expect("it can be written");
    let Ok(keys) = identity.kept_sealing_keys() else { return false };
    let keys = keys.expect("the file is there");
    identity.store_sealing_keys(&keys).expect("they can be written");
    assert_eq!(std::fs::read(&file).ok().as_deref(), Some(bytes), "other keys");
    true
}

/// A folder with these files of a root.
fn root(files: &[(&str, &[u8])]) -> bool {
    let folder = TempDir::new().expect("there is a place for a folder");
    for (name, bytes) in files {
        private::replace(&folder.path().join(name), bytes).expect("it can be written");
    }
    let opened = Authority::open(folder.path(), NOW);
    for (name, bytes) in files {
        assert_eq!(std::fs::read(folder.path().join(name)).ok().as_deref(), Some(*bytes), "it was changed");
    }
    let Ok(authority) = opened else { return false };
    let _ = (authority.signing().validity(), authority.signing().fingerprint());
    let request = Credential::generate().expect("a key can be made");
    let (cluster, member) = ("acme".parse().expect("it is a name"), MemberId::from_bytes([7; 16]));
    let issued = authority.issue_member(request.request(), &cluster, member, DAY, NOW).expect("it signs");
    let root = authority.signing().number();
    assert_eq!(authority.signer_of(&issued.certificate), Some(root), "it does not know what it signed");
    true
}

/// A file that is named for a secret, or for the password of an account: line ends are cut, and an error repeats nothing of it.
pub fn secret(data: &[u8]) -> bool {
    // One folder for all inputs of a thread: the replay runs in several.
    thread_local!(static FOLDER: TempDir = TempDir::new().expect("there is a place for a folder"));
    let path = FOLDER.with(|folder| folder.path().join("secret"));
    private::replace(&path, data).expect("it can be written");
    let repeats = |told: &str| std::str::from_utf8(data).is_ok_and(|text| text.len() > 32 && told.contains(text));
    let mut is_read = false;
    match password::read(&path, 256) {
        Ok(read) => {
            is_read = true;
            let rest = data.strip_prefix(&read[..]).expect("it begins as the file does");
            assert!(
                !read.is_empty() && read.len() <= 256 && rest.iter().all(|it| b"\r\n".contains(it)),
                "{rest:?} was cut"
            );
        }
        Err(error) => assert!(!repeats(&error.to_string()), "{error}"),
    }
    match SecretSource::File(path).read() {
        Ok(secret) => {
            is_read = true;
            let rest = data.strip_prefix(secret.expose().as_bytes()).expect("it begins as the file does");
            assert!(!secret.expose().is_empty() && matches!(rest, b"" | b"\n" | b"\r\n"), "{rest:?} was cut");
        }
        Err(error) => assert!(!repeats(&error.to_string()), "{error}"),
    }
    is_read
}
