//! A controller that was put back from a copy, and members whose certificates it issued after that.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::process::Command;

use postern_controller_stub::ca::peer::{Peer, fingerprint};
use postern_controller_stub::clock;
use postern_controller_stub::state::members::MemberView;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{HeldState, TrustBundleAck};
use postern_protocol::session::Ended;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::audit::of;
use crate::lab::Lab;
use crate::member::{Application, Identity, Session};

/// A controller that was put back from a copy, and members that each renewed their certificate after it: with what they have,
/// and with what they had.
struct Restored {
    lab: Lab,
    members: Vec<Identity>,
    before: Vec<Identity>,
}

impl Restored {
    async fn with_members(count: usize) -> Self {
        let mut lab = Lab::start().await;
        let mut before = Vec::new();
        for _ in 0..count {
            before.push(lab.enroll().await);
        }
        lab.terminate();
        let (data, copied) = (lab.data_dir(), lab.path("copy"));
        copy(&data, &copied);
        lab.restart().await;
        let mut members = Vec::new();
        for identity in &before {
            members.push(renewed(&lab, identity).await);
        }
        put_back(&mut lab, &copied).await;
        Self { lab, members, before }
    }
}

/// Goes on with a copy instead.
async fn put_back(lab: &mut Lab, copied: &Path) {
    lab.terminate();
    let data = lab.data_dir();
    std::fs::rename(&data, lab.path("before")).unwrap();
    copy(copied, &data);
    lab.restart().await;
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// The same member in a session under its next certificate.
async fn renewed(lab: &Lab, identity: &Identity) -> Identity {
    let begins = Peer::from_certificate(&CertificateDer::from(identity.certificate.as_slice())).unwrap().begins.0;
    // Certificates are told apart by the second.
    lab.wait_for("the next second", async || (clock::wall().0 > begins + 60 * 60 * 1_000 + 1_000).then_some(())).await;
    let application = Application::new();
    let mut session = Session::greet(lab, identity.hello(), identity).await.unwrap();
    let mut next = identity.with(&application, &session.ask_certificate(&application.csr).await.unwrap());
    next.last_session = session.number();
    drop(session);
    next.last_session = Session::greet(lab, next.hello(), &next).await.unwrap().number();
    next
}

/// What a member is told that is refused a session for its certificate.
async fn refusal(lab: &Lab, identity: &Identity) -> String {
    match Session::greet(lab, identity.hello(), identity).await {
        Err(Ended::Refused { reason, message, .. }) if reason == "wrong_certificate" => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("welcomed"),
    }
}

/// Take a certificate that is newer for the member's without asking, and a member that was revoked since the copy is in.
#[tokio::test]
async fn members_whose_certificates_were_renewed_after_the_copy_are_let_in_once_an_administrator_accepts_them() {
    let Restored { lab, members, before } = Restored::with_members(3).await;
    for identity in &members {
        let told = refusal(&lab, identity).await;
        let command = format!("member accept {} --fingerprint {}", identity.member, fingerprint(&identity.certificate));
        assert!(told.contains(&command), "{told}");
    }
    let (_, status, _) = lab.command(&["status"]);
    assert!(status.contains("of 3 members wait to be accepted"), "{status}");
    let revoked = members[0].member;
    lab.act(revoked, "revoke").await.unwrap();

    let (code, out, err) = lab.command(&["member", "accept", "--all"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "nobody can be asked");
    assert!(err.contains("2 certificates wait") && err.contains("--yes"), "{err}");
    assert!(refusal(&lab, &members[1]).await.contains("member accept"));
    let (code, out, err) = lab.command(&["member", "accept", "--all", "--yes", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let told: Vec<Value> = serde_json::from_str(&out).unwrap();
    let told: Vec<_> = told.iter().map(|it| (it["member"].clone(), it["became"].clone())).collect();
    let mut accepted: Vec<_> = members[1..].iter().map(|it| it.member).collect();
    accepted.sort();
    assert_eq!(told, accepted.iter().map(|it| (json!(it), json!("accepted"))).collect::<Vec<_>>());

    for (identity, old) in members.iter().zip(&before).skip(1) {
        let session = Session::greet(&lab, identity.hello(), identity).await.unwrap();
        assert_eq!(session.number(), identity.last_session.next());
        assert!(refusal(&lab, old).await.contains("enroll again"), "what it had is worth nothing any more");
    }
    let Err(Ended::Refused { reason, .. }) = Session::greet(&lab, members[0].hello(), &members[0]).await else {
        panic!("not refused")
    };
    assert_eq!(reason, "revoked");
    let lines = of(&lab, "member.accept", 2).await;
    for (line, identity) in lines.iter().zip(accepted.iter().map(|id| members.iter().find(|it| it.member == *id))) {
        let identity = identity.unwrap();
        assert_eq!(line["on"], format!("{}, {}", identity.member, fingerprint(&identity.certificate)), "{line}");
        assert_eq!((&line["by"]["name"], &line["result"]), (&json!("bootstrap"), &json!("done")), "{line}");
    }
    let (code, out, _) = lab.command(&["member", "accept", "--all"]);
    assert_eq!((code, out.trim()), (Some(0), "no certificate waits to be accepted"));
}

/// Serves these answers, one on each connection, and ends the one after them without any.
fn answers(answers: Vec<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers.iter().map(Some).chain([None]) {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            // It is not read, only waited for.
            let _ = stream.read(&mut asked).unwrap();
            let Some(answer) = answer.map(Value::to_string) else { return };
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            write!(stream, "{head} {}\r\n\r\n{answer}", answer.len()).unwrap();
            // What is left unread would take the answer back.
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    url
}

/// End with the first answer that does not come, and nobody knows whom the others let in.
#[tokio::test]
async fn who_loses_the_controller_while_it_accepts_is_told_what_was_done_until_then() {
    let Restored { lab, members, .. } = Restored::with_members(3).await;
    for identity in &members {
        refusal(&lab, identity).await;
    }
    let list: Value = lab.client().get("/v1/members").await.unwrap();
    let url = answers(vec![list.clone(), list["items"][0].clone()]);
    let token = lab.data_dir().join("api.token");
    let reach = ["--api-url", url.as_str(), "--api-token-file", token.to_str().unwrap()];
    let (code, out, _) = lab.program(&[&["member", "accept", "--all", "--yes", "--json"], &reach[..]].concat());
    assert_eq!(code, Some(69), "{out}");
    let told: Vec<Value> = serde_json::from_str(&out).unwrap();
    let became: Vec<_> = told.iter().map(|it| &it["became"]).collect();
    assert_eq!(became, ["accepted", "no answer", "waits"]);
}

#[tokio::test]
async fn a_certificate_is_accepted_by_the_fingerprint_that_its_host_shows_and_by_no_other() {
    let Restored { mut lab, mut members, before } = Restored::with_members(1).await;
    let mut identity = members.remove(0);
    let id = identity.member.to_string();
    refusal(&lab, &identity).await;
    lab.kill();
    lab.restart().await;
    let (_, shown, _) = lab.command(&["member", "show", &id]);
    let mine = fingerprint(&identity.certificate);
    assert!(shown.contains(&format!("{mine}, valid from ")) && shown.contains("shown from 127.0.0.1"), "{shown}");

    let others = fingerprint(&lab.enroll().await.certificate);
    let (code, _, err) = lab.command(&["member", "accept", &id, "--fingerprint", &others]);
    assert_eq!(code, Some(77));
    assert!(err.contains("no certificate of this fingerprint waits") && err.contains("member show"), "{err}");
    assert!(refusal(&lab, &identity).await.contains("member accept"));

    let (code, _, err) = lab.command(&["member", "accept", &id, "--fingerprint", &mine]);
    assert_eq!(code, Some(0), "{err}");
    lab.kill();
    lab.restart().await;
    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    identity.last_session = session.number();
    let FromController::TrustBundle(bundle) = session.next().await else { panic!("not told the roots") };
    session.send(TrustBundleAck { number: bundle.number }).await;
    lab.wait_for("the roots to be acknowledged", async || {
        let ca: Value = lab.client().get("/v1/ca").await.unwrap();
        let mine = ca["members"].as_array()?.iter().find(|it| it["id"] == json!(identity.member))?;
        (mine["acknowledged"] == true).then_some(())
    })
    .await;
    drop(session);
    let next = renewed(&lab, &identity).await;
    assert!(refusal(&lab, &identity).await.contains("enroll again"), "it is as if nothing had been");
    assert!(Session::greet(&lab, next.hello(), &next).await.is_ok());
    assert!(refusal(&lab, &before[0]).await.contains("enroll again"));
}

/// Accept with the others what two show, and a copy of the agent takes its place unseen.
#[tokio::test]
async fn what_is_shown_beside_another_certificate_is_accepted_one_by_one_alone() {
    let Restored { lab, members, before } = Restored::with_members(2).await;
    for identity in &members {
        refusal(&lab, identity).await;
    }
    let session = Session::greet(&lab, before[0].hello(), &before[0]).await.unwrap();
    lab.wait_for("the session", async || lab.member(before[0].member).await.connected.then_some(())).await;
    let (code, out, err) = lab.command(&["member", "accept", "--all", "--yes", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains(&format!("{} (lab) is left out", before[0].member)), "{err}");
    let told: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(told.iter().map(|it| &it["member"]).collect::<Vec<_>>(), [&json!(members[1].member)]);

    let body = json!({ "fingerprint": fingerprint(&members[0].certificate) });
    let path = format!("/v1/members/{}/accept", members[0].member);
    let accepted: MemberView = lab.client().post(&path, &body).await.unwrap();
    assert!(!accepted.connected && accepted.newer_certificates.is_empty());
    drop(session);
    assert!(refusal(&lab, &before[0]).await.contains("enroll again"));
    assert!(Session::greet(&lab, members[0].hello(), &members[0]).await.is_ok());
}

/// The copy has as accepted what the member ended since, and was acknowledged for: it has nothing of it any more. Take that
/// for unbegun, and another does it again without a look.
#[tokio::test]
async fn what_a_member_was_in_later_sessions_for_is_not_taken_for_unbegun() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("expire_password", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    identity.last_session = session.number();
    lab.terminate();
    let copied = lab.path("copy");
    copy(&lab.data_dir(), &copied);
    lab.restart().await;
    let held = [(task, offer.epoch, HeldState::Journaled)];
    identity.last_session = Session::open_holding(&lab, &identity, &held).await.number();
    put_back(&mut lab, &copied).await;

    // The first session ends before it has said what it holds.
    identity.last_session = Session::greet(&lab, identity.hello(), &identity).await.unwrap().number();
    let session = Session::open(&lab, &identity).await;
    lab.in_state(task, "in_doubt").await;
    identity.last_session = session.number();
    drop(session);
    let _back = Session::open(&lab, &identity).await;
    lab.in_state(task, "in_doubt").await;
}
