//! An agent that is asked to stop, and what it leaves behind.

use postern_tests::lab::{AgentOptions, SYSTEM};
use postern_tests::{Lab, wait_for};
use rustix::process::Signal;
use salesforce_sim::{Fault, Matching, Mishap, Switches};
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
    let mut agent = lab
        .member_with("agent", AgentOptions { concurrency: 2, request_timeout_secs: 30, ..AgentOptions::default() })
        .await;
    let submit = async |number| {
        let account = format!("user{number:04}@acme.example");
        lab.controller.submit("disable_user", &account).await
    };
    let one_begun_and = async |others| {
        wait_for(&format!("one task to begin, and {others} to be held beside it"), async || {
            let ledger = agent.status().await["agent"]["ledger"].clone();
            let are_held = ledger["started"] == 1 && ledger["journaled"].as_u64() >= Some(others);
            if are_held { Ok(()) } else { Err(ledger) }
        })
        .await;
    };
    // One task is in the middle of its change while the next one is looking its user up, and others wait.
    lab.hold_changes();
    let mut tasks = vec![submit(1).await];
    one_begun_and(0).await;
    let looks = Matching { method: Some("GET".to_owned()), path: None };
    lab.salesforce.inject(Fault { when: looks, what: Mishap::Hold, times: None });
    for number in 2..=6 {
        tasks.push(submit(number).await);
    }
    one_begun_and(3).await;
    agent.signal(Signal::TERM);
    wait_for("the others to be given back", async || {
        let log = agent.log();
        if log.contains("given back") { Ok(()) } else { Err(log) }
    })
    .await;
    lab.salesforce.clear_faults();
    assert_eq!(agent.ended().await, Some(0));
    let log = agent.log();
    assert!(!log.contains("WARN"), "{log}");

    agent.start().await;
    for task in tasks {
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
}

/// An export changes nothing: it goes back to the controller between two looks at its job, and is begun anew.
#[tokio::test]
async fn f12_an_export_that_is_stopped_in_the_middle_is_whole_after_the_next_start() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let (key, file) = (path("key"), path("users.jsonl"));
    lab.salesforce.switch(&Switches { bulk_millis: Some(3_600_000), ..Switches::default() }).unwrap();
    let params = r#"{"object": "User", "format": "jsonl", "size_hint": 1000000}"#;
    let submit = ["task", "submit", "export", "--system", SYSTEM, "--params", params, "--async", "--result-key", &key];
    let task = lab.controller.cli(&submit).await["id"].as_str().unwrap().to_owned();
    let looks = || lab.salesforce.counters().routes.get("GET jobs/query/{id}").copied().unwrap_or(0);
    wait_for("a look at the job", async || if looks() > 0 { Ok(()) } else { Err(looks()) }).await;
    assert_eq!(agent.terminate().await, Some(0));

    lab.salesforce.switch(&Switches { bulk_millis: Some(0), ..Switches::default() }).unwrap();
    agent.start().await;
    lab.controller.finished(task.parse().unwrap()).await;
    let (code, _, _) = lab.controller.try_cli(&["task", "results", &task, "--key", &key, "--output", &file]).await;
    assert_eq!(code, Some(0));
    let users = std::fs::read_to_string(file).unwrap();
    assert!(users.contains("user0001@acme.example") && users.contains("user0020@acme.example"));
}

/// An import would go on for as long as it takes: it ends between two calls instead, and goes on there.
#[tokio::test]
async fn an_import_that_is_stopped_in_the_middle_goes_on_where_it_was_after_the_next_start() {
    const USER: &str = "user0001@acme.example";
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    // Entries on one user are units of their own.
    let lines: Vec<String> =
        (1..=40).map(|at| json!({ "Username": USER, "Title": format!("Title {at}") }).to_string()).collect();
    let file = lab.folder().join("users.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let when = Matching { method: Some("PATCH".to_owned()), path: None };
    lab.salesforce.inject(Fault { when, what: Mishap::Latency { millis: 500 }, times: None });
    let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", file.to_str().unwrap(), "--async"];
    let task = lab.controller.cli(&submit).await["id"].as_str().unwrap().parse().unwrap();
    let updates = || lab.salesforce.counters().users.get(USER).map_or(0, |it| it.updates);
    wait_for("the first entries", async || if updates() >= 2 { Ok(()) } else { Err(updates()) }).await;
    assert_eq!(agent.terminate().await, Some(0));
    assert!(updates() < 40, "{}", updates());

    lab.salesforce.clear_faults();
    agent.start().await;
    let ended = lab.controller.finished(task).await;
    assert_eq!(ended["outcome"], json!("succeeded"), "{ended}");
    assert_eq!(updates(), 40);
}
