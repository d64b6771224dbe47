//! The API and the command line.

use postern_controller_stub::exit::Exit;
use postern_protocol::Outcome;
use serde_json::{Value, json};

use crate::lab::{Lab, new_task};
use crate::member::succeeded;

#[tokio::test]
async fn the_same_task_twice_is_one_task_and_another_under_its_id_is_refused() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let id = new_task();
    let body =
        |account: &str| json!({ "id": id, "system": "sf", "kind": "enable_user", "params": { "account": account } });
    let first: Value = lab.client().post("/v1/tasks", &body("a")).await.unwrap();
    let again: Value = lab.client().post("/v1/tasks", &body("a")).await.unwrap();
    assert_eq!(first, again);
    let failure = lab.client().post::<Value>("/v1/tasks", &body("b")).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Refused);
    assert!(failure.text.contains("other content"), "{}", failure.text);
    let listed: Vec<Value> = lab.client().list("/v1/tasks", usize::MAX).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_system_of_a_type_that_no_agent_has_a_connector_for_is_refused_by_its_type() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    let body = |kind: &str| json!({ "name": "directory", "association": "acme", "type": kind });
    for kind in ["ldap", "", "Salesforce"] {
        let failure = lab.client().post::<Value>("/v1/systems", &body(kind)).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        let words = format!("no connector of the type `{kind}`; there is: `salesforce`");
        assert!(failure.text.contains(&words), "{}", failure.text);
    }
    assert!(lab.client().post::<Value>("/v1/systems", &body("salesforce")).await.is_ok());
}

#[tokio::test]
async fn a_synchronous_submission_waits_for_the_outcome() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let body = json!({
        "id": new_task(), "system": "sf", "kind": "test_connection", "mode": "sync",
    });
    let client = lab.client();
    let work = async {
        let offer = session.offer().await;
        session.send(succeeded(1, &offer)).await;
    };
    let (submitted, ()) = tokio::join!(client.post::<Value>("/v1/tasks", &body), work);
    assert_eq!(submitted.unwrap()["outcome"], "succeeded");
}

#[tokio::test]
async fn a_deadline_that_passes_before_anybody_has_the_task_ends_it_as_expired() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let id = new_task();
    let body = json!({
        "id": id, "system": "sf", "kind": "enable_user", "params": { "account": "a" }, "deadline_secs": 1,
    });
    let _: Value = lab.client().post("/v1/tasks", &body).await.unwrap();
    assert_eq!(lab.finished(id).await.outcome, Some(Outcome::Expired));
}

#[tokio::test]
async fn without_the_token_there_is_nothing() {
    let lab = Lab::start().await;
    std::fs::write(lab.path("wrong"), "wrong").unwrap();
    rustix::fs::chmod(lab.path("wrong"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let url = lab.addresses().api_url;
    let (code, _, err) =
        lab.command(&["status", "--api-url", &url, "--api-token-file", lab.path("wrong").to_str().unwrap()]);
    assert_eq!(code, Some(77));
    assert!(err.contains("api.token"), "{err}");
    rustix::fs::chmod(lab.path("wrong"), rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    let (code, _, err) =
        lab.command(&["status", "--api-url", &url, "--api-token-file", lab.path("wrong").to_str().unwrap()]);
    assert_eq!(code, Some(78));
    assert!(err.contains("chmod 600"), "{err}");
}

#[tokio::test]
async fn mistakes_on_the_command_line_get_one_sentence_and_their_exit_code() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    for (arguments, code, word) in [
        (vec!["serve", "--api-listen", "0.0.0.0:0"], 78, "TLS proxy"),
        (vec!["task", "submit", "fly", "--system", "sf"], 2, "disable_user"),
        (vec!["task", "submit", "enable_user", "--system", "nope", "--account", "a"], 77, "system list"),
        (vec!["task", "submit", "enable_user", "--system", "sf"], 2, "--account"),
        (vec!["task", "submit", "reset_password", "--system", "sf", "--account", "a"], 2, "--password-file"),
        (vec!["task", "submit", "import_batch", "--system", "sf"], 2, "--dataset"),
        (vec!["member", "show", "tsk_00000000000000000000000000000000"], 2, "mbr_"),
        (vec!["cluster", "create", "Not Good"], 2, "lower-case"),
    ] {
        let (got, out, err) = lab.command(&arguments);
        assert_eq!(got, Some(code), "{arguments:?}: {out}{err}");
        assert!(err.contains(word), "{arguments:?}: {err}");
    }
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_said_to_be_so() {
    let mut lab = Lab::start().await;
    lab.kill();
    let (code, _, err) = lab.command(&["status"]);
    assert_eq!(code, Some(69));
    assert!(err.contains("does not answer"), "{err}");
}
