//! How an agent and its controller tell how they are, and what is logged meanwhile.

use std::process::Stdio;

use postern_tests::lab::{Agent, AgentOptions, CLUSTER, Lab, SYSTEM};
use postern_tests::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::{JOE, programs};

/// The connected system, as `postern status` tells of it.
async fn system(agent: &Agent) -> Value {
    agent.status().await["agent"]["ledger"]["systems"][0].clone()
}

/// How many calls of the connected system are in its log.
fn calls(agent: &Agent) -> usize {
    agent.log().matches("a call was answered").count()
}

async fn level_becomes(agent: &Agent, level: &str, by: Option<&str>) {
    wait_for("the log level", async || {
        let logged = system(agent).await["log_level"].clone();
        if logged["level"] == level && logged["by"].as_str() == by { Ok(()) } else { Err(logged) }
    })
    .await;
}

/// What the controller knows of the log level that it wants of its first member.
async fn verdict_becomes(lab: &Lab, verdict: &str) -> Value {
    wait_for("the member's answer", async || {
        let shown = lab.controller.asked(&["system", "show", SYSTEM]).await;
        if shown["members"][0]["log_level_verdict"] == verdict { Ok(shown) } else { Err(shown) }
    })
    .await
}

#[tokio::test]
async fn status_tells_on_one_screen_what_an_agent_does_and_names_accounts_and_secrets_to_nobody() {
    let lab = Lab::start(programs()).await;
    // The change is held all along.
    let options = AgentOptions { request_timeout_secs: 30, ..AgentOptions::default() };
    let agent = lab.member_with("agent", options).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", JOE).await;
    let status = wait_for("the change to be under way", async || {
        let status = agent.status().await["agent"].clone();
        if status["ledger"]["tasks"][0]["started"] == true { Ok(status) } else { Err(status) }
    })
    .await;
    assert_eq!(status["ledger"]["member_state"], "enabled");
    assert_eq!(status["ledger"]["tasks"][0]["state"], "running");
    assert_eq!(status["ledger"]["systems"][0]["running"], 1);
    assert_eq!(status["ledger"]["systems"][0]["sign_in"]["state"], "signed_in");
    assert_eq!(status["sessions"]["begun"], agent.log().matches("session established").count());
    assert!(status["store"]["free_bytes"].as_u64() > Some(0), "{status}");
    assert_eq!(status["certificate"]["serial"], lab.controller.member(agent.member()).await["certificate_serial"]);

    let shown = agent.run(&["status"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.out.lines().count() <= 24, "{}", shown.out);
    assert!(shown.out.contains(&format!("{task}: disable_user on {SYSTEM}, running since ")), "{}", shown.out);
    assert!(!shown.out.contains(JOE), "{}", shown.out);
    let verbose = agent.run(&["status", "--verbose"]).await;
    assert!(verbose.out.contains(&format!("about {JOE}")), "{}", verbose.out);
    for told in [shown.out, verbose.out, status.to_string()] {
        assert!(!told.contains(salesforce_sim::CONSUMER_SECRET), "{told}");
    }
    lab.salesforce.clear_faults();
    assert_eq!(lab.controller.finished(task).await["outcome"], "succeeded");
}

#[tokio::test]
async fn the_status_of_an_agent_that_does_not_run_is_what_its_state_directory_tells() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    let state = async |agent: &Agent| agent.status().await["state"].clone();
    assert_eq!(state(&agent).await, "never_started");
    assert!(!agent.folder().join("state").exists(), "it only looks");
    std::fs::create_dir(agent.folder().join("state")).unwrap();
    assert_eq!(state(&agent).await, "not_enrolled");
    std::fs::remove_dir(agent.folder().join("state")).unwrap();
    agent.enroll(&lab.controller).await;
    assert_eq!(state(&agent).await, "stopped");
    let shown = agent.run(&["status"]).await;
    assert!(shown.out.contains("not running; start it with: "), "{shown:?}");
    let level = agent.run(&["log-level", "debug"]).await;
    assert!(level.code == Some(1) && level.err.contains("no agent runs here"), "{level:?}");
}

#[tokio::test]
async fn what_an_operator_compares_is_on_the_agents_host_whether_it_runs_or_not_and_so_is_what_is_waited_for() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    let fingerprint = lab.controller.member(agent.member()).await["fingerprint"].as_str().unwrap().to_owned();
    let shown = agent.run(&["status"]).await.out;
    assert!(shown.contains(&fingerprint), "{shown}");
    agent.start().await;
    for (state, step) in [("pending", "approve"), ("enabled", ""), ("disabled", "enable")] {
        match state {
            "enabled" => lab.controller.approve(agent.member()).await,
            "disabled" => drop(lab.controller.cli(&["member", "disable", agent.member()]).await),
            _ => (),
        }
        wait_for("the agent to be told", async || {
            let told = agent.status().await["agent"]["ledger"]["member_state"].clone();
            if told == state { Ok(()) } else { Err(told) }
        })
        .await;
        let shown = agent.run(&["status"]).await.out;
        assert!(shown.contains(&fingerprint) && shown.contains(state), "{shown}");
        let command = format!("postern-controller member {step} {}", agent.member());
        assert_eq!(shown.contains("postern-controller member"), !step.is_empty(), "{shown}");
        assert!(step.is_empty() || shown.contains(&command), "{shown}");
    }
}

#[tokio::test]
async fn why_there_is_no_session_is_told_once_beside_the_troubles_and_in_no_librarys_words() {
    let (lab, other) = (Lab::start(programs()).await, Lab::start(programs()).await);
    let urls = format!("urls = [\"{}\"]", other.controller.url());
    let mut agent = lab.agent_with("agent", AgentOptions { controller_section: urls, ..AgentOptions::default() });
    agent.enroll(&lab.controller).await;
    agent.spawn();
    let error = agent.link_fails("the certificate presented was issued by").await;
    assert!(!error.contains("unexpected error"), "{error}");
    let shown = agent.run(&["status"]).await.out;
    assert_eq!(shown.matches("the certificate presented was issued by").count(), 2, "the link and a trouble: {shown}");
    assert!(shown.contains(other.controller.url()), "{shown}");
}

#[tokio::test]
async fn an_agent_that_owes_reports_says_how_much_and_why_its_session_ended() {
    let mut lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    lab.hold_changes();
    lab.controller.submit("disable_user", JOE).await;
    wait_for("the change to be under way", async || {
        let tasks = agent.status().await["agent"]["ledger"]["tasks"].clone();
        if tasks[0]["started"] == true { Ok(()) } else { Err(tasks) }
    })
    .await;
    lab.controller.kill().await;
    lab.salesforce.clear_faults();
    agent.owes(1).await;
    // The report may be durable before the link has noticed.
    let status = wait_for("the agent to tell of the end of its session", async || {
        let status = agent.status().await["agent"].clone();
        if status["sessions"]["last_end"]["why"].is_string() { Ok(status) } else { Err(status) }
    })
    .await;
    let outbox = &status["ledger"]["outbox"];
    assert!(outbox["reports"] == 1 && outbox["bytes"].as_u64() > Some(0) && outbox["oldest_ms"].is_u64(), "{status}");
    assert!(status["troubles"].to_string().contains("no session with the controller"), "{status}");
    lab.controller.restart().await;
    wait_for("the controller to be told that nothing is owed", async || {
        let member = lab.controller.member(agent.member()).await;
        if member["outbox"]["reports"] == 0 { Ok(()) } else { Err(member) }
    })
    .await;
}

#[tokio::test]
async fn a_level_that_somebody_on_the_host_wants_is_that_of_one_system_and_ends_by_itself() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    assert_eq!(
        lab.controller.finished(lab.controller.submit("validate_user", JOE).await).await["outcome"],
        "succeeded"
    );
    assert_eq!(calls(&agent), 0, "{}", agent.log());

    let stranger = agent.run(&["log-level", "debug", "--system", "stranger"]).await;
    assert!(stranger.code == Some(2) && stranger.err.contains("no connected system `stranger`"), "{stranger:?}");
    let long = agent.run(&["log-level", "debug", "--for", "2d"]).await;
    assert!(long.code == Some(2) && long.err.contains("24 hours"), "{long:?}");

    let set = agent.run(&["log-level", "debug", "--system", SYSTEM, "--for", "1h"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    level_becomes(&agent, "debug", Some("host")).await;
    assert_eq!(agent.status().await["agent"]["log_level"]["level"], "info", "of the agent itself it stays");
    assert_eq!(
        lab.controller.finished(lab.controller.submit("validate_user", JOE).await).await["outcome"],
        "succeeded"
    );
    assert!(calls(&agent) > 0 && agent.log().contains(JOE), "{}", agent.log());
    assert!(!agent.log().contains(salesforce_sim::CONSUMER_SECRET));

    let short = agent.run(&["log-level", "trace", "--system", SYSTEM, "--for", "1s"]).await;
    assert_eq!(short.code, Some(0), "{short:?}");
    level_becomes(&agent, "info", None).await;
    let before = calls(&agent);
    assert_eq!(
        lab.controller.finished(lab.controller.submit("validate_user", JOE).await).await["outcome"],
        "succeeded"
    );
    assert_eq!(calls(&agent), before);
}

#[tokio::test]
async fn a_level_that_the_controller_wants_holds_in_later_sessions_until_it_is_ended() {
    let mut lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let wanted = lab.controller.cli(&["system", "log-level", SYSTEM, "debug", "--for", "1h"]).await;
    assert_eq!(wanted["log_level_order"]["level"], "debug");
    let shown = verdict_becomes(&lab, "done").await;
    assert!(shown["log_level_order"]["until"].is_u64(), "{shown}");
    level_becomes(&agent, "debug", Some("controller")).await;

    lab.controller.kill().await;
    agent.kill().await;
    lab.controller.restart().await;
    agent.start().await;
    level_becomes(&agent, "debug", Some("controller")).await;
    verdict_becomes(&lab, "done").await;
    assert_eq!(
        lab.controller.finished(lab.controller.submit("validate_user", JOE).await).await["outcome"],
        "succeeded"
    );
    assert!(calls(&agent) > 0, "{}", agent.log());

    let ended = lab.controller.cli(&["system", "log-level", SYSTEM, "configured"]).await;
    assert_eq!(ended["log_level_order"], Value::Null);
    level_becomes(&agent, "info", None).await;
    for (body, field) in [
        (json!({ "level": "loud" }), "level"),
        (json!({ "level": 3 }), "level"),
        (json!({}), "level"),
        (json!({ "level": "debug", "for_secs": 0 }), "for_secs"),
        (json!({ "level": "debug", "for_secs": 86_401 }), "for_secs"),
        (json!({ "level": "debug", "for": "1h" }), "for"),
    ] {
        let path = format!("/v1/systems/{SYSTEM}/log-level");
        let (status, problem) = lab.controller.api().ask(reqwest::Method::POST, &path, Some(&body)).await;
        assert!((400..=422).contains(&status) && problem["field"] == field, "{body}: {status} {problem}");
    }
}

/// Let the policy not be asked, and the lines are there.
#[tokio::test]
async fn a_policy_keeps_a_controller_from_having_accounts_logged() {
    let lab = Lab::start(programs()).await;
    let salesforce_section = "\n[connected_system.policy]\ncontroller_log_level = \"info\"\n".to_owned();
    let agent = lab.member_with("agent", AgentOptions { salesforce_section, ..AgentOptions::default() }).await;
    lab.controller.cli(&["system", "log-level", SYSTEM, "debug"]).await;
    verdict_becomes(&lab, "not_allowed").await;
    assert_eq!(
        lab.controller.finished(lab.controller.submit("validate_user", JOE).await).await["outcome"],
        "succeeded"
    );
    assert_eq!(calls(&agent), 0, "{}", agent.log());
    lab.controller.cli(&["system", "log-level", SYSTEM, "warn"]).await;
    verdict_becomes(&lab, "done").await;
    level_becomes(&agent, "warn", Some("controller")).await;
}

/// Feature B18.
#[tokio::test]
async fn a_system_shows_how_each_member_reaches_it_and_in_what_they_differ() {
    let lab = Lab::start(programs()).await;
    let one = lab.member("one").await;
    let salesforce_section = "compression = false\nconnect_timeout_secs = 0\n".to_owned();
    let other = lab.member_with("other", AgentOptions { salesforce_section, ..AgentOptions::default() }).await;
    let shown = lab.controller.cli(&["system", "show", SYSTEM]).await;
    assert_eq!(shown["differing"], json!(["connection_timeout_secs", "http_compression"]), "{shown}");
    let of = |agent: &Agent| {
        let members = shown["members"].as_array().unwrap();
        members.iter().find(|it| it["member"] == agent.member()).unwrap().clone()
    };
    let (one, other) = (of(&one), of(&other));
    assert_eq!((&one["http_compression"], &other["http_compression"]), (&json!(true), &json!(false)));
    assert_eq!((&one["connection_timeout_secs"], &other["connection_timeout_secs"]), (&json!(30), &json!(0)));
    assert_eq!(one["login_method"], "oauth-client-credentials");
    assert_eq!(one["log_level"], "info");
    assert!(one["domain"].as_str().is_some_and(|it| it.contains("127.0.0.1") || it.contains("localhost")), "{one}");
    assert!(one["secure_connection"].is_boolean(), "{one}");
    assert!(!shown.to_string().contains(salesforce_sim::CONSUMER_SECRET));
}

#[tokio::test]
async fn the_status_of_a_controller_tells_queues_and_whom_to_look_at() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    assert_eq!(agent.terminate().await, Some(0));
    lab.controller.submit("disable_user", JOE).await;
    let status = wait_for("the member to be missed", async || {
        let status = lab.controller.asked(&["status"]).await;
        if status["attention"][0]["why"] == "is not connected" { Ok(status) } else { Err(status) }
    })
    .await;
    let queue = &status["queues"][0];
    assert_eq!((&queue["cluster"], &queue["system"], &queue["members"]), (&json!(CLUSTER), &json!(SYSTEM), &json!(0)));
    assert_eq!(queue["tasks"], json!({ "queued": 1 }));
}

/// Both programs, where there is no terminal: a line for what changed, and an end without complaint.
#[tokio::test]
async fn whoever_watches_is_told_what_changed_in_lines_until_it_is_interrupted() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let config = agent.config();
    let data = lab.controller.data();
    let watch = ["status", "--watch", "--interval", "1s"];
    let mut of_agent = Command::new(lab.programs().join("postern"));
    of_agent.arg("--config").arg(&config).args(watch);
    let mut of_controller = Command::new(lab.programs().join("postern-controller"));
    of_controller.args(watch).arg("--data-dir").arg(data);
    for (mut command, first, then) in [(of_agent, "outbox: ", "log level: debug"), (of_controller, "members: ", "")] {
        let mut watching = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
        let mut until = async |words: &str| {
            while let Some(line) = lines.next_line().await.unwrap() {
                assert!(!line.contains('\u{1b}'), "{line}");
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended before it said {words}");
        };
        until(first).await;
        if !then.is_empty() {
            assert_eq!(agent.run(&["log-level", "debug"]).await.code, Some(0));
            until(then).await;
        }
        let process = Pid::from_raw(i32::try_from(watching.id().unwrap()).unwrap()).unwrap();
        kill_process(process, Signal::INT).unwrap();
        assert_eq!(watching.wait().await.unwrap().code(), Some(0));
    }
}
