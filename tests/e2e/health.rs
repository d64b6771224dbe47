//! What probes, systemd and Prometheus are told by real programs, and what they are told of programs that cannot work.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use postern_fail_point::Point;
use postern_tests::disk::{Call, Faults, Library};
use postern_tests::lab::{AgentOptions, CLUSTER, ControllerOptions, LabOptions, SYSTEM, new_task_id};
use postern_tests::{Agent, Lab, wait_for};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{JOE, programs, reset_password};

/// An agent and a controller that can be asked how they are.
struct Scene {
    lab: Lab,
    agent: Agent,
}

fn with_endpoint(agent_section: &str) -> AgentOptions {
    let agent_section = format!("{agent_section}\n[health]\nlisten = \"127.0.0.1:0\"\n");
    AgentOptions { agent_section, ..AgentOptions::default() }
}

impl Scene {
    async fn set() -> Self {
        let controller =
            ControllerOptions { serve: vec!["--health-listen", "127.0.0.1:0"], ..ControllerOptions::default() };
        let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
        let agent = lab.agent_with("agent", with_endpoint(""));
        Self { lab, agent }
    }

    fn of_agent(&self, path: &str) -> String {
        format!("http://{}{path}", told_address(&self.agent.log()))
    }

    fn of_controller(&self, path: &str) -> String {
        format!("http://{}{path}", told_address(&self.lab.controller.log()))
    }
}

/// The address that a program said it answers probes at, the newest.
pub fn told_address(log: &str) -> String {
    let line = log.lines().rfind(|line| line.contains("probes and Prometheus are answered")).expect("an endpoint");
    line.rsplit_once("address=").expect("its address").1.trim().to_owned()
}

pub async fn get(url: String) -> (StatusCode, String) {
    let answer = async {
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
            .get(url)
            .send()
            .await
            .expect("the endpoint answers");
        (answer.status(), answer.text().await.expect("it answers whole"))
    };
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("the endpoint answers in time")
}

/// Waits until a word is answered so, with these codes against it.
async fn answers(url: &str, codes: &[&str]) {
    wait_for(&format!("{url} to be answered with {codes:?}"), async || {
        let (status, text) = get(url.to_owned()).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let told: Vec<_> = answer["reasons"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
        let expected = if codes.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if status == expected && json!(told) == json!(codes) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn probes_are_told_whether_work_can_be_done_now() {
    let Scene { lab, mut agent } = Scene::set().await;
    assert_eq!(agent.run(&["health", "live"]).await.code, Some(1), "it does not run");
    agent.enroll(&lab.controller).await;
    agent.start().await;
    let scene = Scene { lab, agent };

    for word in ["/live", "/ready"] {
        answers(&scene.of_agent(word), &[]).await;
        answers(&scene.of_controller(word), &[]).await;
    }
    answers(&scene.of_agent("/useful"), &["not_enabled"]).await;
    answers(&scene.of_controller("/useful"), &["no_member"]).await;
    let asked = scene.agent.run(&["health", "useful"]).await;
    assert_eq!((asked.code, asked.out.starts_with("not useful\n  not_enabled: ")), (Some(1), true), "{asked:?}");

    scene.lab.controller.approve(scene.agent.member()).await;
    scene.lab.controller.associate(SYSTEM, CLUSTER).await;
    answers(&scene.of_agent("/useful"), &[]).await;
    answers(&scene.of_controller("/useful"), &[]).await;
    let asked = scene.agent.run(&["health", "useful", "--json"]).await;
    assert_eq!((asked.code, asked.json()), (Some(0), json!({ "word": "useful", "holds": true, "reasons": [] })));
    let status = scene.agent.status().await;
    assert_eq!(status["agent"]["health"], json!({ "live": [], "ready": [], "useful": [] }), "{status}");

    let Scene { mut lab, agent } = scene;
    let url = |path: &str| format!("http://{}{path}", told_address(&agent.log()));
    lab.controller.kill().await;
    answers(&url("/useful"), &["no_session"]).await;
    answers(&url("/ready"), &[]).await;
}

/// An account that is locked out, or about to be, is worth more than an agent that looks well.
#[tokio::test]
async fn an_agent_that_can_sign_in_nowhere_is_ready_and_not_useful() {
    let scene = Scene::set().await;
    let Scene { lab, mut agent } = scene;
    agent.write_secret("consumer-secret", "this-is-not-the-consumer-secret");
    agent.enroll(&lab.controller).await;
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    lab.controller.associate(SYSTEM, CLUSTER).await;
    for _ in 0..2 {
        let tested = new_task_id();
        lab.controller.try_submit(tested, "test_connection", json!({})).await.unwrap();
        assert_eq!(lab.controller.finished(tested).await["outcome"], json!("failed"));
    }
    let scene = Scene { lab, agent };
    answers(&scene.of_agent("/useful"), &["sign_in_blocked"]).await;
    answers(&scene.of_agent("/ready"), &[]).await;
    let page = Page::of(&get(scene.of_agent("/metrics")).await.1);
    assert_eq!(page.value("postern_salesforce_sign_in_blocked", &[("system", SYSTEM)]), Some(1.0));
    assert_eq!(page.count("postern_salesforce_sign_ins_total", &[("answer", "refused")]), 2);
    assert_eq!(page.count("postern_tasks_total", &[("outcome", "failed")]), 2, "whoever decided that they ended");
}

/// No member tells of it, so that nobody else does.
#[tokio::test]
async fn a_task_that_the_controller_ends_by_itself_is_in_its_log() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member_with("agent", AgentOptions::default()).await;
    lab.controller.cli(&["member", "drain", agent.member()]).await;
    let task = lab.controller.submit("disable_user", JOE).await;
    lab.controller.cli(&["task", "cancel", &task.to_string()]).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("cancelled"));
    let log = lab.controller.log();
    let line = log.lines().find(|line| line.contains("the controller ended a task by itself"));
    assert!(line.is_some_and(|it| it.contains(&task.to_string()) && it.contains("outcome=cancelled")), "{log}");
}

/// Who supervises a program.
struct Systemd {
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
}

/// How often it wants to hear of the agent.
const WATCHDOG: Duration = Duration::from_secs(4);

impl Systemd {
    fn at(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket: tokio::net::UnixDatagram::from_std(socket).unwrap(), path }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![("NOTIFY_SOCKET", self.path.clone().into()), ("WATCHDOG_USEC", WATCHDOG.as_micros().to_string().into())]
    }

    async fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Waits until it is told something that begins so.
    async fn hears(&self, words: &str) {
        let heard = async { while !self.hear().await.starts_with(words) {} };
        tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap_or_else(|_| panic!("`{words}` was not told"));
    }

    /// Leaves aside what it has been told so far.
    fn forgets(&self) {
        while self.socket.try_recv(&mut [0; 4096]).is_ok() {}
    }

    /// Waits until so long passed without a sign of life that systemd would start the program again.
    async fn loses_patience(&self) {
        let signs = async { while let Ok(()) = tokio::time::timeout(WATCHDOG, self.hears("WATCHDOG=1")).await {} };
        tokio::time::timeout(Duration::from_secs(60), signs).await.expect("the signs of life go on");
    }
}

async fn supervised(lab: &Lab, agent_section: &str) -> (Agent, Systemd) {
    let mut agent = lab.member_with("agent", with_endpoint(agent_section)).await;
    assert_eq!(agent.terminate().await, Some(0));
    let systemd = Systemd::at(lab.folder().join("notify"));
    agent.set_environment(systemd.environment());
    (agent, systemd)
}

#[tokio::test]
async fn systemd_is_told_that_the_agent_is_ready_alive_and_stopping() {
    let lab = Lab::start(programs()).await;
    let (mut agent, systemd) = supervised(&lab, "").await;
    agent.start().await;
    systemd.hears("READY=1").await;
    systemd.hears("STATUS=In a session with wss://").await;
    for _ in 0..3 {
        systemd.hears("WATCHDOG=1").await;
    }
    assert_eq!(agent.terminate().await, Some(0));
    systemd.hears("STOPPING=1").await;
}

/// Without signs of life that depend on it, such an agent holds its leases until somebody looks.
#[tokio::test]
async fn an_owner_that_hangs_takes_the_signs_of_life_along() {
    for (point, part) in [(Point::DispatcherTurns, "the dispatcher"), (Point::LinkTurns, "the link")] {
        let lab = Lab::start(programs()).await;
        let (mut agent, systemd) = supervised(&lab, "disk_timeout_secs = 5").await;
        agent.start().await;
        systemd.hears("WATCHDOG=1").await;
        agent.fail_points().arm(point);
        systemd.loses_patience().await;
        assert!(agent.is_running(), "only systemd ends it");
        wait_for(&format!("{part} to be said not to move"), async || {
            let (status, answer) = get(format!("http://{}/live", told_address(&agent.log()))).await;
            let told = answer.contains(&format!("{part} does not move"));
            if status == StatusCode::SERVICE_UNAVAILABLE && told { Ok(()) } else { Err(answer) }
        })
        .await;
        agent.kill().await;
    }
}

/// Not a part that waits for ever, but one that keeps its thread; in the last case all of them are kept, and whoever looks
/// has none either.
#[tokio::test]
async fn an_owner_that_blocks_its_thread_takes_the_signs_of_life_along() {
    for points in [&[Point::DispatcherTurns][..], &[Point::LinkTurns], &[Point::DispatcherTurns, Point::LinkTurns]] {
        let lab = Lab::start(programs()).await;
        let (mut agent, systemd) = supervised(&lab, "disk_timeout_secs = 5").await;
        agent.start().await;
        systemd.hears("WATCHDOG=1").await;
        for point in points {
            agent.fail_points().arm_to_block(*point);
        }
        systemd.loses_patience().await;
        assert!(agent.is_running(), "{points:?}: only systemd ends it");
        wait_for(&format!("an agent that is not live: {points:?}"), async || {
            let live = agent.run(&["health", "live"]).await;
            if live.code == Some(1) { Ok(()) } else { Err(live) }
        })
        .await;
        agent.kill().await;
    }
}

#[tokio::test]
async fn f11_a_disk_that_hangs_has_its_time_and_systemd_hears_of_the_agent_meanwhile() {
    let lab = Lab::start(programs()).await;
    let (mut agent, systemd) = supervised(&lab, "disk_timeout_secs = 45").await;
    let library = Library::build().unwrap_or_else(|why| panic!("{why}"));
    let faults = Faults::none(&lab.folder().join("faults"));
    let below = agent.folder().canonicalize().unwrap().join("state/store");
    agent.set_environment([systemd.environment(), library.fail(&below, &faults)].concat());
    agent.start().await;
    systemd.hears("WATCHDOG=1").await;

    faults.hold(Call::Sync);
    let task = lab.controller.submit("disable_user", JOE).await;
    answers(&format!("http://{}/live", told_address(&agent.log())), &["stalled"]).await;
    systemd.forgets();
    for _ in 0..3 {
        systemd.hears("WATCHDOG=1").await;
    }
    assert!(agent.is_running(), "{}", agent.log());

    faults.end(Call::Sync);
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    answers(&format!("http://{}/live", told_address(&agent.log())), &[]).await;
}

/// A page of metrics, taken apart as Prometheus does.
struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Page {
    /// Checks the format on the way: what `promtool check metrics` would refuse or complain about.
    fn of(text: &str) -> Self {
        let mut page = Self { kinds: BTreeMap::new(), samples: Vec::new() };
        let mut helped = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(helped.contains(name), "{line}: no help before it");
                assert!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}: twice");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            } else {
                page.samples.push(Sample::of(line));
            }
        }
        let mut seen = BTreeSet::new();
        for Sample { name, labels, .. } in &page.samples {
            assert!(page.kinds.contains_key(family(name, &page.kinds)), "{name} has no type");
            assert!(seen.insert((name, labels)), "{name} {labels:?} twice");
        }
        page
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).next().map(|it| it.value)
    }

    /// What was counted under these labels.
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum: f64 = self.matching(name, labels).map(|it| it.value).sum();
        sum.to_string().parse().expect("a whole number")
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Sample> {
        let has = |it: &Sample| labels.iter().all(|(key, value)| it.labels.get(*key).is_some_and(|it| it == value));
        self.samples.iter().filter(move |it| it.name == name && has(it))
    }
}

/// The name under which a sample's type is said.
fn family<'a>(name: &'a str, kinds: &BTreeMap<String, String>) -> &'a str {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    of_histogram.filter(|it| kinds.get(*it).is_some_and(|kind| kind == "histogram")).unwrap_or(name)
}

impl Sample {
    fn of(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
        let is_name = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        assert!(is_name(name), "{line}");
        let rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        let labels = rest.split(',').filter(|it| !it.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(key), "{line}");
            (key.to_owned(), value.to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value }
    }
}

/// Submits one task of every kind, and waits for all; returns how many.
async fn one_of_every_kind(lab: &Lab) -> usize {
    let controller = &lab.controller;
    let folder = lab.folder();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("given"), "Correct-Horse-42-battery").unwrap();
    let entry = format!(
        "<entry changetype=\"modify\" modifytype=\"replace\"><Username>{JOE}</Username><Title>Chief</Title></entry>"
    );
    std::fs::write(path("users.xml"), format!("<?xml version=\"1.0\"?>\n<root>{entry}</root>\n")).unwrap();
    let (given, dataset, exported, collected) =
        (path("given"), path("users.xml"), path("exported.csv"), path("collected.jsonl"));
    let of_account = |kind| vec!["task", "submit", kind, "--system", SYSTEM, "--account", JOE];
    let described = path("schema.xml");
    let mut lines = vec![vec!["task", "submit", "test_connection", "--system", SYSTEM]];
    lines.push(vec!["task", "submit", "describe_schema", "--system", SYSTEM, "--output", &described]);
    lines.extend(
        [
            "validate_user",
            "disable_user",
            "enable_user",
            "freeze_user",
            "unfreeze_user",
            "unlock_user",
            "expire_password",
        ]
        .map(of_account),
    );
    let (leaver, left) = ("user0002@acme.example", "user0002@acme.example.deleted");
    lines.push(vec!["task", "submit", "deprovision_user", "--system", SYSTEM, "--account", leaver]);
    lines.push(vec!["task", "submit", "restore_user", "--system", SYSTEM, "--account", left, "--name", leaver]);
    lines.push(reset_password(JOE, &["--password-file", &given]));
    lines.push(vec!["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", &dataset]);
    let of_user = r#"{"object": "User", "format": "csv"}"#;
    let export = ["task", "submit", "export", "--system", SYSTEM, "--params", of_user, "--output", &exported];
    lines.push(export.to_vec());
    let collect =
        ["task", "submit", "collect", "--system", SYSTEM, "--params", r#"{"name": "all"}"#, "--output", &collected];
    lines.push(collect.to_vec());
    for line in &lines {
        let (code, out, err) = controller.try_cli(line).await;
        assert_eq!(code, Some(0), "{line:?}: {out}{err}");
    }
    lines.len()
}

#[tokio::test]
async fn metrics_are_what_the_simulator_and_the_controller_saw_and_name_nobody() {
    let Scene { lab, mut agent } = Scene::set().await;
    agent.enroll(&lab.controller).await;
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    lab.controller.associate(SYSTEM, CLUSTER).await;
    let count = one_of_every_kind(&lab).await;
    assert_eq!(count, postern_protocol::TaskKind::ALL.len(), "every kind");
    agent.owes(0).await;
    let token = ["api-token", "create", "--name", "ci", "--role", "viewer", "--expires", "10d"];
    let (code, _, err) = lab.controller.try_cli(&token).await;
    assert_eq!(code, Some(0), "{err}");
    let scene = Scene { lab, agent };
    let texts = [get(scene.of_agent("/metrics")).await.1, get(scene.of_controller("/metrics")).await.1];
    let [agent, controller] = texts.each_ref().map(|text| Page::of(text));

    let tables = [postern_agent::metrics::TABLE, postern_controller_stub::metrics::TABLE];
    for (page, table) in [&agent, &controller].into_iter().zip(tables) {
        let named: BTreeSet<_> = table.iter().map(|it| it.name).collect();
        let told: BTreeSet<_> = page.kinds.keys().map(String::as_str).collect();
        assert_eq!(told, named, "every metric of the table, and no other");
    }

    let tasks = u64::try_from(count).expect("a number");
    for kind in postern_protocol::TaskKind::ALL {
        let kind = kind.to_string();
        assert_eq!(agent.count("postern_tasks_total", &[("kind", &kind)]), 1, "{kind}");
        assert_eq!(controller.count("postern_controller_tasks_finished_total", &[("kind", &kind)]), 1, "{kind}");
        assert_eq!(controller.count("postern_controller_dispatch_duration_seconds_count", &[("kind", &kind)]), 1);
    }
    assert_eq!(controller.count("postern_controller_tasks_submitted_total", &[]), tasks);
    assert_eq!(controller.count("postern_controller_reports_total", &[("verdict", "finished")]), tasks);
    assert_eq!(controller.count("postern_controller_finished_tasks", &[]), tasks);
    assert_eq!(controller.value("postern_controller_members", &[("state", "enabled")]), Some(1.0));
    assert!(controller.count("postern_controller_api_requests_total", &[("act", "task.submit")]) >= tasks);
    let status = scene.lab.controller.cli(&["status"]).await;
    let expiry = controller.value("postern_controller_api_token_next_expiry_timestamp_seconds", &[]);
    assert_eq!(expiry, status["next_api_token_expiry"].as_f64().map(|it| (it / 1000.0).floor()), "{status}");
    assert!(expiry.is_some());
    assert!(controller.value("postern_controller_commits_total", &[]).unwrap() <= status["commits"].as_f64().unwrap());

    let seen = scene.lab.salesforce.counters();
    let (calls, sign_ins) = ("postern_salesforce_calls_total", "postern_salesforce_sign_ins_total");
    assert_eq!(agent.count(calls, &[]) + agent.count(sign_ins, &[]), seen.http_calls, "{:?}", seen.routes);
    assert_eq!(agent.count(sign_ins, &[]), seen.login_attempts);
    assert_eq!(agent.value("postern_session_up", &[]), Some(1.0));
    assert_eq!(agent.value("postern_member_state", &[("state", "enabled")]), Some(1.0));
    assert_eq!(
        (agent.value("postern_outbox_reports", &[]), agent.value("postern_leases", &[])),
        (Some(0.0), Some(0.0))
    );
    assert!(agent.value("postern_salesforce_api_calls_used", &[("system", SYSTEM)]).unwrap() > 0.0);
    assert!(agent.count("postern_commits_total", &[]) >= tasks);

    let secrets = [
        salesforce_sim::CONSUMER_SECRET,
        "Correct-Horse-42-battery",
        "user0001",
        "@acme.example",
        scene.agent.member(),
        scene.lab.controller.token().await.as_str(),
    ]
    .map(str::to_owned);
    for (text, secret) in texts.iter().flat_map(|text| secrets.iter().map(move |it| (text, it))) {
        assert!(!text.contains(secret.as_str()), "{secret} in {text}");
    }
}
