//! The certificate that follows the present one.

use futures_util::{SinkExt as _, StreamExt as _};
use postern_protocol::SessionNo;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::enrollment::v1::{EnrollRefusal, EnrollRefused, Enrolled};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{
    CertRefusal, CertRefused, CertRenew, HeldState, Hello, LeaseRef, LeaseVerdict, MembershipState, Renew,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::Ended;
use rcgen::CertificateParams;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::audit::of;
use crate::lab::Lab;
use crate::member::{Application, Identity, Session, succeeded};

impl Session {
    pub(crate) async fn ask_certificate(&mut self, csr: &[u8]) -> Result<Vec<u8>, CertRefused> {
        self.send(CertRenew { csr: Bytes::new(csr.to_vec()).unwrap() }).await;
        loop {
            match self.next().await {
                FromController::CertIssued(issued) => return Ok(issued.certificate.to_vec()),
                FromController::CertRefused(refused) => return Err(refused),
                FromController::InventoryAsk(_) => (),
                other => panic!("not about a certificate: {other:?}"),
            }
        }
    }
}

async fn refusal(lab: &Lab, identity: &Identity) -> String {
    match Session::greet(lab, identity.hello(), identity).await {
        Err(Ended::Refused { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("welcomed"),
    }
}

fn reason(answer: Result<Enrolled, EnrollRefused>) -> EnrollRefusal {
    answer.unwrap_err().reason.known().unwrap()
}

#[tokio::test]
async fn f46_a_request_whose_answer_was_lost_gets_the_same_certificate_after_a_restart_too() {
    let mut lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let application = Application::new();
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = session.number();
    let lost = session.ask_certificate(&application.csr).await.unwrap();
    assert_eq!(session.ask_certificate(&application.csr).await.unwrap(), lost, "in the same session");
    lab.kill();
    lab.restart().await;
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = session.number();
    assert_eq!(session.ask_certificate(&application.csr).await.unwrap(), lost);
    let next = identity.with(&application, &lost);
    drop(session);
    assert!(Session::greet(&lab, next.hello(), &next).await.is_ok());
}

/// Take the next certificate up when it is issued, and the present one is refused before there is another; never take it
/// up, and the old one is good for ever.
#[tokio::test]
async fn f46_the_next_certificate_is_the_present_one_from_its_first_hello_and_the_old_one_never_again() {
    let mut lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let application = Application::new();
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    let certificate = session.ask_certificate(&application.csr).await.unwrap();
    identity.last_session = session.number();
    drop(session);
    let old = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = old.number();

    // Its Welcome may be lost: it is the present one all the same.
    let next = identity.with(&application, &certificate);
    drop(Session::welcomed(&lab, next.hello(), &next).await.unwrap());
    assert_eq!(refusal(&lab, &identity).await, "wrong_certificate");
    lab.kill();
    lab.restart().await;
    assert_eq!(refusal(&lab, &identity).await, "wrong_certificate");
    assert!(Session::greet(&lab, next.hello(), &next).await.is_ok());
}

/// A member whose next certificate could not be stored asks with another key. Leave the comparison with `next.request` out,
/// and it is answered with the certificate that it could not store.
#[tokio::test]
async fn f47_another_request_gets_another_certificate_and_the_one_before_is_refused() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = session.number();
    let (one, other) = (Application::new(), Application::new());
    let given_up = identity.with(&one, &session.ask_certificate(&one.csr).await.unwrap());
    let kept = identity.with(&other, &session.ask_certificate(&other.csr).await.unwrap());
    assert_eq!(refusal(&lab, &given_up).await, "wrong_certificate");
    assert!(Session::greet(&lab, kept.hello(), &kept).await.is_ok());
}

/// A thief with a copy renews while the member is away, and from then on is the member. Take what that shows for any wrong
/// certificate, and the thief goes on getting its tasks until somebody looks.
#[tokio::test]
async fn a_member_in_whose_place_somebody_renewed_is_refused_and_told_of() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let session = Session::open(&lab, &identity).await;
    identity.last_session = session.number();
    lab.wait_for("the session", async || lab.member(identity.member).await.connected.then_some(())).await;
    let application = Application::new();
    let here = identity.recover(&lab, &application, None).await;
    assert_eq!(reason(here), EnrollRefusal::Overloaded, "whoever is here asks in its session");
    drop(session);
    lab.disconnected(identity.member).await;

    let certificate = identity.recover(&lab, &application, None).await.unwrap().certificate;
    let thief = Identity { last_session: SessionNo(1_000), ..identity.with(&application, &certificate) };
    let _thief = Session::open(&lab, &thief).await;
    lab.wait_for("the thief", async || lab.member(identity.member).await.connected.then_some(())).await;
    // Who has the certificate alone knows nothing of the store.
    let without_store = Hello { incarnation: Incarnation::from_bytes([9; 16]), ..identity.hello() };
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, without_store, &identity).await else {
        panic!("welcomed");
    };
    let member = lab.member(identity.member).await;
    assert_eq!((reason.as_str(), member.state, member.alarm), ("wrong_certificate", MembershipState::Enabled, None));
    let status: Value = lab.client().get("/v1/status").await.unwrap();
    let why = status["attention"][0]["why"].as_str().unwrap();
    assert!(why.contains("somebody has a copy") && why.contains("127.0.0.1"), "{status}");

    assert_eq!(refusal(&lab, &identity).await, "wrong_certificate");
    let member = lab.member(identity.member).await;
    assert_eq!(member.state, MembershipState::Disabled);
    assert!(member.alarm.unwrap().contains("copied"));
    // Whoever shows one comes again every minute.
    for _ in 0..4 {
        assert_eq!(refusal(&lab, &identity).await, "wrong_certificate");
    }
    assert_eq!(lab.log().matches("a certificate that was followed by another").count(), 3);
}

/// Leave `has_key_of` out, and a stolen key is good for ever.
#[tokio::test]
async fn f47_a_request_that_cannot_be_used_is_refused_with_the_reason_and_the_session_goes_on() {
    let lab = Lab::start().await;
    let application = Application::new();
    let enrolled = application.send(&lab, &lab.token().await).await.unwrap();
    let identity = Identity { member: enrolled.member, ..lab.enroll().await };
    let identity = identity.with(&application, &enrolled.certificate);
    let again = CertificateParams::default().serialize_request(&application.key).unwrap();
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    for (csr, words) in [(again.der().as_ref(), "a new key"), (b"nonsense", "signing request")] {
        let refused = session.ask_certificate(csr).await.unwrap_err();
        assert_eq!(refused.reason, CertRefusal::InvalidRequest.into());
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    assert!(session.ask_certificate(&Application::new().csr).await.is_ok());
}

/// Its task goes on: what was done meanwhile is reported under the lease it was done under. Leave `expires` out of the
/// session's loop, and it outlives its certificate.
#[tokio::test]
async fn f45_a_session_ends_with_its_certificate_and_its_work_is_reported_under_the_next() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    let held = [(offer.task, offer.epoch, HeldState::Started)];

    // Nothing but the beginning of a session has to fit into the life of a certificate.
    identity.last_session = session.number();
    lab.terminate();
    lab.restart_with(&["--auto-approve", "--certificate-secs", "10"]).await;
    let mut session = Session::open_holding(&lab, &identity, &held).await;
    identity.last_session = session.number();
    let application = Application::new();
    let certificate = session.ask_certificate(&application.csr).await.unwrap();
    let mut identity = identity.with(&application, &certificate);
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = session.number();
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "wrong_certificate");

    lab.terminate();
    lab.restart_with(&["--auto-approve"]).await;
    let application = Application::new();
    let enrolled = identity.recover(&lab, &application, None).await.unwrap();
    let identity = identity.with(&application, &enrolled.certificate);
    let mut session = Session::open_holding(&lab, &identity, &held).await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.finished(task).await.epoch, 1);
}

#[tokio::test]
async fn a_certificate_that_ran_out_is_replaced_by_proof_of_its_key_and_the_member_stays_the_same() {
    let mut lab = Lab::start_with(&["--auto-approve", "--certificate-secs", "1"]).await;
    let identity = lab.enroll().await;
    let application = Application::new();
    lab.terminate();
    lab.restart_with(&["--auto-approve"]).await;
    let first = identity.recover(&lab, &application, None).await.unwrap();
    lab.kill();
    lab.restart().await;
    let again = identity.recover(&lab, &application, None).await.unwrap();
    assert_eq!(first, again, "the answer may be lost");
    assert_eq!((first.member, first.approved), (identity.member, true));
    let recovered = identity.with(&application, &first.certificate);
    let session = Session::greet(&lab, recovered.hello(), &recovered).await.unwrap();
    assert_eq!(session.number().0, 1);

    let late = identity.recover(&lab, &Application::new(), None).await;
    assert_eq!(reason(late), EnrollRefusal::InvalidProof, "what was the present one proves nothing any more");
}

/// Take the exporter out of the statement, and a proof can be used on another channel; take the look at the state out of
/// `admit_recovery`, and whoever was revoked comes back.
#[tokio::test]
async fn who_cannot_prove_the_key_or_is_revoked_or_too_late_gets_no_certificate() {
    let mut lab = Lab::start_with(&["--auto-approve", "--certificate-secs", "1"]).await;
    let (identity, revoked) = (lab.enroll().await, lab.enroll().await);
    let application = Application::new();
    let relayed = identity.recover(&lab, &application, Some([7; 32])).await;
    assert_eq!(reason(relayed), EnrollRefusal::InvalidProof);
    let thief = Identity { key: application.key.serialize_der(), ..lab.enroll().await };
    assert_eq!(reason(thief.recover(&lab, &application, None).await), EnrollRefusal::InvalidProof);

    lab.act(revoked.member, "revoke").await.unwrap();
    assert_eq!(reason(revoked.recover(&lab, &application, None).await), EnrollRefusal::Revoked);

    lab.terminate();
    lab.restart_with(&["--recovery-days", "0"]).await;
    let now = || postern_controller_stub::clock::wall().0;
    let expired = lab.member(identity.member).await.certificate_expires;
    lab.wait_for("the certificate to run out", async || (now() > expired).then_some(())).await;
    let late = identity.recover(&lab, &application, None).await;
    assert_eq!(reason(late), EnrollRefusal::TooLate);
}

/// What is refused to a member that was revoked: the session it has, any other, and the certificate it was given before.
#[tokio::test]
async fn f48_a_member_that_was_revoked_is_out_with_every_certificate_it_has() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let application = Application::new();
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    let next = identity.with(&application, &session.ask_certificate(&application.csr).await.unwrap());
    lab.act(identity.member, "revoke").await.unwrap();
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "revoked");
    assert_eq!([refusal(&lab, &identity).await, refusal(&lab, &next).await], ["revoked", "revoked"]);
}

/// As a member sees it, which is out before it could ask. What it had sent by then is looked at in `state/heard.rs`.
#[tokio::test]
async fn a_revoked_member_renews_neither_a_lease_nor_a_certificate() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    let lease = LeaseRef { task, epoch: offer.epoch };
    let renew = |nonce| Renew { nonce, leases: List::new(vec![lease]).unwrap() };
    session.send(renew(1)).await;
    let FromController::Renewed(renewed) = session.next().await else { panic!("no Renewed") };
    assert_eq!(renewed.leases[0].verdict, LeaseVerdict::Kept.into());
    session.ask_certificate(&Application::new().csr).await.unwrap();

    lab.act(identity.member, "revoke").await.unwrap();
    let late = Application::new();
    let asks = [renew(2).into(), FromMember::from(CertRenew { csr: Bytes::new(late.csr.clone()).unwrap() })];
    for frame in asks {
        // It may be out already.
        let _ = session.socket.send(Message::Binary(frame.encode().unwrap().into())).await;
    }
    while let Some(Ok(message)) = session.socket.next().await {
        let Message::Binary(bytes) = message else { continue };
        let said = FromController::decode(&bytes).unwrap();
        assert!(!matches!(said, FromController::Renewed(_) | FromController::CertIssued(_)), "{said:?}");
    }
    assert_eq!(reason(identity.recover(&lab, &late, None).await), EnrollRefusal::Revoked);
    assert_eq!(lab.task(task).await.state, "in_doubt", "the lease is nobody's");
    assert_eq!(of(&lab, "certificate.issue", 1).await.len(), 1, "the one from before");
}

/// Count answers that are given again and the last assertion fails: a member whose answers are lost would be kept waiting.
#[tokio::test]
async fn a_member_that_asks_for_certificates_all_the_time_is_told_to_wait_and_its_session_goes_on() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    let mut last = Application::new();
    for _ in 0..10 {
        last = Application::new();
        session.ask_certificate(&last.csr).await.unwrap();
    }
    let refused = session.ask_certificate(&Application::new().csr).await.unwrap_err();
    assert_eq!(refused.reason, CertRefusal::Overloaded.into());
    assert!(refused.message.contains("wait"), "{}", refused.message);
    assert!(session.ask_certificate(&last.csr).await.is_ok(), "what was issued is said again");
}
