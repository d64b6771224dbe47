//! Sealing keys that last for seconds, and passwords sealed to keys that are gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use postern_controller_stub::client::sealing::Binding;
use postern_fail_point::Point;
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use postern_tests::lab::{AgentOptions, CLUSTER, SYSTEM, new_task_id, sealing_key};
use postern_tests::proxy::{Passing, Tap};
use postern_tests::{Agent, Lab, wait_for};
use serde_json::{Value, json};

use crate::{JOE, programs, reset_password};

/// A new key each second, and those before it for as long as anybody may look.
const YOUNG: [&str; 4] = ["--sealing-key-secs", "1", "--sealing-key-keep-secs", "3600"];
/// A new key each second, and those before it for a second more.
const SHORT: [&str; 4] = ["--sealing-key-secs", "1", "--sealing-key-keep-secs", "1"];
/// No new key, and those before it for a second.
const LAST: [&str; 4] = ["--sealing-key-secs", "3600", "--sealing-key-keep-secs", "1"];

fn keys_for(run: &[&'static str]) -> AgentOptions {
    AgentOptions { run: run.to_vec(), ..AgentOptions::default() }
}

/// The keys that a submitter is given.
async fn given(lab: &Lab) -> Vec<SealingPublicKey> {
    let path = format!("/v1/clusters/{CLUSTER}/keys");
    let (_, answer) = lab.controller.api().ask(reqwest::Method::GET, &path, None).await;
    answer["keys"].as_array().unwrap().iter().map(|key| key["public"].as_str().unwrap().parse().unwrap()).collect()
}

/// The short names of the keys that the controller knows the agent to have, the newest first.
async fn known(lab: &Lab, agent: &Agent) -> Vec<String> {
    let member = lab.controller.member(agent.member()).await;
    member["sealing_keys"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Submits a password for Joe that is sealed to these keys.
async fn submit(lab: &Lab, password: &str, keys: &[SealingPublicKey]) -> TaskId {
    let task = new_task_id();
    let params = json!({ "account": JOE, "source": "given" });
    let request = TaskRequest::from_json(TaskKind::ResetPassword, params.clone()).unwrap();
    let binding = Binding { task, system: SYSTEM.parse().unwrap(), request };
    let sealed = binding.seal("password", password.as_bytes(), keys).unwrap();
    let body = json!({ "id": task, "system": SYSTEM, "kind": "reset_password", "params": params, "sealed": [sealed] });
    let (status, answer) = lab.controller.api().ask(reqwest::Method::POST, "/v1/tasks", Some(&body)).await;
    assert_eq!(status, 202, "{answer}");
    task
}

async fn in_state(lab: &Lab, task: TaskId, state: &str) -> Value {
    wait_for(&format!("the task to be {state}"), async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!(state) { Ok(task) } else { Err(task) }
    })
    .await
}

/// Waits until the agent uses none of these keys for anything new.
async fn rotated(lab: &Lab, agent: &Agent, used: &[String]) -> Vec<String> {
    wait_for("another sealing key", async || {
        let known = known(lab, agent).await;
        if used.contains(&known[0]) { Err(known) } else { Ok(known) }
    })
    .await
}

/// Waits until the agent has this key no more.
async fn wiped(lab: &Lab, agent: &Agent, key: &str) {
    wait_for("the key to be wiped", async || {
        let known = known(lab, agent).await;
        if known.iter().any(|it| it == key) { Err(known) } else { Ok(()) }
    })
    .await;
}

/// Writes a password into a file for the command line.
fn file(lab: &Lab, name: &str, password: &str) -> String {
    let path = lab.folder().join(name);
    std::fs::write(&path, password).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn reseal(lab: &Lab, task: TaskId, password: &str) -> Value {
    let file = file(lab, "again", password);
    lab.controller.cli(&["task", "reseal", &task.to_string(), "--password-file", &file]).await
}

/// Open with the newest key alone, and what waited opens no more.
#[tokio::test]
async fn sealing_keys_rotate_while_sealed_tasks_wait_in_the_queue() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let keys = given(&lab).await;
    lab.controller.cli(&["member", "drain", agent.member()]).await;
    let waiting = submit(&lab, "S3aled-before", &keys).await;
    agent.kill().await;
    agent.set_run(&YOUNG);
    agent.start().await;
    // There is room for four, and none is forgotten.
    wait_for("two keys more", async || {
        let known = known(&lab, &agent).await;
        if known.len() >= 3 && known.contains(&keys[0].id().to_string()) { Ok(()) } else { Err(known) }
    })
    .await;
    assert_eq!(lab.controller.task(waiting).await["state"], json!("queued"));

    // Killed, it has all of them again; and what is sealed from now on is sealed to the newest alone.
    agent.kill().await;
    agent.set_run(&[]);
    agent.start().await;
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    assert_eq!(lab.controller.finished(waiting).await["outcome"], json!("succeeded"));
    assert!(lab.salesforce.password_is(JOE, "S3aled-before"));
    let (newest, all) = (given(&lab).await, known(&lab, &agent).await);
    assert_eq!(newest.iter().map(|key| key.id().to_string()).collect::<Vec<_>>(), all[..1]);
    let done = lab.controller.cli(&reset_password(JOE, &["--password-file", &file(&lab, "pw", "S3aled-after")])).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    assert!(lab.salesforce.password_is(JOE, "S3aled-after"));
}

/// The way of the operator's guide. Move the whole folder away, and what waits opens no more.
#[tokio::test]
async fn an_agent_whose_identity_is_damaged_becomes_another_member_with_the_keys_that_it_had() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let (old, keys) = (agent.member().to_owned(), given(&lab).await);
    lab.controller.cli(&["member", "drain", &old]).await;
    let waiting = submit(&lab, "S3aled-before", &keys).await;
    assert_eq!(agent.terminate().await, Some(0));
    lab.controller.disconnected(&old).await;
    let identity = agent.folder().join("state/identity");
    std::fs::write(identity.join("current.pem"), "damaged").unwrap();
    let damaged = agent.run(&["run"]).await;
    assert!(damaged.code == Some(78) && damaged.err.contains("move its folder away"), "{damaged:?}");

    for file in identity.read_dir().unwrap().map(|it| it.unwrap()).filter(|it| it.file_name() != "sealing.keys") {
        std::fs::rename(file.path(), lab.folder().join(file.file_name())).unwrap();
    }
    agent.enroll(&lab.controller).await;
    assert_ne!(agent.member(), old);
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    lab.controller.cli(&["member", "revoke", &old]).await;
    assert_eq!(lab.controller.finished(waiting).await["outcome"], json!("succeeded"));
    assert!(lab.salesforce.password_is(JOE, "S3aled-before"));
}

/// Have `Input::ForgetKey` ask nobody, and the task that began is not gone on with.
#[tokio::test]
async fn a_key_that_a_task_in_hand_needs_stays_until_that_has_ended_and_is_wiped_then() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let keys = given(&lab).await;
    let first = keys[0].id().to_string();
    agent.fail_points().arm(Point::CallMade);
    let task = submit(&lab, "1n-hand-n0w", &keys).await;
    agent.dies().await;
    lab.controller.cli(&["member", "disable", "--hard", agent.member()]).await;

    // It may not go on with it, and its keys follow one another meanwhile.
    agent.set_run(&SHORT);
    agent.start().await;
    let second = rotated(&lab, &agent, std::slice::from_ref(&first)).await[0].clone();
    wiped(&lab, &agent, &second).await;
    assert!(known(&lab, &agent).await.contains(&first), "younger ones have gone meanwhile");
    // A controller does not take another key every second for long.
    agent.kill().await;
    agent.set_run(&LAST);
    agent.start().await;
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert!(lab.salesforce.password_is(JOE, "1n-hand-n0w"));
    wiped(&lab, &agent, &first).await;
}

/// Leave out that the state follows the keys, and the task fails, or waits for nothing.
#[tokio::test]
async fn a_task_that_waited_for_longer_than_its_key_was_kept_is_sealed_again_and_goes_on_under_its_id() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let keys = given(&lab).await;
    let private = sealing_key(&agent.folder().join("state"));
    lab.controller.cli(&["member", "drain", agent.member()]).await;
    let task = submit(&lab, "T00-late-now", &keys).await;
    agent.kill().await;
    agent.set_run(&SHORT);
    agent.start().await;
    wiped(&lab, &agent, &keys[0].id().to_string()).await;
    let left = std::fs::read(agent.folder().join("state/identity/sealing.keys")).unwrap();
    assert!(!left.windows(32).any(|it| it == private), "it is wiped");
    let stuck = in_state(&lab, task, "needs_reseal").await;
    assert!(stuck["waits_for"].as_str().unwrap().contains(&format!("task reseal {task}")), "{stuck}");

    assert_eq!(agent.terminate().await, Some(0));
    agent.set_run(&[]);
    agent.start().await;
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    let stuck = in_state(&lab, task, "needs_reseal").await;
    assert_eq!(stuck["reseal_to"], json!(given(&lab).await));
    let listed = lab.controller.cli(&["task", "list", "--state", "needs_reseal"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(reseal(&lab, task, "S3aled-again").await["id"], json!(task));
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert!(lab.salesforce.password_is(JOE, "S3aled-again"));
    assert_eq!(lab.salesforce.wanted_passwords(JOE).len(), 1, "once");
}

/// What the agent has wiped, the controller is not told: it offers what it should not. Take `check_sealed` out of the
/// dispatcher, and the task fails in the middle.
#[tokio::test]
async fn a_member_that_cannot_open_says_needs_reseal_before_anything_is_done() {
    let lab = Lab::start(programs()).await;
    let (first, wiped) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
    let (needed, kept_back) = (Arc::clone(&first), Arc::clone(&wiped));
    let judge = move |passing: &Passing| match passing {
        Passing::Up(postern_protocol::message::FromMember::KeyAnnounce(announce), _) => {
            let lets_pass = needed.get().is_none_or(|key| announce.keys.iter().any(|it| it.public == *key));
            kept_back.fetch_or(!lets_pass, Ordering::Relaxed);
            lets_pass
        }
        Passing::Up(..) | Passing::Down(..) => true,
    };
    let tap = Tap::open(&lab.controller, &lab.folder().join("agent"), judge).await;
    let controller_section = format!("urls = [\"{}\"]", tap.url());
    let options = AgentOptions { controller_section, ..AgentOptions::default() };
    let mut agent = lab.member_with("agent", options).await;
    let keys = given(&lab).await;
    first.set(keys[0]).unwrap();
    agent.kill().await;
    agent.set_run(&["--sealing-key-secs", "2", "--sealing-key-keep-secs", "0"]);
    agent.start().await;
    wait_for("the key to be wiped", async || if wiped.load(Ordering::Relaxed) { Ok(()) } else { Err(()) }).await;
    let before = lab.salesforce.counters().users.get(JOE).copied();
    let task = submit(&lab, "N0t-for-me", &keys).await;
    in_state(&lab, task, "needs_reseal").await;
    let log = lab.controller.log();
    assert!(log.contains("reason=needs_reseal"), "the member said it: {log}");
    assert_eq!(lab.salesforce.counters().users.get(JOE).copied(), before, "nothing was done");
}

/// Its member is out, and another is in its place. Sign what was sealed first in `task reseal`, and the agent refuses it.
#[tokio::test]
async fn a_signed_task_of_a_member_that_was_replaced_is_sealed_and_signed_again() {
    let lab = Lab::start(programs()).await;
    let signer = lab.folder().join("signer.key");
    let signer = signer.to_str().unwrap();
    let public = lab.controller.cli(&["task", "signing-key", signer]).await;
    let salesforce_section =
        format!("[connected_system.policy]\nrequire_signature = true\naccepted_signers = [{}]\n", public["public"]);
    let options = AgentOptions { salesforce_section, ..AgentOptions::default() };
    let mut first = lab.member_with("first", options.clone()).await;
    assert_eq!(first.terminate().await, Some(0));
    let password = file(&lab, "pw", "F1rst-of-two");
    let submit = ["--password-file", &password, "--sign-with", signer, "--deadline-secs", "600", "--async"];
    let task = lab.controller.cli(&reset_password(JOE, &submit)).await["id"].as_str().unwrap().parse().unwrap();
    lab.controller.cli(&["member", "revoke", first.member()]).await;
    in_state(&lab, task, "needs_reseal").await;
    let second = lab.member_with("second", options).await;

    let password = file(&lab, "pw", "S3cond-of-two");
    let id = task.to_string();
    let again = ["task", "reseal", &id, "--password-file", &password];
    let (code, _, said) = lab.controller.try_cli(&again).await;
    assert!(code != Some(0) && said.contains("sign it again"), "{said}");
    lab.controller.cli(&[&again[..], &["--sign-with", signer]].concat()).await;
    let ended = lab.controller.finished(task).await;
    assert_eq!((&ended["outcome"], &ended["member"]), (&json!("succeeded"), &json!(second.member())), "{ended}");
    assert!(lab.salesforce.password_is(JOE, "S3cond-of-two"));
}

/// Each file as the step before left it.
#[tokio::test]
async fn an_agent_or_a_controller_that_dies_at_any_step_of_a_rotation_goes_on_with_it() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member_with("agent", keys_for(&SHORT)).await;
    for point in Point::ROTATION {
        agent.fail_points().arm(point);
        agent.dies().await;
        assert!(agent.fail_points().was_hit(point), "{}", agent.log());
        agent.set_run(&YOUNG);
        agent.start().await;
        works(&lab, &format!("Pa55-{}", point.name())).await;
        assert_eq!(agent.terminate().await, Some(0));
        agent.set_run(&SHORT);
        agent.start().await;
        let used = known(&lab, &agent).await;
        rotated(&lab, &agent, &used).await;
        // What it counts of the changes of keys, a controller has forgotten when it starts.
        lab.controller.kill().await;
        lab.controller.restart().await;
        agent.link("connected").await;
    }
    lab.controller.fail_points().arm(Point::KeysStored);
    lab.controller.dies().await;
    lab.controller.restart().await;
    agent.link("connected").await;
    let used = known(&lab, &agent).await;
    rotated(&lab, &agent, &used).await;
    agent.kill().await;
    agent.set_run(&YOUNG);
    agent.start().await;
    works(&lab, "1n-the-end").await;
}

/// A password that the command line seals is set.
async fn works(lab: &Lab, password: &str) {
    let done = lab.controller.cli(&reset_password(JOE, &["--password-file", &file(lab, "pw", password)])).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    assert!(lab.salesforce.password_is(JOE, password));
}
