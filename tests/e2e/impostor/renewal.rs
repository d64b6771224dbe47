//! A renewal that comes to nothing, however often, leaves the agent with the certificate it has.

use std::time::Duration;

use postern_controller_stub::clock;
use postern_protocol::MemberId;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{CertIssued, CertRefusal, CertRefused, Hello, Refused, SessionRefusal};
use postern_tests::lab::CLUSTER;
use postern_tests::wait_for;
use sha2::{Digest as _, Sha256};

use super::stage::{Session, Socket, Stage, read, welcome};

/// The signing request that the agent sends next.
async fn request(session: &mut Session) -> Vec<u8> {
    let renew = |frame: &FromMember| match frame {
        FromMember::CertRenew(renew) => Some(renew.csr.to_vec()),
        _ => None,
    };
    session.until(renew).await
}

fn issue(stage: &Stage, csr: &[u8]) -> CertIssued {
    issue_to(stage, csr, stage.agent.member().parse().unwrap())
}

fn issue_to(stage: &Stage, csr: &[u8], member: MemberId) -> CertIssued {
    let life = Duration::from_secs(60 * 60);
    let issued = stage.authority.issue_member(csr, &CLUSTER.parse().unwrap(), member, life, clock::wall()).unwrap();
    CertIssued { request: Sha256::digest(csr).into(), certificate: Bytes::new(issued.certificate.to_vec()).unwrap() }
}

async fn hello(stage: &Stage) -> (Socket, Hello, Vec<u8>) {
    let (mut socket, shown) = stage.connection().await;
    match read(&mut socket).await {
        Some(FromMember::Hello(hello)) => (socket, hello, shown),
        other => panic!("no Hello but {other:?}"),
    }
}

/// Waits until `postern status` gives this as the reason why the certificate was not renewed.
async fn trouble(stage: &Stage, words: &str) {
    wait_for(&format!("the status to say `{words}`"), async || {
        let certificate = stage.agent.status().await["agent"]["certificate"].clone();
        let trouble = certificate["trouble"].as_str().unwrap_or_default();
        let has_told = trouble.contains(words) && certificate["again"].as_u64() > Some(0);
        if has_told { Ok(()) } else { Err(certificate) }
    })
    .await;
    assert!(stage.agent.log().contains(words), "{}", stage.agent.log());
}

/// Refused when it is asked for, no certificate at all, that of another member, which no start would know as its own, refused
/// when it is shown: the agent says so, works on, and asks
/// again with another key. Take the look at `next_is_refused` out of `choose`, and it shows the same one for ever.
#[tokio::test]
async fn f47_whatever_becomes_of_a_new_certificate_the_agent_works_on_under_the_one_it_has() {
    let stage = Stage::set_with(&["--certificate-secs", "80"]).await;
    let (socket, first, present) = hello(&stage).await;
    let mut session = stage.welcome(socket, &first, welcome).await;

    let refused = request(&mut session).await;
    let message = Text::clipped("the authority's key cannot be read");
    let reason = CertRefusal::AuthorityFault.into();
    session.send(CertRefused { request: Sha256::digest(&refused).into(), reason, message }).await;
    trouble(&stage, "the authority's key cannot be read").await;
    session.does_a_task(1).await;

    let unusable = request(&mut session).await;
    assert_ne!(unusable, refused, "another key");
    let nonsense = Bytes::new(b"nonsense".to_vec()).unwrap();
    session.send(CertIssued { request: Sha256::digest(&unusable).into(), certificate: nonsense }).await;
    trouble(&stage, "of no use").await;
    session.does_a_task(2).await;

    let anothers = request(&mut session).await;
    assert_ne!(anothers, unusable, "another key");
    session.send(issue_to(&stage, &anothers, MemberId::from_bytes([9; 16]))).await;
    trouble(&stage, "of another member").await;
    session.does_a_task(3).await;

    let unwanted = request(&mut session).await;
    session.send(issue(&stage, &unwanted)).await;
    let (socket, _, shown) = hello(&stage).await;
    assert_ne!(shown, present, "a second connection shows the new certificate");
    session.left().await;
    let no = Refused {
        reason: SessionRefusal::WrongCertificate.into(),
        message: Text::clipped("not this one"),
        retry_after_ms: 0,
        ext: List::default(),
    };
    let mut turned_away = Session { socket };
    turned_away.send(no).await;

    let (socket, again, shown) = hello(&stage).await;
    assert_eq!(shown, present, "the present certificate is as good as it was");
    let mut session = stage.welcome(socket, &again, welcome).await;
    trouble(&stage, "does not accept it").await;
    session.does_a_task(4).await;

    let wanted = request(&mut session).await;
    assert!(![&refused, &unusable, &anothers, &unwanted].contains(&&wanted), "another key");
    session.send(issue(&stage, &wanted)).await;
    let (socket, last, shown) = hello(&stage).await;
    assert_ne!(shown, present);
    let mut session = stage.welcome(socket, &last, welcome).await;
    session.does_a_task(5).await;
    let certificate = stage.agent.status().await["agent"]["certificate"].clone();
    assert!(certificate["trouble"].is_null(), "{certificate}");
}
