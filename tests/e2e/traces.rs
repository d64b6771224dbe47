//! What is told of tasks as traces: one trace through both programs, whatever happens to them, and nothing that is nobody's
//! business.

use postern_fail_point::Point;
use postern_protocol::trace::{ATTEMPT, LEASE, SpanId, TASK};
use postern_protocol::{Epoch, TaskId};
use postern_tests::lab::{AgentOptions, Collector, ControllerOptions, LabOptions, SYSTEM, SignIn, new_task_id};
use postern_tests::leak::{Search, Wanted};
use postern_tests::{Agent, Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};

use crate::{JOE, programs, reset_password};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SUBMITTER: &str = "00f067aa0ba902b7";

struct Scene {
    lab: Lab,
    agent: Agent,
    collector: Collector,
}

impl Scene {
    /// Both programs tell of tasks.
    async fn set(sign_in: SignIn) -> Self {
        let collector = Collector::start().await;
        let serve = vec!["--otlp", collector.url().to_owned().leak()];
        let controller = ControllerOptions { serve, ..ControllerOptions::default() };
        let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
        let agent_section = format!("[telemetry]\notlp = \"{}\"", collector.url());
        let agent = lab.member_with("agent", AgentOptions { sign_in, agent_section, ..AgentOptions::default() }).await;
        Self { lab, agent, collector }
    }

    /// The spans of a trace, once these are among them.
    async fn spans(&self, trace: &str, wanted: &[(&str, &str)]) -> Vec<Value> {
        wait_for("the spans to be told", async || {
            let mut spans = self.collector.spans();
            spans.retain(|span| span["traceId"] == trace);
            let is_told = |(service, name): &(&str, &str)| {
                spans.iter().any(|span| span["service"] == *service && span["name"] == *name)
            };
            if wanted.iter().all(is_told) { Ok(spans) } else { Err(spans) }
        })
        .await
    }
}

const CONTROLLER: &str = "postern-controller";
const AGENT: &str = "postern";

/// The one span of a program by this name.
fn one<'a>(spans: &'a [Value], service: &str, name: &str) -> &'a Value {
    let named: Vec<_> = spans.iter().filter(|it| it["service"] == service && it["name"] == name).collect();
    assert_eq!(named.len(), 1, "{service} {name}: {spans:#?}");
    named[0]
}

fn id_of(task: TaskId, epoch: u64, what: &str) -> String {
    SpanId::of(task, Epoch(epoch), what).to_string()
}

/// The submitter's trace goes on in both programs, and each span is part of what it belongs to.
#[tokio::test]
async fn a_task_is_one_trace_from_whoever_submits_it_through_both_programs_to_salesforce_and_back() {
    let scene = Scene::set(SignIn::ClientCredentials).await;
    let (task, api) = (new_task_id(), scene.lab.controller.api());
    let body = json!({ "id": task, "system": SYSTEM, "kind": "disable_user", "params": { "account": JOE } });
    let (status, answer) = api.submit_in(&format!("00-{TRACE}-{SUBMITTER}-01"), &body).await;
    assert_eq!(status, 202, "{answer}");
    scene.lab.controller.finished(task).await;

    let wanted = [
        (CONTROLLER, "task disable_user"),
        (CONTROLLER, "lease"),
        (CONTROLLER, "report"),
        (AGENT, "attempt disable_user"),
        (AGENT, "report"),
    ];
    let spans = scene.spans(TRACE, &wanted).await;
    let whole = one(&spans, CONTROLLER, "task disable_user");
    assert_eq!((&whole["parentSpanId"], &whole["spanId"]), (&json!(SUBMITTER), &json!(id_of(task, 0, TASK))));
    for part in ["submit", "queue", "lease"] {
        assert_eq!(one(&spans, CONTROLLER, part)["parentSpanId"], whole["spanId"], "{part}");
    }
    let lease = one(&spans, CONTROLLER, "lease");
    let happened: Vec<_> = lease["events"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(happened.ends_with(&["started"]), "{lease}");
    let attempt = one(&spans, AGENT, "attempt disable_user");
    assert_eq!((&attempt["parentSpanId"], &attempt["links"]), (&lease["spanId"], &Value::Null));
    for call in ["POST sign-in", "PATCH sobjects/User/{}"] {
        let call = one(&spans, AGENT, call);
        assert_eq!((&call["parentSpanId"], &call["kind"]), (&attempt["spanId"], &json!(3)), "{call}");
    }
    assert!(spans.iter().any(|it| it["name"] == "GET query" && it["parentSpanId"] == attempt["spanId"]));
    for service in [AGENT, CONTROLLER] {
        assert_eq!(one(&spans, service, "report")["parentSpanId"], attempt["spanId"], "{service}");
    }

    // The same task in another trace is the same task.
    let again = api.submit_in(&format!("00-{}-{SUBMITTER}-01", "a".repeat(32)), &body).await;
    assert_eq!(again.0, 200, "{}", again.1);
}

/// What died has told little or nothing; whoever goes on says from what.
#[tokio::test]
async fn an_attempt_after_a_kill_is_part_of_the_same_lease_and_linked_to_the_one_before() {
    let mut scene = Scene::set(SignIn::ClientCredentials).await;
    scene.agent.fail_points().arm(Point::CallMade);
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.agent.dies().await;
    scene.agent.spawn();
    scene.lab.controller.finished(task).await;

    // Without a trace of the submitter's, the task's id is that of the trace.
    let trace = task.as_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let spans = scene.spans(&trace, &[(CONTROLLER, "task disable_user"), (AGENT, "report")]).await;
    let whole = one(&spans, CONTROLLER, "task disable_user");
    assert_eq!(whole["parentSpanId"], Value::Null, "nothing is above it");
    let attempt = one(&spans, AGENT, "attempt disable_user");
    assert_eq!(attempt["parentSpanId"], json!(id_of(task, 1, LEASE)));
    assert_eq!(attempt["links"], json!([{ "traceId": trace, "spanId": id_of(task, 1, ATTEMPT) }]));
    assert_eq!(one(&spans, CONTROLLER, "lease")["spanId"], attempt["parentSpanId"]);
}

#[tokio::test]
async fn no_secret_and_no_account_is_told_to_a_collector() {
    const GIVEN: &str = r#"Gi<ven>&"P4ss"\wörd %+"#;
    let scene = Scene::set(SignIn::Soap).await;
    let mut wanted = vec![
        Wanted::new("the given password", GIVEN.as_bytes()),
        Wanted::new("the account", JOE.as_bytes()),
        Wanted::new("the service account's password", salesforce_sim::ADMIN_PASSWORD.as_bytes()),
        Wanted::new("the service account's security token", salesforce_sim::ADMIN_TOKEN.as_bytes()),
    ];
    for (folder, name) in
        [(scene.agent.folder().join("state"), "store.key"), (scene.lab.controller.data().into(), "api.token")]
    {
        let secret = std::fs::read(folder.join(name)).unwrap();
        wanted.push(Wanted::new(name, secret.trim_ascii_end()));
    }
    let file = scene.lab.folder().join("given");
    std::fs::write(&file, GIVEN).unwrap();
    let when = Matching { method: Some("POST".to_owned()), path: Some("/password".to_owned()) };
    let (code, message) = (Some("INVALID_NEW_PASSWORD".to_owned()), Some(format!("{GIVEN} is no good for {JOE}")));
    scene.lab.salesforce.inject(Fault { when, what: Mishap::Respond { status: 400, code, message }, times: Some(1) });
    let submit = reset_password(JOE, &["--password-file", file.to_str().unwrap()]);
    for ended in [Some(1), Some(0)] {
        let (code, out, err) = scene.lab.controller.try_cli(&submit).await;
        assert_eq!(code.is_some_and(|it| it > 0), ended == Some(1), "{out}{err}");
    }
    wait_for("both attempts to be told", async || {
        let spans = scene.collector.spans();
        let attempts: Vec<_> = spans.iter().filter(|it| it["name"] == "attempt reset_password").collect();
        let failed = attempts.iter().any(|it| it["status"]["message"] == "INVALID_NEW_PASSWORD");
        if attempts.len() == 2 && failed { Ok(()) } else { Err(spans) }
    })
    .await;

    let mut search = Search::new(wanted);
    for body in scene.collector.bodies() {
        search.look("what the collector was told", &body);
    }
    assert!(search.found.is_empty(), "{:#?}", search.found);
}

/// A submitter's trace travels all the same, and there is nobody who would tell of it.
#[tokio::test]
async fn without_a_collector_a_task_in_a_trace_is_a_task_as_any() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    for header in [format!("00-{TRACE}-{SUBMITTER}-01"), "nonsense".to_owned()] {
        let task = new_task_id();
        let body = json!({ "id": task, "system": SYSTEM, "kind": "validate_user", "params": { "account": JOE } });
        let (status, answer) = lab.controller.api().submit_in(&header, &body).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
    for log in [agent.log(), lab.controller.log()] {
        assert!(!log.contains("collector"), "{log}");
    }
}
