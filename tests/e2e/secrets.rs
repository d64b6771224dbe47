//! Secrets are where they belong and nowhere else, whatever is done with them and whoever repeats them.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use postern_fail_point::Point;
use postern_store::{Options, Store, StoreKey, Table};
use postern_tests::lab::{AgentOptions, ControllerOptions, JWT_KEY, LabOptions, SYSTEM, SignIn};
use postern_tests::leak::{Search, Wanted};
use postern_tests::proxy::{ConnectProxy, Manner, Passing, Tap};
use postern_tests::{Agent, Lab, wait_for};
use reqwest::Response;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;
use tokio::task::JoinSet;

use crate::health::{get, told_address};
use crate::{JOE, programs, reset_password};

/// Each looks different in every form.
const GIVEN: &str = r#"Gi<ven>&"P4ss"\wörd %+"#;
const REPEATED: &str = r#"Re<peated>&"P4ss"\wörd %+"#;
const IMPORTED: &str = r#"Im<ported>&"P4ss"\wörd %+"#;
const IMPORTED_AND_REPEATED: &str = r#"Im<repeated>&"P4ss"\wörd %+"#;
/// Where secrets live.
const HOMES: [&str; 12] = [
    "consumer-secret",
    "jwt.pem",
    "token",
    "password",
    "security-token",
    "current.pem",
    "next.pem",
    "sealing.keys",
    "store.key",
    "ca.key",
    "api.token",
    "agent.fail-points",
];

struct Scene {
    lab: Lab,
    agent: Agent,
    /// Everything that went over the line, under its TLS.
    line: Arc<Mutex<Vec<u8>>>,
    _tap: Tap,
    /// Everything that a command line printed.
    printed: String,
    /// Everything that a watcher of the controller was told.
    events: Arc<Mutex<Vec<u8>>>,
    _watcher: JoinSet<()>,
}

impl Scene {
    async fn set(sign_in: SignIn) -> Self {
        Self::set_with(sign_in, String::new()).await
    }

    /// The same with more lines for the connected system.
    async fn set_with(sign_in: SignIn, salesforce_section: String) -> Self {
        let controller =
            ControllerOptions { serve: vec!["--health-listen", "127.0.0.1:0"], ..ControllerOptions::default() };
        let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
        let events = Arc::default();
        let mut watcher = JoinSet::new();
        watcher.spawn(watch(asked_for_events(&lab).await, Arc::clone(&events)));
        let line = Arc::new(Mutex::new(Vec::new()));
        let capture = Arc::clone(&line);
        let judge = move |passing: &Passing| {
            let frame = match passing {
                Passing::Up(frame, _) => frame.encode(),
                Passing::Down(frame, _) => frame.encode(),
            };
            capture.lock().unwrap_or_else(PoisonError::into_inner).extend(frame.unwrap());
            true
        };
        let tap = Tap::open(&lab.controller, &lab.folder().join("agent"), judge).await;
        let options = AgentOptions {
            sign_in,
            salesforce_section,
            agent_section: "log_level = \"trace\"\n[health]\nlisten = \"127.0.0.1:0\"".to_owned(),
            controller_section: format!("urls = [\"{}\"]", tap.url()),
            ..AgentOptions::default()
        };
        let agent = lab.member_with("agent", options).await;
        Self { lab, agent, line, _tap: tap, printed: String::new(), events, _watcher: watcher }
    }

    /// Runs a command of the controller, and keeps what it said.
    async fn cli(&mut self, arguments: &[&str]) -> (Option<i32>, String) {
        let (code, out, err) = self.lab.controller.try_cli(arguments).await;
        write!(self.printed, "{out}{err}").unwrap();
        (code, out)
    }

    /// A file for the command line alone.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let folder = self.lab.folder().join("submitter");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// The answer to whoever watches the controller.
async fn asked_for_events(lab: &Lab) -> Response {
    let url = format!("{}/v1/events", lab.controller.ready()["api_url"].as_str().unwrap());
    let token = std::fs::read_to_string(lab.controller.data().join("api.token")).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(url).bearer_auth(token.trim()).send().await.unwrap().error_for_status().unwrap()
}

/// Keeps what a watcher is told, until the controller ends.
async fn watch(mut answer: Response, told: Arc<Mutex<Vec<u8>>>) {
    while let Ok(Some(piece)) = answer.chunk().await {
        told.lock().unwrap_or_else(PoisonError::into_inner).extend(&piece);
    }
}

/// The records of an agent that does not run, as they are behind their seals.
fn records(state: &Path) -> Vec<u8> {
    let key = StoreKey::load_or_create(&state.join("store.key")).unwrap();
    let store = Store::open(&state.join("store"), &key, &Options::default(), 0).unwrap().store;
    let tables = (1..=u8::MAX).map(|tag| Table::new("any", tag));
    let records: Vec<u8> = tables.flat_map(|table| store.scan(table)).flat_map(|record| record.unwrap().1).collect();
    assert!(!records.is_empty(), "there is nothing in the store");
    records
}

/// The call is answered with these words of Salesforce's, once.
fn repeats(path: &str, message: String) -> Fault {
    let (status, code, message) = (400, Some("INVALID_NEW_PASSWORD".to_owned()), Some(message));
    let when = Matching { method: Some("POST".to_owned()), path: Some(path.to_owned()) };
    Fault { when, what: Mishap::Respond { status, code, message }, times: Some(1) }
}

/// Planted were words of Salesforce's that are taken as they are, and a password in what is told of progress.
#[tokio::test]
async fn f52_no_secret_is_found_anywhere_in_any_form() {
    let mut scene = Scene::set(SignIn::Soap).await;
    let mut wanted = vec![
        Wanted::new("the given password", GIVEN.as_bytes()),
        Wanted::new("the password that was repeated", REPEATED.as_bytes()),
        Wanted::new("the imported password", IMPORTED.as_bytes()),
        Wanted::new("the imported password that was repeated", IMPORTED_AND_REPEATED.as_bytes()),
        Wanted::new("the service account's password", salesforce_sim::ADMIN_PASSWORD.as_bytes()),
        Wanted::new("the service account's security token", salesforce_sim::ADMIN_TOKEN.as_bytes()),
        Wanted::new("the consumer secret", salesforce_sim::CONSUMER_SECRET.as_bytes()),
    ];
    for (folder, names) in [
        (scene.agent.folder().join("state"), &["store.key"][..]),
        (scene.lab.controller.data().to_owned(), &["store.key", "ca.key", "api.token"]),
    ] {
        for name in names {
            let secret = std::fs::read(folder.join(name)).unwrap();
            wanted.push(Wanted::new(format!("{name} of {}", folder.display()), secret.trim_ascii_end()));
        }
    }

    // Behind the key stands what is known of it, which changes.
    let keys = std::fs::read(scene.agent.folder().join("state/identity/sealing.keys")).unwrap();
    wanted.push(Wanted::new("the agent's sealing key", &keys[..32]));
    let identity = std::fs::read(scene.agent.folder().join("state/identity/current.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity).unwrap();
    wanted.push(Wanted::new("the agent's TLS key", key.secret_der()));

    // A given password, with a kill while its intent is in the journal, one that the answer repeats, and one made up.
    let given = scene.file("given", GIVEN);
    scene.agent.fail_points().arm(Point::CallMade);
    let submit = reset_password(JOE, &["--password-file", given.to_str().unwrap(), "--async"]);
    let (_, taken) = scene.cli(&submit).await;
    scene.agent.dies().await;
    scene.records_hold_keys_alone(&wanted);
    scene.agent.start().await;
    let taken: serde_json::Value = serde_json::from_str(&taken).unwrap();
    let ended = scene.lab.controller.finished(taken["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(ended["outcome"], json!("succeeded"), "{ended}");
    assert!(scene.lab.salesforce.password_is(JOE, GIVEN));

    let repeated = scene.file("repeated", REPEATED);
    scene.lab.salesforce.inject(repeats("/password", format!("{REPEATED} is no good, {REPEATED}!")));
    let submit = reset_password(JOE, &["--password-file", repeated.to_str().unwrap()]);
    let (_, refused) = scene.cli(&submit).await;
    assert!(refused.contains("*** is no good, ***!"), "{refused}");

    let made_up = scene.lab.folder().join("submitter/made-up");
    let submit = reset_password(JOE, &["--generate", "--output-password", made_up.to_str().unwrap()]);
    assert_eq!(scene.cli(&submit).await.0, Some(0), "{}", scene.printed);
    let service = scene.lab.folder().join("submitter/temporary");
    let submit = reset_password(JOE, &["--service", "--output-password", service.to_str().unwrap()]);
    assert_eq!(scene.cli(&submit).await.0, Some(0), "{}", scene.printed);
    for file in [&made_up, &service] {
        let secret = std::fs::read(file).unwrap();
        wanted.push(Wanted::new(file.display().to_string(), secret.trim_ascii_end()));
    }
    scene.import().await;
    scene.memory_holds_keys_alone(&wanted).await;
    scene.sign_in_is_refused().await;
    scene.search(wanted).await;
}

impl Scene {
    /// Imports passwords; Salesforce repeats one of them and does not like it.
    async fn import(&mut self) {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let mut entries = String::new();
        for (account, password) in [("user0002", IMPORTED), ("user0003", IMPORTED_AND_REPEATED)] {
            let password = escaped(password);
            writeln!(
                entries,
                "<entry changetype=\"modify\" modifytype=\"replace\"><Username>{account}@acme.example</Username>\
                 <password>{password}</password></entry>"
            )
            .unwrap();
        }
        let dataset = self.file("users.xml", &format!("<?xml version=\"1.0\"?>\n<root>\n{entries}</root>\n"));
        // Its own: what is said of an entry is compared with that entry's values.
        let repeated = self.lab.salesforce.user("user0003@acme.example").unwrap().id;
        let words = format!("{IMPORTED_AND_REPEATED} is no good, {IMPORTED_AND_REPEATED}!");
        self.lab.salesforce.inject(repeats(&format!("{repeated}/password"), words));
        let (_, batch) = self
            .cli(&["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap()])
            .await;
        assert!(batch.contains("partially_succeeded"), "{batch}");
        let batch: serde_json::Value = serde_json::from_str(&batch).unwrap();
        let results = self.lab.folder().join("submitter/results.jsonl");
        let results = results.to_str().unwrap();
        self.cli(&["task", "results", batch["id"].as_str().unwrap(), "--output", results]).await;
        let results = std::fs::read_to_string(results).unwrap();
        assert!(results.contains("refused") || results.contains("***"), "{results}");
        self.printed.push_str(&results);
    }

    /// A new process signs in, and what is between it and Salesforce repeats what it was sent.
    async fn sign_in_is_refused(&mut self) {
        self.agent.kill().await;
        self.agent.start().await;
        let (password, token) = (salesforce_sim::ADMIN_PASSWORD, salesforce_sim::ADMIN_TOKEN);
        let fault = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><soapenv:Fault>\
             <faultcode>sf:INVALID_LOGIN</faultcode><faultstring>{password}{token} came too \
             early</faultstring></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        );
        self.lab.salesforce.inject(Fault {
            when: Matching { method: Some("POST".to_owned()), path: Some("/services/Soap".to_owned()) },
            what: Mishap::OtherReply { status: 500, body: fault },
            times: Some(1),
        });
        let (_, tested) = self.cli(&["task", "submit", "test_connection", "--system", SYSTEM]).await;
        assert!(tested.contains("came too early"), "{tested}");
    }

    /// An image of an agent that has done its work holds what it needs at any moment, and one of the controller its own
    /// keys.
    async fn memory_holds_keys_alone(&self, wanted: &[Wanted]) {
        let of_agent = ["the agent's sealing key ", "the agent's TLS key ", "store.key of "];
        memory_holds_alone(&of_agent, "the agent's memory", self.agent.pid(), self.agent.member(), wanted).await;
        let of_controller = ["store.key of ", "ca.key of ", "api.token of "];
        let process = self.lab.controller.pid();
        memory_holds_alone(&of_controller, "the controller's memory", process, self.agent.member(), wanted).await;
    }

    /// What lies in the store while a task is under way, behind the seals: the journal's notes, too.
    fn records_hold_keys_alone(&self, wanted: &[Wanted]) {
        let account = Wanted::new("the account", JOE.as_bytes());
        let mut search = Search::new([wanted, &[account]].concat());
        search.look("the records", &records(&self.agent.folder().join("state")));
        assert!(search.found.len() == 1 && search.found[0].starts_with("the account"), "{:?}", search.found);
    }

    /// Looks through everything that is there.
    async fn search(self, wanted: Vec<Wanted>) {
        self.memory_holds_keys_alone(&wanted).await;
        self.search_words(wanted).await;
    }

    /// Looks through all that was written, answered, sent and printed.
    async fn search_words(mut self, wanted: Vec<Wanted>) {
        self.printed.push_str(&self.agent.status().await.to_string());
        for list in [&["task", "list"][..], &["member", "list"], &["system", "list"], &["status"]] {
            self.cli(list).await;
        }
        // What is no secret has to be found, or nothing was looked at.
        let member = Wanted::new("the member", self.agent.member().as_bytes());
        let account = Wanted::new("the account", JOE.as_bytes());
        let mut search = Search::new([wanted, vec![member, account]].concat());
        search.look_below(self.agent.folder(), &HOMES);
        for (whose, log) in [("the agent's", self.agent.log()), ("the controller's", self.lab.controller.log())] {
            let (_, metrics) = get(format!("http://{}/metrics", told_address(&log))).await;
            assert!(metrics.contains("\npostern_"), "{whose} metrics: {metrics}");
            search.look(&format!("{whose} metrics"), metrics.as_bytes());
        }
        assert_eq!(self.agent.terminate().await, Some(0));
        search.look("the records", &records(&self.agent.folder().join("state")));
        search.look_below(self.agent.folder(), &HOMES);
        search.look_below(self.lab.controller.data(), &HOMES);
        search.look("the controller's log", self.lab.controller.log().as_bytes());
        search.look("what was printed", self.printed.as_bytes());
        search.look("what a watcher was told", &self.events.lock().unwrap_or_else(PoisonError::into_inner));
        search.look("the line", &self.line.lock().unwrap_or_else(PoisonError::into_inner));
        let (plain, leaks): (Vec<_>, Vec<_>) =
            search.found.into_iter().partition(|it| it.starts_with("the member") || it.starts_with("the account"));
        assert_eq!(leaks, Vec::<String>::new());
        let places = ["agent.log", "state/audit/00000001.jsonl", "the controller's log"];
        for place in places.into_iter().chain(["what was printed", "what a watcher was told", "the line"]) {
            assert!(plain.iter().any(|it| it.ends_with(place)), "{place} was not searched: {plain:?}");
        }
    }
}

/// Whether this process has `CAP_SYS_PTRACE`, which root has outside of most containers.
fn may_look_into_others() -> bool {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & CAP_SYS_PTRACE != 0
}

/// Waits until the memory of a process holds no secret but these, by the beginnings of their names: buffers go with their
/// connections, and these a moment after the answer that they are given up for. The member has to be found, or nothing was
/// looked at.
async fn memory_holds_alone(stays: &[&str], place: &str, process: Option<u32>, member: &str, wanted: &[Wanted]) {
    if !may_look_into_others() {
        assert!(std::env::var_os("CI").is_none(), "{place} was not searched: run this as root, with CAP_SYS_PTRACE");
        eprintln!(
            "{place} was not searched: only root, with CAP_SYS_PTRACE, may look into programs that keep theirs private"
        );
        return;
    }
    let all = [wanted, &[Wanted::new("the member", member.as_bytes())]].concat();
    wait_for("no secret to be in memory", async || {
        let mut search = Search::new(all.clone());
        search.look_into(place, process.unwrap()).unwrap();
        let is_plain = |it: &String| it.starts_with("the member ");
        assert!(search.found.iter().any(is_plain), "{place} was not searched: {:?}", search.found);
        search.found.retain(|it| !is_plain(it) && !stays.iter().any(|name| it.starts_with(name)));
        if search.found.is_empty() { Ok(()) } else { Err(search.found) }
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_has_signed_in_keeps_no_credential_in_memory() {
    let lab = Lab::start(programs()).await;
    let secrets = [
        Wanted::new("the consumer secret", salesforce_sim::CONSUMER_SECRET.as_bytes()),
        Wanted::new("the service account's password", salesforce_sim::ADMIN_PASSWORD.as_bytes()),
        Wanted::new("the service account's security token", salesforce_sim::ADMIN_TOKEN.as_bytes()),
    ];
    for (name, sign_in) in [("oauth", SignIn::ClientCredentials), ("soap", SignIn::Soap)] {
        let mut agent = lab.member_with(name, AgentOptions { sign_in, ..AgentOptions::default() }).await;
        let task = lab.controller.submit("validate_user", JOE).await;
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
        memory_holds_alone(&[], "the agent's memory", agent.pid(), agent.member(), &secrets).await;
        assert_eq!(agent.terminate().await, Some(0));
    }
}

/// The lines of a private key that are not public, as they stand in its file and as the bytes that they are.
fn of_private_key(pem: &str) -> Vec<Wanted> {
    let is_whole = |line: &&str| line.len() == 64;
    // Before them are the version and the modulus.
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1).skip(8).filter(is_whole);
    let wanted: Vec<Wanted> = lines
        .flat_map(|line| {
            let bytes = BASE64.decode(line.as_bytes()).unwrap();
            [Wanted::new("the JWT's key in PEM", line.as_bytes()), Wanted::new("the JWT's key", &bytes)]
        })
        .collect();
    assert!(wanted.len() > 20, "it was looked at");
    wanted
}

/// What the story with SOAP does not have: the other ways to sign in, and what else lets somebody in somewhere.
#[tokio::test]
async fn f52_no_credential_of_any_sign_in_is_found_anywhere() {
    for sign_in in [SignIn::ClientCredentials, SignIn::Jwt] {
        let proxy_password = "Pr0xy-pass-word";
        let asks = Manner::Basic { username: "postern".to_owned(), password: proxy_password.to_owned() };
        let proxy = ConnectProxy::start(asks).await;
        let secrets = tempfile::tempdir().unwrap();
        let file = secrets.path().join("proxy-password");
        std::fs::write(&file, proxy_password).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (url, file) = (proxy.url(), file.display());
        let section =
            format!("proxy = {{ url = \"{url}\", username = \"postern\", password = {{ file = \"{file}\" }} }}");
        let mut scene = Scene::set_with(sign_in, section).await;

        let key = scene.lab.folder().join("signer.key");
        let key = key.to_str().unwrap();
        scene.cli(&["task", "signing-key", key]).await;
        let submit = ["task", "submit", "disable_user", "--system", SYSTEM, "--account", JOE, "--sign-with", key];
        let (code, done) = scene.cli(&submit).await;
        assert!(code == Some(0) && proxy.tunnels() > 0, "{done}");

        let token = std::fs::read_to_string(scene.agent.folder().join("token")).unwrap();
        let mut wanted = vec![
            Wanted::new("the consumer secret", salesforce_sim::CONSUMER_SECRET.as_bytes()),
            Wanted::new("the proxy's password", proxy_password.as_bytes()),
            Wanted::new("the enrollment token", token.trim().as_bytes()),
            Wanted::new("the secret of the enrollment token", &secret_of(token.trim())),
            Wanted::new("the signing key", &std::fs::read(key).unwrap()),
        ];
        wanted.extend(of_private_key(JWT_KEY));
        let sessions = scene.lab.salesforce.sessions();
        assert!(!sessions.is_empty(), "it has signed in");
        wanted.extend(sessions.iter().map(|it| Wanted::new("the session with Salesforce", it.expose().as_bytes())));

        let stays = ["the session with Salesforce ", "the proxy's password "];
        memory_holds_alone(&stays, "the agent's memory", scene.agent.pid(), scene.agent.member(), &wanted).await;
        let process = scene.lab.controller.pid();
        memory_holds_alone(&[], "the controller's memory", process, scene.agent.member(), &wanted).await;
        scene.search_words(wanted).await;
    }
}

/// What of a token proves that one has it: before the hash of the CA, which is at its end.
fn secret_of(token: &str) -> Vec<u8> {
    let bytes = BASE64URL_NOPAD.decode(token.rsplit_once("token-").unwrap().1.as_bytes()).unwrap();
    bytes[bytes.len() - 64..bytes.len() - 32].to_vec()
}
