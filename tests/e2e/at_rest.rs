//! What is on disk is this user's alone, and encrypted with a key that can be moved and changed.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use postern_fail_point::Point;
use postern_tests::lab::SYSTEM;
use postern_tests::{Agent, Lab};
use serde_json::json;
use tokio::process::Command;

use crate::{JOE, programs};

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn set_all(modes: &[(PathBuf, u32, &str)]) {
    for (path, mode, _) in modes {
        set(path, *mode);
    }
}

/// Runs the commands that a complaint names, and returns how many they are.
fn mend(complaint: &str) -> usize {
    let commands: Vec<&str> = complaint.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    for command in &commands {
        assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    }
    commands.len()
}

/// What `postern-controller` says to these arguments: its exit code, and its complaint.
async fn controller(lab: &Lab, arguments: &[&str], credentials: &Path) -> (Option<i32>, String) {
    let output = Command::new(lab.programs().join("postern-controller"))
        .args(arguments)
        .arg("--data-dir")
        .arg(lab.controller.data())
        .env("CREDENTIALS_DIRECTORY", credentials)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Bytes in a folder as systemd hands them over: its access list shows as group permission.
fn credential(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let credentials = folder.join("credentials");
    std::fs::create_dir_all(&credentials).unwrap();
    std::fs::write(credentials.join(name), bytes).unwrap();
    set(&credentials.join(name), 0o440);
    credentials
}

async fn disable(lab: &Lab, account: &str) {
    let task = lab.controller.submit("disable_user", account).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
}

/// Pass over a directory, and this fails.
#[tokio::test]
async fn files_0600_and_directories_0700_are_all_looked_at_before_an_agent_starts() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    let (folder, state) = (agent.folder().to_owned(), agent.folder().join("state"));
    let wrong = [
        (state.clone(), 0o750, "chmod 700 "),
        (state.join("store"), 0o701, "chmod 700 "),
        (state.join("store/spool"), 0o770, "chmod 700 "),
        (state.join("store/data/db"), 0o604, "chmod 600 "),
        (state.join("store.key"), 0o640, "chmod 600 "),
        (state.join("identity/current.pem"), 0o644, "chmod 600 "),
        (state.join("identity/sealing.keys"), 0o4600, "chmod 00600 "),
        (folder.join("consumer-secret"), 0o660, "chmod 600 "),
    ];
    let exec = ["exec", "test-connection", "--system", SYSTEM];
    for command in [&["run"][..], &exec, &["store", "rotate-key"], &["audit", "verify"]] {
        set_all(&wrong);
        let elsewhere = folder.join("agent.toml");
        symlink(&elsewhere, state.join("link")).unwrap();
        let refused = agent.run(command).await;
        assert_eq!(refused.code, Some(78), "{refused:?}");
        for (path, mode, mended_by) in &wrong {
            let line = format!("{mended_by}'{}'   # mode {mode:04o}", path.display());
            assert!(refused.err.contains(&line), "`{line}` is missing from: {}", refused.err);
        }
        assert!(refused.err.contains("state/link'   # a link"), "{}", refused.err);
        assert_eq!(mend(&refused.err), wrong.len() + 1);
        assert!(std::fs::symlink_metadata(state.join("link")).is_err());
    }
    let tested = agent.run(&["exec", "test-connection", "--system", SYSTEM]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
}

/// Whoever may write it can answer as Salesforce does, and is sent the password.
#[tokio::test]
async fn a_file_of_roots_that_others_may_write_is_told_at_the_start() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let roots = agent.folder().join("salesforce-ca.pem");
    let line = format!("chmod go-w '{}'   # mode 0664", roots.display());
    assert!(!agent.log().contains("others may put another file"), "{}", agent.log());
    agent.kill().await;
    std::fs::set_permissions(&roots, Permissions::from_mode(0o664)).unwrap();
    agent.start().await;
    assert!(agent.log().contains(&line), "{}", agent.log());
}

#[tokio::test]
async fn files_0600_and_directories_0700_are_all_looked_at_before_a_controller_starts() {
    let mut lab = Lab::start(programs()).await;
    lab.controller.kill().await;
    let data = lab.controller.data().to_owned();
    let wrong = [
        (data.clone(), 0o755, "chmod 700 "),
        (data.join("store/data"), 0o710, "chmod 700 "),
        (data.join("store/data/conf"), 0o644, "chmod 600 "),
        (data.join("ca.key"), 0o640, "chmod 600 "),
        (data.join("api.token"), 0o604, "chmod 600 "),
    ];
    for command in [&["serve"][..], &["store", "rotate-key"]] {
        set_all(&wrong);
        let (code, complaint) = controller(&lab, command, &data).await;
        assert_eq!(code, Some(78), "{complaint}");
        for (path, mode, mended_by) in &wrong {
            let line = format!("{mended_by}'{}'   # mode {mode:04o}", path.display());
            assert!(complaint.contains(&line), "`{line}` is missing from: {complaint}");
        }
        set_all(&wrong);
        assert_eq!(mend(&complaint), wrong.len());
    }
    lab.controller.restart().await;
}

/// Whatever the programs make while they work, they find in order at their next start.
#[tokio::test]
async fn nothing_that_the_programs_make_is_open_to_others() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    disable(&lab, JOE).await;
    agent.kill().await;
    lab.controller.kill().await;
    lab.controller.restart().await;
    agent.start().await;
    assert_eq!(agent.terminate().await, Some(0));
}

/// Says in an agent's configuration where the key of its store is.
fn name_key(agent: &Agent, credential: &str) {
    let config = std::fs::read_to_string(agent.config()).unwrap();
    let lines: Vec<&str> = config.lines().filter(|line| !line.starts_with("store_key")).collect();
    let line = format!("[agent]\nstore_key = {{ credential = \"{credential}\" }}");
    std::fs::write(agent.config(), lines.join("\n").replace("[agent]", &line)).unwrap();
}

/// A task whose call was made stays in a store that gets other keys, and is told to have succeeded in the end.
#[tokio::test]
async fn the_key_of_an_agents_store_is_changed_and_moved_to_a_credential_with_a_task_under_way() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let key = agent.folder().join("state/store.key");
    let old = std::fs::read(&key).unwrap();
    let in_use = agent.run(&["store", "rotate-key"]).await;
    assert_eq!(in_use.code, Some(79), "{in_use:?}");

    agent.fail_points().arm(Point::CallMade);
    let task = lab.controller.submit("disable_user", JOE).await;
    agent.dies().await;
    let rotated = agent.run(&["store", "rotate-key"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let new = std::fs::read(&key).unwrap();
    assert_ne!(new, old);

    // The same bytes elsewhere.
    let credentials = credential(agent.folder(), "store.key", &new);
    std::fs::remove_file(&key).unwrap();
    let lost = agent.run(&["run"]).await;
    assert!(lost.code == Some(78) && lost.err.contains("credential that the key was moved to"), "{lost:?}");
    name_key(&agent, "store.key");
    let none = agent.run(&["run"]).await;
    assert!(none.code == Some(78) && none.err.contains("LoadCredentialEncrypted=store.key"), "{none:?}");

    // Another key, in another credential.
    credential(agent.folder(), "other", &[7; 32]);
    agent.set_credentials(credentials);
    let moved = agent.run(&["store", "rotate-key", "--new-credential", "other"]).await;
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert!(moved.out.contains("store_key = { credential = \"other\" }"), "{moved:?}");
    assert!(moved.out.contains("keep a copy of the new key") && !rotated.out.contains("keep a copy"), "{moved:?}");
    let unfit = agent.run(&["run"]).await;
    assert!(unfit.code == Some(78) && unfit.err.contains("another key than that of the credential"), "{unfit:?}");
    name_key(&agent, "other");
    agent.start().await;

    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert!(!key.exists(), "no key lies beside the store");
}

#[tokio::test]
async fn the_audit_log_is_compared_with_a_store_whose_key_is_elsewhere() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    let done = agent.run(&["exec", "disable_user", "--system", SYSTEM, "--account", JOE]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let key = agent.folder().join("state/store.key");
    let credentials = credential(agent.folder(), "store.key", &std::fs::read(&key).unwrap());
    std::fs::remove_file(&key).unwrap();
    name_key(&agent, "store.key");
    agent.set_credentials(credentials);
    let verified = agent.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.out.contains("holds what the agent's store remembers"), "{verified:?}");
    assert!(!key.exists(), "no key lies beside the store");
}

#[tokio::test]
async fn the_key_of_a_controllers_store_is_changed_and_moved_to_a_credential() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    agent.kill().await;
    let task = lab.controller.submit("disable_user", JOE).await;
    let data = lab.controller.data().to_owned();
    let key = data.join("store.key");
    let rotate = &["store", "rotate-key"][..];
    assert_eq!(controller(&lab, rotate, &data).await.0, Some(79), "it is in use");

    lab.controller.kill().await;
    let old = std::fs::read(&key).unwrap();
    let (code, complaint) = controller(&lab, rotate, &data).await;
    assert_eq!(code, Some(0), "{complaint}");
    assert_ne!(std::fs::read(&key).unwrap(), old);

    let credentials = credential(lab.folder(), "ledger.key", &[7; 32]);
    let (code, complaint) =
        controller(&lab, &[rotate, &["--new-credential", "ledger.key"]].concat(), &credentials).await;
    assert_eq!(code, Some(0), "{complaint}");
    assert!(!key.exists());
    let (code, complaint) = controller(&lab, &["serve"], &credentials).await;
    assert!(code == Some(78) && complaint.contains("credential that the key was moved to"), "{complaint}");

    let credentials = String::leak(credentials.display().to_string());
    let options = ["--store-key-credential", "ledger.key", "--credentials-directory", credentials];
    lab.controller.restart_with(&options).await;
    agent.start().await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
}
