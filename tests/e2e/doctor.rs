//! What `postern doctor` says of everything that can be wrong, and what it takes care not to do.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::read::GzDecoder;
use postern_tests::lab::{
    AgentOptions, ControllerOptions, Finished, JWT_KEY, LabOptions, Reserved, SYSTEM, SignIn, UNKNOWN_HOST, sealing_key,
};
use postern_tests::leak::{Search, Wanted};
use postern_tests::proxy::{ConnectProxy, Manner};
use postern_tests::{Agent, Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap, Switches};
use serde_json::{Value, json};

use crate::disks::SmallDisk;
use crate::{JOE, programs};

/// What doctor found, by the ids of its checks.
struct Found {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Found {
    fn of(finished: &Finished) -> Self {
        let findings = finished.json()["findings"].as_array().unwrap().clone();
        Self { code: finished.code, findings }
    }

    fn finding(&self, id: &str) -> &Value {
        self.findings
            .iter()
            .find(|it| it["id"] == id)
            .unwrap_or_else(|| panic!("{id} is not told: {:#?}", self.findings))
    }

    fn told(&self, id: &str) -> String {
        let finding = self.finding(id);
        format!("{} {}", finding["told"].as_str().unwrap(), finding["next"].as_str().unwrap_or_default())
    }

    /// The check failed, and what is said of it has these words.
    fn failed(&self, id: &str, words: &[&str]) {
        self.is(id, "failed", words);
        assert_eq!(self.code, Some(1), "{:#?}", self.findings);
    }

    fn is(&self, id: &str, status: &str, words: &[&str]) {
        let (finding, told) = (self.finding(id), self.told(id));
        assert_eq!(finding["status"], status, "{finding:#}");
        for word in words {
            assert!(told.contains(word), "`{word}` is missing from: {told}");
        }
    }

    /// The check was left out because of another.
    fn behind(&self, id: &str, other: &str) {
        let finding = self.finding(id);
        assert_eq!((&finding["status"], &finding["because"]), (&json!("skipped"), &json!(other)), "{finding:#}");
    }

    fn ok(&self, ids: &[&str]) {
        for id in ids {
            self.is(id, "ok", &[]);
        }
    }
}

async fn doctor(agent: &Agent) -> Found {
    doctor_with(agent, &[]).await
}

async fn doctor_with(agent: &Agent, options: &[&str]) -> Found {
    Found::of(&agent.run(&[&["doctor", "--json"], options].concat()).await)
}

/// A member that was at work, approved, and is stopped.
async fn stopped(lab: &Lab, options: AgentOptions) -> Agent {
    let mut agent = lab.member_with("agent", options).await;
    assert_eq!(agent.terminate().await, Some(0));
    agent
}

fn logins(lab: &Lab) -> u64 {
    lab.salesforce.counters().login_attempts
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_with_a_member_at_work_and_uses_its_session() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let session = agent.session().await;

    let found = doctor_with(&agent, &["--strict"]).await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    found.is("state.agent", "ok", &[&agent.pid().unwrap().to_string()]);
    found.is("controller.membership", "ok", &["enabled"]);
    found.is("controller.tls", "ok", &["TLS 1.3"]);
    found.is("system.bulk", "ok", &[]);
    found.ok(&["clock", "store.opens", "store.outbox", "system.login", "system.permissions", "system.api_budget"]);
    assert_eq!(logins(&lab), 1);

    doctor(&agent).await.is("system.login", "ok", &["in a session that tasks use"]);
    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert_eq!(logins(&lab), 1, "one sign-in for all");
    assert_eq!(agent.session().await, session, "its session was left alone");
}

#[tokio::test]
async fn doctor_looks_in_the_place_of_an_agent_that_is_stopped_and_changes_nothing() {
    let lab = Lab::start(programs()).await;
    let mut agent = stopped(&lab, AgentOptions::default()).await;

    for _ in 0..2 {
        let found = doctor(&agent).await;
        assert_eq!(found.code, Some(0), "{:#?}", found.findings);
        found.is("controller.membership", "ok", &["enabled"]);
        found.ok(&["controller.protocol", "controller.identity", "store.opens", "store.audit", "system.login"]);
    }
    assert_eq!(logins(&lab), 2);
    let had_store = "doctor had the store meanwhile";
    let words = agent.run(&["doctor", "--offline"]).await;
    assert!(words.out.contains(had_store) && words.out.contains("reset-failed postern"), "{words:?}");
    // A script cannot start again what it does not know to have kept from starting.
    let told = async || agent.run(&["doctor", "--offline", "--json"]).await.json()["had_store"].clone();
    assert_eq!(told().await, json!(true));

    agent.start().await;
    let words = agent.run(&["doctor", "--offline"]).await;
    assert!(words.code == Some(0) && !words.out.contains(had_store), "{words:?}");
    assert_eq!(agent.run(&["doctor", "--offline", "--json"]).await.json()["had_store"], json!(false));
    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert_eq!(lab.controller.member(agent.member()).await["alarm"], Value::Null);
}

#[tokio::test]
async fn doctor_tells_a_newcomer_what_comes_next_and_makes_nothing() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");

    let found = doctor(&agent).await;
    found.failed("controller.enrolled", &["postern enroll"]);
    found.behind("controller.membership", "controller.enrolled");
    found.is("store.opens", "skipped", &["postern exec"]);
    found.behind("system.login", "store.opens");
    found.ok(&["system.configuration", "system.tls", "system.method", "clock"]);
    assert!(!agent.folder().join("state").exists() && logins(&lab) == 0);
}

/// Feature D10.
#[tokio::test]
async fn doctor_names_a_host_without_an_address_and_a_port_where_nobody_listens() {
    let lab = Lab::start(programs()).await;
    let nobody = Reserved::port();
    let closed = nobody.address();
    let options = AgentOptions {
        domain: Some(format!("https://{UNKNOWN_HOST}")),
        controller_section: format!("urls = [\"wss://{closed}\"]"),
        ..AgentOptions::default()
    };
    let mut agent = lab.agent_with("agent", options);
    agent.enroll(&lab.controller).await;

    let found = doctor(&agent).await;
    found.failed("system.dns", &[UNKNOWN_HOST, "name service"]);
    for id in ["system.tcp", "system.tls", "system.login", "system.permissions"] {
        found.behind(id, "system.dns");
    }
    found.failed("controller.tcp", &[&closed.to_string(), "cannot be connected to"]);
    for id in ["controller.tls", "controller.identity", "controller.protocol", "controller.membership"] {
        found.behind(id, "controller.tcp");
    }
    assert_eq!(logins(&lab), 0);
}

/// Feature D10.
#[tokio::test]
async fn doctor_names_who_intercepts_tls_and_what_a_proxy_refuses() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(Manner::Open).await;
    let section = format!("proxy = {{ url = \"{}\" }}", proxy.url());
    let options =
        AgentOptions { controller_section: section.clone(), salesforce_section: section, ..AgentOptions::default() };
    let mut agent = lab.agent_with("agent", options);
    agent.enroll(&lab.controller).await;

    proxy.turn(Manner::Intercept);
    let found = doctor(&agent).await;
    for (side, behind) in [("controller", "controller.identity"), ("system", "system.login")] {
        found.is(&format!("{side}.proxy"), "ok", &[&proxy.address().to_string()]);
        let tls = format!("{side}.tls");
        found.failed(&tls, &["intercepted", "Example Corp TLS Inspection"]);
        found.behind(behind, &tls);
    }

    proxy.turn(Manner::Refuse);
    let found = doctor(&agent).await;
    found.failed("controller.proxy", &["403 Forbidden", "administrator"]);
    found.failed("system.proxy", &["403 Forbidden", "administrator"]);

    proxy.turn(Manner::Basic { username: "postern".to_owned(), password: "let-me-out".to_owned() });
    let found = doctor(&agent).await;
    found.failed("controller.proxy", &["407", "username", "[controller]"]);
    found.failed("system.proxy", &["407", "username"]);
    assert_eq!(logins(&lab), 0);
}

#[tokio::test]
async fn doctor_tells_a_controller_of_another_authority_from_somebody_in_between() {
    let (lab, other) = (Lab::start(programs()).await, Lab::start(programs()).await);
    let urls = format!("urls = [\"{}\"]", other.controller.url());
    let mut agent = lab.agent_with("agent", AgentOptions { controller_section: urls, ..AgentOptions::default() });
    agent.enroll(&lab.controller).await;

    let found = doctor(&agent).await;
    found.ok(&["controller.tls"]);
    found.failed("controller.identity", &["another than the one of cluster `pilot`", "urls"]);
    found.behind("controller.membership", "controller.identity");
}

#[tokio::test]
async fn doctor_tells_what_the_controller_lets_the_member_do() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    let found = doctor(&agent).await;
    found.is("controller.membership", "warning", &["pending", "member approve"]);
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    assert_eq!(doctor_with(&agent, &["--strict"]).await.code, Some(1));

    lab.controller.approve(agent.member()).await;
    lab.controller.cli(&["member", "disable", "--hard", agent.member()]).await;
    doctor(&agent).await.failed("controller.membership", &["disabled", "member enable"]);

    lab.controller.cli(&["member", "revoke", agent.member()]).await;
    doctor(&agent).await.failed("controller.membership", &["revoked", "enroll --again"]);
    agent.spawn();
    agent.link_fails("revoked").await;
    doctor(&agent).await.failed("controller.membership", &["no session", "enroll --again"]);
    assert_eq!(agent.terminate().await, Some(0));

    lab.controller.cli(&["member", "remove", agent.member()]).await;
    doctor(&agent).await.failed("controller.membership", &["unknown_member"]);
}

#[tokio::test]
async fn doctor_tells_a_certificate_that_has_run_out_before_it_is_shown() {
    let controller = ControllerOptions { serve: vec!["--certificate-secs", "2"], ..ControllerOptions::default() };
    let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    // Either side takes the second in which it ends for one in which it is good, and they do not look at once.
    let found = wait_for("both sides to find that the certificate has run out", async || {
        let found = doctor(&agent).await;
        let failed = |check: &str| found.finding(check)["status"] == "failed";
        if failed("controller.certificate") && failed("controller.protocol") {
            Ok(found)
        } else {
            Err(found.told("controller.certificate"))
        }
    })
    .await;
    found.failed("controller.certificate", &["ran out", "start the agent"]);
    found.failed("controller.protocol", &["certificate"]);
    found.behind("controller.membership", "controller.protocol");
}

#[tokio::test]
async fn doctor_names_another_agent_on_the_same_state_directory() {
    let lab = Lab::start(programs()).await;
    let first = lab.member("agent").await;
    let second = lab.agent("second");
    let text = std::fs::read_to_string(second.config()).unwrap();
    let own = format!("{}/state", second.folder().display());
    let shared = format!("{}/state", first.folder().display());
    std::fs::write(second.config(), text.replace(&own, &shared)).unwrap();

    let found = doctor(&second).await;
    found.failed("state.agent", &[&first.pid().unwrap().to_string(), "another configuration", "agent/agent.toml"]);
    doctor(&first).await.ok(&["state.agent"]);
}

/// Where nothing may be mounted, the unit test of the verdict stands alone.
#[tokio::test]
async fn doctor_tells_a_disk_that_is_full() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let Some(_disk) = SmallDisk::mount(&agent.folder().join("state"), "8m") else { return };
    doctor(&agent).await.failed("state.disk", &["the disk is full", "make room"]);
}

#[tokio::test]
async fn doctor_names_secrets_that_are_missing_and_modes_that_are_wrong() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions::default()).await;
    let secret = agent.folder().join("consumer-secret");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();

    mode(&secret, 0o644);
    mode(&agent.folder().join("state/identity"), 0o755);
    mode(&agent.config(), 0o666);
    let found = doctor(&agent).await;
    found.failed("configuration.secrets", &["chmod 600", "consumer-secret"]);
    found.failed("configuration.private", &["chmod go-w", "agent.toml"]);
    found.failed("state.directory", &["chmod 700", "identity"]);
    found.failed("system.configuration", &["consumer_secret", "chmod 600"]);
    found.behind("store.opens", "state.directory");
    mode(&agent.folder().join("state/identity"), 0o700);

    std::fs::remove_file(&secret).unwrap();
    let found = doctor(&agent).await;
    found.failed("system.configuration", &["consumer_secret", "cannot be read"]);
    found.behind("system.guard", "system.configuration");
    found.behind("system.login", "system.configuration");
    assert_eq!(logins(&lab), 0);

    mode(&agent.config(), 0o600);
    mode(agent.folder(), 0o775);
    mode(&agent.folder().join("salesforce-ca.pem"), 0o664);
    let found = doctor(&agent).await;
    found.is("configuration.private", "warning", &["chmod go-w", "salesforce-ca.pem", "agent'   # mode 0775"]);

    std::fs::remove_file(agent.folder().join("state/store.key")).unwrap();
    doctor(&agent).await.failed("store.opens", &["store.key", "bring"]);
}

/// Open the store as the agent does, and what is moved aside is in no log of the agent.
#[tokio::test]
async fn doctor_and_audit_verify_leave_a_damaged_store_where_it_is() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions::default()).await;
    agent.write_secret("state/store/format", "nonsense");
    doctor(&agent).await.failed("store.opens", &["damaged", "next start"]);
    let verified = agent.run(&["audit", "verify"]).await;
    assert!(verified.code == Some(74) && verified.err.contains("left as it is"), "{verified:?}");
    let names = std::fs::read_dir(agent.folder().join("state/store")).unwrap();
    let names: Vec<_> = names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("corrupt-")), "{names:?}");
}

/// Read the file of sealing keys as the agent does, and doctor makes another key.
#[tokio::test]
async fn doctor_names_sealing_keys_that_are_missing_or_damaged_and_makes_none() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions::default()).await;
    let keys = agent.folder().join("state/identity/sealing.keys");
    doctor(&agent).await.is("controller.sealing_key", "ok", &["1 kept"]);
    agent.write_secret("state/identity/sealing.keys", "damaged");
    doctor(&agent).await.failed("controller.sealing_key", &["sealing.keys", "does not start"]);
    std::fs::remove_file(&keys).unwrap();
    doctor(&agent).await.is("controller.sealing_key", "warning", &["missing", "task reseal"]);
    assert!(!keys.exists());
}

#[tokio::test]
async fn what_an_org_says_is_shown_and_moves_no_terminal() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions::default()).await;
    let message = "\u{1b}[2J\u{7}gone\u{9b}31m".to_owned();
    let what = Mishap::Respond { status: 403, code: Some("FEATURENOTENABLED".to_owned()), message: Some(message) };
    let when = Matching { path: Some("/jobs".to_owned()), ..Matching::default() };
    lab.salesforce.inject(Fault { when, what, times: None });
    let found = agent.run(&["doctor"]).await;
    assert!(found.code == Some(1) && found.out.contains("gone"), "{found:?}");
    assert!(!found.out.contains(|it: char| it.is_control() && it != '\n'), "{found:?}");
}

/// Planted was a sign-in that is made whatever the guard says.
#[tokio::test]
async fn doctor_makes_no_sign_in_that_the_guard_against_lock_out_does_not_let_be_made() {
    let lab = Lab::start(programs()).await;
    let mut agent = stopped(&lab, AgentOptions { sign_in: SignIn::Soap, ..AgentOptions::default() }).await;
    agent.write_secret("password", "Wrong-1");
    let found = doctor(&agent).await;
    found.failed("system.login", &["INVALID_LOGIN"]);
    found.behind("system.address", "system.login");
    found.is("system.method", "warning", &["Summer '27", "oauth-jwt"]);
    doctor(&agent).await.failed("system.login", &[]);
    assert_eq!(logins(&lab), 2);

    let found = doctor(&agent).await;
    found.failed("system.guard", &["refused the service account 2 times", "reset-sign-in"]);
    found.behind("system.login", "system.guard");
    agent.start().await;
    let found = doctor(&agent).await;
    found.failed("system.guard", &["reset-sign-in"]);
    found.behind("system.login", "system.guard");
    assert_eq!(logins(&lab), 2);
}

/// Feature D10.
#[tokio::test]
async fn doctor_tells_what_the_service_account_lacks() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions { sign_in: SignIn::Soap, ..AgentOptions::default() }).await;
    let text = std::fs::read_to_string(agent.config()).unwrap().replace(salesforce_sim::ADMIN, JOE);
    let lines = text.lines().filter(|line| !line.starts_with("security_token")).map(|line| format!("{line}\n"));
    std::fs::write(agent.config(), lines.collect::<String>()).unwrap();
    agent.write_secret("password", "Welcome-0001");

    let found = doctor(&agent).await;
    found.failed("system.permissions", &["Manage Users (for enable_user", "Reset User Passwords", "permission set"]);
    found.ok(&["system.login", "system.api_budget"]);
}

/// Feature D10.
#[tokio::test]
async fn doctor_tells_an_address_outside_of_the_trusted_ranges_and_a_day_without_calls() {
    let lab = Lab::start(programs()).await;
    let options = AgentOptions {
        sign_in: SignIn::Soap,
        salesforce_section: "trusted_ranges = [\"203.0.113.0/24\"]".to_owned(),
        ..AgentOptions::default()
    };
    let agent = stopped(&lab, options).await;
    let from = |address: &str| Switches { source_ip: Some(address.to_owned()), ..Switches::default() };

    lab.salesforce.switch(&from("198.51.100.9")).unwrap();
    let found = doctor(&agent).await;
    found.is("system.address", "warning", &["198.51.100.9", "none of `trusted_ranges`", "with the security token"]);
    lab.salesforce.switch(&from("203.0.113.7")).unwrap();
    doctor(&agent).await.is("system.address", "ok", &["203.0.113.7"]);

    lab.salesforce.switch(&Switches { api_exhausted: Some(true), ..Switches::default() }).unwrap();
    let found = doctor(&agent).await;
    found.ok(&["system.login"]);
    found.failed("system.api_budget", &["REQUEST_LIMIT_EXCEEDED"]);
    found.behind("system.permissions", "system.api_budget");
}

#[tokio::test]
async fn doctor_stays_on_its_host_when_it_is_told_to_and_looks_at_one_system() {
    let lab = Lab::start(programs()).await;
    let agent = stopped(&lab, AgentOptions::default()).await;
    let calls = lab.salesforce.counters().http_calls;

    let found = doctor_with(&agent, &["--offline", "--system", SYSTEM]).await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    for id in ["controller.dns", "controller.membership", "system.dns", "system.login", "system.bulk"] {
        found.is(id, "skipped", &["--offline"]);
    }
    found.ok(&["system.guard", "system.policy", "controller.certificate"]);
    assert_eq!(lab.salesforce.counters().http_calls, calls);

    let stranger = agent.run(&["doctor", "--system", "globex"]).await;
    assert_eq!(stranger.code, Some(2), "{stranger:?}");
    assert!(stranger.err.contains("no connected system `globex`"), "{stranger:?}");
}

#[tokio::test]
async fn doctor_says_of_a_configuration_that_cannot_be_used_where_it_is_wrong() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    std::fs::write(agent.config(), "[agent]\nlog_level = \"loud\"\n").unwrap();
    let finished = agent.run(&["doctor", "--json"]).await;
    assert_eq!(finished.code, Some(78), "{finished:?}");
    Found::of(&finished).is("configuration.read", "failed", &["agent.toml:2", "loud"]);
    let finished = agent.run(&["doctor"]).await;
    assert!(finished.code == Some(78) && finished.out.contains("failed   configuration.read"), "{finished:?}");

    let bundle = agent.folder().join("support.tgz");
    let finished = agent.run(&["doctor", "--bundle", bundle.to_str().unwrap()]).await;
    assert!(finished.code == Some(78) && finished.out.contains("wrote "), "{finished:?}");
    assert!(unpacked(&bundle).windows(18).any(|it| it == b"configuration.read"));
}

#[tokio::test]
async fn doctor_shows_what_holds_and_where_it_came_from() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent_with("agent", AgentOptions { sign_in: SignIn::Soap, ..AgentOptions::default() });
    let shown = agent.run(&["doctor", "--show-config"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in ["log_level = \"info\"   # default", "password = ***   # ", "concurrency = 8   # "] {
        assert!(shown.out.contains(line), "`{line}` is missing from: {}", shown.out);
    }
    assert!(!shown.out.contains(salesforce_sim::ADMIN_PASSWORD) && !shown.out.contains(salesforce_sim::ADMIN_TOKEN));
    let settings = agent.run(&["doctor", "--show-config", "--json"]).await.json();
    assert!(settings.as_array().unwrap().iter().any(|it| it["key"] == "network" && it["value"] == "\"auto\""));
}

/// The secrets of the lab, in every form that they may take.
fn secrets(agent: &Agent) -> Vec<Wanted> {
    let state = agent.folder().join("state");
    vec![
        Wanted::new("the service account's password", salesforce_sim::ADMIN_PASSWORD.as_bytes()),
        Wanted::new("the service account's security token", salesforce_sim::ADMIN_TOKEN.as_bytes()),
        Wanted::new("the consumer secret", salesforce_sim::CONSUMER_SECRET.as_bytes()),
        Wanted::new("the key of the connected app", JWT_KEY.as_bytes()),
        Wanted::new("the proxy's password", PROXY_PASSWORD.as_bytes()),
        Wanted::new("the key of the store", &std::fs::read(state.join("store.key")).unwrap()),
        Wanted::new("the agent's sealing key", &sealing_key(&state)),
    ]
}

fn names() -> Vec<Wanted> {
    let names = [
        salesforce_sim::ADMIN,
        JOE,
        "ceo@acme.example",
        "boss@acme.example",
        "proxy-user",
        NOT_AN_ADDRESS,
        "some-dept",
    ];
    names.into_iter().map(|name| Wanted::new(name, name.as_bytes())).collect()
}

/// Tasks are about accounts that nobody has, too.
const NOT_AN_ADDRESS: &str = "Nobody In-Particular";

const PROXY_PASSWORD: &str = r#"Let<me>&"out"\wörd %+"#;

fn unpacked(path: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut tar).unwrap();
    tar
}

/// Planted was a bundle with the text of the configuration as it stands in the file: names were found in it.
#[tokio::test]
async fn a_support_bundle_has_no_secret_in_any_form_and_no_name_of_an_account() {
    let lab = Lab::start(programs()).await;
    let proxy =
        ConnectProxy::start(Manner::Basic { username: "proxy-user".to_owned(), password: PROXY_PASSWORD.to_owned() });
    let proxy = proxy.await;
    let file = lab.folder().join("proxy-password");
    std::fs::write(&file, PROXY_PASSWORD).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let policy = "[connected_system.policy]\ndeny = [\"ceo@acme.example\"]\nprotected = [\"boss@acme.example\"]\n";
    let section = format!(
        "proxy = {{ url = \"{}\", username = \"proxy-user\", password = {{ file = \"{}\" }} }}\n{policy}",
        proxy.url(),
        file.display()
    );
    let options = AgentOptions { sign_in: SignIn::Soap, salesforce_section: section, ..AgentOptions::default() };
    let mut agent = lab.member_with("agent", options).await;
    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    for stranger in [NOT_AN_ADDRESS, "some-dept/some\"body@acme.example"] {
        let task = lab.controller.submit("disable_user", stranger).await;
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("failed"));
    }

    let bundle = |name: &str| agent.folder().join(name);
    let written = |name: &'static str| bundle(name).to_str().unwrap().to_owned();
    let (running, at_rest, named) = (written("running.tgz"), written("at-rest.tgz"), written("named.tgz"));
    assert_eq!(agent.run(&["doctor", "--bundle", &running]).await.code, Some(0));
    assert_eq!(agent.terminate().await, Some(0));
    agent.write_secret("password", "Wrong-1");
    assert_eq!(agent.run(&["doctor", "--bundle", &at_rest]).await.code, Some(1));
    assert_eq!(agent.run(&["doctor", "--offline", "--bundle", &named, "--with-names"]).await.code, Some(0));

    let mut search = Search::new(secrets(&agent).into_iter().chain(names()).collect());
    for name in [&running, &at_rest] {
        let tar = unpacked(Path::new(name));
        let has = |words: &[u8]| tar.windows(words.len()).any(|it| it == words);
        assert!(tar.len() < 1024 * 1024 && has(b"system.login"), "{name}");
        assert!(name == &at_rest || has(b"code: user_not_found"), "what went wrong is told: {name}");
        search.look(name, &tar);
        assert_eq!(std::fs::metadata(name).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(search.found, Vec::<String>::new());

    let tar = unpacked(Path::new(&named));
    let mut search = Search::new(secrets(&agent));
    search.look(&named, &tar);
    assert_eq!(search.found, Vec::<String>::new());
    let mut search = Search::new(names());
    search.look(&named, &tar);
    assert!(search.found.iter().any(|it| it.contains("ceo@acme.example")), "they were asked for: {:?}", search.found);

    let before = std::fs::read(&running).unwrap();
    let refused = agent.run(&["doctor", "--bundle", &running]).await;
    assert_eq!((refused.code, std::fs::read(&running).unwrap() == before), (Some(2), true), "{refused:?}");
    assert!(refused.err.contains("name a file that is not there yet"), "{refused:?}");
}
