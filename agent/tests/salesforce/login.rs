//! Signing in: methods, networks, refusals, the circuit, lost sessions.

use std::time::Duration;

use postern_agent::connector::{self, Reach};
use postern_agent::doctor::Check;
use postern_protocol::task::import_batch::{self, Format};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{ADMIN, ADMIN_PASSWORD, CONSUMER_SECRET, Mishap, OrgSeed, Switches};
use serde_json::json;

use crate::lab::{Lab, Task, disable, enable, expire, export, freeze, import_with, reset, test_connection, validate};

async fn tested(lab: &Lab, settings: &str) -> postern_protocol::task::test_connection::Output {
    let conclusion = test_connection().attempt(&lab.connector_with(settings)).await.unwrap();
    match conclusion.output {
        Some(TaskOutput::TestConnection(output)) => output,
        other => panic!("{other:?}"),
    }
}

/// Features C1, C2, C3, C4.
#[tokio::test]
async fn every_method_signs_in() {
    let lab = Lab::start().await;
    for (method, network) in
        [("oauth-jwt", ""), ("oauth-client-credentials", ""), ("oauth-password", "trusted-ip"), ("soap", "trusted-ip")]
    {
        let output = tested(&lab, &lab.settings(method)).await;
        assert!(output.message.contains("established successfully"));
        assert_eq!((output.method.as_str(), output.network.as_str()), (method, network));
        assert_eq!(output.account.as_str(), ADMIN);
        assert_eq!(output.instance.as_str(), lab.sim.http_url());
        assert!(output.organization.starts_with("00D"));
    }
}

#[tokio::test]
async fn the_soap_login_works_with_a_warning_that_its_sunset_is_near() {
    let lab = Lab::start().await;
    for method in ["soap", "oauth-jwt"] {
        let output = tested(&lab, &lab.settings(method)).await;
        assert_eq!(output.warnings.iter().any(|it| it.contains("Summer '27")), method == "soap");
    }
}

/// Salesforce knows where the agent comes from, and says it in LoginHistory; what that means is decided here.
/// Feature C12.
#[tokio::test]
async fn the_address_that_salesforce_saw_is_told_with_whether_it_is_trusted() {
    let lab = Lab::start().await;
    lab.sim.switch(&Switches { source_ip: Some("203.0.113.7".to_owned()), ..Switches::default() }).unwrap();
    let settings = lab.settings("oauth-jwt");
    for (ranges, trusted) in [("", None), ("[\"203.0.113.0/24\"]", Some(true)), ("[\"10.0.0.0/8\"]", Some(false))] {
        let line = if ranges.is_empty() { String::new() } else { format!("trusted_ranges = {ranges}\n") };
        let output = tested(&lab, &format!("{settings}{line}")).await;
        assert_eq!((output.source_address.as_str(), output.trusted), ("203.0.113.7", trusted));
        assert_eq!(output.warnings.iter().any(|it| it.contains("203.0.113.7")), trusted == Some(false));
    }
}

/// Tell the newest sign-in of the account, and an agent is blamed for where another one comes from.
#[tokio::test]
async fn the_address_is_that_of_the_agents_own_sign_in_and_not_of_anothers_with_the_account() {
    let lab = Lab::start().await;
    let from = |address: &str| {
        lab.sim.switch(&Switches { source_ip: Some(address.to_owned()), ..Switches::default() }).unwrap();
    };
    let connectors = [lab.connector(), lab.connector()];
    for (connector, address) in connectors.iter().zip(["203.0.113.7", "198.51.100.9"]) {
        from(address);
        validate("user0001@acme.example").attempt(connector).await.unwrap();
        lab.sim.advance(Duration::from_secs(60));
    }
    for (connector, address) in connectors.iter().zip(["203.0.113.7", "198.51.100.9"]) {
        let mut found = Vec::new();
        connector.examine(Reach::Everything, &mut found).await;
        let told = &found.iter().find(|it| it.id == Check::SystemAddress).unwrap().told;
        assert!(told.contains(address), "{told}");
    }
}

#[tokio::test]
async fn https_with_a_root_of_ones_own() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace(&lab.sim.http_url(), &lab.sim.https_url());
    let settings = settings.replace("insecure_plain_http = true\n", "");
    let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "unreachable_tls");
    assert!(failure.summary.starts_with("Failed to establish connection"), "{}", failure.summary.as_str());
    assert!(failure.summary.contains("it failed at: TLS"));

    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, lab.sim.ca_pem()).unwrap();
    let trusting = format!("{settings}root_certificates = [\"{}\"]\nonly_these_roots = true\n", roots.display());
    assert!(tested(&lab, &trusting).await.instance.starts_with("https://"));
}

/// Network, token configured, host trusted: sign-ins that the org saw, and the code of the failure.
/// Features C5, C6.
#[tokio::test]
async fn the_token_decision_makes_no_sign_in_too_many() {
    let rows = [
        ("trusted-ip", false, true, 1, None),
        ("trusted-ip", false, false, 1, Some("LOGIN_MUST_USE_SECURITY_TOKEN")),
        ("token", true, true, 1, None),
        ("token", true, false, 1, None),
        ("auto", false, true, 1, None),
        ("auto", false, false, 1, Some("LOGIN_MUST_USE_SECURITY_TOKEN")),
        ("auto", true, true, 1, None),
        ("auto", true, false, 1, None),
    ];
    for (network, has_token, trusted, sign_ins, code) in rows {
        let lab = Lab::start().await;
        lab.sim.trust("Acme", if trusted { &["127.0.0.0/8"] } else { &[] }).unwrap();
        let token = if has_token { format!("security_token = {}\n", lab.secret("token")) } else { String::new() };
        let settings = format!("{}network = \"{network}\"\n{token}", lab.settings("soap"));
        let result = test_connection().attempt(&lab.connector_with(&settings)).await;
        let row = format!("{network} {has_token} {trusted}");
        assert_eq!(lab.counters().login_attempts, sign_ins, "{row}");
        assert_eq!(result.err().map(|it| it.code.to_string()).as_deref(), code, "{row}");
    }
}

/// Features C7, C8.
#[tokio::test]
async fn what_worked_is_remembered_and_the_token_is_tried_once_when_it_is_needed() {
    let lab = Lab::start().await;
    let alone = lab.settings("soap");
    let both = format!("{alone}security_token = {}\n", lab.secret("token"));
    assert_eq!(tested(&lab, &alone).await.network.as_str(), "trusted-ip");
    assert_eq!(tested(&lab, &both).await.network.as_str(), "trusted-ip", "remembered");
    assert_eq!(lab.counters().login_attempts, 2);

    lab.sim.trust("Acme", &[]).unwrap();
    assert_eq!(tested(&lab, &both).await.network.as_str(), "token");
    assert_eq!((lab.counters().login_attempts, lab.counters().login_failures), (4, 1));
    assert_eq!(tested(&lab, &both).await.network.as_str(), "token");
    assert_eq!((lab.counters().login_attempts, lab.counters().login_failures), (5, 1));
}

/// Only the SOAP login says that it wants the token. Go by what worked without one, and a token is never sent.
#[tokio::test]
async fn a_token_that_no_refusal_asks_for_goes_along_whatever_worked_before() {
    let lab = Lab::start().await;
    let alone = lab.settings("oauth-password");
    assert_eq!(tested(&lab, &alone).await.network.as_str(), "trusted-ip");
    lab.sim.trust("Acme", &[]).unwrap();
    let both = format!("{alone}security_token = {}\n", lab.secret("token"));
    assert_eq!(tested(&lab, &both).await.network.as_str(), "token");
    assert_eq!((lab.counters().login_attempts, lab.counters().login_failures), (2, 0));
}

/// The one refusal allowed is used up by the question for the token; its answer belongs to the same sign-in. The rows:
/// after how many of its writes the process dies, and what the next one is told.
/// Feature C8.
#[tokio::test]
async fn the_token_is_tried_once_however_few_refusals_are_allowed_and_whenever_the_process_dies() {
    let rows = [
        (None, None),
        (Some(0), None),
        (Some(1), Some("sign_in_paused")),
        (Some(2), None),
        (Some(3), Some("sign_in_blocked")),
    ];
    for (writes, code) in rows {
        let lab = Lab::start().await;
        let alone = format!("{}max_refused_logins = 1\n", lab.settings("soap"));
        let both = format!("{alone}security_token = {}\n", lab.secret("token"));
        assert_eq!(tested(&lab, &alone).await.network.as_str(), "trusted-ip");
        lab.sim.trust("Acme", &[]).unwrap();

        if writes.is_some() {
            lab.keep.dies_after(writes);
            let failure = test_connection().attempt(&lab.connector_with(&both)).await.unwrap_err();
            assert_eq!(failure.code.as_str(), "died");
            lab.keep.dies_after(None);
        }
        let result = test_connection().attempt(&lab.connector_with(&both)).await;
        assert_eq!(result.err().map(|it| it.code.to_string()).as_deref(), code, "{writes:?}");
        assert_eq!(lab.counters().login_failures, 1, "{writes:?}");
    }
}

/// Count the page, and the token is never sent again, though it is right: a person has to come.
#[tokio::test]
async fn a_page_in_place_of_the_answer_to_the_token_leaves_it_to_be_sent() {
    for status in [400, 401, 403, 407] {
        let lab = Lab::start().await;
        let alone = format!("{}max_refused_logins = 1\n", lab.settings("soap"));
        let both = format!("{alone}security_token = {}\n", lab.secret("token"));
        tested(&lab, &alone).await;
        lab.sim.trust("Acme", &[]).unwrap();
        // The first sending is refused, and the second, with the token, gets a page.
        lab.fault("POST", "/services/Soap", Mishap::DripReply { bytes: 1 << 20, millis: 0 }, 1);
        lab.fault("POST", "/services/Soap", Mishap::OtherReply { status, body: "<html></html>".to_owned() }, 1);
        let failure = test_connection().attempt(&lab.connector_with(&both)).await.unwrap_err();
        assert_eq!((failure.code.as_str(), lab.counters().login_failures), ("not_a_login_host", 1), "{status}");
        assert_eq!(lab.sim.faults(), 0);
        assert_eq!(tested(&lab, &both).await.network.as_str(), "token", "{status}");
    }
}

#[tokio::test]
async fn f60_a_wrong_token_is_tried_once_when_it_is_asked_for_and_never_again() {
    let lab = Lab::start().await;
    let alone = format!("{}max_refused_logins = 1\n", lab.settings("soap"));
    let both = format!("{alone}security_token = {}\n", lab.secret("token"));
    tested(&lab, &alone).await;
    lab.sim.trust("Acme", &[]).unwrap();
    lab.write("token", "wrong");
    for code in ["LOGIN_MUST_USE_SECURITY_TOKEN", "sign_in_blocked", "sign_in_blocked"] {
        let failure = test_connection().attempt(&lab.connector_with(&both)).await.unwrap_err();
        assert_eq!((failure.code.as_str(), lab.counters().login_failures), (code, 2));
    }
}

/// Features C9, C10.
#[tokio::test]
async fn f60_a_wrong_password_is_not_followed_by_another_guess_and_opens_the_circuit() {
    let lab = Lab::start().await;
    lab.write("password", "wrong");
    let settings = format!("{}security_token = {}\n", lab.settings("soap"), lab.secret("token"));
    for (sign_ins, code) in [(1, "INVALID_LOGIN"), (2, "INVALID_LOGIN"), (2, "sign_in_blocked"), (2, "sign_in_blocked")]
    {
        // A new connector each time: a restart does not help.
        let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::Unauthorized));
        assert_eq!((lab.counters().login_attempts, failure.code.as_str()), (sign_ins, code));
    }

    lab.write("password", ADMIN_PASSWORD);
    assert_eq!(tested(&lab, &settings).await.network.as_str(), "token", "another password starts anew");
}

#[tokio::test]
async fn a_credential_is_read_anew_at_each_sign_in() {
    for (method, file, right) in
        [("oauth-client-credentials", "secret", CONSUMER_SECRET), ("soap", "password", ADMIN_PASSWORD)]
    {
        let lab = Lab::start().await;
        let connector = lab.connector_with(&lab.settings(method));
        test_connection().attempt(&connector).await.unwrap();
        let ended = Switches { expire_sessions: true, ..Switches::default() };
        lab.sim.switch(&ended).unwrap();
        lab.write(file, "wrong");
        let failure = test_connection().attempt(&connector).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::Unauthorized), "{failure}");
        lab.write(file, right);
        test_connection().attempt(&connector).await.unwrap();
    }
}

/// Feature C10.
#[tokio::test]
async fn an_operator_can_close_the_circuit() {
    let lab = Lab::start().await;
    lab.write("password", "wrong");
    let connector = lab.connector_with(&lab.settings("soap"));
    for _ in 0..3 {
        test_connection().attempt(&connector).await.unwrap_err();
    }
    assert_eq!(lab.counters().login_attempts, 2);
    let text = "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n";
    let config = postern_agent::config::Config::parse(std::path::Path::new("x"), text).unwrap();
    let system = &config.systems[0];
    connector::type_of(system).unwrap().reset_sign_in(&system.name, lab.keep.as_ref()).await.unwrap();
    test_connection().attempt(&connector).await.unwrap_err();
    assert_eq!(lab.counters().login_attempts, 3);
}

#[tokio::test]
async fn an_expired_password_is_not_a_session() {
    let mut org = OrgSeed::acme(1);
    org.users[0].password_expired = true;
    let lab = Lab::with_org(org).await;
    let connector = lab.connector_with(&lab.settings("soap"));
    for _ in 0..4 {
        test_connection().attempt(&connector).await.unwrap_err();
    }
    assert_eq!(lab.counters().login_attempts, 2, "it does not sign in for ever");
}

#[tokio::test]
async fn a_refused_login_by_oauth_says_what_to_look_at() {
    let lab = Lab::start().await;
    lab.write("password", "wrong");
    let failure = test_connection().attempt(&lab.connector_with(&lab.settings("oauth-password"))).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "invalid_grant");
    assert!(failure.next_step.contains("Login History"));
    lab.write("secret", "wrong");
    let settings = lab.settings("oauth-client-credentials");
    let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "invalid_client");
}

/// Each failure names the hop.
#[tokio::test]
async fn an_org_that_cannot_be_reached() {
    let lab = Lab::start().await;
    let url = lab.sim.http_url();
    // A port that was free may have been given to another test.
    let dead = "http://127.0.0.1:1";
    for (domain, hop) in [(dead, "connection"), ("http://no-such-host.invalid", "DNS")] {
        let settings = lab.settings("oauth-jwt").replace(&url, domain);
        let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::Transient));
        assert!(failure.summary.contains(&format!("it failed at: {hop}")), "{}", failure.summary.as_str());
        let place = domain.trim_start_matches("http://");
        let place = if place.contains(':') { place.to_owned() } else { format!("{place}:80") };
        assert!(failure.summary.contains(&format!("cannot be reached at {place} (")), "{failure}");
    }
    let proxied = format!("{}proxy = {{ url = \"{dead}\" }}\n", lab.settings("oauth-jwt"));
    let failure = test_connection().attempt(&lab.connector_with(&proxied)).await.unwrap_err();
    assert!(failure.summary.contains("it failed at: proxy"), "{}", failure.summary.as_str());
    assert!(failure.summary.contains(&format!("The proxy {} ", dead.trim_start_matches("http://"))), "{failure}");
    assert_eq!(lab.counters().login_attempts, 0);
}

/// F62: a maintenance page is nobody's refusal; the credentials are not blamed for it.
#[tokio::test]
async fn f62_a_maintenance_page_at_the_sign_in_does_not_open_the_circuit_for_good() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    assert!(test_connection().attempt(&connector).await.is_ok());
    lab.fault("POST", "/oauth2/token", Mishap::Maintenance, 3);
    for _ in 0..3 {
        let failure = test_connection().attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Transient), "maintenance_page"));
    }
    assert!(test_connection().attempt(&connector).await.is_ok());
}

/// F59: an ended session is renewed once, by one login for all that wait.
/// Feature C13.
#[tokio::test]
async fn f59_a_lost_session_is_renewed_once_for_everybody() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    validate("user0001@acme.example").attempt(&connector).await.unwrap();
    assert_eq!(lab.counters().login_attempts, 1);

    lab.sim.switch(&Switches { expire_sessions: true, ..Switches::default() }).unwrap();
    let (mut one, mut two, mut three) =
        (disable("user0001@acme.example"), disable("user0002@acme.example"), enable("user0010@acme.example"));
    let (one, two, three) = tokio::join!(one.attempt(&connector), two.attempt(&connector), three.attempt(&connector));
    for conclusion in [one, two, three] {
        assert_eq!(conclusion.unwrap().outcome, Outcome::Succeeded);
    }
    assert_eq!(lab.counters().login_attempts, 2);
}

/// Feature C14.
#[tokio::test]
async fn f59_a_session_that_is_never_accepted_is_renewed_only_once() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("GET", "/query", Mishap::Respond { status: 401, code: None, message: None }, 100);
    let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "INVALID_SESSION_ID");
    assert_eq!((lab.counters().login_attempts, lab.counters().login_failures), (2, 0));
}

/// The method and the path of a call, and a task that makes it.
type Phase = (&'static str, &'static str, fn() -> Task);

/// Every phase in which a session may end.
fn phases() -> Vec<Phase> {
    vec![
        ("GET", "/query", || validate("user0001@acme.example")),
        ("GET", "/query/", everybody_in_pages),
        ("PATCH", "/sobjects/User/", || disable("user0003@acme.example")),
        ("PATCH", "/sobjects/UserLogin/", || freeze("user0004@acme.example")),
        ("POST", "/password", || reset("user0001@acme.example", "Correct-Horse-7")),
        ("DELETE", "/password", || expire("user0002@acme.example")),
        ("PATCH", "/composite/sobjects", || titles(1_000)),
        ("POST", "/jobs/ingest", || titles(1)),
        ("PUT", "/batches", || titles(1)),
        ("PATCH", "/jobs/ingest/", || titles(1)),
        ("GET", "/jobs/ingest/", || titles(1)),
        ("GET", "/successfulResults", || titles(1)),
        ("POST", "/jobs/query", everybody_in_bulk),
        ("GET", "/jobs/query/", everybody_in_bulk),
        ("GET", "/results", everybody_in_bulk),
        ("GET", "/describe", everybody_in_pages),
    ]
}

fn titles(bulk_threshold: u32) -> Task {
    let entry = |number| format!("{{\"Username\": \"user{number:04}@acme.example\", \"Title\": \"Gardener\"}}\n");
    let request = import_batch::Request { bulk_threshold, ..import_batch::Request::new(Format::Jsonl) };
    import_with(request, (1..=9).map(entry).collect::<String>())
}

fn everybody_in_pages() -> Task {
    export(json!({"object": "User", "format": "csv", "attributes": ["Username"]}))
}

fn everybody_in_bulk() -> Task {
    export(json!({"object": "User", "format": "csv", "attributes": ["Username"], "size_hint": 20_000}))
}

/// More users than one page of a query has.
async fn lab_of_pages() -> Lab {
    Lab::with_org(OrgSeed::acme(2_100)).await
}

#[tokio::test]
async fn f59_an_ended_session_is_renewed_in_every_phase_and_the_work_goes_on() {
    let lab = lab_of_pages().await;
    for (method, path, task) in phases() {
        let phase = format!("{method} {path}");
        let connector = lab.connector_with(&lab.settings("soap"));
        validate("user0001@acme.example").attempt(&connector).await.unwrap();
        let before = lab.counters().login_attempts;
        lab.fault(method, path, Mishap::Respond { status: 401, code: None, message: None }, 1);
        let conclusion = task().attempt(&connector).await.unwrap();
        let fine = [Outcome::Succeeded, Outcome::AlreadySatisfied].contains(&conclusion.outcome);
        assert!(fine, "{phase}: {conclusion:?}");
        assert_eq!(lab.counters().login_attempts - before, 1, "{phase}");
        lab.sim.clear_faults();
    }
}

/// Sign in again whenever the answer is 401, and this never ends.
#[tokio::test]
async fn f59_a_session_that_is_accepted_nowhere_is_renewed_once_for_each_request_and_never_in_a_loop() {
    let lab = lab_of_pages().await;
    for (method, path, task) in phases() {
        let phase = format!("{method} {path}");
        let connector = lab.connector();
        validate("user0001@acme.example").attempt(&connector).await.unwrap();
        let before = lab.counters().login_attempts;
        lab.fault(method, path, Mishap::Respond { status: 401, code: None, message: None }, 1_000);
        let _ = task().attempt(&connector).await;
        let sign_ins = lab.counters().login_attempts - before;
        // A job that cannot be asked for is given up and looked for, each by a request of its own.
        assert!((1..=4).contains(&sign_ins), "{phase}: {sign_ins} sign-ins");
        lab.sim.clear_faults();
    }
}

/// Feature C13.
#[tokio::test]
async fn f60_many_tasks_that_need_a_session_share_one_refusal() {
    let lab = Lab::start().await;
    lab.write("password", "wrong");
    let connector = lab.connector_with(&lab.settings("soap"));
    let (mut a, mut b, mut c) = (validate("a@b.c"), validate("b@b.c"), validate("c@b.c"));
    let (a, b, c) = tokio::join!(a.attempt(&connector), b.attempt(&connector), c.attempt(&connector));
    for result in [a, b, c] {
        assert_eq!(result.unwrap_err().code.as_str(), "INVALID_LOGIN");
    }
    assert_eq!(lab.counters().login_attempts, 1);
}
