//! What is acknowledged survives whatever dies.

use postern_tests::crash::Kills;
use postern_tests::lab::SYSTEM;
use postern_tests::{Lab, crash, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;

use crate::{JOE, programs};

#[tokio::test]
async fn f30_an_outcome_waits_in_the_outbox_while_the_controller_is_away() {
    let mut lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", JOE).await;
    wait_for("the task to begin", async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!("started") { Ok(()) } else { Err(task) }
    })
    .await;
    lab.controller.kill().await;
    lab.salesforce.clear_faults();
    agent.owes(1).await;
    lab.controller.restart().await;
    let task = lab.controller.finished(task).await;
    assert_eq!(task["outcome"], json!("succeeded"), "{task}");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1);
    agent.owes(0).await;
}

#[tokio::test]
async fn a_task_submitted_while_no_member_is_there_is_done_when_one_comes() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    assert_eq!(agent.terminate().await, Some(0));
    let task = lab.controller.submit("disable_user", JOE).await;
    lab.controller.kill().await;
    lab.controller.restart().await;
    agent.start().await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
}

/// A short run of what the program `crash` does at length.
#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_and_repeat_nothing() {
    let tally = crash::run(programs(), 12, Kills::Everywhere, |_| ()).await;
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.effects > 0, "{tally:?}");
}

/// F10: one entry of a batch kills the process whenever it is sent. It is found by halves; the others are done, and
/// every entry is told once.
#[tokio::test]
async fn f10_an_entry_that_always_kills_the_agent_is_found_and_the_others_are_done() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let entry =
        |number: u64, title: &str| json!({ "Username": format!("user{number:04}@acme.example"), "Title": title });
    let lines: Vec<String> = (1..=8).map(|n| entry(n, if n == 6 { "Deadly" } else { "Moved" }).to_string()).collect();
    let file = lab.folder().join("users.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let deadly =
        || Fault { when: Matching::default(), what: Mishap::HangAt { piece: "Deadly".to_owned() }, times: Some(1) };
    lab.salesforce.inject(deadly());
    let file = file.to_str().unwrap();
    let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", file, "--async"];
    let id = lab.controller.cli(&submit).await["id"].as_str().unwrap().parse().unwrap();
    let mut deaths = 0;
    let batch = loop {
        wait_for("the deadly call, or the end", async || {
            let task = lab.controller.task(id).await;
            if lab.salesforce.faults() == 0 || task["outcome"].is_string() { Ok(()) } else { Err(task) }
        })
        .await;
        if lab.salesforce.faults() > 0 {
            break lab.controller.task(id).await;
        }
        agent.kill().await;
        deaths += 1;
        lab.salesforce.inject(deadly());
        agent.start().await;
    };
    assert!(deaths <= 5, "once, once more to be sure, and for each half: {deaths} deaths");
    assert_eq!(batch["outcome"], json!("partially_succeeded"), "{batch}");
    let counts = ["entries", "modified", "unknown"].map(|name| batch["output"][name].as_u64().unwrap());
    assert_eq!(counts, [8, 7, 1], "{batch}");
    let results = lab.folder().join("results.jsonl");
    lab.controller.try_cli(&["task", "results", &id.to_string(), "--output", results.to_str().unwrap()]).await;
    let results = std::fs::read_to_string(&results).unwrap();
    assert_eq!((results.lines().count(), results.matches("killed_the_agent").count()), (8, 1), "{results}");
}

/// F10: the process dies at what all entries have in common, so that no entry is to blame. What was done before is told.
#[tokio::test]
async fn f10_a_batch_that_is_given_up_delivers_the_results_of_its_finished_units() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    // Entries on one user are units of their own.
    let lines = ["One", "Deadly"].map(|title| json!({ "Username": JOE, "Title": title }).to_string());
    let file = lab.folder().join("users.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let hang = |path: &str, piece: &str| {
        let when = Matching { method: None, path: Some(path.to_owned()) };
        let what = Mishap::HangAt { piece: piece.to_owned() };
        lab.salesforce.inject(Fault { when, what, times: Some(1) });
    };
    hang("/composite/sobjects", "Deadly");
    let file = file.to_str().unwrap();
    let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", file, "--async"];
    let id = lab.controller.cli(&submit).await["id"].as_str().unwrap().parse().unwrap();
    for _ in 0..20 {
        wait_for("the deadly call", async || if lab.salesforce.faults() == 0 { Ok(()) } else { Err("not yet") }).await;
        agent.kill().await;
        hang("/sobjects/User/describe", "");
        agent.start().await;
    }
    let batch = lab.controller.finished(id).await;
    assert_eq!((&batch["outcome"], &batch["changed"]), (&json!("dead_lettered"), &json!("yes")), "{batch}");
    let next_step = batch["failure"]["next_step"].as_str().unwrap();
    assert!(next_step.contains("an entry without a line in the results was not done"), "{batch}");
    let [results, rest] = ["results.jsonl", "rest.jsonl"].map(|name| lab.folder().join(name));
    let (output, failed) = (results.to_str().unwrap(), rest.to_str().unwrap());
    let arguments = ["task", "results", &id.to_string(), "--output", output, "--failed", failed, "--dataset", file];
    let (code, _, said) = lab.controller.try_cli(&arguments).await;
    assert!(code == Some(0) && said.contains("the results tell of 1 of the entries"), "{said}");
    let results = std::fs::read_to_string(&results).unwrap();
    assert_eq!((results.lines().count(), results.matches("\"modified\"").count()), (1, 1), "{results}");
    assert_eq!(std::fs::read_to_string(&rest).unwrap().trim(), lines[1], "what was not told of is to be done again");
}
