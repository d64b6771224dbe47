//! Secrets are where they belong and nowhere else, whatever is done with them and whoever repeats them.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use postern_fail_point::Point;
use postern_store::{Batch, CHUNK, MAX_VALUE, Options, Spool, SpoolId, Store, StoreKey, Table, parts};
use postern_tests::lab::{AgentOptions, ControllerOptions, JWT_KEY, LabOptions, SYSTEM, SignIn, sealing_key};
use postern_tests::leak::{Search, Wanted};
use postern_tests::proxy::{ConnectProxy, Manner, Passing, Recorder, Tap, Way};
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
    /// Between the command lines and the API.
    api: Recorder,
    /// Everything that a command line printed.
    printed: String,
    /// What the agent kept whenever it was killed: records, and payloads.
    kept: [Vec<u8>; 2],
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
        let controller = ControllerOptions {
            serve: vec!["--health-listen", "127.0.0.1:0", "--log-level", "trace"],
            ..ControllerOptions::default()
        };
        let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
        let url = lab.controller.ready()["api_url"].as_str().unwrap().to_owned();
        let api = Recorder::open(url.trim_start_matches("http://").parse().unwrap()).await;
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
        Self {
            lab,
            agent,
            line,
            _tap: tap,
            api,
            printed: String::new(),
            kept: Default::default(),
            events,
            _watcher: watcher,
        }
    }

    /// Runs a command of the controller, and keeps what it said.
    async fn cli(&mut self, arguments: &[&str]) -> (Option<i32>, String) {
        let url = format!("http://{}", self.api.address());
        let arguments = [arguments, &["--api-url", url.as_str()]].concat();
        let (code, out, err) = self.lab.controller.try_cli(&arguments).await;
        write!(self.printed, "{out}{err}").unwrap();
        (code, out)
    }

    /// The same, and the agent dies when it has made the next call that changes something: what it keeps then is kept.
    async fn cli_over_a_kill(&mut self, arguments: &[&str]) -> (Option<i32>, String) {
        let url = format!("http://{}", self.api.address());
        let arguments = [arguments, &["--api-url", url.as_str()]].concat();
        self.agent.fail_points().arm(Point::CallMade);
        let over_a_kill = async {
            self.agent.dies().await;
            let kept = kept(&self.agent.folder().join("state"));
            self.kept.iter_mut().zip(kept).for_each(|(all, more)| all.extend(more));
            self.agent.start().await;
        };
        let ((code, out, err), ()) = tokio::join!(self.lab.controller.try_cli(&arguments), over_a_kill);
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

/// What a program that does not run keeps, as it is behind its seals: its records, and its payloads.
fn kept(home: &Path) -> [Vec<u8>; 2] {
    let key = StoreKey::load_or_create(&home.join("store.key")).unwrap();
    let store = Store::open(&home.join("store"), &key, &Options::default(), 0).unwrap().store;
    let tables = (1..=u8::MAX).map(|tag| Table::new("any", tag));
    let (mut records, mut joined) = (Vec::new(), Vec::new());
    for (key, value) in tables.flat_map(|table| store.scan(table)).map(Result::unwrap) {
        records.extend(key);
        // A long record is cut into parts, each behind two bytes that say how many there are.
        joined.extend(value.get(2..).unwrap_or_default());
        records.extend(value);
    }
    assert!(!records.is_empty(), "there is nothing in the store");
    let packed = joined.windows(3).enumerate().filter(|(_, it)| *it == [0x1f, 0x8b, 8]).map(|(place, _)| place);
    for place in packed {
        // Whatever is behind it is not packed, and read for nothing.
        let _ = MultiGzDecoder::new(&joined[place..]).read_to_end(&mut records);
    }
    records.extend(joined);
    [records, payloads(&home.join("store/spool"), &store.spool().unwrap())]
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}

/// All payloads of a spool in this folder, whole or not.
fn payloads(folder: &Path, spool: &Spool) -> Vec<u8> {
    /// What sealing adds to each chunk.
    const SEAL: u64 = 40;
    let mut payloads = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()) {
        let is_part = path.extension().is_some();
        let whole = path.with_extension("");
        if is_part && std::fs::hard_link(&path, &whole).is_err() {
            continue;
        }
        let id = HEXLOWER.decode(whole.file_name().unwrap().as_encoded_bytes()).unwrap();
        let id = SpoolId(id.try_into().unwrap());
        let sealed = path.metadata().unwrap().len();
        let len = sealed - sealed.div_ceil(length(CHUNK) + SEAL) * SEAL;
        let reader = spool.read(id, len).unwrap();
        let mut read = 0;
        while let Ok(piece) = reader.read_at(read)
            && !piece.is_empty()
        {
            read += length(piece.len());
            payloads.extend(piece);
        }
        assert!(is_part || read == len, "{} was not read", path.display());
        if is_part {
            std::fs::remove_file(whole).unwrap();
        }
    }
    payloads
}

/// What a secret may be kept in: a record, one that is cut into parts, one that is packed, a payload that is whole or not.
#[test]
fn what_a_program_keeps_is_looked_for_behind_its_seals() {
    let home = tempfile::tempdir().unwrap();
    let key = StoreKey::load_or_create(&home.path().join("store.key")).unwrap();
    let store = Store::open(&home.path().join("store"), &key, &Options::default(), 0).unwrap().store;
    let mut packed = GzEncoder::new(b"before".to_vec(), Compression::fast());
    packed.write_all(&b"a packed one ".repeat(10)).unwrap();
    let long = [&vec![7; MAX_VALUE - 10][..], b"a long one over two parts"].concat();
    let mut batch = Batch::new();
    let table = Table::new("any", 200);
    batch.put(table, b"a key", b"a short one").unwrap();
    batch.put(table, b"packed", &[&[0, 1][..], &packed.finish().unwrap()].concat()).unwrap();
    for (key, value) in parts::cut(table, b"parts", &long).unwrap() {
        batch.put(table, &key, &value).unwrap();
    }
    store.commit_blocking(batch).unwrap();
    let spool = store.spool().unwrap();
    for (id, is_whole) in [(1, true), (2, false)] {
        // Of one that is not whole, whole chunks are there.
        let name = format!("payload {id}");
        let text = [name.as_bytes(), &vec![7; 2 * CHUNK], name.as_bytes()].concat();
        let mut writer = spool.write(SpoolId([id; 16]), length(text.len())).unwrap();
        writer.append(&text).unwrap();
        if is_whole {
            writer.finish_here().unwrap();
        } else {
            writer.sync().unwrap();
        }
    }
    drop((spool, store));
    let all = kept(home.path()).concat();
    for text in [
        &b"a key"[..],
        b"a short one",
        b"a packed one a packed one",
        b"a long one over two parts",
        b"payload 1",
        b"payload 2",
    ] {
        assert!(all.windows(text.len()).any(|it| it == text), "{}", text.escape_ascii());
    }
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
    wanted.push(Wanted::new("the agent's sealing key", &sealing_key(&scene.agent.folder().join("state"))));
    let identity = std::fs::read(scene.agent.folder().join("state/identity/current.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity).unwrap();
    wanted.push(Wanted::new("the agent's TLS key", key.secret_der()));

    // A given password, one that the answer repeats, and one made up, with kills while their intents are in the journal.
    let given = scene.file("given", GIVEN);
    let submit = reset_password(JOE, &["--password-file", given.to_str().unwrap()]);
    assert_eq!(scene.cli_over_a_kill(&submit).await.0, Some(0), "{}", scene.printed);
    assert!(scene.lab.salesforce.password_is(JOE, GIVEN));

    let repeated = scene.file("repeated", REPEATED);
    let body = BASE64.encode(format!("{{\"NewPassword\":\"{REPEATED}").as_bytes());
    scene.lab.salesforce.inject(repeats("/password", format!("{REPEATED} is no good, {REPEATED}! {body}")));
    let submit = reset_password(JOE, &["--password-file", repeated.to_str().unwrap()]);
    let (_, refused) = scene.cli(&submit).await;
    assert!(refused.contains("*** is no good, ***! eyJOZXdQYXNzd29yZCI6I"), "{refused}");

    let made_up = scene.lab.folder().join("submitter/made-up");
    let submit = reset_password(JOE, &["--generate", "--output-password", made_up.to_str().unwrap()]);
    assert_eq!(scene.cli_over_a_kill(&submit).await.0, Some(0), "{}", scene.printed);
    let service = scene.lab.folder().join("submitter/temporary");
    let submit = reset_password(JOE, &["--service", "--output-password", service.to_str().unwrap()]);
    assert_eq!(scene.cli(&submit).await.0, Some(0), "{}", scene.printed);
    for file in [&made_up, &service] {
        let secret = std::fs::read(file).unwrap();
        wanted.push(Wanted::new(file.display().to_string(), secret.trim_ascii_end()));
    }
    scene.import().await;
    assert!(!scene.kept[1].is_empty(), "the dataset was there when the agent was killed");
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
        // Always: the attempt that is killed may have met it.
        self.lab.salesforce.inject(Fault { times: None, ..repeats(&format!("{repeated}/password"), words) });
        let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap()];
        let (_, batch) = self.cli_over_a_kill(&submit).await;
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
        self.ask_for_everything().await;
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
        assert_eq!(self.lab.controller.terminate().await, Some(0));
        let agent = kept(&self.agent.folder().join("state"));
        let controller = kept(self.lab.controller.data());
        for (whose, [records, payloads]) in
            [("the agent's", agent), ("the killed agent's", self.kept), ("the controller's", controller)]
        {
            search.look(&format!("{whose} records"), &records);
            search.look(&format!("{whose} payloads"), &payloads);
        }
        search.look_below(self.agent.folder(), &HOMES);
        search.look_below(self.lab.controller.data(), &HOMES);
        search.look("the controller's log", self.lab.controller.log().as_bytes());
        search.look("what was printed", self.printed.as_bytes());
        search.look("what a watcher was told", &self.events.lock().unwrap_or_else(PoisonError::into_inner));
        search.look("the line", &self.line.lock().unwrap_or_else(PoisonError::into_inner));
        search.look("what the API was asked", &without_tokens(&self.api.passed(Way::Up)));
        search.look("what the API answered", &self.api.passed(Way::Down));
        let (plain, leaks): (Vec<_>, Vec<_>) =
            search.found.into_iter().partition(|it| it.starts_with("the member") || it.starts_with("the account"));
        assert_eq!(leaks, Vec::<String>::new());
        let places = ["agent.log", "state/audit/00000001.jsonl", "the controller's log", "the controller's records"];
        let told = ["what was printed", "what a watcher was told", "the line"];
        for place in places.into_iter().chain(told).chain(["what the API was asked", "what the API answered"]) {
            assert!(plain.iter().any(|it| it.ends_with(place)), "{place} was not searched: {plain:?}");
        }
    }

    /// Has the API answer all that it tells of what was done.
    async fn ask_for_everything(&self) {
        let token = std::fs::read_to_string(self.lab.controller.data().join("api.token")).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |path: &str| {
            let url = format!("http://{}{path}", self.api.address());
            http.get(url).bearer_auth(token.trim()).send().await.unwrap().bytes().await.unwrap()
        };
        let tasks: serde_json::Value = serde_json::from_slice(&ask("/v1/tasks?limit=200").await).unwrap();
        let tasks = tasks["items"].as_array().unwrap();
        assert!(!tasks.is_empty());
        for id in tasks.iter().map(|task| task["id"].as_str().unwrap()) {
            ask(&format!("/v1/tasks/{id}")).await;
            ask(&format!("/v1/tasks/{id}/records")).await;
        }
        let member = format!("/v1/members/{}", self.agent.member());
        for path in ["/v1/audit?limit=200", "/v1/members", &member, "/v1/systems", "/v1/clusters", "/v1/ca"] {
            ask(path).await;
        }
    }
}

/// What was asked, but for the tokens in the heads: they belong there.
fn without_tokens(asked: &[u8]) -> Vec<u8> {
    let is_token = |line: &&[u8]| line.to_ascii_lowercase().starts_with(b"authorization: bearer ");
    asked.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_token(line)).flatten().copied().collect()
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
