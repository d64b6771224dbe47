//! The whole life of an account, from the controller's command line.

use postern_tests::Lab;
use postern_tests::lab::SYSTEM;
use serde_json::{Value, json};

use crate::programs;

const JOE: &str = "user0001@acme.example";
const GONE: &str = "user0001@acme.example.deleted";
const DEAD_LETTERS: &str = "dead.letters@acme.example";

async fn submit(lab: &Lab, kind: &str, account: &str, more: &[&str]) -> Value {
    let submit = ["task", "submit", kind, "--system", SYSTEM, "--account", account];
    lab.controller.cli(&[&submit[..], more].concat()).await
}

#[tokio::test]
async fn a_user_is_frozen_unfrozen_and_frozen_instead_of_disabled() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    for (kind, frozen) in [("freeze_user", true), ("unfreeze_user", false)] {
        let task = submit(&lab, kind, JOE, &[]).await;
        assert_eq!(task["outcome"], json!("succeeded"), "{task}");
        assert_eq!(lab.salesforce.user(JOE).unwrap().frozen, frozen);
    }
    let unlocked = submit(&lab, "unlock_user", JOE, &[]).await;
    assert_eq!(unlocked["outcome"], json!("already_satisfied"), "{unlocked}");

    lab.salesforce.inject(salesforce_sim::Fault {
        when: salesforce_sim::Matching { method: Some("PATCH".to_owned()), path: Some("/sobjects/User/".to_owned()) },
        what: salesforce_sim::Mishap::Respond {
            status: 400,
            code: Some("CANNOT_DISABLE_LAST_ADMIN".to_owned()),
            message: Some("You must have at least one active administrator user".to_owned()),
        },
        times: None,
    });
    let refused = lab.controller.submit("disable_user", JOE).await;
    let refused = lab.controller.finished(refused).await;
    assert_eq!(refused["failure"]["code"], json!("CANNOT_DISABLE_LAST_ADMIN"), "{refused}");
    let frozen = submit(&lab, "disable_user", JOE, &["--if-refused", "freeze"]).await;
    assert_eq!(
        (&frozen["outcome"], &frozen["output"]["frozen_instead"]),
        (&json!("succeeded"), &json!(true)),
        "{frozen}"
    );
    let user = lab.salesforce.user(JOE).unwrap();
    assert!(user.active && user.frozen);
}

/// The identity suites' scenario with its human step, and the way back.
#[tokio::test]
async fn a_user_leaves_for_good_and_comes_back() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let leave = ["task", "submit", "deprovision_user", "--system", SYSTEM, "--account", JOE, "--email", DEAD_LETTERS];
    let (code, waiting, _) = lab.controller.try_cli(&leave).await;
    assert!(code == Some(1) && waiting.contains("email_confirmation_pending"), "{waiting}");
    assert!(lab.salesforce.user(GONE).unwrap().active);

    lab.salesforce.confirm_email(GONE).unwrap();
    let gone = submit(&lab, "deprovision_user", JOE, &["--email", DEAD_LETTERS]).await;
    assert_eq!((&gone["outcome"], &gone["output"]["stage"]), (&json!("succeeded"), &json!("done")), "{gone}");
    let user = lab.salesforce.user(GONE).unwrap();
    assert_eq!((user.active, user.text("Email")), (false, DEAD_LETTERS));

    let password = lab.folder().join("new-password");
    std::fs::write(&password, "Welcome-back-7\n").unwrap();
    let password = password.to_str().unwrap();
    let back = submit(&lab, "restore_user", GONE, &["--name", JOE, "--email", JOE, "--password-file", password]).await;
    assert_eq!((&back["outcome"], &back["output"]["password_set"]), (&json!("succeeded"), &json!(true)), "{back}");
    assert!(lab.salesforce.user(JOE).unwrap().active && lab.salesforce.password_is(JOE, "Welcome-back-7"));
}

#[tokio::test]
async fn salesforces_own_reset_hands_its_temporary_password_over_sealed() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let file = lab.folder().join("temporary");
    let reset = submit(&lab, "reset_password", JOE, &["--service", "--output-password", file.to_str().unwrap()]).await;
    assert_eq!(reset["outcome"], json!("succeeded"), "{reset}");
    let password = std::fs::read_to_string(&file).unwrap();
    assert!(lab.salesforce.password_is(JOE, password.trim()));
    assert!(!reset.to_string().contains(password.trim()));
    let dropped = submit(&lab, "reset_password", JOE, &["--service"]).await;
    assert!(dropped["output"]["message"].as_str().unwrap().contains("dropped"), "{dropped}");
}
