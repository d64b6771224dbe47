//! Two members of one cluster, and what happens when one of them may not, or cannot, go on.

use std::time::Duration;

use futures_util::future::join_all;
use postern_protocol::TaskId;
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions};
use postern_tests::proxy::{Breakage, Line};
use postern_tests::{Agent, Lab, wait_for};
use rustix::process::Signal;
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};

use crate::programs;

fn account(number: usize) -> String {
    format!("user{number:04}@acme.example")
}

fn slow(lab: &Lab, millis: u64) {
    lab.salesforce.inject(Fault { when: Matching::default(), what: Mishap::Latency { millis }, times: None });
}

#[tokio::test]
async fn a_disabled_member_gets_no_work_and_the_other_takes_over() {
    let lab = Lab::start(programs()).await;
    let options = AgentOptions { concurrency: 2, ..AgentOptions::default() };
    let first = lab.member_with("first", options.clone()).await;
    let second = lab.member_with("second", options).await;
    slow(&lab, 100);

    let mut tasks = Vec::new();
    for number in 1..=9 {
        tasks.push(lab.controller.submit("disable_user", &account(number)).await);
    }
    lab.controller.cli(&["member", "disable", first.member()]).await;
    for number in 11..=19 {
        tasks.push(lab.controller.submit("enable_user", &account(number)).await);
    }
    let mut by_second = 0;
    for task in &tasks {
        let task = lab.controller.finished(*task).await;
        assert!(matches!(task["outcome"].as_str(), Some("succeeded" | "already_satisfied")), "{task}");
        by_second += usize::from(task["member"] == json!(second.member()));
    }
    assert!(by_second >= 9, "{by_second} of {} were done by the second", tasks.len());
    wait_for("the first member to be disabled", async || {
        let member = lab.controller.member(first.member()).await;
        if member["state"] == json!("disabled") { Ok(()) } else { Err(member) }
    })
    .await;
    for number in 1..=9 {
        assert_eq!(lab.salesforce.counters().users[&account(number)].deactivations, 1, "{number}");
    }
}

/// F73 seen from the other side: the member that held the task never comes back.
#[tokio::test]
async fn f73_a_dead_members_task_is_given_to_another_when_its_lease_has_run_out() {
    let (lab, options) = short_leases().await;
    let mut first = lab.member_with("first", options.clone()).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", &account(1)).await;
    wait_for("the first member to begin", async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!("started") { Ok(()) } else { Err(task) }
    })
    .await;
    first.kill().await;
    lab.salesforce.clear_faults();
    let second = lab.member_with("second", options).await;
    let task: Value = lab.controller.finished(task).await;
    assert_eq!(task["member"], json!(second.member()), "{task}");
    assert!(matches!(task["outcome"].as_str(), Some("succeeded" | "already_satisfied")), "{task}");
    assert_eq!(lab.salesforce.counters().users[&account(1)].flips, 1);
}

/// A lab whose leases do not last long, and how its agents are configured.
async fn short_leases() -> (Lab, AgentOptions) {
    let controller = ControllerOptions {
        lease_ttl: Duration::from_secs(9),
        settle: Duration::from_secs(2),
        heartbeat: Duration::from_secs(1),
        ..ControllerOptions::default()
    };
    let lab = Lab::start_with(programs(), LabOptions { users: 20, controller }).await;
    (lab, AgentOptions { request_timeout_secs: 5, ..AgentOptions::default() })
}

async fn in_state(lab: &Lab, task: TaskId, state: &str) {
    wait_for(&format!("the task to be {state}"), async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!(state) { Ok(()) } else { Err(task) }
    })
    .await;
}

/// Waits until an agent is connected and has nothing to do.
async fn idle(agent: &Agent) {
    agent.link("connected").await;
    wait_for("the agent to have nothing to do", async || {
        let ledger = agent.status().await["agent"]["ledger"].clone();
        let counts = ["journaled", "started", "reports_owed"].map(|it| ledger[it].as_u64());
        if counts == [Some(0); 3] { Ok(()) } else { Err(ledger) }
    })
    .await;
}

/// Calls that Salesforce has got and not answered as it should.
fn unanswered(lab: &Lab) -> u64 {
    let counters = lab.salesforce.counters();
    counters.http_calls - counters.routes.values().sum::<u64>()
}

/// Logins that Salesforce was asked to freeze, and did.
fn freezes(lab: &Lab) -> u64 {
    lab.salesforce.counters().routes.get("PATCH sobjects/UserLogin").copied().unwrap_or(0)
}

/// Invariant 6. The first member's call comes to nothing while it is frozen. Awake again it finds the user active, as
/// somebody wanted meanwhile, and would disable it once more if `Lease::covers` said that it may.
#[tokio::test]
async fn f13_a_member_frozen_in_the_middle_of_a_change_does_not_go_on_under_a_lease_that_ran_out() {
    let (lab, options) = short_leases().await;
    let first = lab.member_with("first", options.clone()).await;
    let before = unanswered(&lab);
    let change = |what| {
        let when = Matching { method: Some("PATCH".to_owned()), path: None };
        Fault { when, what, times: Some(1) }
    };
    let hold = change(Mishap::Hold);
    lab.salesforce.inject(hold.clone());
    lab.salesforce.inject(change(Mishap::Respond { status: 500, code: None, message: None }));
    let disable = lab.controller.submit("disable_user", &account(1)).await;
    in_state(&lab, disable, "started").await;
    wait_for("the call to reach Salesforce", async || {
        let unanswered = unanswered(&lab);
        if unanswered > before { Ok(()) } else { Err(unanswered) }
    })
    .await;
    first.signal(Signal::STOP);
    assert!(lab.salesforce.withdraw(&hold));

    let second = lab.member_with("second", options).await;
    assert_eq!(lab.controller.finished(disable).await["member"], json!(second.member()));
    let enable = lab.controller.submit("enable_user", &account(1)).await;
    assert_eq!(lab.controller.finished(enable).await["outcome"], json!("succeeded"));

    first.signal(Signal::CONT);
    lab.controller.cli(&["member", "disable", second.member()]).await;
    let next = lab.controller.submit("disable_user", &account(2)).await;
    assert_eq!(lab.controller.finished(next).await["member"], json!(first.member()));
    let effects = lab.salesforce.counters().users[&account(1)];
    assert_eq!((effects.deactivations, effects.activations), (1, 1), "{}", first.log());
    assert!(lab.salesforce.user(&account(1)).unwrap().active);
    assert_eq!(lab.controller.task(disable).await["member"], json!(second.member()));
}

/// It did the work in time, and could not say so before the task was given to another.
#[tokio::test]
async fn f73_a_member_that_comes_back_with_finished_work_after_its_lease_moved_changes_nothing() {
    let (lab, options) = short_leases().await;
    let line = Line::open(lab.controller.address()).await;
    let controller_section = format!("urls = [\"{}\"]", line.url());
    let first = lab.member_with("first", AgentOptions { controller_section, ..options.clone() }).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", &account(1)).await;
    in_state(&lab, task, "started").await;
    line.turn_away();
    line.breaks(Breakage::Reset);
    lab.salesforce.clear_faults();
    let second = lab.member_with("second", options).await;
    let ended = lab.controller.finished(task).await;
    assert_eq!(ended["member"], json!(second.member()), "{ended}");
    assert_eq!(ended["observations"], Value::Null, "{ended}");

    line.admit();
    idle(&first).await;
    let again = lab.controller.task(task).await;
    assert_eq!((&again["outcome"], &again["member"]), (&ended["outcome"], &ended["member"]), "{again}");
    assert!(again["observations"].is_array(), "what the first did is kept: {again}");
    assert_eq!(lab.salesforce.counters().users[&account(1)].deactivations, 1);
}

/// Of 200 tasks as many as there are slots run, and some are in the middle of their change, when the member is disabled.
/// They are finished; the others make no call. Leave `may_go_on` and `may_begin` out of `may_act`, and they do.
#[tokio::test]
async fn f72_no_change_begins_after_a_hard_disable_while_200_tasks_are_under_way() {
    const TASKS: usize = 200;
    const SLOTS: usize = 32;
    let lab = Lab::start_with(programs(), LabOptions { users: TASKS, ..LabOptions::default() }).await;
    let options = AgentOptions { concurrency: SLOTS, request_timeout_secs: 30, ..AgentOptions::default() };
    let agent = lab.member_with("agent", options).await;
    // The calls that are held last for seconds only: all tasks are there before the first is made.
    lab.controller.cli(&["member", "disable", agent.member()]).await;
    let accounts: Vec<_> = (1..=TASKS).map(account).collect();
    let mut tasks = Vec::new();
    // Fewer at once than the API takes of one caller.
    for some in accounts.chunks(50) {
        tasks.extend(join_all(some.iter().map(|it| lab.controller.submit("freeze_user", it))).await);
    }
    lab.hold_changes();
    let before = unanswered(&lab);
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    let ledger = async || agent.status().await["agent"]["ledger"].clone();
    wait_for("changes to begin", async || {
        let ledger = ledger().await;
        if ledger["started"].as_u64() >= Some(5) { Ok(()) } else { Err(ledger) }
    })
    .await;
    lab.controller.cli(&["member", "disable", "--hard", agent.member()]).await;
    let disabled = wait_for("the member to know", async || {
        let ledger = ledger().await;
        if ledger["member_state"] == json!("disabled") { Ok(ledger) } else { Err(ledger) }
    })
    .await;
    let done = async || {
        let mut done = 0;
        for task in &tasks {
            done += u64::from(lab.controller.task(*task).await["changed"] == json!("yes"));
        }
        done
    };
    // Whatever had begun by then is still held.
    let begun = disabled["started"].as_u64().unwrap() + disabled["reports_owed"].as_u64().unwrap();
    assert_eq!(freezes(&lab), 0);
    lab.salesforce.clear_faults();
    // One whose intent was on its way to the disk stands still without having changed anything.
    wait_for("what was on the wire to be reported", async || {
        let held = ledger().await["journaled"].as_u64();
        let seen = (held, unanswered(&lab) - before, done().await, freezes(&lab));
        if seen.0 == Some(0) && seen.1 == 0 && seen.2 == seen.3 { Ok(()) } else { Err(seen) }
    })
    .await;
    assert!(freezes(&lab) <= begun, "{} freezes, of which {begun} had begun: {disabled}", freezes(&lab));
    assert!(freezes(&lab) <= u64::try_from(SLOTS).unwrap(), "the others had not begun");

    lab.controller.cli(&["member", "enable", agent.member()]).await;
    for task in &tasks {
        lab.controller.finished(*task).await;
    }
    assert_eq!(done().await, freezes(&lab));
    assert!((1..=TASKS).all(|number| lab.salesforce.user(&account(number)).unwrap().frozen));
    assert!(lab.salesforce.counters().users.values().all(|effects| effects.freezes <= 1), "each once");
}

/// The only member gives its work back when it is drained, and gets it again when it is enabled.
#[tokio::test]
async fn work_given_back_is_offered_again_once_the_member_may_work() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member_with("agent", AgentOptions { concurrency: 1, ..AgentOptions::default() }).await;
    lab.hold_changes();
    let tasks = [
        lab.controller.submit("disable_user", &account(1)).await,
        lab.controller.submit("disable_user", &account(2)).await,
    ];
    wait_for("the first task to begin", async || {
        for task in tasks {
            if lab.controller.task(task).await["state"] == json!("started") {
                return Ok(());
            }
        }
        Err("none has begun")
    })
    .await;
    lab.controller.cli(&["member", "drain", agent.member()]).await;
    wait_for("one task to be given back", async || {
        let states = [lab.controller.task(tasks[0]).await, lab.controller.task(tasks[1]).await];
        if states.iter().any(|task| task["state"] == json!("queued")) { Ok(()) } else { Err(states) }
    })
    .await;
    lab.salesforce.clear_faults();
    lab.controller.cli(&["member", "enable", agent.member()]).await;
    for task in tasks {
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
}
