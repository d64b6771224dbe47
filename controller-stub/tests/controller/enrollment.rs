//! How members come to be.

use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use postern_controller_stub::api::StatusView;
use postern_protocol::enrollment::v1::EnrollRefusal;
use postern_protocol::enrollment::{self, EnrollmentToken};
use postern_protocol::id::TokenId;
use postern_protocol::message::v1::MembershipState;
use serde_json::json;
use tokio::time::Instant;

use crate::audit::of;
use crate::lab::{Lab, PATIENCE, files};
use crate::member::{Application, Session, connect};

#[tokio::test]
async fn an_applicant_becomes_a_pending_member_until_an_operator_approves_it() {
    let lab = Lab::start_with(&[]).await;
    let identity = lab.enroll().await;
    assert_eq!(lab.member(identity.member).await.state, MembershipState::Pending);

    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    assert_eq!(session.welcome.as_ref().unwrap().state, MembershipState::Pending.into());
    session.answer_inventory(&[]).await;
    let early = lab.act(identity.member, "enable").await.unwrap_err();
    assert!(early.text.contains("member approve"), "{}", early.text);

    lab.approve(identity.member).await;
    let postern_protocol::message::FromController::MemberState(state) = session.next().await else {
        panic!("no MemberState");
    };
    assert_eq!((state.state, state.epoch.0), (MembershipState::Enabled.into(), 2));
}

/// Leave the comparison out of `approve_member`, or let it be left out, and whoever was not looked at gets in.
#[tokio::test]
async fn a_member_of_another_fingerprint_than_was_looked_at_or_of_none_is_not_let_in() {
    let lab = Lab::start_with(&[]).await;
    let member = lab.enroll().await.member;
    let (id, shown) = (member.to_string(), lab.member(member).await.fingerprint);
    let other: String = shown.chars().rev().collect();
    let (code, _, error) = lab.command(&["member", "approve", &id, "--fingerprint", &other]);
    assert_eq!((code, lab.member(member).await.state), (Some(77), MembershipState::Pending), "{error}");
    assert!(error.contains(&shown) && error.contains("revoke"), "{error}");
    let (code, _, error) = lab.command(&["member", "approve", &id]);
    assert_eq!((code, lab.member(member).await.state), (Some(2), MembershipState::Pending), "{error}");
    assert!(error.contains("--fingerprint"), "{error}");
    let refused = lab.act(member, "approve").await.unwrap_err();
    assert!(refused.text.contains("fingerprint"), "{}", refused.text);
    let (code, _, error) = lab.command(&["member", "approve", &id, "--fingerprint", &shown.to_uppercase()]);
    assert_eq!((code, lab.member(member).await.state), (Some(0), MembershipState::Enabled), "{error}");
}

/// Name the listener's address instead, or no port, and whoever copies it reaches nobody.
#[tokio::test]
async fn operators_are_told_the_urls_that_agents_may_be_given() {
    let lab =
        Lab::start_with(&["--public-name", "c.example", "--public-name", "::1", "--public-name", "10.0.0.7"]).await;
    let status: StatusView = lab.client().get("/v1/status").await.unwrap();
    let port = lab.addresses().controller_url.replace("wss://c.example:", "");
    assert!(port.parse::<u16>().is_ok(), "{port}");
    let urls = ["c.example", "[::1]", "10.0.0.7"].map(|name| format!("wss://{name}:{port}"));
    assert_eq!(status.controller_urls, urls);
}

/// F49, and F46 for enrollment: the answer may be lost, so the same request gets the same answer, across a restart too.
#[tokio::test]
async fn f49_a_used_token_gives_the_same_certificate_for_a_day_and_another_request_is_refused() {
    let mut lab = Lab::start_with(&["--auto-approve", "--health-listen", "127.0.0.1:0"]).await;
    let token = lab.token().await;
    let application = Application::new();
    let first = application.send(&lab, &token).await.unwrap();
    lab.kill();
    lab.restart().await;
    let again = application.send(&lab, &token).await.unwrap();
    assert_eq!(first, again);
    assert!(first.approved);

    let refused = Application::new().send(&lab, &token).await.unwrap_err();
    assert_eq!(refused.reason, EnrollRefusal::InvalidToken.into());
    assert!(refused.message.contains("postern-controller token create"), "{}", refused.message);
    assert!(lab.log().contains("a used enrollment token was presented again"), "{}", lab.log());
    let told = &of(&lab, "member.enroll", 2).await[1];
    assert_eq!((&told["result"], &told["on"]), (&json!("refused"), &json!(format!("with {}", token.id))));
    let log = lab.log();
    let endpoint = log.lines().rfind(|line| line.contains("probes and Prometheus are answered")).unwrap();
    let address = endpoint.rsplit_once("address=").unwrap().1.trim();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\npostern_controller_used_tokens_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_token_that_was_never_made_is_refused() {
    let lab = Lab::start().await;
    let real = lab.token().await;
    let forged = EnrollmentToken { id: TokenId::from_bytes([9; 16]), ..real };
    let refused = Application::new().send(&lab, &forged).await.unwrap_err();
    assert_eq!(refused.reason, EnrollRefusal::InvalidToken.into());
}

/// Leave its time out, and whoever upgrades and says nothing keeps a place among the handshakes.
#[tokio::test]
async fn an_applicant_that_asks_nothing_is_left_after_ten_seconds() {
    let lab = Lab::start().await;
    // Before the controller counts.
    let began = Instant::now();
    let mut silent = connect(&lab, enrollment::PATH, Some(enrollment::SUBPROTOCOL), None).await.unwrap();
    tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = silent.next().await {} }).await.unwrap();
    assert!(began.elapsed().as_secs() >= 8, "{:?}", began.elapsed());
}

#[tokio::test]
async fn auto_approve_says_that_nobody_looks() {
    let says = async |options: &[&str]| {
        let lab = Lab::start_with(options).await;
        // What is said at the start is said by then.
        lab.enroll().await;
        lab.log().contains("becomes an enabled member without a person looking")
    };
    assert!(says(&["--auto-approve"]).await);
    assert!(!says(&[]).await);
}

/// The data directory holds neither the secret nor the derived key in clear.
#[tokio::test]
async fn f52_the_data_directory_does_not_hold_the_tokens_key_in_clear() {
    let lab = Lab::start().await;
    let token = lab.token().await;
    let key = token.key.expose();
    let hex = HEXLOWER.encode(key);
    for file in files(&lab.data_dir()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(32).any(|it| it == key), "{}", file.display());
        assert!(!bytes.windows(64).any(|it| it == hex.as_bytes()), "{}", file.display());
    }
}

/// Count before the proof is looked at and the second assertion fails: whoever knows a token's id could keep its owner out.
#[tokio::test]
async fn wrong_attempts_with_a_token_are_told_to_wait_and_its_owner_gets_in_all_the_same() {
    let lab = Lab::start().await;
    let (token, other) = (lab.token().await, lab.token().await);
    let forged = EnrollmentToken { id: token.id, ..other };
    let application = Application::new();
    for _ in 0..10 {
        let refused = application.send(&lab, &forged).await.unwrap_err();
        assert_eq!(refused.reason, EnrollRefusal::InvalidToken.into());
    }
    let refused = application.send(&lab, &forged).await.unwrap_err();
    assert_eq!(refused.reason, EnrollRefusal::Overloaded.into());
    assert!(refused.message.contains("wait"), "{}", refused.message);
    assert!(Application::new().send(&lab, &token).await.is_ok());
}

/// Count before the proof is looked at, and a stranger behind the same address keeps an agent out.
#[tokio::test]
async fn an_address_that_asks_to_be_enrolled_all_the_time_is_told_to_wait() {
    let lab = Lab::start_with(&["--auto-approve", "--enrollments-per-min", "2"]).await;
    let real = lab.token().await;
    let other = lab.token().await;
    let forged = EnrollmentToken { id: TokenId::from_bytes([9; 16]), ..other };
    let mut heard = 0;
    let refused = loop {
        let refused = Application::new().send(&lab, &forged).await.unwrap_err();
        if refused.reason != EnrollRefusal::InvalidToken.into() {
            break refused;
        }
        heard += 1;
        assert!(heard < 100, "each was heard");
    };
    assert_eq!(refused.reason, EnrollRefusal::Overloaded.into(), "{}", refused.message);
    assert!(heard >= 2, "{heard}");
    let application = Application::new();
    let enrolled = application.send(&lab, &real).await.unwrap();
    assert!(enrolled.approved, "whoever has the secret gets in");
}
