//! The root of all certificates is replaced by another, while work goes on.

use std::cell::Cell;

use postern_agent::store::Store;
use postern_agent_core::Write;
use postern_fail_point::Point;
use postern_protocol::SessionNo;
use postern_store::Home;
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions, new_task_id};
use postern_tests::{Agent, Lab, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{JOE, programs};

/// Of certificates that last for a minute, those of another root are replaced within a second.
const MINUTE: [&str; 2] = ["--certificate-secs", "60"];

async fn lab() -> Lab {
    let controller = ControllerOptions { serve: MINUTE.to_vec(), ..ControllerOptions::default() };
    Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await
}

async fn rotate(lab: &Lab, step: &str) -> Value {
    lab.controller.cli(&["ca", "rotate", step]).await
}

/// Why the step is not made.
async fn refused(lab: &Lab, step: &str) -> String {
    let (code, _, error) = lab.controller.try_cli(&["ca", "rotate", step]).await;
    assert_eq!(code, Some(77), "{error}");
    error
}

async fn status(lab: &Lab) -> Value {
    lab.controller.asked(&["ca", "status"]).await
}

/// The roots with what they are and how many members have a certificate of them.
fn roots(status: &Value) -> Vec<(u64, &str, u64)> {
    let root = |it: &Value| (it["number"].as_u64().unwrap(), it["certificates"].as_u64().unwrap());
    let roots = status["roots"].as_array().unwrap();
    roots.iter().map(|it| (root(it).0, it["role"].as_str().unwrap(), root(it).1)).collect()
}

/// Waits until a step waits for nobody.
async fn ready(lab: &Lab, step: &str) {
    wait_for(&format!("`{step}` to wait for nobody"), async || {
        let status = status(lab).await;
        let steps = status["steps"].as_array().unwrap();
        let is_ready = steps.iter().any(|it| it["step"] == step && it["waits_for"] == json!([]));
        if is_ready { Ok(()) } else { Err(status) }
    })
    .await;
}

/// Waits until every member has the present bundle and a certificate of this root.
async fn settled(lab: &Lab, root: u64) {
    wait_for(&format!("every member to be of root {root}"), async || {
        let status = status(lab).await;
        let is_of = |it: &Value| it["acknowledged"] == true && it["certificate_root"] == root;
        if status["members"].as_array().unwrap().iter().all(is_of) { Ok(()) } else { Err(status) }
    })
    .await;
}

/// The controller dies when the step is durable and nobody has heard of it, and the agent when it has the roots on disk
/// and has not said so: both go on where they were. The task that was under way ends before anybody dies again, as two
/// deaths in one step of it would be too many.
async fn rotate_with_deaths(lab: &mut Lab, agent: &mut Agent, done: &Cell<u64>, step: &[&str]) {
    lab.controller.fail_points().arm(Point::RootsDurable);
    agent.fail_points().arm(Point::TrustDurable);
    let (code, _, _) = lab.controller.try_cli(&[&["ca", "rotate"], step].concat()).await;
    assert_ne!(code, Some(0), "it died");
    lab.controller.dies().await;
    lab.controller.restart().await;
    agent.dies().await;
    assert!(agent.fail_points().was_hit(Point::TrustDurable), "{}", agent.log());
    let before = done.get();
    agent.start().await;
    wait_for("a task to end", async || if done.get() > before { Ok(()) } else { Err(before) }).await;
}

/// One task after the other that changes something, until it is told to stop. Counts those that are done.
async fn work(lab: &postern_tests::lab::Api, stop: &Cell<bool>, done: &Cell<u64>) {
    while !stop.get() {
        let kind = if done.get().is_multiple_of(2) { "disable_user" } else { "enable_user" };
        let id = new_task_id();
        let task = json!({
            "id": id, "system": postern_tests::lab::SYSTEM, "kind": kind, "params": { "account": JOE }, "mode": "async",
        });
        wait_for("the task to be taken in", async || match lab.ask(Method::POST, "/v1/tasks", Some(&task)).await {
            (200..=202, _) => Ok(()),
            other => Err(other),
        })
        .await;
        let ended = wait_for("the outcome", async || {
            let (_, task) = lab.ask(Method::GET, &format!("/v1/tasks/{id}"), None).await;
            if task["outcome"].is_string() { Ok(task) } else { Err(task) }
        })
        .await;
        assert_eq!((&ended["outcome"], &ended["changed"]), (&json!("succeeded"), &json!("yes")), "{ended}");
        done.set(done.get() + 1);
    }
}

/// Every step is made with a death of the controller and one of the agent in it; each is undone once; tasks are done all
/// along, each once. Let the new root sign before it is trusted, or drop the old one at the switch, and the agent is locked
/// out.
#[tokio::test]
async fn roots_are_rotated_in_phases_with_work_all_along() {
    let mut lab = lab().await;
    let mut agent = lab.member("agent").await;
    let (api, stop, done) = (lab.controller.api(), Cell::new(false), Cell::new(0_u64));
    let rotation = async {
        lab.controller.fail_points().arm(Point::RootMade);
        assert_ne!(lab.controller.try_cli(&["ca", "rotate", "begin"]).await.0, Some(0));
        lab.controller.dies().await;
        lab.controller.restart().await;
        assert_eq!(roots(&status(&lab).await), [(1, "signs", 1)], "nothing names the root that was made");

        rotate_with_deaths(&mut lab, &mut agent, &done, &["begin"]).await;
        assert_eq!(roots(&status(&lab).await), [(1, "signs", 1), (2, "trusted", 0)]);
        ready(&lab, "switch").await;
        rotate_with_deaths(&mut lab, &mut agent, &done, &["back"]).await;
        assert_eq!(roots(&status(&lab).await), [(1, "signs", 1), (2, "kept", 0)]);
        settled(&lab, 1).await;

        rotate_with_deaths(&mut lab, &mut agent, &done, &["begin", "--root", "2"]).await;
        ready(&lab, "switch").await;
        rotate_with_deaths(&mut lab, &mut agent, &done, &["switch"]).await;
        settled(&lab, 2).await;
        rotate_with_deaths(&mut lab, &mut agent, &done, &["back"]).await;
        settled(&lab, 1).await;
        assert_eq!(roots(&status(&lab).await), [(1, "signs", 1), (2, "trusted", 0)]);

        ready(&lab, "switch").await;
        rotate(&lab, "switch").await;
        ready(&lab, "finish").await;
        rotate_with_deaths(&mut lab, &mut agent, &done, &["finish"]).await;
        settled(&lab, 2).await;
        assert_eq!(roots(&status(&lab).await), [(2, "signs", 1), (1, "kept", 0)]);

        lab.controller.cli(&["ca", "rotate", "begin", "--root", "1"]).await;
        ready(&lab, "switch").await;
        rotate(&lab, "switch").await;
        ready(&lab, "finish").await;
        rotate(&lab, "finish").await;
        settled(&lab, 1).await;
        assert_eq!(roots(&status(&lab).await), [(1, "signs", 1), (2, "kept", 0)], "the way back after the end");
        stop.set(true);
    };
    tokio::join!(rotation, work(&api, &stop, &done));

    let effects = lab.salesforce.counters().users[JOE];
    assert_eq!(effects.activations + effects.deactivations, done.get(), "each once");
    agent.owes(0).await;
    let member = lab.controller.member(agent.member()).await;
    assert_eq!((&member["state"], &member["alarm"]), (&json!("enabled"), &Value::Null), "{member}");
    let roots = agent.status().await["agent"]["certificate"]["roots"].clone();
    assert_eq!(roots, json!([status(&lab).await["roots"][0]["fingerprint"]]), "what both sides call the root");
}

/// What is on no disk is not said to be, and the root does not sign.
#[tokio::test]
async fn roots_that_cannot_be_stored_are_not_acknowledged() {
    let lab = lab().await;
    let mut agent = lab.member("agent").await;
    let obstacle = agent.folder().join("state/identity/roots.pem.new");
    std::fs::create_dir(&obstacle).unwrap();
    rotate(&lab, "begin").await;
    wait_for("the controller to hear that they are not taken over", async || {
        let log = lab.controller.log();
        if log.contains("the member could not take a frame") && log.contains("roots.pem") { Ok(()) } else { Err(log) }
    })
    .await;
    let error = refused(&lab, "switch").await;
    assert!(error.contains(agent.member()), "{error}");

    std::fs::remove_dir(&obstacle).unwrap();
    agent.kill().await;
    agent.start().await;
    ready(&lab, "switch").await;
}

/// It is waited for by name; forced, the rotation goes on, and the member gets another certificate by proof of its key.
#[tokio::test]
async fn a_member_that_was_away_is_waited_for_and_comes_back_by_proof_of_its_key() {
    let lab = lab().await;
    let _agent = lab.member("agent").await;
    let mut away = lab.member_with("away", AgentOptions::default()).await;
    assert_eq!(away.terminate().await, Some(0));
    rotate(&lab, "begin").await;
    let error = refused(&lab, "switch").await;
    assert!(error.contains(away.member()) && error.contains("--force"), "{error}");
    away.start().await;
    ready(&lab, "switch").await;
    assert_eq!(away.terminate().await, Some(0));

    rotate(&lab, "switch").await;
    wait_for("the other member to be of the new root", async || {
        let status = status(&lab).await;
        if roots(&status) == [(2, "signs", 1), (1, "trusted", 1)] { Ok(()) } else { Err(status) }
    })
    .await;
    let error = refused(&lab, "finish").await;
    assert!(error.contains(away.member()) && error.contains("proof of their key"), "{error}");
    lab.controller.cli(&["ca", "rotate", "finish", "--force"]).await;
    away.spawn();
    away.link("connected").await;
    assert!(away.log().contains("by proof of its key"), "{}", away.log());
    settled(&lab, 2).await;
    let members = lab.controller.cli(&["member", "list"]).await;
    assert_eq!(members.as_array().map(Vec::len), Some(2), "it is the same member: {members}");
}

/// It knows nothing of the new root, so nobody can tell the controller from a stranger; the administrator reads what to do.
#[tokio::test]
async fn a_member_that_was_away_through_a_whole_rotation_reads_that_it_has_to_be_enrolled_again() {
    let lab = lab().await;
    let mut away = lab.member("away").await;
    assert_eq!(away.terminate().await, Some(0));
    rotate(&lab, "begin").await;
    for step in ["switch", "finish"] {
        let error = refused(&lab, step).await;
        assert!(error.contains(away.member()), "{error}");
        lab.controller.cli(&["ca", "rotate", step, "--force"]).await;
    }
    away.spawn();
    let error = away.link_fails("the controller's root was replaced while this agent was away").await;
    assert!(error.contains("postern enroll --again"), "{error}");

    assert_eq!(away.terminate().await, Some(0));
    enroll_again(&lab, &away).await;
    away.spawn();
    away.link("connected").await;
}

async fn enroll_again(lab: &Lab, agent: &Agent) {
    agent.write_secret("token", &lab.controller.token().await);
    let token = agent.folder().join("token");
    let arguments =
        ["enroll", "--again", "--controller", lab.controller.url(), "--token-file", token.to_str().unwrap()];
    let enrolled = agent.run(&arguments).await;
    assert_eq!(enrolled.code, Some(0), "{}", enrolled.err);
}

/// Whoever had the root's key may have told it of such sessions. Keep counting from those of the old member, and only a new
/// store, without what this one owes, is let in.
#[tokio::test]
async fn f19_an_agent_whose_last_session_no_member_comes_to_is_let_in_with_its_store_once_it_is_enrolled_again() {
    let lab = lab().await;
    let mut agent = lab.member("agent").await;
    assert_eq!(agent.terminate().await, Some(0));
    let home = Home::with_key_file(agent.folder().join("state"));
    let (store, _) = Store::open_in(&home).unwrap();
    store.commit(&[Write::PutSession(SessionNo(3 << 32))]).await.unwrap();
    drop(store);
    agent.spawn();
    agent.link_fails("enroll the agent again").await;

    assert_eq!(agent.terminate().await, Some(0));
    enroll_again(&lab, &agent).await;
    agent.spawn();
    agent.link("connected").await;
}
