//! Several members of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions};
use postern_tests::{Lab, wait_for};
use serde_json::{Value, json};

use crate::programs;

const TASKS: usize = 60;

#[tokio::test]
async fn three_members_share_the_tasks_and_every_task_is_done_once() {
    let options = LabOptions { users: TASKS + 1, controller: ControllerOptions::default() };
    let lab = Lab::start_with(programs(), options).await;
    let mut members = Vec::new();
    for name in ["first", "second", "third"] {
        members.push(lab.member_with(name, AgentOptions { concurrency: 4, ..AgentOptions::default() }).await);
    }
    let known: BTreeSet<_> = members.iter().map(|agent| agent.member().to_owned()).collect();
    // Nobody takes more than twice its slots before a change is made.
    lab.hold_changes();
    let before: BTreeMap<_, _> = accounts().map(|it| (it.clone(), lab.salesforce.user(&it).unwrap().active)).collect();

    let submissions = before
        .iter()
        .map(|(account, active)| lab.controller.submit(if *active { "disable_user" } else { "enable_user" }, account));
    let tasks = join_all(submissions).await;
    wait_for("each member to have some", async || {
        let views = join_all(tasks.iter().map(|task| lab.controller.task(*task))).await;
        let holders: BTreeSet<_> = views.iter().filter_map(|it| it["member"].as_str().map(str::to_owned)).collect();
        if holders == known { Ok(()) } else { Err(holders) }
    })
    .await;
    lab.salesforce.clear_faults();
    let ended = join_all(tasks.iter().map(|task| lab.controller.finished(*task))).await;

    for task in &ended {
        assert_eq!((&task["outcome"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
        assert_eq!(task["observations"], Value::Null, "reported once: {task}");
    }
    let workers: BTreeSet<_> = ended.iter().map(|task| task["member"].as_str().unwrap().to_owned()).collect();
    assert_eq!(workers, known, "each does some");
    let counters = lab.salesforce.counters();
    for (account, was_active) in before {
        assert_eq!(counters.users[&account].flips, 1, "{account}");
        assert_ne!(lab.salesforce.user(&account).unwrap().active, was_active, "{account}");
    }
}

fn accounts() -> impl Iterator<Item = String> {
    (1..=TASKS).map(|number| format!("user{number:04}@acme.example"))
}
