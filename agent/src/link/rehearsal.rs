//! Sessions without a controller, for tests alone: what would leave is handed to whoever then looks what the disk holds of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::sealing_keys::Terms;
use postern_protocol::bounded::List;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{AnnouncedKey, CertIssued, KeyAck, TrustBundle};
use postern_protocol::seal::{KeyId, MAX_MEMBER_KEYS};
use rustls::SignatureScheme;
use rustls_pki_types::CertificateDer;

use super::certificates::{Certificates, Shown, Then};
use super::keys::KeyRing;
use super::{Dialer, tls};
use crate::app::AppError;
use crate::clock;
use crate::dispatcher::{Dispatcher, Inputs};
use crate::identity::IdentityDir;
use crate::keys::SealingKeys;

/// Nobody is dialled.
const NOWHERE: &str = "wss://localhost:1";

/// What a session opens with.
pub struct Opening {
    /// The certificate that TLS shows.
    pub certificate: CertificateDer<'static>,
    /// The sealing keys that `Hello` tells.
    pub keys: List<AnnouncedKey, MAX_MEMBER_KEYS>,
}

/// The certificates, the roots and the sealing keys of a member, as its link has them.
pub struct Rehearsal<F> {
    certificates: Certificates,
    keys: KeyRing,
    in_use: SealingKeys,
    inputs: Inputs,
    dialer: Dialer,
    shown: Shown,
    may_go: F,
}

impl<F: Fn(KeyId) -> bool> Rehearsal<F> {
    /// Begins as an agent does with this state directory. `may_go` says whether nothing here needs an old sealing key.
    ///
    /// # Errors
    ///
    /// Why an agent would not begin.
    pub fn begin(state_dir: &Path, terms: Terms, may_go: F) -> Result<Self, AppError> {
        let directory = IdentityDir::open(state_dir)?;
        directory.erase_half_made()?;
        let kept = directory.sealing_keys()?;
        directory.complete()?;
        let identity = directory.load()?.ok_or(AppError::NotEnrolled)?;
        let directory = Arc::new(directory);
        let in_use = SealingKeys::new(kept.iter().map(|kept| kept.key.clone()).collect());
        let (dispatcher, inputs) = Dispatcher::channel();
        let (keys, _) = KeyRing::new(Arc::clone(&directory), kept, &in_use, &dispatcher, terms);
        let (certificates, _) = Certificates::new(directory, identity, in_use.clone())?;
        let dialer = Dialer { proxy: None, timeout: Duration::ZERO };
        Ok(Self { certificates, keys, in_use, inputs, dialer, shown: Shown::Current, may_go })
    }

    /// Ends the session there is, and opens the next.
    ///
    /// # Errors
    ///
    /// When TLS does not take the certificate.
    pub async fn open(&mut self) -> Result<Opening, tls::TlsError> {
        self.certificates.handle_disconnected();
        self.keys.handle_disconnected();
        self.certificates.settle().await;
        self.shown = self.certificates.choose();
        let tls = self.certificates.tls(self.shown)?;
        let shown = tls.client_auth_cert_resolver.resolve(&[], &[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let certificate = shown.and_then(|it| it.cert.first().cloned()).expect("a member shows its certificate");
        Ok(Opening { certificate, keys: self.keys.introduce() })
    }

    /// The controller welcomes it.
    pub async fn welcome(&mut self) {
        self.certificates.handle_welcomed(self.shown).await;
        self.shown = Shown::Current;
        self.keys.handle_welcomed();
    }

    /// What leaves next; `None` once it goes on in another session, under the next certificate.
    pub async fn next(&mut self) -> Option<FromMember> {
        loop {
            if self.shown == Shown::Current && self.certificates.choose() == Shown::Next {
                return None;
            }
            if let Some(renew) = self.certificates.poll(&self.dialer, NOWHERE) {
                return Some(renew.into());
            }
            if let Some(announce) = self.keys.poll() {
                return Some(announce.into());
            }
            // As the dispatcher does it.
            let forget = |key| {
                let may_go = (self.may_go)(key);
                if may_go {
                    self.in_use.drop_key(key);
                }
                may_go
            };
            tokio::select! {
                () = clock::sleep_until(self.certificates.poll_timeout()) => (),
                () = clock::sleep_until(self.keys.poll_timeout()) => (),
                () = self.inputs.answer_of_key(&forget) => (),
                done = self.keys.work() => self.keys.handle_done(done),
                done = self.certificates.work() => if let Then::Say(frame) = self.certificates.handle_done(done).await {
                    return Some(*frame);
                },
            }
        }
    }

    /// The certificate that was asked for is here.
    pub fn issued(&mut self, issued: &CertIssued) {
        self.certificates.handle_issued(issued);
    }

    /// The controller gives a key to submitters.
    pub fn acknowledged(&mut self, ack: &KeyAck) {
        self.keys.handle_acknowledged(ack);
    }

    /// The controller says which roots to trust. Returns what leaves at once.
    pub fn bundle(&mut self, bundle: TrustBundle) -> Option<FromMember> {
        self.certificates.handle_bundle(bundle)
    }
}
