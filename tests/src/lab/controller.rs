//! The controller of the lab, through its own command line and API.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use postern_protocol::TaskId;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Api, CLUSTER, FailPoints, Process, Reserved, SYSTEM};
use crate::wait_for;

/// How the controller runs.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    /// How long leases last.
    pub lease_ttl: Duration,
    /// How long after a lease an effect may still appear.
    pub settle: Duration,
    /// How often sessions ask for a sign of life.
    pub heartbeat: Duration,
    /// More options for `serve`.
    pub serve: Vec<&'static str>,
    /// More variables in its environment.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(60),
            settle: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            serve: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A running controller.
pub struct Controller {
    process: Process,
    programs: PathBuf,
    data: PathBuf,
    options: ControllerOptions,
    /// For its agents, and for the callers of its API: kept while it does not run, too.
    ports: [Reserved; 2],
    url: String,
    api: Api,
}

impl Controller {
    pub(super) async fn start(programs: &Path, data: &Path, options: ControllerOptions) -> Self {
        let ports = [Reserved::port(), Reserved::port()];
        let process = spawn(programs, data, &options, &ports);
        let mut controller = Self {
            process,
            programs: programs.to_owned(),
            data: data.to_owned(),
            options,
            ports,
            url: String::new(),
            api: Api::of(ready_file(data), data),
        };
        controller.process.wait_ready(&ready_file(data)).await;
        let ready = controller.ready();
        ready["controller_url"].as_str().expect("the listener's URL").clone_into(&mut controller.url);
        controller
    }

    /// What it says of itself once it is ready.
    pub fn ready(&self) -> Value {
        let text = std::fs::read(ready_file(&self.data)).expect("the ready file");
        serde_json::from_slice(&text).expect("the ready file is JSON")
    }

    /// The URL agents dial.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its API, to be asked beside whatever is done to its process.
    pub fn api(&self) -> Api {
        self.api.clone()
    }

    /// The address agents dial.
    pub fn address(&self) -> SocketAddr {
        self.ports[0].address()
    }

    /// The number of its process; `None` if it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Where it keeps its state.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills it, as `kill -9` does. Returns how it had ended, if it had by itself before.
    pub async fn kill(&mut self) -> Option<ExitStatus> {
        self.process.kill().await
    }

    /// Where it can be had killed.
    pub fn fail_points(&self) -> FailPoints {
        FailPoints::beside(&self.data.with_extension("log"))
    }

    /// Waits until it has died at a fail point.
    pub async fn dies(&mut self) {
        self.process.ended().await;
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Asks it to stop and returns its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.terminate().await
    }

    /// Starts it again, on the addresses that its agents and the callers of its API know.
    pub async fn restart(&mut self) {
        let ready = ready_file(&self.data);
        let _ = std::fs::remove_file(&ready);
        self.process = spawn(&self.programs, &self.data, &self.options, &self.ports);
        self.process.wait_ready(&ready).await;
    }

    /// Starts it again with more options for `serve` than that.
    pub async fn restart_with(&mut self, serve: &[&'static str]) {
        self.options.serve = serve.to_vec();
        self.restart().await;
    }

    /// Starts it again with more in its environment.
    pub async fn restart_in(&mut self, environment: Vec<(&'static str, OsString)>) {
        self.options.environment = environment;
        self.restart().await;
    }

    /// Runs `postern-controller … --json` and returns what it printed.
    pub async fn cli(&self, arguments: &[&str]) -> Value {
        let (code, out, err) = self.try_cli(arguments).await;
        assert_eq!(code, Some(0), "postern-controller {}: {err}", arguments.join(" "));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out:?}"))
    }

    /// The same of a command that changes nothing: it is given again until it is answered.
    pub async fn asked(&self, arguments: &[&str]) -> Value {
        wait_for(&format!("an answer to {arguments:?}"), async || {
            let (code, out, err) = self.try_cli(arguments).await;
            if code == Some(0) { Ok(out) } else { Err((code, err)) }
        })
        .await
        .parse()
        .expect("JSON")
    }

    /// The same, with exit code, output and errors.
    pub async fn try_cli(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.try_cli_in(&[], arguments).await
    }

    /// The same, with these variables set.
    pub async fn try_cli_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(self.programs.join("postern-controller"))
            .envs(environment.iter().copied())
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.data)
            .arg("--json")
            .output()
            .await
            .expect("the controller's command line starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// A token for one agent.
    pub async fn token(&self) -> String {
        let token = self.cli(&["token", "create", "--cluster", CLUSTER]).await;
        token["token"].as_str().expect("a token").to_owned()
    }

    /// Approves a member.
    pub async fn approve(&self, member: &str) {
        let fingerprint = self.member(member).await["fingerprint"].clone();
        self.cli(&["member", "approve", member, "--fingerprint", fingerprint.as_str().expect("a fingerprint")]).await;
    }

    /// Makes the connected system known, or associates it again.
    pub async fn associate(&self, system: &str, cluster: &str) {
        let (code, _, _) = self.try_cli(&["system", "show", system]).await;
        if code == Some(0) {
            self.cli(&["system", "associate", system, "--with", cluster]).await;
        } else {
            self.cli(&["system", "add", system, "--with", cluster]).await;
        }
    }

    /// Submits a task without secrets through the API. `Err` says what it answered, status 0 if nothing.
    pub async fn try_submit(&self, id: TaskId, kind: &str, params: Value) -> Result<(), (u16, Value)> {
        let body = json!({ "id": id, "system": SYSTEM, "kind": kind, "params": params, "mode": "async" });
        match self.api.ask(reqwest::Method::POST, "/v1/tasks", Some(&body)).await {
            (200..=202, _) => Ok(()),
            (status, answer) => Err((status, answer)),
        }
    }

    /// Submits a task about one account and returns its id.
    pub async fn submit(&self, kind: &str, account: &str) -> TaskId {
        let id = new_task_id();
        let submitted = self.try_submit(id, kind, json!({ "account": account })).await;
        assert_eq!(submitted, Ok(()), "{kind} of {account}");
        id
    }

    /// What the API says of a task; `Null` if it does not answer.
    pub async fn task(&self, id: TaskId) -> Value {
        let (status, task) = self.api.ask(reqwest::Method::GET, &format!("/v1/tasks/{id}"), None).await;
        if status == 200 { task } else { Value::Null }
    }

    /// Waits until a task has its outcome, and returns the task.
    pub async fn finished(&self, id: TaskId) -> Value {
        wait_for(&format!("the outcome of {id}"), async || {
            let task = self.task(id).await;
            if task["outcome"].is_string() { Ok(task) } else { Err(task) }
        })
        .await
    }

    /// What the API says of a member.
    pub async fn member(&self, member: &str) -> Value {
        self.api.ask(reqwest::Method::GET, &format!("/v1/members/{member}"), None).await.1
    }

    /// Waits until it knows that a member's session is over. Until then whoever comes with another store, or as another member
    /// with the same one, is taken for a second agent.
    pub async fn disconnected(&self, member: &str) {
        wait_for("the end of the member's session", async || {
            let member = self.member(member).await;
            if member["connected"] == false { Ok(()) } else { Err(member) }
        })
        .await;
    }
}

/// A fresh task id, as any submitter makes one.
pub fn new_task_id() -> TaskId {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("random bytes");
    TaskId::from_random(u64::try_from(now).unwrap_or(0), random)
}

/// Written when the controller listens.
fn ready_file(data: &Path) -> PathBuf {
    data.with_extension("ready")
}

fn spawn(programs: &Path, data: &Path, options: &ControllerOptions, ports: &[Reserved; 2]) -> Process {
    let [agents, callers] = ports.each_ref().map(|it| it.address().to_string());
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let arguments = [
        "serve",
        "--data-dir",
        &text(data),
        "--listen",
        &agents,
        "--api-listen",
        &callers,
        "--public-name",
        "127.0.0.1",
        "--lease-ttl-secs",
        &options.lease_ttl.as_secs().to_string(),
        "--settle-secs",
        &options.settle.as_secs().to_string(),
        "--heartbeat-secs",
        &options.heartbeat.as_secs().to_string(),
        "--ready-file",
        &text(&ready_file(data)),
    ];
    let arguments = [&arguments[..], &options.serve].concat();
    let program = programs.join("postern-controller");
    Process::start_in(&program, &arguments, &data.with_extension("log"), &options.environment)
}
