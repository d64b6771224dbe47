//! Many members at once, and one that takes more than its share.

use futures_util::SinkExt as _;
use futures_util::future::join_all;
use postern_protocol::Outcome;
use postern_protocol::message::v1::{HeldState, Ping};
use postern_protocol::message::{FromController, FromMember};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::lab::Lab;
use crate::member::{Identity, Session, succeeded};

const CROWD: usize = 100;

/// Everybody owes a report when the controller is killed, and is at the door the moment it is back.
#[tokio::test]
async fn f38_a_hundred_members_that_come_back_at_once_are_all_heard() {
    // Nobody says anything while the others come.
    let mut lab = Lab::start_with(&["--auto-approve", "--heartbeat-secs", "60"]).await;
    let mut members: Vec<(Identity, Session)> = vec![lab.working_member().await];
    while members.len() < CROWD {
        let identity = lab.enroll().await;
        let session = Session::open(&lab, &identity).await;
        members.push((identity, session));
    }
    for number in 0..CROWD {
        lab.submit("enable_user", &format!("user{number}")).await;
    }
    let offered = join_all(members.into_iter().map(async |(mut identity, mut session)| {
        let offer = session.offer().await;
        session.accept(&offer).await;
        session.start(&offer).await;
        lab.in_state(offer.task, "started").await;
        identity.last_session = session.number();
        identity.next_report = 2;
        (identity, offer)
    }))
    .await;
    lab.kill();
    lab.restart().await;

    let lab = &lab;
    join_all(offered.iter().map(async |(identity, offer)| {
        let held = [(offer.task, offer.epoch, HeldState::Reported)];
        let mut session = Session::open_holding(lab, identity, &held).await;
        session.send(succeeded(1, offer)).await;
        assert_eq!(session.acked().await, 1);
        let task = lab.task(offer.task).await;
        assert_eq!((task.outcome, task.attempt), (Some(Outcome::Succeeded), 1));
    }))
    .await;
}

#[tokio::test]
async fn f56_a_member_that_floods_with_pings_and_reads_nothing_harms_nobody_else() {
    let lab = Lab::start().await;
    let (_identity, mut flooding) = lab.working_member().await;
    let other = lab.enroll().await;
    let mut unharmed = Session::open(&lab, &other).await;
    let ping = FromMember::from(Ping { nonce: 1 }).encode().unwrap();
    let flood = async {
        for _ in 0..100_000 {
            let _ = flooding.socket.feed(Message::Binary(ping.clone().into())).await;
            let _ = flooding.socket.feed(Message::Ping(vec![0; 100].into())).await;
        }
        std::future::pending::<()>().await;
    };
    let work = async {
        for number in 1..=20 {
            // One of the two is offered to the member that does not listen.
            let tasks = [lab.submit("enable_user", "a@b.c").await, lab.submit("enable_user", "d@e.f").await];
            let offer = unharmed.offer().await;
            assert!(tasks.contains(&offer.task));
            unharmed.send(succeeded(number, &offer)).await;
            assert_eq!(unharmed.acked().await, number);
        }
    };
    tokio::select! {
        () = flood => (),
        () = work => (),
    }
}

/// A message in pieces, as any WebSocket may send it.
fn pieces(bytes: &[u8], size: usize) -> Vec<Message> {
    let count = bytes.chunks(size).count();
    let piece = |(number, chunk): (usize, &[u8])| {
        let code = if number == 0 { Data::Binary } else { Data::Continue };
        Message::Frame(Frame::message(chunk.to_vec(), OpCode::Data(code), number + 1 == count))
    };
    bytes.chunks(size).enumerate().map(piece).collect()
}

#[tokio::test]
async fn f56_fragments_make_a_frame_and_never_one_that_is_too_large() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "a@b.c").await;
    let offer = session.offer().await;
    let report = FromMember::from(succeeded(1, &offer)).encode().unwrap();
    for piece in pieces(&report, 7) {
        session.socket.send(piece).await.unwrap();
    }
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded));

    for piece in pieces(&vec![0; 128 * 1024 + 1], 1_000) {
        if session.socket.send(piece).await.is_err() {
            break;
        }
    }
    lab.disconnected(identity.member).await;
}

/// The last words of a session that reads again are still in order.
#[tokio::test]
async fn f56_as_many_pings_as_are_sent_are_answered() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    for nonce in 0..1_000 {
        session.send(Ping { nonce }).await;
    }
    let task = lab.submit("enable_user", "a@b.c").await;
    assert_eq!(session.offer().await.task, task, "one session all along");
    session.send_raw(vec![0xff, 0x7f, 1, 0, 0, 0, 0, 0]).await;
    assert!(matches!(session.next().await, FromController::ProtocolError(_)));
}
