//! Lines that break: what is owed is delivered once all the same.

use std::time::Duration;

use postern_tests::cuts::{self, Plan};
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions};
use postern_tests::proxy::{Breakage, Line, Way};
use postern_tests::{Agent, Lab, wait_for};
use serde_json::{Value, json};

use crate::{JOE, programs};

/// A lab whose member dials its controller by way of a line.
struct Scene {
    lab: Lab,
    line: Line,
    agent: Agent,
}

impl Scene {
    async fn set(controller: ControllerOptions) -> Self {
        let lab = Lab::start_with(programs(), LabOptions { users: 20, controller }).await;
        let line = Line::open(lab.controller.address()).await;
        let options =
            AgentOptions { controller_section: format!("urls = [\"{}\"]", line.url()), ..AgentOptions::default() };
        let agent = lab.member_with("agent", options).await;
        Self { lab, line, agent }
    }

    /// The task's outcome, once; the state of the account changed once for each of `flips`.
    async fn done_once(&self, task: postern_protocol::TaskId, flips: u64) -> Value {
        let task = self.lab.controller.finished(task).await;
        assert_eq!((&task["outcome"], &task["changed"]), (&json!("succeeded"), &json!("yes")), "{task}");
        assert_eq!(task["observations"], Value::Null, "reported once: {task}");
        let effects = self.lab.salesforce.counters().users[JOE];
        assert_eq!((effects.flips, effects.activations + effects.deactivations), (flips, flips), "{task}");
        task
    }

    async fn in_state(&self, task: postern_protocol::TaskId, state: &str) {
        wait_for(&format!("the task to be {state}"), async || {
            let task = self.lab.controller.task(task).await;
            if task["state"] == json!(state) { Ok(()) } else { Err(task) }
        })
        .await;
    }
}

/// Three seconds of silence are enough.
fn quick() -> ControllerOptions {
    ControllerOptions { heartbeat: Duration::from_secs(1), ..ControllerOptions::default() }
}

/// Without the heartbeat in the member's session the link stays "connected" for ever and this fails.
#[tokio::test]
async fn f27_a_peer_that_is_gone_without_a_word_is_noticed_and_the_agent_connects_again() {
    let scene = Scene::set(quick()).await;
    let before = scene.line.connections();
    scene.line.breaks(Breakage::SwallowAll);
    scene.line.turn_away();
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.agent.link("waiting").await;
    assert!(scene.agent.log().contains("no sign of life"), "{}", scene.agent.log());
    assert_eq!(scene.line.connections(), before);

    scene.line.admit();
    scene.done_once(task, 1).await;
    scene.agent.owes(0).await;
}

#[tokio::test]
async fn f31_a_line_that_carries_one_way_only_is_given_up_whichever_way_it_is() {
    let silence = async |way| {
        let scene = Scene::set(quick()).await;
        let before = scene.line.connections();
        scene.line.breaks(Breakage::Swallow(way));
        let task = scene.lab.controller.submit("disable_user", JOE).await;
        scene.done_once(task, 1).await;
        assert!(scene.line.connections() > before, "{way:?}");
        scene.agent.owes(0).await;
    };
    tokio::join!(silence(Way::Up), silence(Way::Down));
}

#[tokio::test]
async fn f30_a_report_of_work_that_went_on_without_a_line_is_delivered_once() {
    let scene = Scene::set(ControllerOptions::default()).await;
    scene.lab.hold_changes();
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.in_state(task, "started").await;
    scene.line.turn_away();
    scene.line.breaks(Breakage::Reset);
    scene.lab.salesforce.clear_faults();
    scene.agent.owes(1).await;
    assert!(!scene.lab.salesforce.user(JOE).unwrap().active, "the work itself went on");

    scene.line.admit();
    scene.done_once(task, 1).await;
    scene.agent.owes(0).await;
}

/// The controller has the report, and the agent does not know.
#[tokio::test]
async fn f30_a_report_whose_acknowledgement_was_lost_is_stored_once() {
    let scene = Scene::set(ControllerOptions::default()).await;
    scene.lab.hold_changes();
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.in_state(task, "started").await;
    scene.line.breaks(Breakage::Swallow(Way::Down));
    scene.lab.salesforce.clear_faults();
    scene.done_once(task, 1).await;
    scene.agent.owes(1).await;

    scene.line.breaks(Breakage::Reset);
    scene.agent.owes(0).await;
    scene.done_once(task, 1).await;
}

#[tokio::test]
async fn an_agent_survives_every_way_a_connection_can_end() {
    let mut scene = Scene::set(ControllerOptions::default()).await;
    let ways = [Breakage::Close, Breakage::Reset, Breakage::HalfClose(Way::Up), Breakage::HalfClose(Way::Down)];
    for (flips, breakage) in (1..).zip(ways) {
        let before = scene.line.connections();
        scene.line.breaks(breakage);
        let kind = if flips % 2 == 1 { "disable_user" } else { "enable_user" };
        let task = scene.lab.controller.submit(kind, JOE).await;
        scene.done_once(task, flips).await;
        assert!(scene.line.connections() > before, "{breakage:?}");
        // A fresh process waits a second at most before it dials again, however often the one before had to.
        scene.agent.kill().await;
        scene.agent.start().await;
    }
}

#[tokio::test]
async fn f28_a_slow_line_costs_time_and_nothing_else() {
    let scene = Scene::set(ControllerOptions::default()).await;
    let before = scene.line.connections();
    scene.line.delay(Duration::from_millis(100));
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.done_once(task, 1).await;
    scene.agent.owes(0).await;
    assert_eq!(scene.line.connections(), before, "one session all along");
}

/// A proxy that is less patient than the heartbeat is slow ends the session while there is nothing to say.
#[tokio::test]
async fn f36_a_proxy_that_ends_idle_connections_costs_a_session_and_no_work() {
    let mut scene = Scene::set(ControllerOptions::default()).await;
    scene.agent.kill().await;
    scene.line.ends_idle(Some(Duration::from_millis(700)));
    scene.agent.spawn();
    wait_for("the proxy to lose its patience", async || {
        let cuts = scene.line.cuts();
        if cuts > 0 { Ok(()) } else { Err(cuts) }
    })
    .await;
    scene.line.ends_idle(None);
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.done_once(task, 1).await;
    scene.agent.owes(0).await;
}

/// Beats come every three seconds here, and by default every ten: less than any proxy is known to wait for. Either side waits
/// for three of them, so that a program that gets no time for a while is not one that is gone.
#[tokio::test]
async fn f36_the_heartbeat_keeps_an_idle_session_from_looking_idle() {
    let controller = ControllerOptions { heartbeat: Duration::from_secs(3), ..ControllerOptions::default() };
    let mut scene = Scene::set(controller).await;
    scene.agent.kill().await;
    scene.line.ends_idle(Some(Duration::from_secs(10)));
    scene.agent.start().await;
    let connections = scene.line.connections();
    let mut carried = scene.line.carried(Way::Up);
    for beat in 1..=5 {
        wait_for(&format!("beat {beat}"), async || {
            let now = scene.line.carried(Way::Up);
            if now > carried { Ok(now) } else { Err(now) }
        })
        .await;
        carried = scene.line.carried(Way::Up);
    }
    assert_eq!((scene.line.cuts(), scene.line.connections()), (0, connections));
}

/// Some of the bytes at which the program `cuts` cuts at length.
#[tokio::test]
async fn f32_a_session_cut_at_any_byte_is_begun_again_and_the_task_is_done_once() {
    let tally = cuts::run(programs(), Plan { step: 157, labs: 3 }, |_| ()).await;
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.cuts > 20, "the cuts met sessions: {tally:?}");
}

#[tokio::test]
async fn f37_a_controller_that_is_dead_does_not_keep_the_agent_from_the_next_one() {
    let lab = Lab::start(programs()).await;
    let alive = lab.controller.address();
    // The same port of another loopback address: nobody listens there.
    let dead = format!("wss://127.0.0.2:{}", alive.port());
    let options = AgentOptions {
        controller_section: format!("urls = [\"{dead}\", \"{}\"]", lab.controller.url()),
        ..AgentOptions::default()
    };
    let mut agent = lab.member_with("agent", options).await;
    let link = agent.link("connected").await;
    assert!(link["url"].as_str().unwrap().contains(&alive.to_string()), "{link}");
    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));

    // Enrollment goes through the list as well, and what worked is remembered.
    assert_eq!(agent.terminate().await, Some(0));
    let newcomer = lab.agent("newcomer");
    newcomer.write_secret("token", &lab.controller.token().await);
    let token = newcomer.folder().join("token");
    let enroll = ["enroll", "--controller", &dead, "--controller", lab.controller.url(), "--token-file"];
    let enrolled = newcomer.run(&[&enroll[..], &[token.to_str().unwrap()]].concat()).await;
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
}
