//! Every mistake gets one clear sentence with the next step; the session and every other task live on.

use std::os::unix::fs::PermissionsExt as _;

use postern_tests::Lab;
use postern_tests::lab::{AgentOptions, SYSTEM, new_task_id};
use salesforce_sim::CONSUMER_KEY;
use serde_json::{Value, json};

use crate::{JOE, programs, reset_password};

fn says(finished: &postern_tests::lab::Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    for word in words {
        assert!(finished.err.contains(word), "`{word}` is missing from: {}", finished.err);
    }
}

#[tokio::test]
async fn enrollment_refuses_what_is_wrong_with_a_sentence_and_an_exit_code() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let url = lab.controller.url();
    let token = lab.controller.token().await;

    says(&agent.try_enroll(url, "not a token").await, 2, &["postern-controller token create"]);
    says(&agent.try_enroll(&url.replace("wss://", "ws://"), &token).await, 2, &["wss://host:port"]);
    for bad in
        ["wss://ops:hush@127.0.0.1:1", "https://ops:hush@a.example", "wss://hush@a.example", "ops:hush@a.example"]
    {
        let refused = agent.try_enroll(bad, &token).await;
        says(&refused, 2, &["number 1 of `--controller`", "wss://host:port"]);
        assert!(!refused.err.contains("hush"), "{}", refused.err);
    }
    // Look at a URL when it is dialled, and one that cannot be used is remembered for the night when it is needed.
    let token_file = agent.folder().join("token");
    let token_file = token_file.to_str().unwrap();
    let second = ["enroll", "--controller", url, "--controller", "https://127.0.0.1:1", "--token-file", token_file];
    says(&agent.run(&second).await, 2, &["number 2 of `--controller`"]);
    assert!(!agent.folder().join("state").exists(), "nothing is made before it is known where to ask");
    says(&agent.try_enroll("wss://127.0.0.1:1", &token).await, 69, &["cannot connect"]);

    let elsewhere = Lab::start(programs()).await;
    says(&agent.try_enroll(elsewhere.controller.url(), &token).await, 69, &["another controller"]);

    assert_eq!(agent.try_enroll(url, &token).await.code, Some(0));
    assert_eq!(agent.try_enroll(url, &token).await.code, Some(0), "the reply may have been lost");
    let used = lab.agent("other");
    says(&used.try_enroll(url, &token).await, 77, &["token"]);

    let other_cluster = elsewhere.controller.cli(&["cluster", "create", "other"]).await;
    assert!(other_cluster.is_object());
    let token = elsewhere.controller.cli(&["token", "create", "--cluster", "other"]).await;
    let token = token["token"].as_str().unwrap();
    says(&agent.try_enroll(elsewhere.controller.url(), token).await, 77, &["member", "other"]);
}

#[tokio::test]
async fn a_member_enrolls_again_only_if_its_administrator_means_it() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    let old = agent.member().to_owned();
    let again = async |token: &str, more: &[&str]| {
        agent.write_secret("token", token);
        let file = agent.folder().join("token");
        let arguments = ["enroll", "--json", "--controller", lab.controller.url(), "--token-file"];
        agent.run(&[&arguments[..], &[file.to_str().unwrap()], more].concat()).await
    };
    let members = async || lab.controller.cli(&["member", "list"]).await.as_array().unwrap().len();

    let fresh = lab.controller.token().await;
    says(&again(&fresh, &[]).await, 77, &["already", &old, "--again", "revoke"]);
    assert_eq!(members().await, 1, "nothing was asked of the controller");

    let enrolled = again(&fresh, &["--again"]).await;
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert_eq!(enrolled.json()["replaces"], json!(old));
    assert_ne!(enrolled.json()["member"], json!(old));
    assert_eq!(members().await, 2);

    let repeated = again(&fresh, &[]).await;
    assert_eq!(repeated.json()["member"], enrolled.json()["member"], "the reply may have been lost");
    assert_eq!(repeated.json()["replaces"], json!(null));
}

#[tokio::test]
async fn an_agent_that_is_not_enrolled_says_what_to_do() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    says(&agent.run(&["run"]).await, 77, &["not enrolled", "postern enroll"]);
}

#[tokio::test]
async fn a_wrong_configuration_names_its_place() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let good = std::fs::read_to_string(agent.config()).unwrap();

    std::fs::write(agent.config(), good.replace("settle_ms", "setle_ms")).unwrap();
    says(&agent.run(&["status"]).await, 0, &[]);
    let wrong = agent.run(&["exec", "test-connection", "--system", SYSTEM]).await;
    says(&wrong, 78, &["setle_ms", "agent.toml"]);

    std::fs::write(agent.config(), good.replace("[agent]", "[agnet]")).unwrap();
    says(&agent.run(&["status"]).await, 78, &["agnet", "agent.toml"]);
}

/// Everything that can be wrong in the file and with what it points to: what to replace, by what, and the words of the
/// complaint.
#[tokio::test]
async fn whatever_is_wrong_with_a_configuration_keeps_the_agent_from_starting() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    agent.enroll(&lab.controller).await;
    let good = std::fs::read_to_string(agent.config()).unwrap();
    let folder = agent.folder().display().to_string();
    for (name, content) in [("empty", "\n"), ("large", &"x".repeat(20_000)), ("garbage", "hello")] {
        agent.write_secret(name, content);
    }
    std::fs::write(agent.folder().join("binary"), [0xff]).unwrap();
    std::fs::set_permissions(agent.folder().join("binary"), std::fs::Permissions::from_mode(0o600)).unwrap();

    let file = |name: &str| format!("{{ file = \"{folder}/{name}\" }}");
    let secret = |to: &str, words: &[&'static str]| {
        let words = [&["acme", "`consumer_secret`"], words].concat();
        (file("consumer-secret"), to.to_owned(), words)
    };
    let other = |from: &str, to: &str, words: &[&'static str]| (from.to_owned(), to.to_owned(), words.to_vec());
    let client = format!("oauth-client-credentials\"\nconsumer_key = \"{CONSUMER_KEY}\"\nconsumer_secret = ");
    let jwt = "oauth-jwt\"\nconsumer_key = \"k\"\nusername = \"u\"\nprivate_key = ";
    let roots = format!("{folder}/salesforce-ca.pem");
    let proxy = format!(
        "proxy = {{ url = \"http://127.0.0.1:1\", username = \"u\", password = {} }}\ndomain = ",
        file("absent")
    );
    let rows = [
        secret(&file("absent"), &["correct its name", "No such file"]),
        secret(&file("empty"), &["is empty"]),
        secret(&file("large"), &["more than 16 KiB"]),
        secret(&file("binary"), &["not UTF-8"]),
        secret(&file(""), &["is not a file"]),
        secret("{ env = \"POSTERN_NO_SUCH\" }", &["no variable `POSTERN_NO_SUCH`", "set it"]),
        secret("{ credential = \"no-such\" }", &["LoadCredential=no-such"]),
        secret("\"in clear\"", &["does not belong in this file"]),
        other(&client, jwt, &["`private_key`", "not an RSA key in PEM form", "consumer-secret"]),
        other(&roots, &format!("{folder}/absent"), &["`root_certificates`", "correct the path", "No such file"]),
        other(&roots, &format!("{folder}/garbage"), &["`root_certificates`", "PEM file of certificates"]),
        other("domain = ", &proxy, &["`proxy`", "correct its name"]),
        other("domain = \"", "domain = \"a b/", &["`domain`", "neither a host nor a URL"]),
        other("/state\"", "/consumer-secret/state\"", &["state_dir", "Not a directory"]),
        other("/state\"", &format!("/{}\"", "x".repeat(90)), &["agent.toml:2", "state_dir", "at most 90 bytes"]),
        other("[controller]", "[controller]\nurls = [\"x\"]", &["agent.toml:5", "wss://"]),
        other("settle_ms", "setle_ms", &["unknown field `setle_ms`"]),
        other("concurrency = 8", "concurrency = \"8\"", &["`concurrency`", "a whole number"]),
        other("[[conn", "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[[conn", &["of this name"]),
        other("connector = \"salesforce\"", "connector = \"ldap\"", &["`ldap`"]),
        other("[agent]", "[agent", &["agent.toml:1"]),
    ];
    for (from, to, words) in rows {
        let wrong = good.replacen(&from, &to, 1);
        assert_ne!(wrong, good, "{from}");
        std::fs::write(agent.config(), wrong).unwrap();
        for command in [&["exec", "test-connection", "--system", SYSTEM][..], &["run"]] {
            let finished = agent.run(command).await;
            says(&finished, 78, &words);
            assert_eq!(finished.err.trim().lines().count(), 1, "one sentence: {}", finished.err);
        }
    }

    let proxy = proxy.replace("domain = ", "");
    std::fs::write(agent.config(), good.replace("[controller]", &format!("[controller]\n{proxy}"))).unwrap();
    says(&agent.run(&["run"]).await, 78, &["agent.toml:5", "`proxy`", "correct its name"]);
}

#[tokio::test]
async fn a_refused_login_is_tried_as_often_as_the_guard_allows() {
    let lab = Lab::start(programs()).await;
    let options = AgentOptions { sign_in: postern_tests::lab::SignIn::Soap, ..AgentOptions::default() };
    let agent = lab.agent_with("agent", options);
    let password = agent.folder().join("password");
    std::fs::write(&password, "wrong").unwrap();
    for _ in 0..4 {
        let failed = agent.run(&["exec", "test-connection", "--system", SYSTEM]).await;
        assert_eq!(failed.code, Some(1), "{failed:?}");
    }
    let failures = lab.salesforce.counters().login_failures;
    assert_eq!(failures, 2, "the guard is kept over restarts of the process");

    let reset = agent.run(&["reset-sign-in", "--system", SYSTEM]).await;
    assert_eq!(reset.code, Some(0), "{reset:?}");
    agent.run(&["exec", "test-connection", "--system", SYSTEM]).await;
    assert_eq!(lab.salesforce.counters().login_failures, 3, "an operator lets it try again");
}

async fn outcome(lab: &Lab, kind: &str, params: Value) -> Value {
    let id = new_task_id();
    assert_eq!(lab.controller.try_submit(id, kind, params).await, Ok(()));
    lab.controller.finished(id).await
}

#[tokio::test]
async fn a_task_that_cannot_be_done_says_why_and_the_next_one_is_done() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let session = agent.session().await;

    let unknown = outcome(&lab, "disable_user", json!({ "account": "nobody@acme.example" })).await;
    assert_eq!((&unknown["outcome"], &unknown["failure"]["code"]), (&json!("failed"), &json!("user_not_found")));

    let inactive = lab.salesforce.user("user0010@acme.example").unwrap();
    assert!(!inactive.active);
    let file = lab.folder().join("pw");
    std::fs::write(&file, "Some-Pass-word-1").unwrap();
    let arguments = reset_password("user0010@acme.example", &["--password-file", file.to_str().unwrap()]);
    let (code, out, _) = lab.controller.try_cli(&arguments).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("user_inactive"), "{out}");

    let own = outcome(&lab, "disable_user", json!({ "account": salesforce_sim::ADMIN })).await;
    assert_eq!(own["outcome"], json!("failed"), "the service account is never disabled: {own}");
    assert_eq!(outcome(&lab, "disable_user", json!({ "account": JOE })).await["outcome"], json!("succeeded"));

    assert_eq!(agent.session().await, session, "one session all along: {}", agent.log());
}

#[tokio::test]
async fn the_controller_refuses_what_no_member_could_do() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let refused = |answer: Result<(), (u16, Value)>| answer.expect_err("it is refused").1.to_string();
    let submit = async |kind: &str, params: Value| lab.controller.try_submit(new_task_id(), kind, params).await;

    assert!(refused(submit("fly_to_the_moon", json!({})).await).contains("fly_to_the_moon"));
    assert!(refused(submit("disable_user", json!({ "acount": JOE })).await).contains("acount"));
    let clear = submit("reset_password", json!({ "account": JOE, "source": "given", "password": "x" })).await;
    assert!(refused(clear).contains("clear"));

    let (code, _, err) =
        lab.controller.try_cli(&["task", "submit", "test_connection", "--system", "no-such-system"]).await;
    assert_eq!(code, Some(77), "{err}");
    assert!(err.contains("no-such-system"), "{err}");
}

#[tokio::test]
async fn a_wrong_picklist_value_and_a_taken_name_fail_their_entries_alone() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let dataset = lab.folder().join("users.xml");
    std::fs::write(
        &dataset,
        format!(
            "<root>\n<entry changetype=\"modify\"><Username>{JOE}</Username><TimeZoneSidKey>Mars/Olympus\
             </TimeZoneSidKey></entry>\n<entry changetype=\"modify\"><Original_Username>user0002@acme.example\
             </Original_Username><Username>user0003@acme.example</Username></entry>\n<entry \
             changetype=\"modify\"><Username>user0004@acme.example</Username><Title>Lead</Title></entry>\n</root>"
        ),
    )
    .unwrap();
    let imported = agent
        .run(&["exec", "import-batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap(), "--json"])
        .await;
    let imported = imported.json();
    assert_eq!(imported["outcome"], json!("partially_succeeded"), "{imported}");
    let failed = imported["failed_entries"].to_string();
    assert!(failed.contains("RESTRICTED_PICKLIST") && failed.contains("DUPLICATE_USERNAME"), "{imported}");
    assert_eq!(lab.salesforce.user("user0004@acme.example").unwrap().fields["Title"], json!("Lead"));
}
