//! Certificates that last for seconds: a week goes by in half a minute, with work all along.

use std::path::Path;
use std::time::Duration;

use postern_controller_stub::clock;
use postern_fail_point::Point;
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions};
use postern_tests::proxy::{Breakage, Line};
use postern_tests::{Agent, Lab, wait_for};
use serde_json::{Value, json};

use crate::{JOE, programs};

/// What the controller logs of each renewal.
const RENEWED: &str = "a member's certificate was renewed";

/// What an agent logs that had no certificate of use, and got another.
const RECOVERED: &str = "by proof of its key";

pub(crate) async fn lab(serve: &[&'static str]) -> Lab {
    let controller = ControllerOptions { serve: serve.to_vec(), ..ControllerOptions::default() };
    Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await
}

pub(crate) fn renewals(lab: &Lab) -> usize {
    lab.controller.log().matches(RENEWED).count()
}

pub(crate) async fn renewed(lab: &Lab, more_than: usize) {
    wait_for("another renewal", async || {
        let renewals = renewals(lab);
        if renewals > more_than { Ok(()) } else { Err(renewals) }
    })
    .await;
}

/// A task that changes something each time.
async fn work(lab: &Lab, number: u64) {
    let kind = if number.is_multiple_of(2) { "disable_user" } else { "enable_user" };
    let task = lab.controller.submit(kind, JOE).await;
    let task = lab.controller.finished(task).await;
    assert_eq!((&task["outcome"], &task["changed"]), (&json!("succeeded"), &json!("yes")), "{task}");
    assert_eq!(task["observations"], Value::Null, "reported once: {task}");
}

async fn started(lab: &Lab, task: postern_protocol::TaskId) {
    wait_for("the task to begin", async || {
        let task = lab.controller.task(task).await;
        if task["state"] == json!("started") { Ok(()) } else { Err(task) }
    })
    .await;
}

/// A week has two renewals at most; these are fourteen, one agent's process, and tasks all along.
#[tokio::test]
async fn f46_fourteen_renewals_with_work_all_along_lose_no_task() {
    let lab = lab(&["--certificate-secs", "4"]).await;
    let agent = lab.member("agent").await;
    let pid = agent.pid();
    let mut tasks = 0;
    while renewals(&lab) < 14 {
        work(&lab, tasks).await;
        tasks += 1;
        assert!(tasks < 10_000, "no renewal in sight");
    }
    let effects = lab.salesforce.counters().users[JOE];
    assert_eq!(effects.activations + effects.deactivations, tasks, "each once");
    assert_eq!(agent.pid(), pid);
    agent.owes(0).await;
    let member = lab.controller.member(agent.member()).await;
    assert_eq!((&member["state"], &member["alarm"]), (&json!("enabled"), &Value::Null), "{member}");
}

/// Each file as the step before left it. Show the present certificate first in `choose`, or have `promote` write key and
/// certificate one after the other, and the agent is locked out at one of them. When a renewal begins, half of the
/// certificate's time is left for whoever died to come back.
#[tokio::test]
async fn f46_an_agent_or_a_controller_that_dies_at_any_step_of_a_renewal_goes_on_with_it() {
    let mut lab = lab(&["--certificate-secs", "20"]).await;
    let mut agent = lab.member("agent").await;
    for (number, point) in (0..).zip(Point::RENEWAL) {
        agent.fail_points().arm(point);
        agent.dies().await;
        assert!(agent.fail_points().was_hit(point), "{}", agent.log());
        let before = renewals(&lab);
        let (ends, said) = (ends(&lab, &agent).await, agent.log().len());
        agent.start().await;
        let log = agent.log();
        // Its time may be over on a slow machine; that is what it finds first then.
        if let Some((first, _)) = log[said..].split_once(RECOVERED) {
            let is_over = clock::wall().0 >= ends && !first.contains("no session with the controller");
            assert!(is_over, "it was locked out: {log}");
        }
        work(&lab, number).await;
        renewed(&lab, before).await;
    }
    let before = renewals(&lab);
    lab.controller.fail_points().arm(Point::CertificateDurable);
    lab.controller.dies().await;
    let said = agent.log().len();
    lab.controller.restart().await;
    let ends = ends(&lab, &agent).await;
    agent.link("connected").await;
    let is_in_time = clock::wall().0 < ends;
    renewed(&lab, before).await;
    work(&lab, 4).await;
    let log = agent.log();
    assert!(!is_in_time || !log[said..].contains(RECOVERED), "it was not renewed: {log}");
    assert!(!log.contains("wrong_certificate"), "it was locked out: {log}");
}

#[tokio::test]
async fn f47_a_certificate_that_cannot_be_stored_leaves_the_agent_with_the_one_it_has() {
    let lab = lab(&["--certificate-secs", "30"]).await;
    let agent = lab.member("agent").await;
    let obstacle = agent.folder().join("state/identity/next.pem.new");
    std::fs::create_dir(&obstacle).unwrap();
    let before = renewals(&lab);
    wait_for("the agent to say that it cannot store it", async || {
        let certificate = agent.status().await["agent"]["certificate"].clone();
        let trouble = certificate["trouble"].as_str().unwrap_or_default();
        if trouble.contains("next.pem") { Ok(()) } else { Err(certificate) }
    })
    .await;
    work(&lab, 0).await;
    let words = agent.run(&["status"]).await.out;
    assert!(words.contains("not renewed") && words.contains("tried again at"), "{words}");
    assert_eq!(renewals(&lab), before);
    std::fs::remove_dir(&obstacle).unwrap();
    renewed(&lab, before).await;
    work(&lab, 1).await;
}

/// Its line is dead until the certificate has run out; the call that was being made is finished and reported, once, under
/// the lease it was made under, by the same member.
#[tokio::test]
async fn f45_an_agent_whose_certificate_runs_out_in_the_middle_of_a_task_reports_it_under_the_next() {
    let lab = lab(&["--certificate-secs", "4"]).await;
    let line = Line::open(lab.controller.address()).await;
    let controller_section = format!("urls = [\"{}\"]", line.url());
    let agent = lab.member_with("agent", AgentOptions { controller_section, ..AgentOptions::default() }).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", JOE).await;
    started(&lab, task).await;
    line.turn_away();
    line.breaks(Breakage::Reset);
    lab.salesforce.clear_faults();
    run_out(&lab, &agent, Duration::from_secs(4)).await;
    agent.owes(1).await;
    line.admit();
    let task = lab.controller.finished(task).await;
    assert_eq!((&task["outcome"], &task["member"]), (&json!("succeeded"), &json!(agent.member())), "{task}");
    assert_eq!((&task["epoch"], &task["observations"]), (&json!(1), &Value::Null), "{task}");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1);
    assert!(agent.log().contains(RECOVERED), "{}", agent.log());
}

/// The controller knows the next certificate as the present one, the agent does not know that it does, and both have run out.
/// Leave the proof by the next one out of `recover`, and the agent is locked out.
#[tokio::test]
async fn f46_an_agent_that_died_in_a_renewal_and_was_off_until_both_certificates_ran_out_is_the_same_member_again() {
    let lab = lab(&["--certificate-secs", "4"]).await;
    let mut agent = lab.member("agent").await;
    agent.fail_points().arm(Point::NextWelcomed);
    agent.dies().await;
    run_out(&lab, &agent, Duration::from_secs(4)).await;
    agent.spawn();
    agent.link("connected").await;
    work(&lab, 0).await;
    assert!(agent.log().contains(RECOVERED), "{}", agent.log());
}

/// When the member's present certificate runs out, in milliseconds since 1970.
async fn ends(lab: &Lab, agent: &Agent) -> u64 {
    lab.controller.member(agent.member()).await["certificate_expires"].as_u64().unwrap()
}

/// Waits until the present certificate of a member that is away has run out, and the next one, of which it may have been issued
/// one that lives so long.
pub(crate) async fn run_out(lab: &Lab, agent: &Agent, life: Duration) {
    let both = ends(lab, agent).await + u64::try_from(life.as_millis()).unwrap() + 1_000;
    wait_for("the certificate and the next one to run out", async || {
        let left = both.saturating_sub(clock::wall().0);
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Nobody has to do anything as long as the controller allows it; if it does not, the administrator reads what to do.
#[tokio::test]
async fn an_agent_whose_certificate_ran_out_while_it_was_stopped_is_the_same_member_again_or_says_what_to_do() {
    let mut lab = lab(&["--certificate-secs", "2"]).await;
    let mut agent = lab.member("agent").await;
    assert_eq!(agent.terminate().await, Some(0));
    run_out(&lab, &agent, Duration::from_secs(2)).await;
    lab.controller.kill().await;
    lab.controller.restart_with(&["--recovery-days", "0"]).await;
    agent.spawn();
    let error = agent.link_fails("too_late").await;
    assert!(error.contains("enroll the agent again"), "{error}");

    lab.controller.kill().await;
    lab.controller.restart_with(&[]).await;
    agent.link("connected").await;
    work(&lab, 0).await;
    let members = lab.controller.cli(&["member", "list"]).await;
    assert_eq!(members.as_array().map(Vec::len), Some(1), "{members}");
}

/// Copies what is in one folder into another.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
            std::fs::set_permissions(&target, entry.metadata().unwrap().permissions()).unwrap();
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
}

/// The member is disabled with an alarm, and stays so until an operator decides.
async fn disabled(lab: &Lab, agent: &Agent, words: &str) {
    wait_for("the member to be disabled", async || {
        let member = lab.controller.member(agent.member()).await;
        let alarm = member["alarm"].as_str().unwrap_or_default();
        if member["state"] == json!("disabled") && alarm.contains(words) { Ok(()) } else { Err(member) }
    })
    .await;
}

/// Leave the comparison of incarnations out of `rolled_back`, and both take turns for ever.
#[tokio::test]
async fn f44_an_agent_with_the_identity_of_one_that_is_connected_is_refused_and_the_member_disabled() {
    let lab = Lab::start(programs()).await;
    let first = lab.member("first").await;
    let mut second = lab.agent("second");
    copy(&first.folder().join("state/identity"), &second.folder().join("state/identity"));
    std::fs::set_permissions(
        second.folder().join("state"),
        std::fs::metadata(first.folder().join("state")).unwrap().permissions(),
    )
    .unwrap();
    second.spawn();
    second.link_fails("two agents use this member's identity").await;
    disabled(&lab, &first, "two agents use this member's identity").await;
    first.link("connected").await;

    assert_eq!(second.terminate().await, Some(0));
    lab.controller.cli(&["member", "enable", first.member()]).await;
    work(&lab, 0).await;
}

/// The copy has the store as well, so it takes the first one's place; when that comes back the two are told apart.
#[tokio::test]
async fn f44_a_copy_of_an_agent_with_its_store_is_noticed_as_soon_as_both_have_connected() {
    let lab = Lab::start(programs()).await;
    let mut first = lab.member("first").await;
    work(&lab, 0).await;
    assert_eq!(first.terminate().await, Some(0));
    let mut second = lab.agent("second");
    copy(&first.folder().join("state"), &second.folder().join("state"));
    first.start().await;
    second.spawn();
    disabled(&lab, &first, "the agent's store is older than its last session").await;
    let task = lab.controller.submit("enable_user", JOE).await;
    let held = lab.controller.task(task).await;
    assert_eq!(held["state"], json!("queued"), "nobody gets work: {held}");
}

/// The call that is being made ends as it ends and its report is kept; the task goes to another member, which looks first.
#[tokio::test]
async fn f48_a_member_that_is_revoked_in_the_middle_of_a_task_finishes_the_call_and_keeps_its_report() {
    let (lease_ttl, settle) = (Duration::from_secs(12), Duration::from_secs(2));
    let controller = ControllerOptions { lease_ttl, settle, ..ControllerOptions::default() };
    let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
    let options = AgentOptions { request_timeout_secs: 7, ..AgentOptions::default() };
    let mut first = lab.member_with("first", options.clone()).await;
    lab.hold_changes();
    let task = lab.controller.submit("disable_user", JOE).await;
    started(&lab, task).await;
    lab.controller.cli(&["member", "revoke", first.member()]).await;
    // The call and its lease last for seconds: nothing that takes its time comes before it is let go.
    wait_for("the agent to hear of it", async || {
        let log = first.log();
        let heard = log.lines().any(|line| line.contains("no session with the controller") && line.contains("revoked"));
        if heard { Ok(()) } else { Err(log) }
    })
    .await;
    lab.salesforce.clear_faults();
    first.link_fails("revoked").await;
    first.owes(1).await;
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1, "the call was finished");
    assert!(lab.controller.task(task).await["outcome"].is_null(), "a member that is out is not heard");

    let second = lab.member_with("second", options).await;
    let ended = lab.controller.finished(task).await;
    assert_eq!((&ended["outcome"], &ended["member"]), (&json!("succeeded"), &json!(second.member())), "{ended}");
    assert_eq!(ended["certainty"], json!("probable"), "it looked, and found the change: {ended}");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1, "once");
    first.kill().await;
    first.spawn();
    first.link_fails("revoked").await;
    first.owes(1).await;
}
