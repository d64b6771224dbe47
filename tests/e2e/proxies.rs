//! Proxies on the way out: those that help, those that ask, those that refuse, those that listen in.

use std::path::{Path, PathBuf};

use postern_tests::lab::{AgentOptions, Finished, SYSTEM};
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
    let agent = lab.member_with("agent", AgentOptions { controller_section, ..AgentOptions::default() }).await;

    let task = lab.controller.submit("disable_user", JOE).await;
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert_eq!((proxy.tunnels(), proxy.refused()), (2, 0), "one tunnel to enroll, one for the session");
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
