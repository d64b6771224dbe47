//! What a controller hears from peers that are not agents: each is turned away with a sentence in its log, and the
//! member beside them works on.
//!
//! How each refusal looks to the peer itself is a story of the controller's own tests; here are the log and the
//! bystander.

mod raw;

use futures_util::{SinkExt as _, StreamExt as _};
use postern_agent::identity::IdentityDir;
use postern_controller_stub::ca::Authority;
use postern_controller_stub::clock;
use postern_fail_point::Point;
use postern_protocol::bounded::Bytes;
use postern_protocol::enrollment::v1::{EnrollRefusal, Recover};
use postern_protocol::enrollment::{self, FromApplicant, FromAuthority};
use postern_protocol::message::v1::{MembershipState, Ping};
use postern_protocol::message::{FromController, FromMember, v1};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::session;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Epoch, MemberId};
use postern_tests::{Agent, Lab, wait_for};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use self::raw::{Identity, Socket, connect, hello};
use crate::{JOE, programs, renewal};

/// A lab with a member at work, and the identity of another whose agent does not run.
async fn scene() -> (Lab, Bystander, Identity) {
    let lab = Lab::start(programs()).await;
    let mut other = lab.agent("other");
    other.enroll(&lab.controller).await;
    lab.controller.approve(other.member()).await;
    let bystander = lab.member("bystander").await;
    let bystander = Bystander { session: bystander.session().await, agent: bystander };
    (lab, bystander, Identity::of(&other))
}

/// A member at work, in this session.
struct Bystander {
    agent: Agent,
    session: u64,
}

/// The bystander does a task, in the session that it was in all along.
async fn unharmed(lab: &Lab, bystander: &Bystander) {
    let Bystander { agent, session } = bystander;
    let task = lab.controller.submit("disable_user", JOE).await;
    let task = lab.controller.finished(task).await;
    assert_eq!((&task["outcome"], &task["member"]), (&json!("succeeded"), &json!(agent.member())), "{task}");
    assert_eq!(agent.session().await, *session, "one session all along: {}", agent.log());
}

/// Waits until what the controller logged after `before` bytes has all of `words` in one line.
async fn logs(lab: &Lab, before: usize, words: &[&str]) {
    wait_for(&format!("a line with {words:?} in the controller's log"), async || {
        let log = lab.controller.log();
        let news = log.get(before..).unwrap_or_default();
        let found = news.lines().any(|line| words.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { Err(news.to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn whoever_is_turned_away_at_the_door_leaves_a_sentence_in_the_log() {
    let (lab, bystander, identity) = scene().await;
    let member: MemberId = identity.member;
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::open(elsewhere.path(), clock::wall()).unwrap();
    let own = Authority::open(lab.controller.data(), clock::wall()).unwrap();
    let long_ago = UnixMillis(clock::wall().0 - 60 * 24 * 60 * 60 * 1000);
    let issue = |authority: &Authority, at| identity.with_certificate_of(authority, member, at);

    let visitors = [
        (session::PATH, Some("postern.v9"), Some(identity.clone()), ["subprotocol", "postern.v1"]),
        (session::PATH, None, Some(identity.clone()), ["subprotocol", "postern.v1"]),
        ("/v9/session", Some(session::SUBPROTOCOL), Some(identity.clone()), ["nothing here", "/v1/session"]),
        (session::PATH, Some(session::SUBPROTOCOL), None, ["certificate", "enroll the agent"]),
        (
            session::PATH,
            Some(session::SUBPROTOCOL),
            Some(issue(&foreign, clock::wall())),
            ["TLS failed", "another authority"],
        ),
        (session::PATH, Some(session::SUBPROTOCOL), Some(issue(&own, long_ago)), ["TLS failed", "certificate expired"]),
    ];
    for (path, subprotocol, identity, words) in visitors {
        let before = lab.controller.log().len();
        let refused = connect(&lab, path, subprotocol, identity.as_ref()).await;
        assert!(refused.is_err(), "{words:?}");
        logs(&lab, before, &["turned away", words[0], words[1]]).await;
    }

    // Plain text where TLS belongs.
    let before = lab.controller.log().len();
    let mut plain = tokio::net::TcpStream::connect(lab.controller.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET /v1/session HTTP/1.1\r\n\r\n").await.unwrap();
    logs(&lab, before, &["turned away", "TLS failed"]).await;

    unharmed(&lab, &bystander).await;
}

/// Reads until the goodbye, and returns its reason and sentence.
async fn goodbye(socket: &mut Socket) -> (String, String) {
    loop {
        match tokio::time::timeout(std::time::Duration::from_secs(60), socket.next()).await.expect("an answer") {
            Some(Ok(Message::Binary(bytes))) => {
                if let FromController::GoAway(bye) = FromController::decode(&bytes).unwrap() {
                    return (bye.reason.to_string(), bye.message.to_string());
                }
            }
            other => panic!("no goodbye but {other:?}"),
        }
    }
}

/// A member that has gone on to another way to introduce itself. Take it for one that breaks the protocol, and neither side
/// names what to update.
#[tokio::test]
async fn f57_a_hello_of_another_revision_is_refused_with_what_to_update() {
    let (lab, bystander, identity) = scene().await;
    let mut socket = connect(&lab, session::PATH, Some(session::SUBPROTOCOL), Some(&identity)).await.unwrap();
    let mut newer = hello().encode().unwrap();
    newer[2] = 2;
    socket.send(Message::Binary(newer.into())).await.unwrap();
    let (reason, sentence) = goodbye(&mut socket).await;
    assert_eq!(reason, "incompatible", "{sentence}");
    assert!(sentence.contains("update the older of the two programs"), "{sentence}");
    unharmed(&lab, &bystander).await;
}

/// Reads until the connection is at its end, and returns the reason of the goodbye, unless that was lost.
async fn ending(socket: &mut Socket) -> Option<String> {
    let end = async {
        let mut reason = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Binary(bytes) = message
                && let FromController::GoAway(bye) = FromController::decode(&bytes).unwrap()
            {
                reason = Some(bye.reason.to_string());
            }
        }
        reason
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), end).await.expect("the end of the connection")
}

/// A frame's header with this tag before this body.
fn frame(tag: u16, body: &[u8]) -> Message {
    let length = u32::try_from(body.len()).unwrap();
    let header = [&tag.to_le_bytes()[..], &1_u16.to_le_bytes(), &length.to_le_bytes()].concat();
    Message::Binary([&header[..], body].concat().into())
}

/// A frame that belongs to the other direction: members do not tell controllers their state.
fn backwards() -> Message {
    let state = v1::MemberState { state: MembershipState::Enabled.into(), epoch: Epoch(1), hard: false };
    Message::Binary(FromController::from(state).encode().unwrap().into())
}

#[tokio::test]
async fn a_session_that_does_not_begin_with_hello_ends_with_the_reason() {
    let (lab, bystander, identity) = scene().await;
    let member = identity.member.to_string();
    let ping = FromMember::from(Ping { nonce: 1 }).encode().unwrap();
    let truncated = {
        let mut bytes = hello().encode().unwrap();
        bytes.truncate(bytes.len() - 1);
        bytes
    };
    let beginnings = [
        (Message::text("hello"), "text message"),
        (Message::Binary(vec![1, 0, 1].into()), "lacks its header"),
        (Message::Binary(truncated.into()), "the header promises"),
        (frame(1, &[0xff; 64]), "frame 1 is malformed"),
        (frame(1, &[]), "frame 1 is malformed"),
        (frame(0x7fff, b"?"), "32767"),
        (frame(20, &[0; 64]), "frame 20 revision 1 is not known"),
        (backwards(), "frame 10 revision 1 is not known"),
        (Message::Binary(ping.into()), "Ping instead of Hello"),
    ];
    for (beginning, words) in beginnings {
        let before = lab.controller.log().len();
        let mut socket = connect(&lab, session::PATH, Some(session::SUBPROTOCOL), Some(&identity)).await.unwrap();
        socket.send(beginning).await.unwrap();
        let (reason, sentence) = goodbye(&mut socket).await;
        assert_eq!(reason, "protocol_violation", "{sentence}");
        assert!(sentence.contains(words), "`{words}` is missing from: {sentence}");
        logs(&lab, before, &[&member, words]).await;
    }

    let before = lab.controller.log().len();
    let mut silent = connect(&lab, session::PATH, Some(session::SUBPROTOCOL), Some(&identity)).await.unwrap();
    let (_, sentence) = goodbye(&mut silent).await;
    assert!(sentence.contains("handshake within 5 s"), "{sentence}");
    logs(&lab, before, &[&member, "handshake within 5 s"]).await;

    unharmed(&lab, &bystander).await;
}

#[tokio::test]
async fn f56_a_member_that_speaks_nonsense_is_told_so_and_a_flood_of_it_is_ended() {
    let (lab, bystander, identity) = scene().await;
    let member = identity.member.to_string();
    let mut socket = raw::session(&lab, &identity).await;
    // It may be cut before all of it is sent.
    let _ = socket.send(Message::Binary(vec![0; 128 * 1024 + 1].into())).await;
    logs(&lab, 0, &[&member, "too large"]).await;
    lab.controller.disconnected(&member).await;

    let mut socket = raw::session(&lab, &identity).await;
    for (nonsense, words) in [
        (frame(25, &[0xff; 64]), "frame 25 is malformed"),
        (frame(25, &[]), "frame 25 is malformed"),
        (frame(20, &[0; 64]), "frame 20 revision 1 is not known"),
        (backwards(), "frame 10 revision 1 is not known"),
        (Message::Binary(Vec::new().into()), "lacks its header"),
    ] {
        let before = lab.controller.log().len();
        socket.send(nonsense).await.unwrap();
        let said = raw::complaint(&mut socket).await;
        assert!(said.contains(words), "`{words}` is missing from: {said}");
        logs(&lab, before, &[&member, words]).await;
    }

    let before = lab.controller.log().len();
    for _ in 5..100 {
        socket.send(frame(0x7fff, b"?")).await.unwrap();
        raw::complaint(&mut socket).await;
    }
    socket.send(frame(0x7fff, b"one more")).await.unwrap();
    assert_eq!(ending(&mut socket).await.as_deref(), Some("protocol_violation"));
    logs(&lab, before, &[&member, "32767"]).await;

    unharmed(&lab, &bystander).await;
}

#[tokio::test]
async fn a_hello_after_the_handshake_ends_the_session() {
    let (lab, bystander, identity) = scene().await;
    let mut socket = raw::session(&lab, &identity).await;
    let again = hello().encode().unwrap();
    socket.send(Message::Binary(again.into())).await.unwrap();
    let (reason, sentence) = goodbye(&mut socket).await;
    assert_eq!(reason, "protocol_violation");
    assert!(sentence.contains("Hello after the handshake"), "{sentence}");
    unharmed(&lab, &bystander).await;
}

/// Expired on the agent's side of the wire: what the administrator reads.
#[tokio::test]
async fn an_agent_whose_certificate_ran_out_or_is_foreign_says_what_to_do() {
    let lab = Lab::start(programs()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::open(elsewhere.path(), clock::wall()).unwrap();
    let own = Authority::open(lab.controller.data(), clock::wall()).unwrap();
    let long_ago = UnixMillis(clock::wall().0 - 60 * 24 * 60 * 60 * 1000);
    for (name, authority, at) in [("expired", &own, long_ago), ("foreign", &foreign, clock::wall())] {
        let mut agent = lab.agent(name);
        agent.enroll(&lab.controller).await;
        let identity = Identity::of(&agent);
        let replaced = identity.with_certificate_of(authority, identity.member, at);
        let directory = IdentityDir::open(&agent.folder().join("state")).unwrap();
        let current = directory.load().unwrap().unwrap().current;
        directory.store_next(&current.with_certificate(&replaced.certificate).unwrap()).unwrap();
        directory.promote_next().unwrap();
        agent.spawn();
        let error = agent.link_fails("certificate").await;
        assert!(error.contains("enroll"), "{name}: {error}");
    }
}

/// The agent has a certificate that the controller does not know it has, and proves by the key of that first. Let it give up
/// when it is told to wait, and whoever knows the id of a member keeps it out.
#[tokio::test]
async fn a_member_whose_wrong_proofs_were_used_up_by_a_stranger_still_proves_by_its_present_key() {
    let lab = renewal::lab(&["--certificate-secs", "4"]).await;
    let mut agent = lab.member("agent").await;
    agent.fail_points().arm(Point::NextDurable);
    agent.dies().await;
    renewal::run_out(&lab, &agent, std::time::Duration::from_secs(4)).await;

    let mut reasons = Vec::new();
    for _ in 0..11 {
        let mut socket = connect(&lab, enrollment::PATH, Some(enrollment::SUBPROTOCOL), None).await.unwrap();
        let recover = Recover {
            member: agent.member().parse().unwrap(),
            serial: Bytes::new(vec![1; 16]).unwrap(),
            sealing_key: SealingPublicKey([1; 32]),
            csr: Bytes::new(vec![1; 16]).unwrap(),
            proof: Bytes::new(vec![1; 64]).unwrap(),
        };
        let frame = FromApplicant::from(recover).encode().unwrap();
        socket.send(Message::Binary(frame.into())).await.unwrap();
        let Some(Ok(Message::Binary(answer))) = socket.next().await else { panic!("no answer") };
        let Ok(FromAuthority::EnrollRefused(refused)) = FromAuthority::decode(&answer) else { panic!("let in") };
        reasons.push(refused.reason);
    }
    assert_eq!(reasons.last(), Some(&EnrollRefusal::Overloaded.into()), "{reasons:?}");

    agent.spawn();
    agent.link("connected").await;
    assert!(agent.log().contains("by proof of its key"), "{}", agent.log());
}
