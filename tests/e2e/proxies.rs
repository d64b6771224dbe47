//! Proxies on the way out: those that help, those that ask, those that refuse, those that listen in.

use std::path::{Path, PathBuf};

use postern_tests::lab::{AgentOptions, CLUSTER, Finished, SYSTEM, SignIn, UNKNOWN_HOST};
use postern_tests::proxy::{ConnectProxy, Manner};
use postern_tests::{Lab, wait_for};
use serde_json::json;

use crate::{JOE, programs};

const PASSWORD: &str = "let-me-out";

fn asks() -> Manner {
    Manner::Basic { username: "postern".to_owned(), password: PASSWORD.to_owned() }
}

/// A file with a proxy's password, and the setting that names it.
fn credentials(lab: &Lab, proxy: &ConnectProxy, password: &str) -> (PathBuf, String) {
    let file = lab.folder().join("proxy-password");
    write_password(&file, password);
    let section = section(proxy, &file);
    (file, section)
}

fn section(proxy: &ConnectProxy, file: &Path) -> String {
    let (url, file) = (proxy.url(), file.display());
    format!("proxy = {{ url = \"{url}\", username = \"postern\", password = {{ file = \"{file}\" }} }}")
}

fn write_password(file: &Path, password: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, password).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn behind(proxy: &ConnectProxy) -> AgentOptions {
    AgentOptions { controller_section: format!("proxy = {{ url = \"{}\" }}", proxy.url()), ..AgentOptions::default() }
}

/// What the command line said, which is one line.
fn sentence(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(69), "{finished:?}");
    assert_eq!(finished.err.trim().lines().count(), 1, "{finished:?}");
    finished.err.trim()
}

#[tokio::test]
async fn f34_an_agent_enrolls_and_works_through_a_proxy_that_asks_for_credentials() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(asks()).await;
    let (_, controller_section) = credentials(&lab, &proxy, PASSWORD);
    let mut agent = lab.agent_with("agent", AgentOptions { controller_section, ..AgentOptions::default() });
    agent.enroll(&lab.controller).await;
    assert_eq!(proxy.tunnels(), 1);
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    lab.controller.associate(SYSTEM, CLUSTER).await;
    let session = agent.session().await;
    let tunnels = proxy.tunnels();
    assert!(tunnels > 1, "one more for the session");

    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert_eq!((proxy.tunnels(), proxy.refused(), agent.session().await), (tunnels, 0, session));
    assert!(!agent.log().contains(PASSWORD) && !agent.status().await.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn f34_wrong_credentials_for_a_proxy_are_told_with_the_settings_to_change() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(asks()).await;
    let (file, controller_section) = credentials(&lab, &proxy, "wrong");
    let mut agent = lab.agent_with("agent", AgentOptions { controller_section, ..AgentOptions::default() });
    let anonymous = lab.agent_with("anonymous", behind(&proxy));
    let token = lab.controller.token().await;

    for refused in
        [agent.try_enroll(lab.controller.url(), &token).await, anonymous.try_enroll(lab.controller.url(), &token).await]
    {
        let said = sentence(&refused);
        for word in ["407", "[controller] proxy", "username", "password"] {
            assert!(said.contains(word), "`{word}` is missing from: {said}");
        }
    }

    write_password(&file, PASSWORD);
    agent.enroll(&lab.controller).await;
    write_password(&file, "wrong");
    let before = proxy.refused();
    agent.spawn();
    let error = agent.link_fails("407").await;
    assert!(error.contains("[controller] proxy") && !error.contains("wrong"), "{error}");
    wait_for("another try", async || {
        let refused = proxy.refused();
        if refused >= before + 2 { Ok(()) } else { Err(refused) }
    })
    .await;
    proxy.turn(Manner::Open);
    agent.link("connected").await;
}

#[tokio::test]
async fn f34_a_proxy_that_refuses_with_a_page_is_named_with_who_can_help() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(Manner::Refuse).await;
    let mut agent = lab.agent_with("agent", behind(&proxy));
    let token = lab.controller.token().await;

    let refused = agent.try_enroll(lab.controller.url(), &token).await;
    let said = sentence(&refused);
    let address = lab.controller.address().to_string();
    for word in ["proxy", "403 Forbidden", "administrator", &address] {
        assert!(said.contains(word), "`{word}` is missing from: {said}");
    }
    assert!(!said.contains('<'), "the page itself is of no use: {said}");

    proxy.turn(Manner::Open);
    agent.enroll(&lab.controller).await;
    proxy.turn(Manner::Refuse);
    agent.spawn();
    agent.link_fails("403 Forbidden").await;
    proxy.turn(Manner::Open);
    agent.link("connected").await;
}

#[tokio::test]
async fn f35_a_proxy_that_intercepts_tls_is_found_by_the_issuer_it_presents() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(Manner::Intercept).await;
    let mut agent = lab.agent_with("agent", behind(&proxy));
    let token = lab.controller.token().await;

    let refused = agent.try_enroll(lab.controller.url(), &token).await;
    let said = sentence(&refused);
    assert!(said.contains("Example Corp TLS Inspection") && said.contains("let this host pass"), "{said}");

    proxy.turn(Manner::Open);
    agent.enroll(&lab.controller).await;
    proxy.turn(Manner::Intercept);
    agent.spawn();
    let error = agent.link_fails("Example Corp TLS Inspection").await;
    assert!(error.contains("intercepts TLS"), "{error}");
    proxy.turn(Manner::Open);
    agent.link("connected").await;
}

/// Tries a connection to Salesforce by way of a proxy of this manner, with this password for it.
async fn test_connection(lab: &Lab, name: &str, manner: Manner, password: &str) -> (Finished, usize) {
    let proxy = ConnectProxy::start(manner).await;
    let file = lab.folder().join(format!("{name}-password"));
    write_password(&file, password);
    let salesforce_section = section(&proxy, &file);
    let agent = lab.agent_with(name, AgentOptions { salesforce_section, ..AgentOptions::default() });
    (agent.run(&["exec", "test-connection", "--system", SYSTEM]).await, proxy.tunnels())
}

#[tokio::test]
async fn f34_f35_calls_to_salesforce_go_through_their_own_proxy_or_not_at_all() {
    let lab = Lab::start(programs()).await;
    let (tested, tunnels) = test_connection(&lab, "allowed", asks(), PASSWORD).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tunnels > 0);

    let calls = lab.salesforce.counters().http_calls;
    // Side by side, because a proxy may recover and each is tried a few times.
    let (stranger, refused, intercepted) = tokio::join!(
        test_connection(&lab, "stranger", asks(), "wrong"),
        test_connection(&lab, "refused", Manner::Refuse, PASSWORD),
        test_connection(&lab, "intercepted", Manner::Intercept, PASSWORD),
    );
    for ((failed, _), words) in [
        (stranger, ["proxy", "name and password"]),
        (refused, ["proxy", "Failed to establish connection"]),
        (intercepted, ["TLS", "root_certificates"]),
    ] {
        assert_eq!(failed.code, Some(1), "{failed:?}");
        for word in words {
            assert!(failed.out.contains(word), "`{word}` is missing from: {failed:?}");
        }
        assert!(!failed.out.contains("wrong") && !failed.out.contains(PASSWORD), "{failed:?}");
    }
    assert_eq!(lab.salesforce.counters().http_calls, calls, "nothing went past the proxy");
}

/// Sign-in, single calls, collections, uploads and downloads. The host is known to the proxy alone, so that whatever goes
/// past it finds nothing.
#[tokio::test]
async fn f34_every_way_to_salesforce_leads_through_the_proxy_with_its_credentials() {
    let lab = Lab::start(programs()).await;
    let proxy = ConnectProxy::start(asks()).await;
    let address = lab.salesforce.https_address().unwrap();
    proxy.knows(UNKNOWN_HOST, address);
    let (_, proxy_section) = credentials(&lab, &proxy, PASSWORD);
    let file = |name: &str| lab.folder().join(name).display().to_string();
    let dataset = file("users.csv");
    let users: Vec<_> = (1..=15).map(|number| format!("user{number:04}@acme.example,Gardener\n")).collect();
    std::fs::write(&dataset, format!("Username,Title\n{}", users.concat())).unwrap();

    for (name, sign_in, more) in [
        ("soap", SignIn::Soap, ""),
        ("oauth", SignIn::ClientCredentials, ""),
        ("http-2", SignIn::ClientCredentials, "\nhttp2 = true"),
    ] {
        let domain = Some(format!("https://{UNKNOWN_HOST}:{}", address.port()));
        let salesforce_section = format!("{proxy_section}{more}");
        let agent =
            lab.agent_with(name, AgentOptions { sign_in, domain, salesforce_section, ..AgentOptions::default() });
        let (made_up, pages, bulk) = (file(&format!("{name}-password")), file("pages.csv"), file("bulk.csv"));
        let on_joe = ["--account", JOE];
        let export = ["export", "--object", "User", "--format", "csv", "--output"];
        for (what, arguments) in [
            ("sign-in and queries", vec!["test_connection"]),
            ("a change", [&["unlock_user"][..], &on_joe].concat()),
            ("a password", [&["reset_password", "--generate", &made_up][..], &on_joe].concat()),
            ("collections", vec!["import_batch", "--dataset", &dataset]),
            ("an upload and its results", vec!["import_batch", "--dataset", &dataset, "--bulk-threshold", "1"]),
            ("pages", [&export[..], &[&pages]].concat()),
            ("a download", [&export[..], &[&bulk, "--size-hint", "20000"]].concat()),
        ] {
            let before = (proxy.tunnels(), lab.salesforce.counters().http_calls);
            let done = agent.run(&[&["exec"][..], &arguments, &["--system", SYSTEM]].concat()).await;
            assert_eq!(done.code, Some(0), "{name}, {what}: {done:?}");
            let after = (proxy.tunnels(), lab.salesforce.counters().http_calls);
            assert!(after.0 > before.0 && after.1 > before.1, "{name}, {what}: {before:?} {after:?}");
            assert!(!done.out.contains(PASSWORD) && !done.err.contains(PASSWORD), "{name}, {what}");
        }
    }
    let routes = lab.salesforce.counters().routes;
    for call in ["jobs/ingest", "jobs/query", "composite/sobjects", "password"] {
        assert!(routes.keys().any(|route| route.contains(call)), "{call} was called: {routes:?}");
    }
    assert!(lab.salesforce.counters().http2_calls > 0);
    assert_eq!(proxy.refused(), 0, "the credentials go along from the beginning");
}
