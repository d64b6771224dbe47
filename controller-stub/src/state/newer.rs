//! Certificates that members show and that are newer than those on record: this controller was put back from a copy that is
//! older than they are. They are kept until an operator accepts one, and open nothing before.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use postern_protocol::MemberId;
use postern_protocol::enrollment::v1::Recover;
use postern_protocol::message::v1::{MembershipState, SessionRefusal};
use postern_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::Write;
use super::members::{MemberView, unknown};
use super::record::{MemberRecord, NewerCertificate};
use super::{Introduction, Member, Refusal, State};
use crate::ca::peer::{self, Peer};
use crate::clock::Moment;
use crate::membership::TransitionError;

/// The most that are kept of one member, the newest: it has no more than its present certificate and the next one.
const MAX_KEPT: usize = 2;
/// For how long after it was last shown somebody is taken to go on showing it: four times what it is told to wait.
const GOES_ON_ASKING: Duration = Duration::from_secs(120);
/// The largest that is kept, in bytes, so that all of a member fit a record: the authority makes none as large.
const MAX_CERTIFICATE: usize = 1024;

/// A certificate that waits to be accepted, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewerCertificateView {
    /// SHA-256 of its key: compare with the fingerprint that `postern status` shows on the member's host.
    pub fingerprint: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// From when on it is valid, in milliseconds since 1970.
    pub valid_from: u64,
    /// Until when.
    pub valid_until: u64,
    /// When it was first shown, in milliseconds since 1970.
    pub shown: u64,
    /// Where it was shown from then.
    pub address: String,
}

impl MemberView {
    /// The certificate that waits to be accepted and that nothing speaks against: it waits alone, and nobody has a session of
    /// the member under another.
    pub fn undisputed(&self) -> Option<&NewerCertificateView> {
        match self.newer_certificates.as_slice() {
            [alone] if !self.connected => Some(alone),
            _ => None,
        }
    }

    /// Whether something speaks against what waits to be accepted.
    pub fn is_disputed(&self) -> bool {
        !self.newer_certificates.is_empty() && self.undisputed().is_none()
    }
}

impl State {
    /// A member is not let in with this certificate. If it is newer than those on record it is kept; returns what lets the
    /// member in then.
    pub(super) fn keep_newer(&mut self, it: &Introduction, at: Moment) -> Option<String> {
        let peer = Peer::from_certificate(&CertificateDer::from(it.certificate.as_slice()))?;
        let is_its_own = (peer.member, &peer.cluster) == (it.member, &it.cluster);
        let is_ours = it.certificate.len() <= MAX_CERTIFICATE && self.authority.signer_of(&it.certificate).is_some();
        let member = self.members.get_mut(&it.member).filter(|_| is_its_own && is_ours)?;
        newest_on_record(&member.record).filter(|newest| *newest < peer.begins)?;
        let certificate = BASE64.encode(&it.certificate);
        let is_it = |kept: &NewerCertificate| kept.certificate == certificate;
        if !member.newer.iter().any(is_it) {
            let mut newer = member.newer.clone();
            newer.push(NewerCertificate {
                certificate: certificate.clone(),
                begins: peer.begins,
                expires: peer.expires,
                shown: at.wall,
                address: it.address.clone(),
            });
            newer.sort_by_key(|it| Reverse(it.begins));
            newer.truncate(MAX_KEPT);
            newer.iter().find(|kept| is_it(kept))?;
            tracing::error!(
                member = %it.member, serial = HEXLOWER.encode(&peer.serial), address = it.address,
                "a member shows a certificate that is newer than the one on record, and waits to be accepted: was the \
                 controller restored from a backup?"
            );
            member.newer = newer;
            self.writes.push(Write::Newer(it.member, member.newer.clone()));
        }
        member.newer_shown = Some(at.now);
        Some(what_to_do(it.member, &it.certificate))
    }

    /// What is to be done for a member that proves to have the key of a certificate that waits to be accepted.
    pub(super) fn is_to_be_accepted(&self, it: &Recover, statement: &[u8]) -> Option<String> {
        let mut waiting = self.members.get(&it.member)?.newer.iter().map(NewerCertificate::der);
        let proved = waiting.find(|certificate| peer::has_signed(certificate, statement, &it.proof))?;
        Some(what_to_do(it.member, &proved))
    }

    /// An operator says that the certificate of this fingerprint is the member's. It takes the place of those on record.
    pub fn accept_certificate(&mut self, id: MemberId, fingerprint: &str, at: Moment) -> Result<MemberView, Refusal> {
        let member = self.members.get(&id).ok_or_else(|| unknown(id))?;
        if member.record.state == MembershipState::Revoked {
            return Err(Refusal::conflict(TransitionError::Revoked.to_string()));
        }
        let is_named = |certificate: &[u8]| peer::is_meant(&peer::fingerprint(certificate), fingerprint);
        if is_named(&member.record.der()) {
            // Accepted before, and the answer was lost.
            return self.member(id);
        }
        let accepted = member.newer.iter().find(|it| is_named(&it.der())).cloned().ok_or_else(|| {
            Refusal::conflict(format!(
                "no certificate of this fingerprint waits to be accepted for {id}: see `postern-controller member show \
                 {id}`"
            ))
        })?;
        let der = accepted.der();
        let (root, peer) =
            self.authority.signer_of(&der).zip(Peer::from_certificate(&der.into())).ok_or_else(|| {
                Refusal::conflict(
                    "the root of this certificate is not trusted any more: enroll the agent again with a new token",
                )
            })?;
        self.end_session(id, SessionRefusal::WrongCertificate, "an operator accepted another certificate", at);
        let record = &mut self.members.get_mut(&id).ok_or_else(|| unknown(id))?.record;
        record.certificate = accepted.certificate;
        record.serial = HEXLOWER.encode(&peer.serial);
        record.certificate_expires = accepted.expires;
        record.root = root;
        record.next = None;
        // What it was told of the roots since the copy is not known: it is told them again, and asked.
        record.trusts = Vec::new();
        record.acked_bundle = 0;
        let record = record.clone();
        tracing::info!(member = %id, serial = record.serial, "a member's newer certificate was accepted");
        self.forget_outdated(id);
        self.writes.push(Write::Member(record));
        self.member(id)
    }

    /// Forgets what is not newer than everything on record any more.
    pub(super) fn forget_outdated(&mut self, id: MemberId) {
        let Some(newest) = self.members.get(&id).and_then(|it| newest_on_record(&it.record)) else { return };
        self.retain_newer(id, |it| newest < it.begins);
    }

    /// Forgets what waits to be accepted of a member that is out.
    pub(super) fn forget_newer(&mut self, id: MemberId) {
        self.retain_newer(id, |_| false);
    }

    /// Forgets what no root signed that is trusted: nobody can accept it.
    pub(super) fn forget_untrusted(&mut self) {
        let authority = Arc::clone(&self.authority);
        let waiting: Vec<MemberId> =
            self.members.iter().filter(|(_, it)| !it.newer.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.retain_newer(id, |it| authority.signer_of(&it.der()).is_some());
        }
    }

    fn retain_newer(&mut self, id: MemberId, stays: impl Fn(&NewerCertificate) -> bool) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let before = member.newer.len();
        member.newer.retain(stays);
        if member.newer.len() < before {
            self.writes.push(Write::Newer(id, member.newer.clone()));
        }
    }

    /// How many members have a certificate that waits to be accepted.
    pub fn waiting_to_be_accepted(&self) -> usize {
        self.members.values().filter(|it| !it.newer.is_empty()).count()
    }
}

impl Member {
    /// What waits to be accepted, as operators see it.
    pub(super) fn newer_certificates(&self) -> Vec<NewerCertificateView> {
        self.newer.iter().map(NewerCertificate::view).collect()
    }

    /// Whether somebody goes on showing a certificate that waits to be accepted. One whose agent gave it up before it was
    /// proved is not shown any more, and keeps nothing from being renewed.
    pub(super) fn is_contested(&self, at: Moment) -> bool {
        !self.newer.is_empty() && self.newer_shown.is_some_and(|shown| at.now < shown + GOES_ON_ASKING)
    }

    /// Why somebody should look at what waits to be accepted.
    pub(super) fn what_waits(&self) -> &'static str {
        if self.newer.len() > 1 || self.session().is_some() {
            "shows more than one certificate, newer than the one on record: somebody may have a copy of it"
        } else {
            "shows a certificate that is newer than the one on record, and waits for it to be accepted"
        }
    }
}

impl NewerCertificate {
    fn view(&self) -> NewerCertificateView {
        let der = self.der();
        NewerCertificateView {
            fingerprint: peer::fingerprint(&der),
            serial: Peer::from_certificate(&der.into()).map(|it| HEXLOWER.encode(&it.serial)).unwrap_or_default(),
            valid_from: self.begins.0,
            valid_until: self.expires.0,
            shown: self.shown.0,
            address: self.address.clone(),
        }
    }
}

/// From when on the newest certificate is valid that is known to have been issued to a member.
fn newest_on_record(record: &MemberRecord) -> Option<UnixMillis> {
    record.certificates().filter_map(|der| Peer::from_certificate(&der.into())).map(|it| it.begins).max()
}

/// What a member is told whose certificate waits to be accepted.
fn what_to_do(id: MemberId, certificate: &[u8]) -> String {
    format!(
        "this certificate is newer than the one on record, as after a restore of the controller from a backup: an operator \
         compares the fingerprint and accepts it with `postern-controller member accept {id} --fingerprint {}`",
        peer::fingerprint(certificate)
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use postern_protocol::bounded::{Bytes, List, Text};
    use postern_protocol::enrollment::recovery_statement;
    use postern_protocol::id::Incarnation;
    use postern_protocol::message::FromMember;
    use postern_protocol::message::v1::{CertRenew, Held, Hello, SessionRefusal};
    use postern_protocol::seal::SealingPublicKey;
    use postern_protocol::{ReportNo, SessionNo};
    use rcgen::{CertificateParams, KeyPair, SigningKey as _};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::ca::{Authority, Root, RootNo};
    use crate::clock;
    use crate::membership::Action;
    use crate::root_rotation::Step;
    use crate::state::RefusalKind;
    use crate::state::ledger::Ledger;
    use crate::state::record::NextCertificate;
    use crate::state::{Greeting, SessionHandle, Settings, ToSession, lab};

    const HOUR: u64 = 60 * 60 * 1_000;
    const SETTINGS: Settings = Settings { recovery: WEEK, ..lab::SETTINGS };
    const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// A controller whose only member has the certificate of hour 10.
    struct Restored {
        folder: tempfile::TempDir,
        ledger: Ledger,
        state: State,
        at: Moment,
        id: MemberId,
        told: Vec<mpsc::Receiver<ToSession>>,
    }

    impl Restored {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (ledger, _spool) = lab::ledger(folder.path());
            let at = clock::moment();
            let state = lab::state(folder.path(), &ledger, SETTINGS, at);
            let record = lab::member(MembershipState::Enabled);
            let mut restored = Self { folder, ledger, state, at, id: record.id, told: Vec::new() };
            let certificate = restored.issued(10);
            let record = MemberRecord { certificate: BASE64.encode(&certificate), ..record };
            restored.state.writes.push(Write::Member(record));
            restored.restart().await;
            restored
        }

        /// Everything that was decided becomes durable, and the controller dies and starts again.
        async fn restart(&mut self) {
            let turn = self.state.end_turn();
            self.ledger.commit(turn.writes).await.unwrap();
            self.state = lab::state(self.folder.path(), &self.ledger, SETTINGS, self.at);
        }

        /// A certificate of the member that was issued in that hour.
        fn issued(&self, hour: u64) -> Vec<u8> {
            self.issued_to(self.id, hour, self.folder.path(), &KeyPair::generate().unwrap())
        }

        fn issued_to(&self, member: MemberId, hour: u64, authority: &Path, key: &KeyPair) -> Vec<u8> {
            let csr = CertificateParams::default().serialize_request(key).unwrap();
            let wall = UnixMillis(self.at.wall.0 + hour * HOUR);
            let authority = Authority::open(authority, self.at.wall).unwrap();
            let cluster = "acme".parse().unwrap();
            authority.issue_member(csr.der(), &cluster, member, WEEK, wall).unwrap().certificate.to_vec()
        }

        fn shows(&mut self, certificate: &[u8]) -> Result<SessionNo, String> {
            let (words, told) = mpsc::channel(8);
            let (cut, over) = (CancellationToken::new(), CancellationToken::new());
            self.told.push(told);
            let introduction = Introduction {
                cluster: "acme".parse().unwrap(),
                member: self.id,
                certificate: certificate.to_vec(),
                address: "192.0.2.7".to_owned(),
                hello: hello(),
                session: SessionHandle { words, cut, over },
            };
            match self.state.introduce(introduction, self.at) {
                Greeting::Welcome(it) => Ok(it.session),
                Greeting::Refused(it) => {
                    assert_eq!(it.reason, SessionRefusal::WrongCertificate.into());
                    Err(it.message.to_string())
                }
            }
        }

        /// The fingerprints of what waits to be accepted.
        fn waiting(&self) -> Vec<String> {
            let view = self.state.member(self.id).unwrap();
            view.newer_certificates.into_iter().map(|it| it.fingerprint).collect()
        }

        fn accept(&mut self, certificate: &[u8]) -> Result<MemberView, Refusal> {
            self.state.accept_certificate(self.id, &peer::fingerprint(certificate), self.at)
        }
    }

    fn hello() -> Hello {
        Hello {
            agent_version: Text::clipped("0"),
            host: Text::clipped("host"),
            incarnation: Incarnation::from_bytes([1; 16]),
            // Of the controller that is no more.
            last_session: SessionNo(70),
            revisions: List::clipped(FromMember::REVISIONS.to_vec()),
            systems: List::default(),
            sealing_keys: List::default(),
            next_report: ReportNo(900),
            held: Held::default(),
            ext: List::default(),
        }
    }

    /// Welcome it at once, and whoever has a certificate that was taken back since the copy is in.
    #[tokio::test]
    async fn a_certificate_that_is_newer_than_those_on_record_waits_and_opens_a_session_once_it_is_accepted() {
        let mut restored = Restored::new().await;
        let (known, newer) = (restored.state.member(restored.id).unwrap().fingerprint, restored.issued(50));
        let fingerprint = peer::fingerprint(&newer);
        for _ in 0..2 {
            let told = restored.shows(&newer).unwrap_err();
            let command = format!("member accept {} --fingerprint {fingerprint}`", restored.id);
            assert!(told.ends_with(&command), "{told}");
            assert_eq!(restored.waiting(), [fingerprint.as_str()]);
            restored.restart().await;
            assert_eq!(
                restored.state.attention(clock::moment())[0].why,
                "shows a certificate that is newer than the one on record, and waits for it to be accepted"
            );
            assert_eq!(restored.state.waiting_to_be_accepted(), 1);
        }
        let no = restored.state.accept_certificate(restored.id, &known.replace(':', ""), restored.at).unwrap_err();
        assert_eq!(no.kind, RefusalKind::Conflict, "another fingerprint accepts nothing: {no}");

        let accepted = restored.accept(&newer).unwrap();
        assert_eq!((&accepted.fingerprint, accepted.newer_certificates.len()), (&fingerprint, 0));
        assert!(restored.accept(&newer).is_ok(), "the answer may be lost");
        restored.restart().await;
        assert_eq!(restored.shows(&newer), Ok(SessionNo(71)), "numbers that are higher than the copy's are no alarm");
        assert_eq!(restored.state.member(restored.id).unwrap().alarm, None);
        restored.restart().await;
        assert_eq!((restored.waiting(), restored.state.waiting_to_be_accepted()), (Vec::new(), 0));
    }

    /// Compare with the present certificate alone, and one that another request superseded waits to be accepted.
    #[tokio::test]
    async fn what_was_issued_before_anything_on_record_is_refused_and_not_kept() {
        let mut restored = Restored::new().await;
        let [older, superseded, next] = [5, 20, 30].map(|hour| restored.issued(hour));
        let record = &mut restored.state.members.get_mut(&restored.id).unwrap().record;
        record.next = Some(NextCertificate {
            request: [0; 32],
            certificate: BASE64.encode(&next),
            serial: String::new(),
            expires: UnixMillis(u64::MAX),
            root: record.root,
        });
        for certificate in [older, superseded] {
            let told = restored.shows(&certificate).unwrap_err();
            assert!(told.contains("enroll again"), "{told}");
            assert!(restored.waiting().is_empty());
            assert!(restored.accept(&certificate).is_err());
        }
        let newer = restored.issued(50);
        assert!(restored.shows(&newer).is_err());
        restored.accept(&newer).unwrap();
        assert!(restored.shows(&next).unwrap_err().contains("enroll again"), "there is no way back");
    }

    /// TLS turns others away before; a root may have been dropped since.
    #[tokio::test]
    async fn what_no_trusted_root_signed_or_is_of_another_member_is_not_kept() {
        let mut restored = Restored::new().await;
        let (elsewhere, other) = (tempfile::tempdir().unwrap(), MemberId::from_bytes([2; 16]));
        let key = KeyPair::generate().unwrap();
        let foreign = restored.issued_to(restored.id, 50, elsewhere.path(), &key);
        let others = restored.issued_to(other, 50, restored.folder.path(), &key);
        for certificate in [foreign, others, b"nonsense".to_vec()] {
            assert!(restored.shows(&certificate).unwrap_err().contains("enroll again"));
            assert!(restored.waiting().is_empty());
        }
        let newer = restored.issued(50);
        assert!(restored.shows(&newer).is_err());
        restored.state.authority = Arc::new(Authority::open(elsewhere.path(), restored.at.wall).unwrap());
        let no = restored.accept(&newer).unwrap_err();
        assert!(no.message.contains("not trusted any more"), "{no}");
    }

    /// Keep it, and it counts for ever as what an operator has to decide.
    #[tokio::test]
    async fn what_a_root_signed_that_is_dropped_waits_no_more() {
        let mut restored = Restored::new().await;
        let newer = restored.issued(50);
        assert!(restored.shows(&newer).is_err());
        let root = Root::make(restored.folder.path(), RootNo(2), restored.at.wall).unwrap();
        restored.state.begin_rotation(root, restored.at).unwrap();
        for step in [Step::Switch, Step::Finish] {
            assert_eq!(restored.state.waiting_to_be_accepted(), 1);
            restored.state.rotate(step, None, true, restored.at).unwrap();
        }
        assert_eq!((restored.waiting(), restored.state.waiting_to_be_accepted()), (Vec::new(), 0));
    }

    /// Keep the first that come, and whoever stole one that was superseded keeps the member's own from being seen.
    #[tokio::test]
    async fn of_several_the_two_newest_are_kept_in_whatever_order_they_come_and_each_can_be_accepted_by_its_name_alone()
    {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut restored = Restored::new().await;
            let certificates = [50, 60, 70].map(|hour| restored.issued(hour));
            let [_, second, third] = certificates.each_ref().map(|it| peer::fingerprint(it));
            for number in order {
                assert!(restored.shows(&certificates[number]).is_err());
            }
            assert_eq!(restored.waiting(), [third.as_str(), second.as_str()]);
            let view = restored.state.member(restored.id).unwrap();
            assert!(view.is_disputed() && view.undisputed().is_none());
            assert!(restored.state.attention(clock::moment())[0].why.contains("may have a copy"));
            assert!(restored.accept(&certificates[0]).is_err());

            restored.accept(&certificates[1]).unwrap();
            assert_eq!(restored.waiting(), [third.as_str()], "it is newer than what is on record now");
            assert!(restored.shows(&certificates[1]).is_ok());
            assert!(restored.state.member(restored.id).unwrap().newer_certificates.len() == 1);
        }
    }

    /// Take it for undisputed, and with all others the certificate of a copy is accepted.
    #[tokio::test]
    async fn who_shows_a_newer_certificate_beside_a_session_is_disputed_and_ends_that_if_it_is_accepted() {
        let mut restored = Restored::new().await;
        let record = &restored.state.members[&restored.id].record;
        let known = BASE64.decode(record.certificate.as_bytes()).unwrap();
        let session = restored.shows(&known).unwrap();
        restored.state.establish(restored.id, session, restored.at);
        let newer = restored.issued(50);
        assert!(restored.shows(&newer).is_err());
        assert!(restored.state.member(restored.id).unwrap().is_disputed());
        let accepted = restored.accept(&newer).unwrap();
        assert!(!accepted.connected);
        let turn = restored.state.end_turn();
        assert!(
            turn.words()
                .any(|it| matches!(it, ToSession::Close(bye) if bye.reason == SessionRefusal::WrongCertificate.into()))
        );
        assert!(restored.shows(&known).unwrap_err().contains("enroll again"));
    }

    #[tokio::test]
    async fn a_member_that_is_revoked_or_renews_meanwhile_has_nothing_that_waits() {
        let mut restored = Restored::new().await;
        let newer = restored.issued(50);
        assert!(restored.shows(&newer).is_err());
        restored.state.act_on_member(restored.id, Action::Revoke, restored.at).unwrap();
        restored.restart().await;
        assert!(restored.waiting().is_empty());
        assert!(restored.accept(&newer).unwrap_err().message.contains("revoked"));

        let mut restored = Restored::new().await;
        let (newer, renewed) = (restored.issued(50), restored.issued(60));
        assert!(restored.shows(&newer).is_err());
        let record = &mut restored.state.members.get_mut(&restored.id).unwrap().record;
        record.certificate = BASE64.encode(&renewed);
        restored.state.forget_outdated(restored.id);
        assert!(restored.waiting().is_empty() && restored.accept(&newer).is_err());
    }

    /// Whoever asks has what the copy says is the member's, and may have stolen what the member has long renewed. Issue him
    /// another, and what the member shows is older than it, and gone with every warning.
    #[tokio::test]
    async fn who_has_the_certificate_on_record_is_given_no_other_while_a_newer_one_is_being_shown() {
        let mut restored = Restored::new().await;
        let known = BASE64.decode(restored.state.members[&restored.id].record.certificate.as_bytes()).unwrap();
        let newer = restored.issued(50);
        let csr = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let renew = CertRenew { csr: Bytes::new(csr.der().to_vec()).unwrap() };
        assert!(restored.shows(&newer).is_err());
        restored.restart().await;
        assert!(restored.shows(&known).is_ok());
        restored.at.wall.0 += 60 * HOUR;
        restored.state.renew_certificate(restored.id, &renew, restored.at);
        assert_eq!(restored.waiting(), [peer::fingerprint(&newer)]);
        assert!(restored.state.members[&restored.id].record.next.is_none());

        restored.at.now = restored.at.now + GOES_ON_ASKING;
        restored.state.renew_certificate(restored.id, &renew, restored.at);
        assert!(restored.state.members[&restored.id].record.next.is_some() && restored.waiting().is_empty());
    }

    /// Nobody is asked to enroll it again while it waits.
    #[tokio::test]
    async fn a_newer_certificate_that_ran_out_is_replaced_by_proof_of_its_key_once_it_is_accepted() {
        let mut restored = Restored::new().await;
        let (key, fresh) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let newer = restored.issued_to(restored.id, 50, restored.folder.path(), &key);
        assert!(restored.shows(&newer).is_err());
        let (exporter, sealing_key) = ([9; 32], SealingPublicKey([3; 32]));
        let csr = CertificateParams::default().serialize_request(&fresh).unwrap().der().to_vec();
        let serial = Peer::from_certificate(&CertificateDer::from(newer.as_slice())).unwrap().serial;
        let proof = key.sign(&recovery_statement(&exporter, &sealing_key, &serial, &csr)).unwrap();
        let proof = Bytes::new(proof).unwrap();
        let (serial, csr) = (Bytes::new(serial).unwrap(), Bytes::new(csr).unwrap());
        let recover = Recover { member: restored.id, serial, sealing_key, csr, proof };
        let thief = Recover { proof: Bytes::new(vec![1; 70]).unwrap(), ..recover.clone() };

        restored.at.wall.0 += 10 * 24 * HOUR;
        let mut refused = |it: &Recover| restored.state.recover(it, &exporter, restored.at).unwrap_err().message;
        assert!(refused(&recover).contains("member accept"));
        assert!(refused(&thief).contains("enroll the agent again"));
        restored.accept(&newer).unwrap();
        let enrolled = restored.state.recover(&recover, &exporter, restored.at).unwrap();
        assert!(restored.shows(&enrolled.certificate).is_ok());
    }

    /// A record that does not fit its place ends the controller.
    #[tokio::test]
    async fn the_largest_that_is_kept_of_a_member_fits_its_record() {
        let restored = Restored::new().await;
        let largest = NewerCertificate {
            certificate: BASE64.encode(&[255; MAX_CERTIFICATE]),
            begins: UnixMillis(u64::MAX),
            expires: UnixMillis(u64::MAX),
            shown: UnixMillis(u64::MAX),
            address: "f".repeat(64),
        };
        let largest = Write::Newer(restored.id, vec![largest; MAX_KEPT]);
        restored.ledger.commit(vec![largest]).await.unwrap();
        assert!(restored.issued(50).len() < MAX_CERTIFICATE / 3 * 2);
    }
}
