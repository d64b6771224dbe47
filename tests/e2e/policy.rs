//! What an agent lets be done, whatever its controller asks for.

use postern_tests::Lab;
use postern_tests::lab::{AgentOptions, SYSTEM, new_task_id};
use serde_json::{Value, json};

use crate::{JOE, programs};

/// An agent with these rules.
fn under(policy: &str) -> AgentOptions {
    let salesforce_section = format!("[connected_system.policy]\n{policy}");
    AgentOptions { salesforce_section, ..AgentOptions::default() }
}

fn user(number: u8) -> String {
    format!("user{number:04}@acme.example")
}

/// Why a task failed: the code, and all that was said.
fn failure(task: &Value) -> (Value, String) {
    assert_eq!(task["outcome"], json!("failed"), "{task}");
    (task["failure"]["code"].clone(), task.to_string())
}

/// Keep what was counted in memory, and the last user is disabled after the kill.
#[tokio::test]
async fn a_controller_cannot_exceed_what_an_agent_counted_not_even_by_a_kill() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member_with("agent", under("deactivations_per_day = 2\n")).await;
    for number in 1..=2 {
        let task = lab.controller.submit("disable_user", &user(number)).await;
        assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    }
    agent.kill().await;
    agent.start().await;
    for kind in ["disable_user", "freeze_user", "deprovision_user"] {
        let task = lab.controller.submit(kind, &user(3)).await;
        let (code, words) = failure(&lab.controller.finished(task).await);
        assert_eq!(code, json!("policy"), "{words}");
        assert!(words.contains("deactivations_per_day") && words.contains("possible again at"), "{words}");
    }
    assert!(lab.salesforce.user(&user(3)).unwrap().active);
    let other = lab.controller.submit("enable_user", &user(1)).await;
    assert_eq!(lab.controller.finished(other).await["outcome"], json!("succeeded"), "nothing else has a ceiling");
}

#[tokio::test]
async fn what_one_member_refuses_another_may_do_and_if_none_does_the_rule_is_named() {
    let lab = Lab::start(programs()).await;
    let _strict = lab.member_with("strict", under("deny = [\"user000?@*\"]\n")).await;
    let denied = lab.controller.submit("disable_user", JOE).await;
    let denied = lab.controller.finished(denied).await;
    assert_eq!(denied["outcome"], json!("failed"), "{denied}");
    assert!(denied.to_string().contains("policy: ") && denied.to_string().contains("rule `deny`"), "{denied}");
    assert!(lab.salesforce.user(JOE).unwrap().active);

    let lax = lab.member_with("lax", under("deny = [\"user0002@*\"]\n")).await;
    let done = lab.controller.submit("disable_user", JOE).await;
    let done = lab.controller.finished(done).await;
    assert_eq!((&done["outcome"], &done["member"]), (&json!("succeeded"), &json!(lax.member())), "{done}");
    let denied = lab.controller.submit("disable_user", &user(2)).await;
    failure(&lab.controller.finished(denied).await);
}

#[tokio::test]
async fn an_administrator_asks_what_the_policy_makes_of_a_task() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent_with("agent", under("kinds = [\"disable_user\"]\nprotected = [\"user0001@*\"]\n"));
    let file = lab.folder().join("task.json");
    let check = async |kind: &str, account: &str| {
        let params = json!({ "account": account });
        let task = json!({ "id": new_task_id(), "system": SYSTEM, "kind": kind, "params": params, "priority": 9 });
        std::fs::write(&file, task.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let said = agent.run(&["policy", "check", file, "--json"]).await;
        (said.code, said.json()["rule"].clone())
    };
    assert_eq!(check("disable_user", &user(2)).await, (Some(0), Value::Null));
    assert_eq!(check("disable_user", JOE).await, (Some(1), json!("protected")));
    assert_eq!(check("enable_user", &user(2)).await, (Some(1), json!("kinds")));
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(agent.run(&["policy", "check", file.to_str().unwrap()]).await.code, Some(2));

    let refused = agent.run(&["exec", "disable_user", "--system", SYSTEM, "--account", JOE]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("rule `protected`"), "{refused:?}");
}
