//! Who gets a session, and what a session survives.

use std::cell::Cell;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use postern_controller_stub::ca::Authority;
use postern_controller_stub::clock;
use postern_protocol::SessionNo;
use postern_protocol::message::v1::{Hello, MembershipState, Ping};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::{self, Ended};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::lab::{Lab, PATIENCE};
use crate::member::{Identity, Session, connect, succeeded};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn status(refused: Result<crate::member::Socket, Error>) -> (u16, String) {
    match refused {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
        }
        Err(other) => panic!("not an HTTP answer: {other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[tokio::test]
async fn a_wrong_path_subprotocol_or_no_certificate_each_get_their_answer() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;

    let (code, _) = status(connect(&lab, "/v2/session", Some(session::SUBPROTOCOL), Some(&identity)).await);
    assert_eq!(code, 404);
    for subprotocol in [None, Some("postern.v9")] {
        let (code, body) = status(connect(&lab, session::PATH, subprotocol, Some(&identity)).await);
        assert_eq!(code, 400);
        assert!(body.contains("postern.v1"), "{body}");
    }
    let (code, body) = status(connect(&lab, session::PATH, Some(session::SUBPROTOCOL), None).await);
    assert_eq!(code, 401);
    assert!(body.contains("enroll"), "{body}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_does_not_get_through_tls() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::open(elsewhere.path(), clock::wall()).unwrap();
    let application = crate::member::Application::new();
    let issued =
        other.issue_member(&application.csr, &"acme".parse().unwrap(), identity.member, WEEK, clock::wall()).unwrap();
    identity.certificate = issued.certificate.to_vec();
    identity.key = application.key.serialize_der();

    let refused = connect(&lab, session::PATH, Some(session::SUBPROTOCOL), Some(&identity)).await;
    assert!(!matches!(refused, Err(Error::Http(_)) | Ok(_)), "it has to fail before HTTP");
}

#[tokio::test]
async fn a_session_is_numbered_and_the_member_is_told_its_address() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let first = Session::open(&lab, &identity).await;
    assert_eq!(first.number(), SessionNo(1));
    assert_eq!(first.welcome.as_ref().unwrap().observed_address.as_str(), "127.0.0.1");
    identity.last_session = first.number();
    drop(first);
    assert_eq!(Session::open(&lab, &identity).await.number(), SessionNo(2));
}

/// F43.
#[tokio::test]
async fn f43_a_new_session_replaces_the_old_one() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut old = Session::open(&lab, &identity).await;
    identity.last_session = old.number();
    let _new = Session::open(&lab, &identity).await;
    let Ended::GoneAway { reason, .. } = old.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "replaced");
}

/// Take a report under an old number for a repetition and it is acknowledged, and lost.
#[tokio::test]
async fn f19_a_store_from_before_its_last_report_is_refused_although_its_session_is_the_last() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    lab.submit("enable_user", "ann").await;
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    identity.last_session = session.number();
    drop(session);
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, identity.hello(), &identity).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "rolled_back");
    assert!(lab.member(identity.member).await.alarm.unwrap().contains("last report"));
}

/// Look at the incarnation alone, and whoever has a copy of the store keeps the member out for ever, by beginning sessions that
/// he never confirms.
#[tokio::test]
async fn f44_a_copy_that_makes_up_the_session_it_was_in_takes_none_from_the_member_and_is_noticed() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let mut session = Session::open(&lab, &identity).await;
    identity.last_session = session.number();
    lab.wait_for("the session", async || lab.member(identity.member).await.connected.then_some(())).await;
    let hello = Hello { last_session: SessionNo(session.number().0 + 1_000), ..identity.hello() };
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, hello, &identity).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "rolled_back");
    while !matches!(session.next().await, FromController::MemberState(_)) {}
    let member = lab.member(identity.member).await;
    assert!(member.connected && member.state == MembershipState::Disabled);
    assert!(member.alarm.unwrap().contains("two agents"));
}

/// F19, F44: leave out the comparison in `rolled_back` and the copy is welcomed.
#[tokio::test]
async fn f19_a_member_from_a_backup_is_refused_and_disabled_until_an_operator_looks() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let old = identity.hello();
    for _ in 0..2 {
        let session = Session::open(&lab, &identity).await;
        identity.last_session = session.number();
        lab.wait_for("the session", async || lab.member(identity.member).await.connected.then_some(())).await;
        drop(session);
        lab.disconnected(identity.member).await;
    }
    let Err(Ended::Refused { reason, message, .. }) = Session::greet(&lab, old.clone(), &identity).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "rolled_back");
    assert!(message.contains("member enable"), "{message}");
    let member = lab.member(identity.member).await;
    assert_eq!(member.state, MembershipState::Disabled);
    assert!(member.alarm.unwrap().contains("backup"));

    lab.act(identity.member, "enable").await.unwrap();
    assert!(Session::greet(&lab, old, &identity).await.is_ok());
}

/// Note no alarm of a member that is out already, and the way out that it is told lets it be refused once more.
#[tokio::test]
async fn f19_a_member_that_is_out_already_comes_back_by_the_way_out_that_it_is_told() {
    for (setup, way_out) in [("disable", "enable"), ("none", "approve")] {
        let lab = Lab::start_with(&[]).await;
        let mut identity = lab.enroll().await;
        if setup == "disable" {
            lab.approve(identity.member).await;
            lab.act(identity.member, setup).await.unwrap();
        }
        let old = identity.hello();
        for _ in 0..2 {
            let session = Session::open(&lab, &identity).await;
            identity.last_session = session.number();
            drop(session);
            lab.disconnected(identity.member).await;
        }
        let Err(Ended::Refused { reason, message, .. }) = Session::greet(&lab, old.clone(), &identity).await else {
            panic!("welcomed");
        };
        assert_eq!(reason, "rolled_back");
        assert!(message.contains(&format!("member {way_out}")), "{message}");
        assert!(lab.member(identity.member).await.alarm.unwrap().contains("backup"));
        match way_out {
            "approve" => lab.approve(identity.member).await,
            _ => drop(lab.act(identity.member, way_out).await.unwrap()),
        }
        assert!(Session::greet(&lab, old, &identity).await.is_ok(), "after {way_out}");
        assert_eq!(lab.member(identity.member).await.alarm, None);
    }
}

/// Take the numbers that the alarm left for those of the store that comes now, and the log blames the controller's backup.
#[tokio::test]
async fn f19_reports_are_missing_only_from_a_store_that_was_known() {
    let lab = Lab::start().await;
    let (mut identity, session) = lab.working_member().await;
    identity.last_session = session.number();
    drop(session);
    lab.wait_for("its end", async || (!lab.member(identity.member).await.connected).then_some(())).await;
    let old = Identity { last_session: SessionNo(0), ..identity };
    assert!(Session::greet(&lab, old.hello(), &old).await.is_err());
    lab.act(old.member, "enable").await.unwrap();

    let mut identity = Identity { next_report: 900, ..old };
    for (number, is_missing) in [(900, false), (950, true)] {
        let mut session = Session::open(&lab, &identity).await;
        lab.submit("enable_user", &format!("user{number}")).await;
        let offer = session.offer().await;
        session.send(succeeded(number, &offer)).await;
        assert_eq!(session.acked().await, number);
        assert_eq!(lab.log().contains("reports are missing"), is_missing, "{number}");
        (identity.last_session, identity.next_report) = (session.number(), number + 50);
    }
}

#[tokio::test]
async fn a_revoked_member_is_out_at_once_and_stays_out() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let mut session = Session::open(&lab, &identity).await;
    lab.act(identity.member, "revoke").await.unwrap();
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "revoked");
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, identity.hello(), &identity).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "revoked");
}

/// From the act to the end of the connection: what the state does first, what waits for the owner or for a commit, and the last
/// word are in it. The one that reads nothing has stuffed its queue, so that not even the last word gets into it. Leave
/// `until_parted` out, and it stays until the writer's patience is over, which the log tells.
#[tokio::test]
async fn a_revoked_member_is_out_within_a_second_whether_it_reads_or_not() {
    /// A second, and more for a machine that is busy: whatever waits for somebody's patience takes half a minute.
    const SOON: Duration = Duration::from_secs(20);
    let lab = Lab::start().await;
    let (reads, does_not) = (lab.enroll().await, lab.enroll().await);
    let mut reading = Session::open(&lab, &reads).await;
    let since = Instant::now();
    lab.act(reads.member, "revoke").await.unwrap();
    let Ended::GoneAway { reason, .. } = reading.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "revoked");
    let ended = async { while let Some(Ok(_)) = reading.socket.next().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("its connection ends");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());

    let mut stuffed = Session::open(&lab, &does_not).await;
    let ping = FromMember::from(Ping { nonce: 1 }).encode().unwrap();
    let sent = Cell::new(0_u64);
    let floods = async {
        while stuffed.socket.send(Message::Binary(ping.clone().into())).await.is_ok() {
            sent.set(sent.get() + 1);
        }
    };
    let revokes = async {
        let mut rested = (0, 0);
        lab.wait_for("nothing to be taken from it any more", async || {
            assert!(lab.member(does_not.member).await.connected, "it is there yet");
            rested = if rested.0 == sent.get() { (rested.0, rested.1 + 1) } else { (sent.get(), 0) };
            (rested.1 >= 50).then_some(())
        })
        .await;
        let since = Instant::now();
        lab.act(does_not.member, "revoke").await.unwrap();
        since
    };
    let both = async { tokio::join!(floods, revokes).1 };
    let since = tokio::time::timeout(2 * PATIENCE, both).await.expect("its connection ends");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    assert!(!lab.log().contains("does not read what it is sent"), "the writer was not waited for");
}

/// F55, F56: a frame nobody knows costs an answer, not the session.
#[tokio::test]
async fn f55_a_frame_that_cannot_be_read_is_answered_and_the_session_lives_on() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    session.send_raw(vec![0xff, 0x7f, 1, 0, 0, 0, 0, 0]).await;
    let FromController::ProtocolError(error) = session.next().await else { panic!("no ProtocolError") };
    assert_eq!(error.tag, 0x7fff);
    session.socket_text("hello").await;
    assert!(matches!(session.next().await, FromController::ProtocolError(_)));
    let task = lab.submit("enable_user", "a@b.c").await;
    assert_eq!(session.offer().await.task, task);
}

/// F53: take the limits out of `websocket::limits` and the frame is taken.
#[tokio::test]
async fn f53_an_oversize_frame_ends_its_own_session_alone() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let other = lab.enroll().await;
    let mut unharmed = Session::open(&lab, &other).await;
    let _ = futures_util::SinkExt::send(&mut session.socket, Message::Binary(vec![0; 128 * 1024 + 1].into())).await;
    lab.disconnected(identity.member).await;
    let task = lab.submit("enable_user", "a@b.c").await;
    assert_eq!(unharmed.offer().await.task, task);
}

#[tokio::test]
async fn a_certificate_of_a_controller_that_was_started_anew_is_refused_with_the_reason() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    let stranger = Identity { member: postern_protocol::MemberId::from_bytes([3; 16]), ..lab.enroll().await };
    let authority = Authority::open(&lab.data_dir(), clock::wall()).unwrap();
    let application = crate::member::Application::new();
    let issued = authority
        .issue_member(&application.csr, &"acme".parse().unwrap(), stranger.member, WEEK, clock::wall())
        .unwrap();
    let stranger =
        Identity { certificate: issued.certificate.to_vec(), key: application.key.serialize_der(), ..stranger };
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, stranger.hello(), &stranger).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "unknown_member");

    let copy = authority
        .issue_member(&application.csr, &"acme".parse().unwrap(), identity.member, WEEK, clock::wall())
        .unwrap();
    let clone = Identity { certificate: copy.certificate.to_vec(), key: application.key.serialize_der(), ..identity };
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, clone.hello(), &clone).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "wrong_certificate");
}

#[tokio::test]
async fn a_stopping_controller_says_goodbye_and_exits_with_zero() {
    let mut lab = Lab::start().await;
    let identity = lab.enroll().await;
    let mut session = Session::open(&lab, &identity).await;
    let stopped = tokio::task::spawn_blocking(move || lab.terminate());
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    drop(session);
    assert_eq!(stopped.await.unwrap(), Some(0));
    assert_eq!(reason, "stopping");
}

/// Take any number that a Hello says, and behind the largest there is none: a copy is not told from the member any more.
#[tokio::test]
async fn f19_a_session_number_that_no_member_comes_to_is_refused_and_nothing_of_it_is_kept() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let session = Session::open(&lab, &identity).await;
    identity.last_session = session.number();
    drop(session);
    lab.disconnected(identity.member).await;
    for last_session in [u64::MAX, (1 << 32) + 2] {
        let hello = Hello { last_session: SessionNo(last_session), ..identity.hello() };
        let Err(Ended::Refused { reason, message, .. }) = Session::greet(&lab, hello, &identity).await else {
            panic!("welcomed");
        };
        assert_eq!(reason, "protocol_violation");
        assert!(message.contains(&last_session.to_string()), "{message}");
    }
    let hello = Hello { last_session: SessionNo(900), ..identity.hello() };
    let session = Session::greet(&lab, hello, &identity).await.unwrap();
    assert_eq!(session.number(), SessionNo(901), "of a ledger that is gone");
}

/// Welcome it as often as it comes, and an applicant whom nobody let in has everybody wait for its commits.
#[tokio::test]
async fn a_member_that_comes_again_all_the_time_is_told_to_wait_and_others_get_in() {
    let lab = Lab::start_with(&[]).await;
    let (mut identity, other) = (lab.enroll().await, lab.enroll().await);
    let mut welcomed = 0;
    let refused = loop {
        match Session::greet(&lab, identity.hello(), &identity).await {
            Ok(session) => identity.last_session = session.number(),
            Err(Ended::Refused { reason, message, retry_after, .. }) => break (reason, message, retry_after),
            Err(ended) => panic!("{ended}"),
        }
        welcomed += 1;
        assert!(welcomed < 100, "each was welcomed");
    };
    assert!(welcomed >= 30, "{welcomed}");
    assert_eq!(refused.0, "overloaded", "{}", refused.1);
    assert!(Session::greet(&lab, other.hello(), &other).await.is_ok());
    tokio::time::sleep(refused.2).await;
    assert!(Session::greet(&lab, identity.hello(), &identity).await.is_ok());
}
