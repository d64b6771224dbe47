//! Which certificate a session is opened with, and how the present one is renewed: [`Renewal`] decides, here is what it
//! decides about.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use postern_agent_core::renewal::{Next, Renewal, Step, Validity};
use postern_fail_point::Point;
use postern_protocol::bounded::Bytes;
use postern_protocol::enrollment::v1::{EnrollRefusal, Enrolled};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{CertIssued, CertRefused, CertRenew, TrustBundle};
use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId};
use rustls::ClientConfig;
use serde::Serialize;
use tokio::sync::watch;

use super::roots::{Roots, Stored};
use super::{DialError, Dialer, Place, Socket, tls};
use crate::enrollment::{EnrollmentError, Recovery, recover};
use crate::identity::{self, Credential, Identity, IdentityDir, IdentityError, Trust, UnusableTrust, validity};
use crate::keys::SealingKeys;
use crate::metrics::metrics;
use crate::telemetry::{Topic, may_tell_of};
use crate::{clock, random};

/// Which certificate a session is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The present one.
    Current,
    /// The one that is to follow it.
    Next,
}

/// What a running agent tells about its certificate, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateStatus {
    /// Until when it is valid.
    pub ends: UnixMillis,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The fingerprint of the member, by which an operator knows it.
    pub fingerprint: String,
    /// From when on it is renewed.
    pub renewal: UnixMillis,
    /// Why the last try to renew it came to nothing.
    pub trouble: Option<String>,
    /// When it is tried again.
    pub again: Option<UnixMillis>,
    /// The fingerprints of the roots that are trusted; new certificates are of the first.
    pub roots: Vec<String>,
}

/// Why there is no session to be had with a certificate that is of no use any more.
#[derive(Debug, thiserror::Error)]
enum RecoveryError {
    /// The controller does not give another.
    #[error("this agent's certificate has run out, or its root is not trusted any more, and there is no other yet")]
    Refused(#[from] EnrollmentError),
    /// The agent would not know it as its own.
    #[error("this agent's certificate is of no use any more, and the controller gave that of another member")]
    Anothers,
    /// It cannot be stored.
    #[error("this agent's certificate is of no use any more, and another cannot be stored")]
    Disk(#[from] IdentityError),
    /// The roots that came with it are of no use.
    #[error("the controller's roots cannot be trusted")]
    Trust(#[from] UnusableTrust),
    /// TLS is not usable.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

impl RecoveryError {
    /// Whether the controller was asked, and said no.
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(EnrollmentError::Refused { .. }))
    }
}

/// Something that takes time: the disk, or another connection.
pub(super) enum Done {
    Prepared(Result<Credential, IdentityError>),
    Stored(Result<Credential, IdentityError>),
    Dialled(Result<Box<Socket>, DialError>),
    Trusted(Stored),
}

/// What the session does once that is done.
pub(super) enum Then {
    Nothing,
    /// It says this.
    Say(Box<FromMember>),
    /// It goes on over this connection, which shows the next certificate.
    Move(Box<Socket>),
}

/// Something under way.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The certificates of this member.
pub struct Certificates {
    directory: Arc<IdentityDir>,
    cluster: ClusterName,
    member: MemberId,
    keys: SealingKeys,
    roots: Roots,
    current: Credential,
    next: Option<Credential>,
    /// Whether the file of the next certificate holds the present one: it was proved, and not yet put in its place.
    is_misplaced: bool,
    renewal: Renewal,
    /// The controller did not accept the next one. It is shown again only if the present one is not accepted either.
    next_is_refused: bool,
    /// The controller says that the present one has run out, whatever this host's clock says, or that it does not trust its
    /// root any more.
    current_is_over: bool,
    writing: Option<Work<Done>>,
    dialling: Option<Work<Done>>,
    status: watch::Sender<CertificateStatus>,
}

impl Certificates {
    /// Those of `identity`, and where it is told how they are.
    pub fn new(
        directory: Arc<IdentityDir>,
        identity: Identity,
        keys: SealingKeys,
    ) -> Result<(Self, watch::Receiver<CertificateStatus>), tls::TlsError> {
        tls::for_sessions(&identity.trust, &identity.current)?;
        let next = match &identity.next {
            None => Next::Absent,
            Some(next) if next.certificate().is_some() => Next::Issued,
            Some(_) => Next::Requested,
        };
        let renewal = Renewal::new(validity_of(&identity.current), identity.current.draw(), next);
        let (status, told) = watch::channel(CertificateStatus {
            ends: renewal.validity().ends,
            serial: serial_of(&identity.current),
            fingerprint: fingerprint_of(&identity.current),
            renewal: renewal.due(),
            trouble: None,
            again: None,
            roots: identity.trust.fingerprints(),
        });
        let roots = Roots::new(Arc::clone(&directory), identity.trust);
        let mut certificates = Self {
            directory,
            cluster: identity.membership.cluster,
            member: identity.membership.member,
            keys,
            roots,
            current: identity.current,
            next: identity.next,
            is_misplaced: false,
            renewal,
            next_is_refused: false,
            current_is_over: false,
            writing: None,
            dialling: None,
            status,
        };
        certificates.notice_outdated();
        Ok((certificates, told))
    }

    /// A connection, and the certificate that it shows; or why there is none.
    pub(super) async fn dial(&mut self, dialer: &Dialer, url: &str) -> Result<(Socket, Shown), String> {
        let recovered = if self.must_recover() { self.recover(dialer, url).await } else { Ok(()) };
        let Err(error) = recovered else { return self.show(dialer, url).await };
        let refused = Chain(&error).to_string();
        if self.current_is_over || !error.is_refusal() {
            return Err(refused);
        }
        // Only this host's clock says that it is over, and that may be ahead.
        let shown =
            self.show(dialer, url).await.map_err(|error| format!("{refused}; with the one there is: {error}"))?;
        tracing::warn!(
            refused,
            "the certificate is over by this host's clock, and its controller takes it; see to the clocks"
        );
        Ok(shown)
    }

    /// A connection for a session with the certificates there are.
    async fn show(&mut self, dialer: &Dialer, url: &str) -> Result<(Socket, Shown), String> {
        let shown = self.choose();
        let tls = self.tls(shown).map_err(|error| {
            let error = Chain(&error).to_string();
            self.handle_turned_down(shown, &error);
            error
        })?;
        match dialer.dial(&tls, url, Place::SESSION).await {
            Ok(socket) => Ok((socket, shown)),
            Err(error) => {
                let text = Chain(&error).to_string();
                if error.is_about_certificate() {
                    self.handle_turned_down(shown, &text);
                }
                if error.is_over() && shown == Shown::Current {
                    self.current_is_over = true;
                }
                Err(text)
            }
        }
    }

    /// Which certificate to open a session with: the next one as soon as there is one, because the controller may know it
    /// as the present one already.
    pub(super) fn choose(&self) -> Shown {
        if self.has_next() && !self.next_is_refused { Shown::Next } else { Shown::Current }
    }

    fn has_next(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.certificate().is_some())
    }

    /// TLS that shows this certificate.
    pub(super) fn tls(&self, shown: Shown) -> Result<Arc<ClientConfig>, tls::TlsError> {
        let next = self.next.as_ref().filter(|_| shown == Shown::Next);
        tls::for_sessions(self.roots.trusted(), next.unwrap_or(&self.current))
    }

    /// The controller does not accept this certificate.
    pub(super) fn handle_turned_down(&mut self, shown: Shown, error: &str) {
        self.next_is_refused = shown == Shown::Next;
        if shown == Shown::Next {
            tracing::warn!(error, "the next certificate is not accepted; the present one stays");
        }
    }

    /// Whether no certificate is good for a session, so that another has to be got by proof of the old key.
    fn must_recover(&self) -> bool {
        let is_over = |it: &Credential| validity_of(it).is_over(clock::unix_millis());
        let next_is_good = self.has_next() && !self.next_is_refused && !self.next.as_ref().is_some_and(is_over);
        !next_is_good && (self.current_is_over || is_over(&self.current))
    }

    /// Gets another certificate for one that is of no use any more, by proof of its key. That of the next certificate comes
    /// first, as in [`Certificates::choose`].
    async fn recover(&mut self, dialer: &Dialer, url: &str) -> Result<(), RecoveryError> {
        // On disk with its certificate alone: one whose answer is lost is replaced by the next that is asked for.
        let fresh = Credential::generate()?;
        let (trust, current) = (self.roots.trusted(), &self.current);
        let sealing_key = self.keys.newest();
        let by = |old| Recovery { member: self.member, old, sealing_key, csr: fresh.request() };
        let by_next = match self.next.as_ref().filter(|next| next.certificate().is_some()) {
            Some(next) => Some(ask(dialer, url, trust, by(next)).await),
            None => None,
        };
        let (enrolled, proof) = match by_next {
            Some(Ok(enrolled)) => (enrolled, Shown::Next),
            Some(Err(RecoveryError::Refused(error))) if !says_nothing_of_the_other(&error) => return Err(error.into()),
            Some(Err(_)) | None => (ask(dialer, url, trust, by(current)).await?, Shown::Current),
        };
        if proof == Shown::Next {
            // The controller knew it as the present one, and its key may be asked for again.
            self.promote().await;
        }
        let next = fresh.with_certificate(&enrolled.certificate)?;
        if next.is_anothers(&self.cluster, self.member) {
            return Err(RecoveryError::Anothers);
        }
        let trust = Trust::from_bundle(&enrolled.trust)?;
        let is_misplaced = self.is_misplaced;
        let stored = move |directory: &IdentityDir| {
            make_room(directory, is_misplaced)?;
            directory.store_trust(&trust)?;
            directory.store_next(&next).map(|()| (next, trust))
        };
        let (next, trust) = blocking(Arc::clone(&self.directory), stored).await?;
        self.next = Some(next);
        self.roots.replace(trust);
        self.handle_roots();
        self.is_misplaced = false;
        self.renewal.handle_on_disk(Next::Issued);
        self.next_is_refused = false;
        self.current_is_over = false;
        tracing::info!("the certificate was of no use any more; there is another by proof of its key");
        Ok(())
    }

    /// A session with this certificate is durable at this agent, and at the controller.
    pub(super) async fn handle_welcomed(&mut self, shown: Shown) {
        self.current_is_over = false;
        match shown {
            Shown::Next => {
                Point::NextWelcomed.reach();
                self.promote().await;
                Point::NextCurrent.reach();
                self.handle_renewed();
            }
            // What the controller does not accept is of no use; the present one it does.
            Shown::Current if self.next_is_refused => self.give_next_up("the controller does not accept it").await,
            Shown::Current => (),
        }
        self.renewal.handle_connected();
    }

    /// The next certificate takes the place of the present one.
    async fn promote(&mut self) {
        let Some(next) = self.next.take() else { return };
        self.current = next;
        let promoted = blocking(Arc::clone(&self.directory), IdentityDir::promote_next).await;
        self.is_misplaced = promoted.is_err();
        if let Err(error) = promoted {
            // It is found there at the next start, and shown first.
            tracing::error!(error = %Chain(&error), "the new certificate is in use, and cannot be put in its place");
        }
    }

    fn handle_renewed(&mut self) {
        self.renewal.handle_proved(validity_of(&self.current), self.current.draw(), clock::now());
        let (ends, renewal) = (self.renewal.validity().ends, self.renewal.due());
        if may_tell_of(Topic::Roots) {
            tracing::info!(ends = %moment(ends), renewal = %moment(renewal), "the certificate was renewed");
        }
        metrics().certificates_renewed.one(&[]);
        let (serial, fingerprint) = (serial_of(&self.current), fingerprint_of(&self.current));
        self.status.send_modify(|status| {
            let roots = status.roots.clone();
            *status = CertificateStatus { ends, serial, fingerprint, renewal, trouble: None, again: None, roots };
        });
        self.notice_outdated();
    }

    /// A certificate of a root that is to go is renewed soon.
    fn notice_outdated(&mut self) {
        let is_up_to_date = self.current.certificate().is_some_and(|it| self.roots.trusted().is_up_to_date(it));
        if is_up_to_date {
            return;
        }
        self.renewal.handle_outdated(clock::now(), clock::unix_millis(), random::number());
        let renewal = self.renewal.due();
        self.status.send_modify(|status| status.renewal = renewal);
        if may_tell_of(Topic::Roots) {
            tracing::info!("new certificates are of another root: this agent's is renewed soon");
        }
    }

    async fn give_next_up(&mut self, why: &str) {
        self.next = None;
        self.next_is_refused = false;
        if let Err(error) = blocking(Arc::clone(&self.directory), IdentityDir::discard_next).await {
            tracing::warn!(error = %Chain(&error), "a certificate that is of no use cannot be removed");
        }
        self.renewal.handle_on_disk(Next::Absent);
        self.failed(&format!("the next certificate is of no use: {why}"));
    }

    /// The session is over.
    pub(super) fn handle_disconnected(&mut self) {
        self.renewal.handle_disconnected();
        self.dialling = None;
    }

    /// Begins what is to be done next in this session. Returns a frame to send.
    pub(super) fn poll(&mut self, dialer: &Dialer, url: &str) -> Option<CertRenew> {
        if self.renewal.is_unanswered(clock::now()) {
            self.failed("the controller does not answer");
        }
        match self.renewal.poll(clock::now(), clock::unix_millis())? {
            Step::Prepare => {
                let is_misplaced = self.is_misplaced;
                self.writing = Some(self.disk(Done::Prepared, move |directory| prepare(directory, is_misplaced)));
                None
            }
            Step::Ask => {
                let csr = self.next.as_ref().map(Credential::request).unwrap_or_default();
                Some(CertRenew { csr: Bytes::new(csr.to_vec()).unwrap_or_default() })
            }
            Step::Prove => {
                match self.tls(Shown::Next) {
                    Err(error) => self.failed(&Chain(&error).to_string()),
                    Ok(tls) => {
                        let (dialer, url) = (dialer.clone(), url.to_owned());
                        self.dialling = Some(Box::pin(async move {
                            Done::Dialled(dialer.dial(&tls, &url, Place::SESSION).await.map(Box::new))
                        }));
                    }
                }
                None
            }
        }
    }

    /// When to call [`Certificates::poll`] again.
    pub(super) fn poll_timeout(&self) -> Option<postern_protocol::Timestamp> {
        self.renewal.poll_timeout(clock::now(), clock::unix_millis())
    }

    /// Waits for what takes time: for ever, if there is nothing.
    pub(super) async fn work(&mut self) -> Done {
        tokio::select! {
            done = until(&mut self.writing) => done,
            done = until(&mut self.dialling) => done,
            stored = self.roots.work() => Done::Trusted(stored),
        }
    }

    /// Waits until nothing is being written any more: what is on disk is what is known.
    pub(super) async fn settle(&mut self) {
        while self.writing.is_some() || self.roots.is_writing() {
            let done = tokio::select! {
                done = until(&mut self.writing) => done,
                stored = self.roots.work() => Done::Trusted(stored),
            };
            // Whom it could be said to is gone, and asks again.
            let _ = self.handle_done(done).await;
        }
    }

    /// What took time is done.
    pub(super) async fn handle_done(&mut self, done: Done) -> Then {
        match done {
            Done::Prepared(Ok(next)) => {
                Point::RequestDurable.reach();
                self.is_misplaced = false;
                self.next = Some(next);
                self.renewal.handle_on_disk(Next::Requested);
            }
            Done::Stored(Ok(next)) => {
                Point::NextDurable.reach();
                self.next = Some(next);
                self.renewal.handle_on_disk(Next::Issued);
            }
            Done::Prepared(Err(error)) | Done::Stored(Err(error)) => self.failed(&Chain(&error).to_string()),
            Done::Dialled(Ok(socket)) => return Then::Move(socket),
            Done::Trusted(stored) => {
                let said = self.roots.handle_stored(stored);
                self.handle_roots();
                return said.map_or(Then::Nothing, |frame| Then::Say(Box::new(frame)));
            }
            Done::Dialled(Err(error)) if error.is_about_certificate() => {
                let error = Chain(&error).to_string();
                self.give_next_up(&error).await;
            }
            Done::Dialled(Err(error)) => self.failed(&Chain(&error).to_string()),
        }
        Then::Nothing
    }

    /// The controller says which roots to trust. Returns what to say at once.
    pub(super) fn handle_bundle(&mut self, bundle: TrustBundle) -> Option<FromMember> {
        self.roots.handle_bundle(bundle)
    }

    /// Other roots may be trusted than before.
    fn handle_roots(&mut self) {
        let roots = self.roots.trusted().fingerprints();
        self.status.send_modify(|status| status.roots = roots);
        self.notice_outdated();
    }

    /// The certificate that was asked for is here.
    pub(super) fn handle_issued(&mut self, issued: &CertIssued) {
        let Some(next) = self.asked_for(issued.request) else { return };
        let next = next.with_certificate(&issued.certificate);
        let fits = |next: &Credential| {
            validity(&issued.certificate).is_some() && tls::for_sessions(self.roots.trusted(), next).is_ok()
        };
        match next {
            Ok(next) if next.is_anothers(&self.cluster, self.member) => {
                self.begin_anew("the controller sent the certificate of another member");
            }
            Ok(next) if fits(&next) => {
                self.writing =
                    Some(self.disk(Done::Stored, move |directory| directory.store_next(&next).map(|()| next)));
            }
            Ok(_) | Err(_) => self.begin_anew("the controller sent a certificate that is of no use"),
        }
    }

    /// There is no certificate.
    pub(super) fn handle_refused(&mut self, refused: &CertRefused) {
        if self.asked_for(refused.request).is_none() {
            return;
        }
        self.begin_anew(&format!("the controller refused it ({}): {}", refused.reason, refused.message));
    }

    /// Whatever is wrong with the request, the next one is another.
    fn begin_anew(&mut self, trouble: &str) {
        self.next = None;
        self.renewal.handle_on_disk(Next::Absent);
        self.failed(trouble);
    }

    /// What is asked for, if it is this; an answer may be one to an earlier question.
    fn asked_for(&self, request: [u8; 32]) -> Option<&Credential> {
        let next = self.next.as_ref().filter(|next| next.request_digest() == request)?;
        (next.certificate().is_none() && self.writing.is_none()).then_some(next)
    }

    fn failed(&mut self, trouble: &str) {
        let wait = self.renewal.handle_failed(clock::now(), clock::unix_millis(), random::number());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let ends = self.renewal.validity().ends;
        tracing::warn!(trouble, ends = %moment(ends), again_in_ms = wait_ms, "the certificate was not renewed");
        let again = Some(UnixMillis(clock::unix_millis().0.saturating_add(wait_ms)));
        self.status.send_modify(|status| {
            status.trouble = Some(trouble.to_owned());
            status.again = again;
        });
    }

    fn disk<T: Send + 'static>(
        &self,
        done: impl FnOnce(Result<T, IdentityError>) -> Done + Send + 'static,
        work: impl FnOnce(&IdentityDir) -> Result<T, IdentityError> + Send + 'static,
    ) -> Work<Done> {
        let directory = Arc::clone(&self.directory);
        Box::pin(async move { done(blocking(directory, work).await) })
    }
}

/// Asks for another certificate in a connection of its own.
async fn ask(dialer: &Dialer, url: &str, trust: &Trust, recovery: Recovery<'_>) -> Result<Enrolled, RecoveryError> {
    let tls = tls::for_recovery(trust)?;
    let socket = dialer.dial(&tls, url, Place::ENROLLMENT).await.map_err(EnrollmentError::from)?;
    Ok(recover(socket, &recovery).await?)
}

/// Whether the proof of the present key may be accepted where this is the answer to that of the next. Whoever is told that
/// proofs were wrong too often may only not have brought the right one yet.
fn says_nothing_of_the_other(error: &EnrollmentError) -> bool {
    [EnrollRefusal::InvalidProof, EnrollRefusal::Overloaded].into_iter().any(|why| error.is_refusal_of(why))
}

/// A new key, in a file that holds nothing else any more.
fn prepare(directory: &IdentityDir, is_misplaced: bool) -> Result<Credential, IdentityError> {
    make_room(directory, is_misplaced)?;
    directory.prepare_next()
}

/// Puts a certificate in its place that is in the place of the next one. That may have come about at the last try.
fn make_room(directory: &IdentityDir, is_misplaced: bool) -> Result<(), IdentityError> {
    if is_misplaced && directory.has_next() { directory.promote_next() } else { Ok(()) }
}

/// Waits until this is done, and for ever if there is nothing to do.
pub(super) async fn until<T>(work: &mut Option<Work<T>>) -> T {
    let Some(working) = work else { return std::future::pending().await };
    let done = working.await;
    *work = None;
    done
}

/// Disks are slow: the link must not wait for them on a worker of the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    directory: Arc<IdentityDir>,
    work: impl FnOnce(&IdentityDir) -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    tokio::task::spawn_blocking(move || work(&directory)).await.expect("writing the identity does not panic")
}

fn serial_of(credential: &Credential) -> String {
    let serial = credential.certificate().and_then(|certificate| identity::serial(certificate));
    HEXLOWER.encode(&serial.unwrap_or_default())
}

fn fingerprint_of(credential: &Credential) -> String {
    credential.certificate().map(|it| identity::fingerprint(it)).unwrap_or_default()
}

/// A certificate that cannot be read is over; TLS refuses it anyway.
fn validity_of(credential: &Credential) -> Validity {
    let never = Validity { begins: UnixMillis(0), ends: UnixMillis(0) };
    credential.certificate().and_then(|certificate| validity(certificate)).unwrap_or(never)
}

fn moment(at: UnixMillis) -> jiff::Timestamp {
    i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{SinkExt as _, StreamExt as _};
    use postern_protocol::bounded::{List, Text};
    use postern_protocol::enrollment::FromAuthority;
    use postern_protocol::enrollment::v1::EnrollRefused;
    use postern_protocol::seal::SealingKey;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

    use super::*;
    use crate::identity::Membership;

    /// A controller that takes any certificate and gives none.
    struct Controller {
        listener: TcpListener,
        tls: TlsAcceptor,
        root: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Controller {
        async fn listen() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let key = KeyPair::generate().unwrap();
            let root = params.self_signed(&key).unwrap().der().clone();
            let issuer = Issuer::new(params, key);
            let key = KeyPair::generate().unwrap();
            let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            let tls = ServerConfig::builder_with_provider(default_provider().into())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![own.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Self { listener, tls: TlsAcceptor::from(Arc::new(tls)), root, issuer }
        }

        fn url(&self) -> String {
            format!("wss://{}", self.listener.local_addr().unwrap())
        }

        /// Those of a member, of which the present one ran out long ago by any clock.
        fn certificates(&self, folder: &std::path::Path) -> Certificates {
            let credential = Credential::generate().unwrap();
            let mut params = CertificateParams::default();
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 1, 2));
            let key = KeyPair::try_from(&credential.tls_key()).unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            let root = Bytes::new(self.root.to_vec()).unwrap();
            let identity = Identity {
                membership: Membership {
                    cluster: "acme".parse().unwrap(),
                    member: MemberId::from_bytes([1; 16]),
                    controllers: Vec::new(),
                    token: None,
                },
                current: credential.with_certificate(certificate.der()).unwrap(),
                next: None,
                trust: Trust::from_bundle(&TrustBundle { number: 1, roots: List::new(vec![root]).unwrap() }).unwrap(),
            };
            let directory = Arc::new(IdentityDir::open(&folder.join("state")).unwrap());
            let keys = SealingKeys::new(vec![SealingKey::from_random(&zeroize::Zeroizing::new([1; 32]))]);
            Certificates::new(directory, identity, keys).unwrap().0
        }

        /// Lets whoever comes in for good, except that it gives nobody a certificate.
        async fn answer(&self) {
            #[expect(clippy::result_large_err, reason = "the library's")]
            let agree = |request: &Request, mut response: Response| {
                let protocol = request.headers()[SEC_WEBSOCKET_PROTOCOL].clone();
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
                Ok(response)
            };
            loop {
                let (stream, _) = self.listener.accept().await.unwrap();
                let mut socket = accept_hdr_async(self.tls.accept(stream).await.unwrap(), agree).await.unwrap();
                // A session is over for this test once it is there.
                let Some(Ok(Message::Binary(_))) = socket.next().await else { continue };
                let reason = EnrollRefusal::Overloaded.into();
                let refused = FromAuthority::from(EnrollRefused { reason, message: Text::clipped("too often") });
                socket.send(Message::Binary(refused.encode().unwrap().into())).await.unwrap();
            }
        }
    }

    /// Believe this host's clock alone, and an agent whose clock is ahead, and which was given too many certificates for that,
    /// never shows the one that its controller would accept.
    #[tokio::test]
    async fn a_certificate_that_only_this_hosts_clock_says_is_over_is_shown_if_no_other_is_given() {
        let controller = Controller::listen().await;
        let folder = tempfile::tempdir().unwrap();
        let mut certificates = controller.certificates(folder.path());
        let dialer = Dialer { proxy: None, timeout: Duration::from_secs(60) };
        let url = controller.url();
        let dialled = async {
            let first = certificates.dial(&dialer, &url).await.map(|(_, shown)| shown);
            certificates.current_is_over = true;
            (first, certificates.dial(&dialer, &url).await.map(|(_, shown)| shown))
        };
        let (first, second) = tokio::select! {
            dialled = dialled => dialled,
            () = controller.answer() => unreachable!(),
        };
        assert_eq!(first, Ok(Shown::Current));
        let error = second.expect_err("the controller itself said that it is over");
        assert!(error.contains("overloaded") && error.contains("too often"), "{error}");
    }
}
