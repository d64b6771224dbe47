//! An agent of the lab: its folder, its configuration, its process.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde_json::Value;
use tokio::process::Command;

use super::{Controller, FailPoints, Process, SYSTEM};
use crate::wait_for;

/// How an agent signs in to Salesforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignIn {
    /// OAuth client credentials.
    #[default]
    ClientCredentials,
    /// OAuth with a JWT that is signed with [`JWT_KEY`](super::JWT_KEY).
    Jwt,
    /// SOAP `login()`, with the security token at hand and the network to be found out.
    Soap,
}

/// How an agent is configured.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// How it signs in.
    pub sign_in: SignIn,
    /// Another host than the lab's Salesforce.
    pub domain: Option<String>,
    /// How many tasks may run at once.
    pub concurrency: usize,
    /// The longest a call to Salesforce may take.
    pub request_timeout_secs: u64,
    /// Milliseconds after which an unanswered call is taken not to take effect any more.
    pub settle_ms: u64,
    /// The same for calls that must not be repeated.
    pub settle_once_ms: u64,
    /// More lines for `[agent]`.
    pub agent_section: String,
    /// More lines for `[controller]`.
    pub controller_section: String,
    /// More lines for `[[connected_system]]`.
    pub system_section: String,
    /// More lines for `[connected_system.salesforce]`.
    pub salesforce_section: String,
    /// More options for `run`.
    pub run: Vec<&'static str>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            sign_in: SignIn::default(),
            domain: None,
            concurrency: 8,
            request_timeout_secs: 10,
            settle_ms: 50,
            settle_once_ms: 200,
            agent_section: String::new(),
            controller_section: String::new(),
            system_section: String::new(),
            salesforce_section: String::new(),
            run: Vec::new(),
        }
    }
}

/// The private half of the newest sealing key, as it stands in the state directory: behind the line that names the file's form.
pub fn sealing_key(state: &Path) -> Vec<u8> {
    let keys = std::fs::read(state.join("identity/sealing.keys")).expect("the sealing keys");
    let line = keys.iter().position(|byte| *byte == b'\n').expect("its first line");
    keys[line + 1..][..32].to_vec()
}

/// What a command of the agent came to.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it complained about.
    pub err: String,
}

impl Finished {
    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// An agent.
pub struct Agent {
    folder: PathBuf,
    programs: PathBuf,
    member: String,
    process: Option<Process>,
    environment: Vec<(&'static str, OsString)>,
    run: Vec<&'static str>,
    credentials: Option<PathBuf>,
}

impl Agent {
    pub(super) fn prepare(
        programs: &Path,
        folder: &Path,
        salesforce: &str,
        ca_pem: &str,
        options: &AgentOptions,
    ) -> Self {
        std::fs::create_dir_all(folder).expect("the agent's folder");
        let agent = Self {
            folder: folder.to_owned(),
            programs: programs.to_owned(),
            member: String::new(),
            process: None,
            environment: Vec::new(),
            run: options.run.clone(),
            credentials: None,
        };
        std::fs::write(folder.join("salesforce-ca.pem"), ca_pem).expect("the simulator's CA");
        agent.write_secret("consumer-secret", salesforce_sim::CONSUMER_SECRET);
        agent.write_secret("jwt.pem", super::JWT_KEY);
        agent.write_secret("password", salesforce_sim::ADMIN_PASSWORD);
        agent.write_secret("security-token", salesforce_sim::ADMIN_TOKEN);
        std::fs::write(agent.config(), agent.configuration(salesforce, options)).expect("the agent's configuration");
        agent
    }

    fn configuration(&self, salesforce: &str, options: &AgentOptions) -> String {
        let folder = self.folder.display();
        let sign_in = match options.sign_in {
            SignIn::ClientCredentials => format!(
                "method = \"oauth-client-credentials\"\nconsumer_key = \"{}\"\nconsumer_secret = {{ file = \
                 \"{folder}/consumer-secret\" }}",
                salesforce_sim::CONSUMER_KEY
            ),
            SignIn::Jwt => format!(
                "method = \"oauth-jwt\"\nconsumer_key = \"{}\"\nusername = \"{}\"\nprivate_key = {{ file = \
                 \"{folder}/jwt.pem\" }}",
                salesforce_sim::CONSUMER_KEY,
                salesforce_sim::ADMIN
            ),
            SignIn::Soap => format!(
                "method = \"soap\"\nusername = \"{}\"\npassword = {{ file = \"{folder}/password\" \
                 }}\nsecurity_token = {{ file = \"{folder}/security-token\" }}\nnetwork = \"auto\"",
                salesforce_sim::ADMIN
            ),
        };
        format!(
            "[agent]\nstate_dir = \"{folder}/state\"\n{agent}\n[controller]\n{controller}\n\n[[connected_system]]\nname = \
             \"{SYSTEM}\"\nconnector = \"salesforce\"\nconcurrency = {concurrency}\n{system}\n[connected_system.salesforce]\n\
             domain = \"{salesforce}\"\n{sign_in}\nroot_certificates = \
             [\"{folder}/salesforce-ca.pem\"]\nrequest_timeout_secs = {request_timeout}\nsettle_ms = {settle}\nsettle_once_ms = {settle_once}\n{plain}{more}\n",
            agent = options.agent_section,
            controller = options.controller_section,
            concurrency = options.concurrency,
            system = options.system_section,
            request_timeout = options.request_timeout_secs,
            settle = options.settle_ms,
            settle_once = options.settle_once_ms,
            more = options.salesforce_section,
            plain = if salesforce.starts_with("http://") { "insecure_plain_http = true\n" } else { "" },
        )
    }

    /// Writes a file of its folder that only its owner can read.
    pub fn write_secret(&self, name: &str, value: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, value).expect("a secret file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// Its member id, once enrolled.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    /// Runs a command of `postern` with this agent's configuration.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        let output = Command::new(self.programs.join("postern"))
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .env(postern_fail_point::FOLDER, self.fail_points().folder())
            .envs(self.credentials.iter().map(|folder| ("CREDENTIALS_DIRECTORY", folder)))
            .kill_on_drop(true)
            .output()
            .await
            .expect("the agent's command line starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Enrolls with a fresh token.
    pub async fn enroll(&mut self, controller: &Controller) {
        let token = controller.token().await;
        let enrolled = self.try_enroll(controller.url(), &token).await;
        assert_eq!(enrolled.code, Some(0), "postern enroll: {}", enrolled.err);
        let told = enrolled.json();
        told["member"].as_str().expect("a member id").clone_into(&mut self.member);
        let member = controller.member(&self.member).await;
        assert_eq!(
            member["fingerprint"], told["fingerprint"],
            "both sides print what is compared before it is approved"
        );
    }

    /// Enrolls with this token, or not.
    pub async fn try_enroll(&self, url: &str, token: &str) -> Finished {
        self.write_secret("token", token);
        let token_file = self.folder.join("token");
        let token_file = token_file.to_str().expect("a path in UTF-8");
        self.run(&["enroll", "--controller", url, "--token-file", token_file, "--json"]).await
    }

    /// Starts it and waits for its first session.
    pub async fn start(&mut self) {
        let ready = self.folder.join("ready");
        let _ = std::fs::remove_file(&ready);
        self.spawn();
        if let Some(process) = &mut self.process {
            process.wait_ready(&ready).await;
        }
    }

    /// Starts it without waiting for a session.
    pub fn spawn(&mut self) {
        let path = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let (config, ready) = (path(self.config()), path(self.folder.join("ready")));
        let arguments = [&["--config", &config, "run", "--ready-file", &ready][..], &self.run].concat();
        let log = self.folder.join("agent.log");
        let credentials = self.credentials.iter().map(|folder| ("CREDENTIALS_DIRECTORY", folder.clone().into()));
        let environment: Vec<_> = self.environment.iter().cloned().chain(credentials).collect();
        self.process = Some(Process::start_in(&self.programs.join("postern"), &arguments, &log, &environment));
    }

    /// Sets options for `run` of the processes that are started from now on.
    pub fn set_run(&mut self, run: &[&'static str]) {
        self.run = run.to_vec();
    }

    /// Sets variables of the processes that are started from now on.
    pub fn set_environment(&mut self, environment: Vec<(&'static str, OsString)>) {
        self.environment = environment;
    }

    /// Hands the credentials in a folder, as systemd does, to whatever is started of it from now on.
    pub fn set_credentials(&mut self, folder: PathBuf) {
        self.credentials = Some(folder);
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        self.process.take()?.ended().await
    }

    /// Kills it, as `kill -9` does. Returns how it had ended, if it had by itself before.
    pub async fn kill(&mut self) -> Option<ExitStatus> {
        self.process.take()?.kill().await
    }

    /// Where it can be had killed.
    pub fn fail_points(&self) -> FailPoints {
        FailPoints::beside(&self.folder.join("agent.log"))
    }

    /// Waits until it has died at a fail point.
    pub async fn dies(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.ended().await;
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.process.as_ref().expect("the agent runs").signal(signal);
    }

    /// Asks it to stop and returns its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.take()?.terminate().await
    }

    /// The number of its process; `None` if it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref()?.pid()
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// What `postern status` says. An agent that does not move for some seconds is asked again.
    pub async fn status(&self) -> Value {
        wait_for("what `postern status` says", async || {
            let told = self.run(&["status", "--json"]).await;
            if told.code == Some(0) { Ok(told.json()) } else { Err(told) }
        })
        .await
    }

    /// Waits until it knows that it may work, and returns the number of its session. That is the second, or a later one, if the
    /// disk took long over the beginning of the first.
    pub async fn session(&self) -> u64 {
        wait_for("the agent to know that it may work", async || {
            let ledger = self.status().await["agent"]["ledger"].clone();
            let session = ledger["session"].as_u64().filter(|_| ledger["member_state"] == "enabled");
            session.ok_or(ledger)
        })
        .await
    }

    /// Waits until it owes so many reports.
    pub async fn owes(&self, reports: u64) {
        wait_for(&format!("{reports} reports to be owed"), async || {
            let ledger = self.status().await["agent"]["ledger"].clone();
            if ledger["reports_owed"] == reports { Ok(()) } else { Err(ledger) }
        })
        .await;
    }

    /// Waits until its link is in this state, and returns what `postern status` says of the link.
    pub async fn link(&self, state: &str) -> Value {
        wait_for(&format!("the link to be {state}"), async || {
            let link = self.running_link().await?;
            if link["state"] == state { Ok(link) } else { Err(link) }
        })
        .await
    }

    /// Waits until its link waits after an error that says `words`, and returns the error.
    pub async fn link_fails(&self, words: &str) -> String {
        wait_for(&format!("the link to fail with `{words}`"), async || {
            let link = self.running_link().await?;
            match link["error"].as_str() {
                Some(error) if error.contains(words) => Ok(error.to_owned()),
                Some(_) | None => Err(link),
            }
        })
        .await
    }

    /// What `postern status` says of the link, once the agent answers at all: of an agent that is not there `status`
    /// reads the store, and an agent that is about to start would find it in use.
    async fn running_link(&self) -> Result<Value, Value> {
        let socket = self.folder.join("state/agent.sock");
        tokio::net::UnixStream::connect(socket).await.map_err(|error| Value::from(error.to_string()))?;
        Ok(self.status().await["agent"]["link"].clone())
    }
}
