//! Who may do what through the API, and who did.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use postern_tests::lab::{Controller, SYSTEM};
use postern_tests::{Lab, wait_for};
use serde_json::Value;

use crate::{JOE, programs};

/// A token as an administrator makes it, in a file of whoever gets it.
async fn token(lab: &Lab, name: &str, role: &str) -> PathBuf {
    let (code, text, err) =
        lab.controller.try_cli(&["api-token", "create", "--name", name, "--role", role, "--expires", "90d"]).await;
    assert_eq!(code, Some(0), "{err}");
    let made: Value = serde_json::from_str(&text).unwrap();
    let file = lab.folder().join(format!("{name}.token"));
    std::fs::write(&file, made["token"].as_str().unwrap()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

async fn lines(controller: &Controller, by: &str) -> Vec<Value> {
    let (code, text, err) = controller.try_cli(&["audit", "show", "--by", by]).await;
    assert_eq!(code, Some(0), "{err}");
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test]
async fn a_viewer_looks_an_operator_works_and_the_log_tells_who_did_what() {
    let mut lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let (viewer, operator) = (token(&lab, "helpdesk", "viewer").await, token(&lab, "ci", "operator").await);
    let (viewer, operator) = (viewer.to_str().unwrap(), operator.to_str().unwrap());
    let submit = ["task", "submit", "disable_user", "--system", SYSTEM, "--account", JOE];
    let with = |arguments: &[&'static str], file| [arguments, &["--api-token-file", file]].concat();

    let (code, _, err) = lab.controller.try_cli(&with(&submit, viewer)).await;
    assert_eq!(code, Some(77));
    assert!(err.contains("the role operator, and `helpdesk` has viewer"), "{err}");
    assert!(lab.salesforce.user(JOE).unwrap().active);
    assert_eq!(lab.controller.try_cli(&with(&["task", "list"], viewer)).await.0, Some(0));

    let (code, out, err) = lab.controller.try_cli(&with(&submit, operator)).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!lab.salesforce.user(JOE).unwrap().active);
    let revoke = [&["member", "revoke", agent.member()], ["--api-token-file", operator].as_slice()].concat();
    let (code, _, err) = lab.controller.try_cli(&revoke).await;
    assert_eq!(code, Some(77));
    assert!(err.contains("administrator"), "{err}");

    lab.controller.cli(&["api-token", "revoke", "ci"]).await;
    let (code, _, err) = lab.controller.try_cli(&with(&submit, operator)).await;
    assert_eq!(code, Some(77));
    assert!(err.contains("not revoked"), "{err}");

    wait_for("the lines of the operator", async || {
        let lines = lines(&lab.controller, "ci").await;
        let words = |it: &Value| format!("{} {}", it["event"]["act"], it["event"]["result"]).replace('"', "");
        let told: Vec<_> = lines.iter().map(words).collect();
        if told == ["task.submit done", "member.revoke refused"] { Ok(()) } else { Err(lines) }
    })
    .await;
    let (code, out, err) = lab.controller.try_cli(&["audit", "verify"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    // Take a controller that refuses to say for one that is off, and a log that was cut off passes as whole.
    let (code, out, err) = lab.controller.try_cli(&with(&["audit", "verify"], operator)).await;
    assert_eq!(code, Some(77), "{out}{err}");
    assert!(out.contains("not compared with the controller that runs") && err.contains("not revoked"), "{out}{err}");
    lab.controller.kill().await;
    let (code, out, err) = lab.controller.try_cli(&with(&["audit", "verify"], operator)).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("not compared with any controller"), "{out}{err}");
}
