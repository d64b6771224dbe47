//! One controller in a folder of its own, as a process that can be killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postern_controller_stub::client::{Client, Where};
use postern_controller_stub::exit::Failure;
use postern_controller_stub::server::Addresses;
use postern_controller_stub::state::members::MemberView;
use postern_controller_stub::state::tasks::TaskView;
use postern_controller_stub::{clock, random};
use postern_protocol::enrollment::EnrollmentToken;
use postern_protocol::{MemberId, TaskId};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::member::{Identity, Session};

/// Far beyond what anything here takes; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// More descriptors than the stories have at once, some of which hold hundreds of connections.
const FILES: u64 = 4_096;

/// Lets this process have as many of them, where it may.
fn raise_limit() {
    let mut files = getrlimit(Resource::Nofile);
    if files.current.is_some_and(|current| current < FILES) {
        files.current = Some(files.maximum.map_or(FILES, |maximum| maximum.min(FILES)));
        setrlimit(Resource::Nofile, files).unwrap();
    }
}

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    process: Option<Child>,
    options: Vec<String>,
}

impl Lab {
    /// A controller whose members need no approval.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--auto-approve"]).await
    }

    pub(crate) async fn start_with(options: &[&str]) -> Self {
        raise_limit();
        let mut lab = Self {
            folder: tempfile::tempdir().unwrap(),
            process: None,
            options: options.iter().map(|it| (*it).to_owned()).collect(),
        };
        lab.restart().await;
        lab
    }

    /// Starts the controller, which must not be running.
    pub(crate) async fn restart(&mut self) {
        assert!(self.process.is_none());
        let _ = std::fs::remove_file(self.ready_file());
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_postern-controller"))
            .args(["serve", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--log-level", "debug"])
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--ready-file")
            .arg(self.ready_file())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let ready = self.ready_file();
        self.wait_for("the controller to listen", async || ready.exists().then_some(())).await;
    }

    /// Starts the controller with other options than before.
    pub(crate) async fn restart_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|it| (*it).to_owned()).collect();
        self.restart().await;
    }

    /// Ends the controller as a power cut of its process would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.process.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the controller as systemd would. Returns its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut child = self.process.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().code()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that only its owner may read.
    pub(crate) fn private_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn addresses(&self) -> Addresses {
        serde_json::from_slice(&std::fs::read(self.ready_file()).unwrap()).unwrap()
    }

    /// `127.0.0.1:port` of the agents' listener.
    pub(crate) fn listener(&self) -> String {
        self.addresses().controller_url.replace("wss://localhost", "127.0.0.1")
    }

    /// The certificates of all roots there ever were.
    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        let is_root = |path: &PathBuf| path.extension().is_some_and(|it| it == "der");
        files(&self.data_dir()).into_iter().filter(is_root).map(|path| std::fs::read(path).unwrap()).collect()
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(&Where::DataDir { directory: self.data_dir(), token_file: None }).unwrap()
    }

    /// Waits until `condition` gives something, looking again and again.
    pub(crate) async fn wait_for<T>(&self, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            let mut interval = tokio::time::interval(Duration::from_millis(10));
            loop {
                interval.tick().await;
                if let Some(found) = condition().await {
                    return found;
                }
            }
        });
        let Ok(found) = waited.await else {
            panic!("waited in vain for {what}; the controller said:\n{}", self.log());
        };
        found
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) async fn token(&self) -> EnrollmentToken {
        self.token_into("acme").await
    }

    pub(crate) async fn token_into(&self, cluster: &str) -> EnrollmentToken {
        let _: Value = self.client().post("/v1/clusters", &json!({ "name": cluster })).await.unwrap();
        let made: Value = self.client().post("/v1/tokens", &json!({ "cluster": cluster })).await.unwrap();
        made["token"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn enroll(&self) -> Identity {
        Identity::enroll(self, &self.token().await).await.unwrap()
    }

    /// An enrolled member in a settled session with room for many tasks, and a system it serves.
    pub(crate) async fn working_member(&self) -> (Identity, Session) {
        let identity = self.enroll().await;
        let session = Session::open(self, &identity).await;
        self.add_system().await;
        (identity, session)
    }

    pub(crate) async fn add_system(&self) {
        let body = json!({ "name": "sf", "association": "acme" });
        let added: Result<Value, Failure> = self.client().post("/v1/systems", &body).await;
        if let Err(failure) = added {
            assert!(failure.text.contains("already"), "{}", failure.text);
        }
    }

    /// Submits a task about `account` without waiting for it.
    pub(crate) async fn submit(&self, kind: &str, account: &str) -> TaskId {
        let id = new_task();
        let body = json!({ "id": id, "system": "sf", "kind": kind, "params": { "account": account } });
        let _: TaskView = self.client().post("/v1/tasks", &body).await.unwrap();
        id
    }

    pub(crate) async fn task(&self, id: TaskId) -> TaskView {
        self.client().get(&format!("/v1/tasks/{id}")).await.unwrap()
    }

    pub(crate) async fn finished(&self, id: TaskId) -> TaskView {
        self.wait_for("the task to finish", async || {
            let view = self.task(id).await;
            view.outcome.is_some().then_some(view)
        })
        .await
    }

    pub(crate) async fn in_state(&self, id: TaskId, state: &str) -> TaskView {
        self.wait_for(&format!("the task to be {state}"), async || {
            let view = self.task(id).await;
            (view.state == state).then_some(view)
        })
        .await
    }

    pub(crate) async fn member(&self, id: MemberId) -> MemberView {
        self.client().get(&format!("/v1/members/{id}")).await.unwrap()
    }

    /// Waits until the controller knows that a member's session is over, and offers it nothing more.
    pub(crate) async fn disconnected(&self, id: MemberId) {
        self.wait_for("the session to end", async || (!self.member(id).await.connected).then_some(())).await;
    }

    /// Lets a member in.
    pub(crate) async fn approve(&self, id: MemberId) {
        let body = json!({ "fingerprint": self.member(id).await.fingerprint });
        let _: MemberView = self.client().post(&format!("/v1/members/{id}/approve"), &body).await.unwrap();
    }

    pub(crate) async fn act(&self, id: MemberId, action: &str) -> Result<MemberView, Failure> {
        self.client().post(&format!("/v1/members/{id}/{action}"), &json!({})).await
    }

    /// Runs a command of the program. Returns exit code, standard output, standard error.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let data_dir = self.data_dir();
        self.program(&[arguments, &["--data-dir", data_dir.to_str().unwrap()]].concat())
    }

    /// Runs the program with these arguments alone.
    pub(crate) fn program(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.program_in(&[], arguments)
    }

    /// The same, with these variables set.
    #[allow(clippy::unused_self, reason = "what runs a program is asked of the lab")]
    pub(crate) fn program_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_postern-controller"))
            .envs(environment.iter().copied())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The id of a task made now.
pub(crate) fn new_task() -> TaskId {
    TaskId::from_random(clock::wall().0, random::bytes())
}

/// Every file below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
