//! What an agent owes when the controller does not hear it any more.

use std::os::unix::fs::PermissionsExt as _;

use postern_tests::lab::AgentOptions;
use postern_tests::{Lab, wait_for};
use serde_json::{Value, json};

use crate::{JOE, programs};

/// Its call was finished when it was thrown out. Leave the signature out of `admit_report`, and an altered file is believed.
#[tokio::test]
async fn what_a_revoked_member_owes_is_taken_out_and_counts_as_in_a_session() {
    let lab = Lab::start(programs()).await;
    let options = AgentOptions { request_timeout_secs: 30, ..AgentOptions::default() };
    let mut agent = lab.member_with("agent", options).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", JOE).await;
    wait_for("the task to begin", async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!("started") { Ok(()) } else { Err(task) }
    })
    .await;
    lab.controller.cli(&["member", "revoke", agent.member()]).await;
    agent.link_fails("revoked").await;
    lab.salesforce.clear_faults();
    agent.owes(1).await;
    let file = lab.folder().join("outbox.jsonl");
    let file = file.to_str().unwrap();
    let export = ["outbox", "export", "--output", file, "--json"];
    assert_eq!(agent.run(&export).await.code, Some(79), "the agent is running");

    assert_eq!(agent.terminate().await, Some(0));
    assert_eq!(agent.run(&export).await.json()["reports"], json!(1));
    assert_eq!(agent.run(&export).await.code, Some(2), "no file is written over");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    let mut line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["task"], &line["outcome"]), (&json!(task), &json!("succeeded")), "it says what came of it");
    assert_eq!((&line["certainty"], &line["changed"]), (&json!("certain"), &json!("yes")));

    let altered = lab.folder().join("altered.jsonl");
    line["incarnation"] = json!("inc_00000000000000000000000000000001");
    std::fs::write(&altered, line.to_string()).unwrap();
    let (code, out, _) = lab.controller.try_cli(&["outbox", "import", altered.to_str().unwrap()]).await;
    assert!(code == Some(1) && out.contains("the file was altered"), "{out}");
    assert!(lab.controller.task(task).await["outcome"].is_null());

    let became = lab.controller.cli(&["outbox", "import", file]).await;
    assert_eq!(became[0]["became"], json!("finished"), "{became}");
    let ended = lab.controller.finished(task).await;
    assert_eq!((&ended["outcome"], &ended["member"]), (&json!("succeeded"), &json!(agent.member())), "{ended}");
    let again = lab.controller.cli(&["outbox", "import", file]).await;
    assert_eq!(again[0]["became"], json!("not_open"), "{again}");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1);
}
