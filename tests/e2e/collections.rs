//! Collections run when they are due, and nothing of a run is lost with the process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postern_tests::lab::{Agent, AgentOptions, SYSTEM};
use postern_tests::{Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};

use crate::{JOE, programs};

/// The section of a collection that is due in twenty seconds for the first time, and every minute after that.
#[allow(clippy::disallowed_methods, reason = "the start time is a time of the day")]
fn due_soon(directory: &Path) -> AgentOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(20);
    let seconds = now.as_secs() % (24 * 60 * 60);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    AgentOptions {
        salesforce_section: format!(
            "[[collection]]\nname = \"minutely\"\nsystem = \"{SYSTEM}\"\nrepeats = \"every 1 minutes\"\nstart_time = \
             \"{hours:02}:{minutes:02}:{seconds:02}\"\ndirectory = \"{}\"\n",
            directory.display()
        ),
        ..AgentOptions::default()
    }
}

fn every_query(what: Mishap) -> Fault {
    Fault { when: Matching { method: Some("GET".to_owned()), path: Some("/query".to_owned()) }, what, times: None }
}

/// What `postern status` says of the collection.
async fn status(agent: &Agent) -> Value {
    agent.status().await["agent"]["collections"][0].clone()
}

async fn wait_outcome(agent: &Agent, outcome: &str) -> Value {
    wait_for(&format!("the collection to be {outcome}"), async || {
        let status = status(agent).await;
        if status["outcome"] == outcome { Ok(status) } else { Err(status) }
    })
    .await
}

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Clear remains before the store is had, and what the agent that has it is writing goes from under its pen.
#[tokio::test]
async fn a_second_agent_takes_nothing_away_that_the_first_is_writing() {
    let lab = Lab::start(programs()).await;
    let directory = lab.folder().join("collected");
    let mut agent = lab.agent_with("agent", due_soon(&directory));
    agent.enroll(&lab.controller).await;
    agent.start().await;
    let part = directory.join("minutely-20261123T023000Z.jsonl.part");
    std::fs::write(&part, "{}").unwrap();
    let second = agent.run(&["run"]).await;
    assert_eq!(second.code, Some(79), "{second:?}");
    assert!(part.exists());
    assert_eq!(agent.terminate().await, Some(0));
    agent.start().await;
    assert!(!part.exists(), "nobody else wrote it");
}

/// Feature B17.
#[tokio::test]
async fn a_collection_that_is_due_runs_and_outlives_a_kill_in_the_middle() {
    let lab = Lab::start(programs()).await;
    let directory = lab.folder().join("collected");
    lab.salesforce.inject(every_query(Mishap::Latency { millis: 60_000 }));
    let mut agent = lab.agent_with("agent", due_soon(&directory));
    agent.enroll(&lab.controller).await;
    agent.start().await;
    wait_outcome(&agent, "running").await;
    agent.kill().await;
    assert_eq!(files(&directory), Vec::<PathBuf>::new(), "nothing looks complete");

    lab.salesforce.clear_faults();
    agent.start().await;
    let status = wait_outcome(&agent, "succeeded").await;
    assert!(status["users"].as_u64() > Some(1) && status["removed"] == json!(0), "{status}");
    assert!(status["next_run"].as_str() > status["last_run"].as_str(), "{status}");
    let shown = agent.run(&["status"]).await.out;
    assert!(shown.contains("minutely of acme: last run"), "{shown}");

    assert_eq!(agent.terminate().await, Some(0));
    let found = files(&directory);
    let name = found[0].file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("minutely-20") && name.ends_with("Z.jsonl"), "{found:?}");
    assert_eq!(std::fs::metadata(&found[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let first = lines(&found[0]);
    assert_eq!(first[0]["collection"]["user_status"], json!("active"));
    assert!(first.iter().any(|line| line["Username"] == json!(JOE)));
    assert_eq!(first.last().unwrap()["end"]["complete"], json!(true));

    let disabled = agent.run(&["exec", "disable_user", "--system", SYSTEM, "--account", JOE]).await;
    assert_eq!(disabled.code, Some(0), "{disabled:?}");
    let output = lab.folder().join("by-hand.jsonl");
    let by_hand = ["exec", "collect", "--system", SYSTEM, "--name", "minutely", "--user-status", "active", "--json"];
    let by_hand = agent.run(&[&by_hand[..], &["--output", output.to_str().unwrap()]].concat()).await;
    assert_eq!(by_hand.json()["output"]["removed"], json!(1), "{by_hand:?}");
    assert!(by_hand.err.contains("collect: ") && !by_hand.err.contains("export: "), "{by_hand:?}");
    assert!(lines(&output).iter().any(|line| line["removed"]["Username"] == json!(JOE)));
    let audit = agent.folder().join("state/audit");
    let naming = crate::main_job::files_with(&agent.folder().join("state"), JOE.as_bytes());
    assert!(naming.len() == 1 && Path::new(&naming[0]).starts_with(audit), "the audit log alone: {naming:?}");
}

/// Take the report of a run for abandoned when the process starts, and this fails: Salesforce is asked again.
#[tokio::test]
async fn a_run_that_ended_before_a_kill_is_written_after_it() {
    let lab = Lab::start(programs()).await;
    let directory = lab.folder().join("collected");
    lab.salesforce.inject(every_query(Mishap::Hold));
    let mut agent = lab.agent_with("agent", due_soon(&directory));
    agent.enroll(&lab.controller).await;
    agent.start().await;
    wait_outcome(&agent, "running").await;
    std::fs::remove_dir(&directory).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    lab.salesforce.clear_faults();
    let status = wait_outcome(&agent, "waiting").await;
    assert!(status["told"].as_str().unwrap().contains("its file cannot be written"), "{status}");
    let shown = agent.run(&["status"]).await.out;
    assert!(shown.contains(" waits: its file cannot be written"), "{shown}");
    agent.kill().await;
    agent.start().await;
    let status = wait_outcome(&agent, "waiting").await;
    assert!(status["told"].as_str().unwrap().contains("its file cannot be written"), "a start waits as well: {status}");
    agent.kill().await;

    std::fs::remove_file(&directory).unwrap();
    let tried = agent.run(&["exec", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(tried.code, Some(0), "a command in between takes nothing away: {tried:?}");
    // What is written now was gathered before.
    lab.salesforce.inject(every_query(Mishap::Maintenance));
    agent.start().await;
    let file = wait_for("the file", async || {
        files(&directory).pop().filter(|it| it.extension().is_some_and(|it| it == "jsonl")).ok_or(())
    })
    .await;
    assert!(lines(&file).last().unwrap()["end"]["complete"] == json!(true));
}
