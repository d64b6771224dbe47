//! Salesforce asks for patience: it is granted, and nobody else has to wait for it.

use postern_tests::lab::{AgentOptions, Reserved, SYSTEM};
use postern_tests::{Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;

use crate::{JOE, programs};

const ANN: &str = "user0002@acme.example";

#[tokio::test]
async fn a_task_waits_as_long_as_salesforce_asked_for_and_others_do_not() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member_with("agent", AgentOptions { concurrency: 1, ..AgentOptions::default() }).await;
    lab.salesforce.inject(Fault {
        when: Matching { method: Some("GET".to_owned()), path: Some("/query".to_owned()) },
        what: Mishap::Busy { status: 429, retry_after: "2005".to_owned() },
        times: Some(1),
    });
    let busy = lab.controller.submit("disable_user", JOE).await;
    wait_for("the attempt that meets a busy org", async || {
        let log = agent.log();
        let waits =
            log.lines().any(|line| line.contains("task waits to be tried again") && line.contains("wait_secs=200"));
        if waits { Ok(()) } else { Err(log) }
    })
    .await;

    let urgent = lab.controller.submit("disable_user", ANN).await;
    assert_eq!(lab.controller.finished(urgent).await["outcome"], json!("succeeded"));
    let busy = lab.controller.task(busy).await;
    assert_eq!((&busy["state"], &busy["outcome"]), (&json!("accepted"), &json!(null)), "{busy}");
    assert!(!lab.salesforce.counters().users.contains_key(JOE), "nothing was done about Joe");
}

/// A newcomer's first question: where did it look?
#[tokio::test]
async fn a_salesforce_that_cannot_be_reached_is_named_with_host_port_and_hop() {
    let lab = Lab::start(programs()).await;
    let nobody = Reserved::port();
    let address = nobody.address();
    let options = AgentOptions { domain: Some(format!("https://{address}")), ..AgentOptions::default() };
    let tested = lab.agent_with("agent", options).run(&["exec", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(tested.code, Some(1), "{tested:?}");
    let address = address.to_string();
    for words in ["Failed to establish connection", &address, "it failed at: connection", "(unreachable)"] {
        assert!(tested.out.contains(words), "`{words}` is missing from: {tested:?}");
    }
}
