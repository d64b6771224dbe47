//! Certificates, signing requests, what an identity's folder holds, secrets.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use postern_agent::config::SecretSource;
use postern_agent::identity::{self, Credential, Membership};
use postern_controller_stub::ca::{Authority, peer};
use postern_protocol::MemberId;
use postern_protocol::time::UnixMillis;
use postern_store::private;
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use crate::choice;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

/// A signing request at the CA: whatever it says, the certificate names the member that was meant, and has its key.
pub fn signing_request(data: &[u8]) {
    static AUTHORITY: OnceLock<(Authority, TempDir)> = OnceLock::new();
    let (authority, _) = AUTHORITY.get_or_init(|| {
        let folder = TempDir::new().expect("there is a place for a folder");
        (Authority::open(folder.path(), NOW).expect("an authority can be made"), folder)
    });
    let (cluster, member) = ("acme".parse().expect("it is a name"), MemberId::from_bytes([7; 16]));
    let Ok(issued) = authority.issue_member(data, &cluster, member, DAY, NOW) else { return };
    let named = peer::Peer::from_certificate(&issued.certificate).expect("it names a member");
    assert_eq!((named.cluster, named.member, named.serial), (cluster, member, issued.serial));
    assert!(peer::has_key_of(&issued.certificate, data), "it is for another key");
}

/// A certificate, as agent and controller look at it.
pub fn certificate(data: &[u8]) {
    assert_eq!(identity::fingerprint(data), peer::fingerprint(data), "both show the same");
    let serial = identity::serial(data);
    let _ = identity::validity(data);
    if let Some(named) = peer::Peer::from_certificate(&CertificateDer::from(data)) {
        assert_eq!(Some(named.serial), serial, "both read the same");
    }
    assert!(!peer::has_signed(data, b"statement", data), "nobody signed");
    let _ = peer::has_key_of(data, data);
    let _ = peer::is_signed_by(data, data);
}

/// The files of an identity: the one with the key, and the membership.
pub fn identity_file(data: &[u8]) {
    let (file, bytes) = choice(data);
    if file % 2 == 0 {
        let path = Path::new("current.pem");
        let Ok(read) = Credential::parse(bytes, path) else { return };
        let again = Credential::parse(read.to_pem().as_bytes(), path).expect("what was written can be read");
        assert_eq!((again.request(), again.certificate()), (read.request(), read.certificate()));
        assert_eq!(again.tls_key().secret_der(), read.tls_key().secret_der(), "another key");
    } else if let Ok(read) = serde_json::from_slice::<Membership>(bytes) {
        let written = serde_json::to_vec(&read).expect("what was read can be written");
        let again: Membership = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(serde_json::to_vec(&again).ok(), Some(written), "it means something else");
    }
}

/// A file that is named for a secret: one line end is cut, and an error repeats nothing of it.
pub fn secret(data: &[u8]) {
    // One folder for all inputs of a thread: the replay runs in several.
    thread_local!(static FOLDER: TempDir = TempDir::new().expect("there is a place for a folder"));
    let path = FOLDER.with(|folder| folder.path().join("secret"));
    private::replace(&path, data).expect("it can be written");
    match SecretSource::File(path).read() {
        Ok(secret) => {
            let rest = data.strip_prefix(secret.expose().as_bytes()).expect("it begins as the file does");
            assert!(!secret.expose().is_empty() && matches!(rest, b"" | b"\n" | b"\r\n"), "{rest:?} was cut");
        }
        Err(error) => {
            let told = error.to_string();
            let repeated = std::str::from_utf8(data).is_ok_and(|text| text.len() > 32 && told.contains(text));
            assert!(!repeated, "{told}");
        }
    }
}
