//! What an agent hears from a controller that knows the cluster's secrets and not its manners: whatever it is sent, the
//! agent works on, in the same session or in the next.

#![allow(clippy::wildcard_enum_match_arm, reason = "a story waits for one frame and lets the others pass")]

mod renewal;
mod stage;

use data_encoding::BASE64URL_NOPAD;
use futures_util::SinkExt as _;
use postern_controller_stub::random;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::enrollment::{EnrollmentToken, FromApplicant};
use postern_protocol::message::v1::{
    Extension, Hello, MemberState, MembershipState, Offer, Ping, ProtocolError, Rejection, SessionRefusal, StreamFault,
    StreamReset, Welcome,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::seal::{SealContext, SealedField};
use postern_protocol::task::reset_password;
use postern_protocol::version::Revisions;
use postern_protocol::{Epoch, StreamId, TaskKind, TaskRequest};
use postern_tests::leak::{Search, Wanted};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use self::stage::{Stage, frame, offer, read, welcome};
use crate::JOE;

/// Something a later version may say, and whether whoever does not know it must refuse.
fn extension(critical: bool) -> List<Extension, 16> {
    List::new(vec![Extension { kind: 999, critical, bytes: Bytes::default() }]).unwrap()
}

/// A message in two pieces.
fn halves(bytes: &[u8]) -> [Message; 2] {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    [
        Message::Frame(Frame::message(one.to_vec(), OpCode::Data(Data::Binary), false)),
        Message::Frame(Frame::message(other.to_vec(), OpCode::Data(Data::Continue), true)),
    ]
}

/// The impostor has the root that the token names, so that the agent tells it all that it tells a controller.
#[tokio::test]
async fn nothing_secret_of_a_token_is_in_what_an_agent_sends_to_enroll() {
    let stage = Stage::with_a_stranger(&[]).await;
    let text = stage.lab.controller.token().await;
    let token: EnrollmentToken = text.parse().unwrap();
    let bytes = BASE64URL_NOPAD.decode(text.strip_prefix("postern-token-").unwrap().as_bytes()).unwrap();
    let (secret, _root) = bytes[bytes.len() - 64..].split_at(32);

    let url = stage.url();
    let (enrolled, (head, frame)) = tokio::join!(stage.agent.try_enroll(&url, &text), stage.first_words());
    assert_eq!(enrolled.code, Some(69), "{enrolled:?}");
    let asked = FromApplicant::decode(&frame).unwrap();
    assert!(matches!(&asked, FromApplicant::Enroll(asked) if asked.token == token.id), "{asked:?}");

    let wanted = vec![Wanted::new("the secret", secret), Wanted::new("the key of the proof", token.key.expose())];
    let mut search = Search::new(wanted);
    search.look("the request", head.as_bytes());
    search.look("the frame", &frame);
    search.look("what was printed", format!("{enrolled:?}").as_bytes());
    assert_eq!(search.found, Vec::<String>::new());
}

#[tokio::test]
async fn f54_f55_a_frame_the_agent_cannot_read_is_answered_and_the_session_goes_on() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    let good = FromController::from(Ping { nonce: 1 }).encode().unwrap();
    let trailing = frame(5, &[&good[8..], b"?"].concat());
    let count_of_four_billion = frame(29, &[0xff; 64]);
    let other_direction = FromMember::from(Ping { nonce: 1 }).encode().unwrap();
    let [_, _, rest @ ..] = other_direction.as_slice() else { unreachable!() };
    let other_direction = Message::Binary([&21_u16.to_le_bytes()[..], rest].concat().into());
    for nonsense in [
        trailing,
        count_of_four_billion,
        other_direction,
        frame(0x7fff, b"?"),
        frame(20, &[]),
        Message::Binary(Vec::new().into()),
    ] {
        session.socket.send(nonsense).await.unwrap();
        session.until(|frame| matches!(frame, FromMember::ProtocolError(_)).then_some(())).await;
    }
    session.does_a_task(1).await;
}

/// Tell of each, and whoever has the controller fills the disk of every agent's host.
#[tokio::test]
async fn a_flood_of_what_a_controller_brings_about_leaves_the_log_short() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    let begun = tokio::time::Instant::now();
    for n in 1..=250 {
        let (stream, epoch) = (StreamId::from_bytes([7; 16]), Epoch(n));
        session.send(ProtocolError { tag: 7, message: Text::clipped("no") }).await;
        session.send(StreamReset { stream, fault: StreamFault::Full.into() }).await;
        session.send(MemberState { state: MembershipState::Enabled.into(), epoch, hard: false }).await;
    }
    session.does_a_task(1).await;
    let about = ["could not take a frame", "gave a payload up", "changed this member's state"];
    let log = stage.agent.log();
    let told: u64 = about.into_iter().map(|it| u64::try_from(log.matches(it).count()).unwrap()).sum();
    // Twenty of each at once, and one more a second.
    let most = 3 * (20 + begun.elapsed().as_secs() + 1);
    assert!((30..=most).contains(&told), "{told} lines about 750 frames, and not {most}");
}

#[tokio::test]
async fn a_controller_that_sends_nothing_that_can_be_read_is_left() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    for _ in 0..=100 {
        // It may be left before all of them are sent.
        let _ = session.socket.send(frame(0x7fff, b"?")).await;
    }
    session.left().await;
    stage.session().await.does_a_task(1).await;
}

/// Write down as it is what a controller says, and it makes up lines of the log, and has the terminal of whoever reads them do
/// what it likes.
#[tokio::test]
async fn what_a_controller_says_is_a_part_of_its_line_of_the_log() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    session.send(ProtocolError { tag: 7, message: Text::clipped("x\n\u{1b}[2J FORGED") }).await;
    session.does_a_task(1).await;
    let log = stage.agent.log();
    assert!(log.lines().any(|line| line.contains("could not take a frame") && line.contains("FORGED")), "{log}");
    assert!(!log.contains(|it: char| it.is_control() && it != '\n'), "{log:?}");
}

/// Text is no frame, and a frame that is too large is not read to its end.
#[tokio::test]
async fn f53_f56_a_controller_that_sends_no_frames_is_left_and_dialled_again() {
    let stage = Stage::set().await;
    let too_large = Message::Binary(vec![0; 128 * 1024 + 1].into());
    let [begun, _] = halves(&vec![0; 300 * 1024]);
    for (number, nonsense) in (1..).zip([Message::text("hello"), too_large, begun]) {
        let mut session = stage.session().await;
        session.does_a_task(number).await;
        // It may be left before all of it is sent.
        let _ = session.socket.send(nonsense).await;
        session.left().await;
    }
    let mut session = stage.session().await;
    session.does_a_task(4).await;
}

#[tokio::test]
async fn f56_pings_of_either_kind_and_fragments_keep_no_agent_from_its_work() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    for nonce in 0..2_000 {
        session.send(Ping { nonce }).await;
        session.socket.send(Message::Ping(vec![0; 100].into())).await.unwrap();
    }
    session.until(|frame| matches!(frame, FromMember::Pong(pong) if pong.nonce == 1_999).then_some(())).await;
    let bytes = FromController::from(offer(1)).encode().unwrap();
    for piece in halves(&bytes) {
        session.socket.send(piece).await.unwrap();
    }
    session.reported(&offer(1)).await;
}

#[tokio::test]
async fn f55_an_offer_with_a_critical_extension_is_refused_and_with_another_done() {
    let stage = Stage::set().await;
    let mut session = stage.session().await;
    session.send(Offer { ext: extension(true), ..offer(1) }).await;
    let refused = |frame: &FromMember| match frame {
        FromMember::Reject(reject) => Some(reject.clone()),
        FromMember::Accept(accept) => panic!("taken: {accept:?}"),
        _ => None,
    };
    let reject = session.until(refused).await;
    assert_eq!((reject.task, reject.reason.known()), (offer(1).task, Some(Rejection::Unsupported)));

    session.send(Offer { ext: extension(false), ..offer(2) }).await;
    session.reported(&offer(2)).await;
}

#[tokio::test]
async fn f50_a_secret_sealed_for_one_account_is_not_used_for_another() {
    const OTHER: &str = "user0002@acme.example";
    const PASSWORD: &str = "Se4led-for-one";
    let stage = Stage::set().await;
    let (socket, hello) = stage.hello().await;
    let mut session = stage.welcome(socket, &hello, welcome).await;
    let reset = |account| {
        let (account, source) = (Text::new(account).unwrap(), reset_password::Source::Given.into());
        TaskRequest::ResetPassword(reset_password::Request { account, source, repeat_if_unknown: false })
    };
    let params = |request: &TaskRequest| Bytes::new(request.encode().unwrap()).unwrap();
    let (request, kind) = (reset(JOE), TaskKind::ResetPassword);
    let plain = offer(1);
    let target = request.target();
    let context = SealContext { task: plain.task, kind, system: &plain.system, target: &target };
    let keys: Vec<_> = hello.sealing_keys.iter().map(|key| key.public).collect();
    let name = reset_password::PASSWORD;
    let field = SealedField::seal(context, name, PASSWORD.as_bytes(), &keys, &mut random::generator()).unwrap();
    let sealed = List::new(vec![field]).unwrap();
    let honest = Offer { kind: kind.into(), params: params(&request), target, sealed, ..plain };

    session.send(Offer { params: params(&reset(OTHER)), ..honest.clone() }).await;
    let answer = |frame: &FromMember| match frame {
        FromMember::Reject(reject) => Some(Ok((reject.reason.known(), reject.retry_after_ms))),
        FromMember::Report(report) => Some(Err(report.clone())),
        _ => None,
    };
    let answer = session.until(answer).await;
    assert!(!stage.lab.salesforce.password_is(OTHER, PASSWORD), "{answer:?}");
    assert_eq!(answer, Ok((Some(Rejection::Invalid), 0)));

    let honest = Offer { epoch: Epoch(2), ..honest };
    session.send(honest.clone()).await;
    session.reported(&honest).await;
    assert!(stage.lab.salesforce.password_is(JOE, PASSWORD));
}

/// It speaks more frames, and more revisions of them, than this agent.
#[tokio::test]
async fn f57_a_newer_controller_is_understood_and_a_task_of_tomorrow_refused() {
    let stage = Stage::set().await;
    let mut more: Vec<Revisions> =
        FromController::REVISIONS.iter().map(|it| Revisions { max: it.max + 3, ..*it }).collect();
    more.push(Revisions { tag: 19, min: 1, max: 1 });
    let mut session = stage
        .session_with(|hello| {
            let mut welcome = welcome(hello);
            welcome.revisions = List::new(more).unwrap();
            welcome.ext = extension(false);
            welcome
        })
        .await;
    session.send(Offer { kind_rev: 99, ..offer(1) }).await;
    session.until(|frame| matches!(frame, FromMember::Reject(_)).then_some(())).await;
    session.does_a_task(2).await;
}

/// Answers every `Hello` like this until the agent tells which side to update, and returns what it says. Answer only one, and what
/// it tells is soon that it hears nothing more.
async fn refuses(stage: &Stage, answer: impl Fn(&Hello) -> Vec<u8>) -> String {
    let answers = async {
        loop {
            let (mut socket, hello) = stage.hello().await;
            socket.send(Message::Binary(answer(&hello).into())).await.unwrap();
            while read(&mut socket).await.is_some() {}
        }
    };
    tokio::select! {
        error = stage.agent.link_fails("update the older of the two programs") => error,
        () = answers => unreachable!("it answers for ever"),
    }
}

/// An older one lacks a frame that this agent may be sent; the administrator reads which side to update.
#[tokio::test]
async fn f57_an_older_controller_is_refused_with_what_to_update() {
    let stage = Stage::set().await;
    let older = |hello: &Hello| {
        let member = stage.agent.member().parse().unwrap();
        let known = FromController::REVISIONS.iter().filter(|it| it.tag != 29).copied().collect();
        FromController::from(Welcome { member, revisions: List::new(known).unwrap(), ..welcome(hello) })
            .encode()
            .unwrap()
    };
    let error = refuses(&stage, older).await;
    assert!(error.contains("frame 29"), "{error}");
}

/// One that has gone on to another welcome altogether. Take it for a frame like others, and the agent's complaint has no place
/// there: both sides tell of a fault of the agent's.
#[tokio::test]
async fn f57_a_welcome_of_another_revision_is_refused_with_what_to_update() {
    let stage = Stage::set().await;
    let newer = |hello: &Hello| {
        let mut newer = FromController::from(welcome(hello)).encode().unwrap();
        newer[2] = 2;
        newer
    };
    let (mut socket, hello) = stage.hello().await;
    socket.send(Message::Binary(newer(&hello).into())).await.unwrap();
    let said = read(&mut socket).await;
    let Some(FromMember::GoAway(bye)) = &said else { panic!("no goodbye but {said:?}") };
    assert_eq!(bye.reason.known(), Some(SessionRefusal::Incompatible));
    refuses(&stage, newer).await;
}
