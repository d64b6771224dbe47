//! An agent that is asked to stop, and what it leaves behind.

use postern_tests::lab::AgentOptions;
use postern_tests::{Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;

use crate::programs;

#[tokio::test]
async fn the_ready_file_is_there_while_the_agent_is_up_and_not_longer() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let ready = agent.folder().join("ready");
    assert!(ready.exists());
    assert_eq!(agent.terminate().await, Some(0));
    assert!(!ready.exists(), "the agent has stopped");

    agent.start().await;
    agent.kill().await;
    assert!(ready.exists(), "a killed process cannot tidy up");
    lab.controller.kill().await;
    agent.spawn();
    agent.link_fails("cannot connect").await;
    assert!(!ready.exists(), "there has been no session yet");
}

#[tokio::test]
async fn a_stopped_agent_leaves_no_socket_behind() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let socket = agent.folder().join("state/agent.sock");
    assert!(socket.exists());
    assert_eq!(agent.terminate().await, Some(0));
    assert!(!socket.exists());
}

/// Work that goes back to the controller has not failed.
#[tokio::test]
async fn a_stop_gives_back_what_has_not_begun_and_warns_of_nothing() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member_with("agent", AgentOptions { concurrency: 2, ..AgentOptions::default() }).await;
    let slow = |method: &str, millis, times| {
        let when = Matching { method: Some(method.to_owned()), path: None };
        lab.salesforce.inject(Fault { when, what: Mishap::Latency { millis }, times });
    };
    // One task is in the middle of its change while the next ones are looking their users up.
    slow("GET", 500, None);
    slow("PATCH", 3_000, Some(1));
    let mut tasks = Vec::new();
    for number in 1..=6 {
        tasks.push(lab.controller.submit("disable_user", &format!("user{number:04}@acme.example")).await);
    }
    wait_for("a task to begin, and all to be held", async || {
        let ledger = agent.status().await["agent"]["ledger"].clone();
        let held = ledger["journaled"].as_u64().unwrap_or(0);
        if ledger["started"].as_u64() >= Some(1) && held >= 3 { Ok(()) } else { Err(ledger) }
    })
    .await;
    assert_eq!(agent.terminate().await, Some(0));
    let log = agent.log();
    assert!(!log.contains("WARN"), "{log}");
    assert!(log.contains("given back"), "{log}");

    agent.start().await;
    for task in tasks {
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
}
