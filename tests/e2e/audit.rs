//! The audit log of a running agent: every effect has its line, once, and whoever changes the log is found out.

use std::path::PathBuf;

use postern_fail_point::Point;
use postern_tests::lab::SYSTEM;
use postern_tests::{Agent, Lab, wait_for};
use serde_json::{Value, json};

use crate::{JOE, programs};

fn log(agent: &Agent) -> PathBuf {
    agent.folder().join("state/audit/00000001.jsonl")
}

/// The events of the log, whose chain is whole.
async fn events(agent: &Agent) -> Vec<Value> {
    let shown = agent.run(&["audit", "show", "--json"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let lines = shown.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|mut line| line["event"].take()).collect()
}

/// The same when it has so many.
async fn so_many_events(agent: &Agent, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} lines in the audit log"), async || {
        let events = events(agent).await;
        if events.len() == count { Ok(events) } else { Err(json!(events)) }
    })
    .await
}

/// Planted was a step of a plan that tells nothing.
#[tokio::test]
async fn every_effect_has_its_line_and_each_line_an_effect() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let on_joe = |kind| ["exec", kind, "--system", SYSTEM, "--account", JOE, "--json"];
    for kind in ["disable_user", "disable_user", "enable_user", "freeze_user", "unfreeze_user", "unlock_user"] {
        assert_eq!(agent.run(&on_joe(kind)).await.code, Some(0), "{kind}");
    }
    let secret = "Given-Pass-word-1";
    let given = lab.folder().join("given");
    std::fs::write(&given, secret).unwrap();
    let reset = ["exec", "reset_password", "--system", SYSTEM, "--account", JOE, "--password-file"];
    assert_eq!(agent.run(&[&reset[..], &[given.to_str().unwrap()]].concat()).await.code, Some(0));
    assert_eq!(agent.run(&on_joe("deprovision_user")).await.code, Some(0));
    assert_eq!(agent.run(&on_joe("test_connection")[..4]).await.code, Some(0));
    let dataset = lab.folder().join("users.jsonl");
    std::fs::write(
        &dataset,
        "{\"Username\": \"user0002@acme.example\", \"Title\": \"Lead\"}\n{\"Username\": \"nobody@acme.example\", \
         \"Title\": \"Lead\"}\n",
    )
    .unwrap();
    let import = ["exec", "import_batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap(), "--json"];
    agent.run(&[&import[..], &["--attribute", "Title=audited"]].concat()).await;

    let events = events(&agent).await;
    let told: Vec<Value> = events
        .iter()
        .map(|it| {
            let changes = it["changes"].as_array().unwrap().iter();
            json!([it["kind"], it["account"], it["outcome"], changes.map(|it| &it["attribute"]).collect::<Vec<_>>()])
        })
        .collect();
    let gone = format!("{JOE}.deleted");
    let expected = [
        json!(["disable_user", JOE, "done", ["IsActive"]]),
        json!(["enable_user", JOE, "done", ["IsActive"]]),
        json!(["freeze_user", JOE, "done", ["IsFrozen"]]),
        json!(["unfreeze_user", JOE, "done", ["IsFrozen"]]),
        json!(["reset_password", JOE, "done", ["password"]]),
        json!(["deprovision_user", JOE, "done", ["Username"]]),
        json!(["deprovision_user", gone, "done", ["password"]]),
        json!(["deprovision_user", gone, "done", ["IsActive"]]),
        json!(["import_batch", "user0002@acme.example", "done", ["Title"]]),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[0]["changes"], json!([{"attribute": "IsActive", "old": true, "new": false}]));
    assert_eq!((&events[0]["asked_by"], &events[0]["system"]), (&json!("person"), &json!(SYSTEM)));
    assert_eq!((&events[8]["entry"], &events[8]["changes"][0]["new"]), (&json!(1), &json!("Lead")));
    assert!(!std::fs::read_to_string(log(&agent)).unwrap().contains(secret));

    let shown = agent.run(&["audit", "show", "--account", &gone]).await;
    assert_eq!(shown.out.lines().count(), 3, "{shown:?}");
    let future = agent.run(&["audit", "show", "--since", "2199-01-01"]).await;
    assert_eq!((future.code, future.out.as_str()), (Some(0), ""));
}

/// Planted was a process that forgets what an earlier one announced.
#[tokio::test]
async fn an_effect_under_which_the_agent_died_is_told_once_and_as_found() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    for (kind, point) in [("disable_user", Point::CallMade), ("enable_user", Point::IntentDurable)] {
        agent.fail_points().arm(point);
        let submit = ["task", "submit", kind, "--system", SYSTEM, "--account", JOE, "--async"];
        let (_, taken, _) = lab.controller.try_cli(&submit).await;
        agent.dies().await;
        agent.start().await;
        let taken: Value = serde_json::from_str(&taken).unwrap();
        let ended = lab.controller.finished(taken["id"].as_str().unwrap().parse().unwrap()).await;
        assert_eq!(ended["outcome"], "succeeded", "{ended}");
    }
    let events = so_many_events(&agent, 2).await;
    let told: Vec<Value> = events.iter().map(|it| json!([it["kind"], it["found"], it["asked_by"]])).collect();
    assert_eq!(told, [json!(["disable_user", true, "controller"]), json!(["enable_user", false, "controller"])]);
    assert_eq!((&events[0]["member"], &events[0]["outcome"]), (&json!(agent.member()), &json!("done")));
    let status = agent.status().await;
    let verified = agent.run(&["audit", "verify", "--json"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert_eq!(verified.json()["head"], status["agent"]["audit"]["head"]);
}

#[tokio::test]
async fn whoever_changes_the_log_is_found_out() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    for kind in ["disable_user", "enable_user", "freeze_user"] {
        agent.run(&["exec", kind, "--system", SYSTEM, "--account", JOE]).await;
    }
    let whole = agent.run(&["audit", "verify"]).await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(whole.out.contains("whole: 3 lines in 1 files") && whole.out.contains("store remembers"), "{whole:?}");
    let text = std::fs::read_to_string(log(&agent)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let foreign = format!("{}{}", "0:", "0".repeat(64)).replacen('0', "2", 1);
    let noted = agent.run(&["audit", "verify", "--head", &foreign]).await;
    assert_eq!(noted.code, Some(1), "{noted:?}");
    assert!(noted.err.contains("line 2: the line is whole, but another one than is known"), "{noted:?}");
    for (changed, words) in [
        (text.replace("disable_user", "enabled_user"), "line 1: the line was edited"),
        (format!("{}\n{}\n", lines[0], lines[2]), "line 2: number 3 stands where number 2 has to be"),
        (format!("{}\n{}\n", lines[0], lines[1]), "the log ends before number 3"),
        (String::new(), "the log ends before number 3"),
    ] {
        std::fs::write(log(&agent), changed).unwrap();
        let found = agent.run(&["audit", "verify"]).await;
        assert_eq!(found.code, Some(1), "{words}: {found:?}");
        assert!(found.err.contains(words), "{words}: {found:?}");
    }
    // What was changed stays to be seen, whatever the agent does then.
    agent.run(&["exec", "unfreeze_user", "--system", SYSTEM, "--account", JOE]).await;
    assert_eq!(agent.run(&["audit", "verify"]).await.code, Some(1));
    std::fs::write(log(&agent), text).unwrap();
    assert_eq!(agent.run(&["audit", "verify"]).await.code, Some(0), "the files follow each other again");
}
