//! What a member owes, handed in by an operator.

use std::path::PathBuf;

use postern_controller_stub::api::HandedInView;
use postern_controller_stub::exit::{Exit, Failure};
use postern_controller_stub::state::members::MemberView;
use postern_controller_stub::state::outbox::HandedIn;
use postern_protocol::id::Incarnation;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Report, StreamFault, StreamOpen, StreamRef, StreamReset};
use postern_protocol::outbox::OwedReport;
use postern_protocol::outcome::Outcome;
use postern_protocol::session::Ended;
use postern_protocol::{Epoch, StreamId};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::lab::{Lab, new_task};
use crate::member::{Application, Identity, Session, succeeded};

fn owed(identity: &Identity, incarnation: Incarnation, report: &Report) -> OwedReport {
    let key = PrivatePkcs8KeyDer::from(identity.key.as_slice());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).unwrap();
    let owed = OwedReport::new(identity.member, incarnation, report).unwrap();
    let proof = key.sign(&owed.statement().unwrap()).unwrap();
    owed.signed(&proof)
}

async fn hand_in(lab: &Lab, owed: &OwedReport) -> Result<HandedIn, Failure> {
    let view: Result<HandedInView, Failure> = lab.client().post("/v1/outbox", owed).await;
    view.map(|it| it.verdict)
}

async fn refused(lab: &Lab, owed: &OwedReport, words: &str) {
    let failure = hand_in(lab, owed).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Refused);
    assert!(failure.text.contains(words), "{}", failure.text);
}

/// Take `connect` out of `hand_in`, and whatever a member was given counts for nothing; take the look at the state out of
/// `admit_report`, and a file overtakes the session of a member that works.
#[tokio::test]
async fn a_report_that_is_handed_in_counts_as_in_a_session_and_only_for_who_is_out() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    let report = succeeded(1, &offer);
    let sound = owed(&identity, identity.incarnation, &report);
    refused(&lab, &sound, "is not revoked").await;

    lab.act(identity.member, "revoke").await.unwrap();
    let thief = Identity { key: Application::new().key.serialize_der(), ..lab.enroll().await };
    let forged = Identity { member: identity.member, ..thief };
    refused(&lab, &owed(&forged, identity.incarnation, &report), "vouches for it").await;
    let other = owed(&identity, Incarnation::from_bytes([9; 16]), &report);
    assert_eq!(hand_in(&lab, &other).await.unwrap(), HandedIn::NeverLeased, "another store");
    let other = owed(&identity, identity.incarnation, &Report { epoch: Epoch(7), ..report });
    assert_eq!(hand_in(&lab, &other).await.unwrap(), HandedIn::NeverLeased, "another lease");
    assert!(lab.task(task).await.outcome.is_none());

    assert_eq!(hand_in(&lab, &sound).await.unwrap(), HandedIn::Finished);
    assert_eq!(lab.finished(task).await.member, Some(identity.member));
    assert_eq!(hand_in(&lab, &sound).await.unwrap(), HandedIn::NotOpen);
}

/// Only the report is signed, and what stands beside it is what people read. Leave the comparison out of `admit_report`, and
/// the audit log tells of another task.
#[tokio::test]
async fn a_line_that_says_something_else_than_its_report_is_refused() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    session.ask_certificate(&Application::new().csr).await.unwrap();
    lab.act(identity.member, "revoke").await.unwrap();
    let sound = owed(&identity, identity.incarnation, &succeeded(1, &offer));
    for altered in [
        OwedReport { task: new_task(), ..sound.clone() },
        OwedReport { epoch: Epoch(7), ..sound.clone() },
        OwedReport { outcome: Outcome::Failed.into(), ..sound.clone() },
        OwedReport { payloads: 3, ..sound.clone() },
    ] {
        refused(&lab, &altered, "was altered").await;
    }
    assert_eq!(hand_in(&lab, &sound).await.unwrap(), HandedIn::Finished);
}

/// Forget the life of its store with its numbers, and what it did certainly is told as never leased.
#[tokio::test]
async fn a_member_that_was_let_in_after_an_alarm_and_never_came_again_still_hands_in_what_it_owes() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    drop(session);
    lab.disconnected(identity.member).await;
    assert!(Session::greet(&lab, identity.hello(), &identity).await.is_err(), "its store is older than its session");
    lab.act(identity.member, "enable").await.unwrap();
    lab.act(identity.member, "revoke").await.unwrap();
    let line = owed(&identity, identity.incarnation, &succeeded(1, &offer));
    assert_eq!(hand_in(&lab, &line).await.unwrap(), HandedIn::Finished);
}

/// Leave the look at the incarnation out of `hand_in`, and whoever was revoked says how the work of others ended.
#[tokio::test]
async fn who_was_revoked_vouches_for_no_other_members_store() {
    let lab = Lab::start().await;
    let (worker, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    let revoked = lab.enroll().await;
    lab.act(revoked.member, "revoke").await.unwrap();
    let line = owed(&revoked, worker.incarnation, &succeeded(1, &offer));
    assert_eq!(hand_in(&lab, &line).await.unwrap(), HandedIn::NeverLeased);
    assert!(lab.task(task).await.outcome.is_none());

    let _: MemberView = lab.client().delete(&format!("/v1/members/{}", revoked.member)).await.unwrap();
    refused(&lab, &line, "was removed").await;
}

/// A member whose agent is about to be enrolled again, with a task that is started, and its report.
async fn at_work(lab: &Lab) -> (Identity, Session, Report) {
    let worker = lab.enroll().await;
    lab.approve(worker.member).await;
    let mut session = Session::open(lab, &worker).await;
    lab.add_system().await;
    let task = lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    (worker, session, succeeded(1, &offer))
}

/// Hear it before it is approved, and whoever has a token and knows the life of another's store says how its work ended. Do not
/// hear it afterwards, and what an agent owes that was enrolled again is lost.
#[tokio::test]
async fn what_a_pending_member_reports_counts_once_it_is_approved_and_not_before() {
    let lab = Lab::start_with(&[]).await;
    let (worker, session, report) = at_work(&lab).await;
    drop(session);
    lab.disconnected(worker.member).await;
    let again = Identity { incarnation: worker.incarnation, ..lab.enroll().await };
    let mut pending = Session::open(&lab, &again).await;
    pending.send(report.clone()).await;
    let stream = StreamRef { id: StreamId::from_bytes([5; 16]), length: 1, sha256: [0; 32] };
    pending.send(StreamOpen { task: report.task, stream }).await;
    // The agent keeps it, and announces it again.
    let full = StreamReset { stream: stream.id, fault: StreamFault::Full.into() };
    assert_eq!(pending.next().await, FromController::from(full));
    assert_eq!(lab.task(report.task).await.state, "started");

    lab.approve(again.member).await;
    assert!(matches!(pending.ended().await, Ended::GoneAway { .. }), "it is to say all of it again");
    let mut approved = Session::open(&lab, &Identity { last_session: pending.number(), ..again }).await;
    approved.send(report.clone()).await;
    assert_eq!(approved.acked().await, 1);
    assert_eq!(lab.finished(report.task).await.member, Some(again.member));
}

/// Let both in, and each says how the work of the other ended.
#[tokio::test]
async fn of_two_members_with_one_store_the_second_is_refused_while_the_first_is_there() {
    let lab = Lab::start_with(&[]).await;
    let (mut worker, session, _) = at_work(&lab).await;
    worker.last_session = session.number();
    drop(session);
    lab.disconnected(worker.member).await;
    let mut copy = Identity { incarnation: worker.incarnation, ..lab.enroll().await };
    let mut pending = Session::open(&lab, &copy).await;
    copy.last_session = pending.number();
    // One that is pending keeps nobody out.
    let session = Session::open(&lab, &worker).await;
    lab.wait_for("its session", async || lab.member(worker.member).await.connected.then_some(())).await;
    lab.approve(copy.member).await;
    assert!(matches!(pending.ended().await, Ended::GoneAway { .. }));
    let Err(Ended::Refused { reason, message, .. }) = Session::greet(&lab, copy.hello(), &copy).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "rolled_back");
    assert!(message.contains(&worker.member.to_string()), "{message}");
    assert_eq!(lab.member(copy.member).await.alarm, None, "it goes on as soon as the other is gone");
    assert!(lab.member(worker.member).await.connected);

    drop(session);
    lab.disconnected(worker.member).await;
    assert!(Session::greet(&lab, copy.hello(), &copy).await.is_ok(), "an agent that was enrolled again");
}

/// A file with what a member owes of two tasks.
pub(crate) async fn two_lines(lab: &Lab) -> PathBuf {
    let (identity, mut session) = lab.working_member().await;
    let mut lines = String::new();
    for account in ["ann", "bob"] {
        lab.submit("enable_user", account).await;
        let offer = session.offer().await;
        let line = serde_json::to_string(&owed(&identity, identity.incarnation, &succeeded(1, &offer))).unwrap();
        lines = format!("{lines}{line}\n");
    }
    lab.private_file("outbox.jsonl", &lines)
}
