//! Two members of one cluster, and what happens when one of them may not, or cannot, go on.

use std::time::Duration;

use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions};
use postern_tests::{Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};

use crate::programs;

fn account(number: usize) -> String {
    format!("user{number:04}@acme.example")
}

fn slow(lab: &Lab, millis: u64) {
    lab.salesforce.inject(Fault { when: Matching::default(), what: Mishap::Latency { millis }, times: None });
}

#[tokio::test]
async fn a_disabled_member_gets_no_work_and_the_other_takes_over() {
    let lab = Lab::start(programs()).await;
    let options = AgentOptions { concurrency: 2, ..AgentOptions::default() };
    let first = lab.member_with("first", options.clone()).await;
    let second = lab.member_with("second", options).await;
    slow(&lab, 100);

    let mut tasks = Vec::new();
    for number in 1..=9 {
        tasks.push(lab.controller.submit("disable_user", &account(number)).await);
    }
    lab.controller.cli(&["member", "disable", first.member()]).await;
    for number in 11..=19 {
        tasks.push(lab.controller.submit("enable_user", &account(number)).await);
    }
    let mut by_second = 0;
    for task in &tasks {
        let task = lab.controller.finished(*task).await;
        assert!(matches!(task["outcome"].as_str(), Some("succeeded" | "already_satisfied")), "{task}");
        by_second += usize::from(task["member"] == json!(second.member()));
    }
    assert!(by_second >= 9, "{by_second} of {} were done by the second", tasks.len());
    wait_for("the first member to be disabled", async || {
        let member = lab.controller.member(first.member()).await;
        if member["state"] == json!("disabled") { Ok(()) } else { Err(member) }
    })
    .await;
    for number in 1..=9 {
        assert_eq!(lab.salesforce.counters().users[&account(number)].deactivations, 1, "{number}");
    }
}

/// F73 seen from the other side: the member that held the task never comes back.
#[tokio::test]
async fn f73_a_dead_members_task_is_given_to_another_when_its_lease_has_run_out() {
    let controller = ControllerOptions {
        lease_ttl: Duration::from_secs(6),
        heartbeat: Duration::from_secs(1),
        ..ControllerOptions::default()
    };
    let lab = Lab::start_with(programs(), LabOptions { users: 20, controller }).await;
    let options = AgentOptions { request_timeout_secs: 3, ..AgentOptions::default() };
    let mut first = lab.member_with("first", options.clone()).await;
    lab.salesforce.inject(Fault {
        when: Matching { method: Some("PATCH".to_owned()), path: None },
        what: Mishap::Latency { millis: 2_000 },
        times: Some(1),
    });
    let task = lab.controller.submit("disable_user", &account(1)).await;
    wait_for("the first member to begin", async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!("started") { Ok(()) } else { Err(task) }
    })
    .await;
    first.kill().await;
    let second = lab.member_with("second", options).await;
    let task: Value = lab.controller.finished(task).await;
    assert_eq!(task["member"], json!(second.member()), "{task}");
    assert!(matches!(task["outcome"].as_str(), Some("succeeded" | "already_satisfied")), "{task}");
    assert_eq!(lab.salesforce.counters().users[&account(1)].flips, 1);
}

/// The only member gives its work back when it is drained, and gets it again when it is enabled.
#[tokio::test]
async fn work_given_back_is_offered_again_once_the_member_may_work() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member_with("agent", AgentOptions { concurrency: 1, ..AgentOptions::default() }).await;
    slow(&lab, 200);
    let tasks = [
        lab.controller.submit("disable_user", &account(1)).await,
        lab.controller.submit("disable_user", &account(2)).await,
    ];
    wait_for("the first task to begin", async || {
        for task in tasks {
            if lab.controller.task(task).await["state"] == json!("started") {
                return Ok(());
            }
        }
        Err("none has begun")
    })
    .await;
    lab.controller.cli(&["member", "drain", agent.member()]).await;
    wait_for("one task to be given back", async || {
        let states = [lab.controller.task(tasks[0]).await, lab.controller.task(tasks[1]).await];
        if states.iter().any(|task| task["state"] == json!("queued")) { Ok(()) } else { Err(states) }
    })
    .await;
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    for task in tasks {
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
}

#[tokio::test]
async fn a_revoked_member_is_out() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    lab.controller.cli(&["member", "revoke", agent.member()]).await;
    wait_for("the session to be refused", async || {
        let status = agent.status().await;
        if status["agent"]["link"]["error"].as_str().is_some_and(|error| error.contains("revoked")) {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
}
