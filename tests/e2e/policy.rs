//! What an agent lets be done, whatever its controller asks for.

use postern_protocol::bounded::Bytes;
use postern_protocol::message::v1::Offer;
use postern_protocol::signature::{SigningKey, TaskSignature};
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use postern_tests::Lab;
use postern_tests::lab::{AgentOptions, SYSTEM, new_task_id};
use postern_tests::wait_for;
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::health::{get, told_address};
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

/// What is to be noticed is what a ceiling stops, one account after the other or in an import: count what is refused at its
/// offer alone, and nobody hears of it.
#[tokio::test]
async fn an_alert_counts_what_the_policy_refuses_at_an_offer_when_it_begins_and_in_an_import() {
    let lab = Lab::start(programs()).await;
    let agent_section = "\n[health]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    let rules = under("deactivations_per_hour = 1\ndeny = [\"user0009@*\"]\n");
    let agent = lab.member_with("agent", AgentOptions { agent_section, ..rules }).await;
    let refusals = async || {
        let (_, page) = get(format!("http://{}/metrics", told_address(&agent.log()))).await;
        let line = page.lines().find(|line| line.starts_with("postern_policy_refusals_total{")).map(str::to_owned);
        line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
    };
    let finished = async |account: &str| {
        let task = lab.controller.submit("disable_user", account).await;
        lab.controller.finished(task).await["outcome"].clone()
    };
    assert_eq!((finished(&user(1)).await, refusals().await), (json!("succeeded"), 0));
    assert_eq!((finished(&user(2)).await, refusals().await), (json!("failed"), 1), "the ceiling");
    assert_eq!((finished(&user(9)).await, refusals().await), (json!("failed"), 2), "the offer");
    let dataset = lab.folder().join("users.jsonl");
    let entries = [
        json!({ "Username": user(9), "Title": "Denied" }),
        json!({ "Username": user(3), "IsActive": "false" }),
        json!({ "Username": user(4), "Title": "Let through" }),
    ];
    std::fs::write(&dataset, entries.map(|entry| entry.to_string()).join("\n")).unwrap();
    let import = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap()];
    let (_, told, err) = lab.controller.try_cli(&import).await;
    assert!(told.contains("partially_succeeded"), "{told} {err}");
    assert_eq!(refusals().await, 4, "a name and the ceiling, each in an entry");
    let (_, told, err) = lab.controller.try_cli(&[&import[..], &["--dry-run"]].concat()).await;
    assert!(told.contains("partially_succeeded"), "{told} {err}");
    assert_eq!(refusals().await, 4, "who rehearses wants nothing done");
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

/// Write it with another id than it is signed with, and the agent refuses the signature; make the id up when it is sent, and
/// it is done twice.
#[tokio::test]
async fn a_task_is_written_signed_tried_on_the_agent_and_sent_once() {
    let lab = Lab::start(programs()).await;
    let key = lab.folder().join("signer.key").display().to_string();
    let public = lab.controller.cli(&["task", "signing-key", &key]).await;
    let rules =
        format!("accepted_signers = [{}]\nrequire_signature = true\nprotected = [\"user0002@*\"]\n", public["public"]);
    let agent = lab.member_with("agent", under(&rules)).await;
    let write = async |account: &str, name: &str, more: &[&str]| {
        let file = lab.folder().join(name).display().to_string();
        let submit = ["task", "submit", "disable_user", "--system", SYSTEM, "--account", account, "--write", &file];
        (lab.controller.try_cli(&[&submit[..], more].concat()).await, file)
    };
    let check = async |file: &str| agent.run(&["policy", "check", file, "--json"]).await.json()["rule"].clone();

    let ((code, _, err), signed) = write(JOE, "signed.json", &["--sign-with", &key]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(check(&signed).await, Value::Null, "let through");
    let (_, protected) = write(&user(2), "protected.json", &["--sign-with", &key]).await;
    assert_eq!(check(&protected).await, json!("protected"));
    let (_, unsigned) = write(JOE, "unsigned.json", &[]).await;
    assert_eq!(check(&unsigned).await, json!("require_signature"));
    assert_eq!(lab.controller.cli(&["task", "list"]).await, json!([]), "nothing was submitted");

    let first = lab.controller.cli(&["task", "send", &signed]).await;
    assert_eq!(first["outcome"], json!("succeeded"), "{first}");
    assert_eq!(lab.controller.cli(&["task", "send", &signed]).await["id"], first["id"], "the same task");
    assert_eq!(lab.salesforce.counters().users[JOE].deactivations, 1);

    let ((code, _, err), _) = write(JOE, "signed.json", &[]).await;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("signed.json") && err.contains("name another"), "{err}");
    let (code, _, err) = lab.controller.try_cli(&["task", "send", &key]).await;
    assert_eq!(code, Some(2), "{err}");
}

/// Look at the kind only when a task is offered, and exports that nobody ordered run on after their kind was taken out.
#[tokio::test]
async fn what_was_taken_before_its_kind_was_ruled_out_is_not_begun() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member_with("agent", under("kinds = [\"validate_user\", \"disable_user\"]\n")).await;
    lab.salesforce.inject(Fault {
        when: Matching { method: Some("GET".to_owned()), path: Some("/query".to_owned()) },
        what: Mishap::Latency { millis: 600_000 },
        times: Some(1),
    });
    let task = lab.controller.submit("validate_user", JOE).await;
    let under_way = async || match lab.salesforce.faults() {
        0 => Ok(()),
        faults => Err(faults),
    };
    wait_for("the look to be under way", under_way).await;
    agent.kill().await;
    let config = std::fs::read_to_string(agent.config()).unwrap();
    std::fs::write(agent.config(), config.replace("\"validate_user\", ", "")).unwrap();
    agent.start().await;
    let (code, words) = failure(&lab.controller.finished(task).await);
    assert_eq!(code, json!("policy"), "{words}");
    assert!(words.contains("rule `kinds`"), "{words}");
}

/// The JSON of a signature of this task.
fn signature(key: &SigningKey, task: TaskId, kind: TaskKind, params: &Value) -> Value {
    let request = TaskRequest::from_json(kind, params.clone()).unwrap();
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    let offer = Offer::new(task, SYSTEM.parse().unwrap(), &request, params);
    serde_json::to_value(TaskSignature::sign(&offer, 0, key).unwrap().view()).unwrap()
}

/// The API stands for a controller that somebody took over: it offers whatever it likes, with whatever signature.
#[tokio::test]
async fn f51_a_controller_can_neither_invent_nor_alter_a_task() {
    let lab = Lab::start(programs()).await;
    let (key, other) = (lab.folder().join("signer.key"), lab.folder().join("other.key"));
    let (key_file, other_file) = (key.to_str().unwrap(), other.to_str().unwrap());
    let public = lab.controller.cli(&["task", "signing-key", key_file]).await;
    lab.controller.cli(&["task", "signing-key", other_file]).await;
    assert_eq!(lab.controller.try_cli(&["task", "signing-key", key_file]).await.0, Some(2), "it is not written over");
    let rules = format!("require_signature = true\naccepted_signers = [{}]\n", public["public"]);
    let _agent = lab.member_with("agent", under(&rules)).await;

    let on =
        |kind: &'static str, account: &'static str| ["task", "submit", kind, "--system", SYSTEM, "--account", account];
    let sign = ["--sign-with", key_file];
    let done = lab.controller.cli(&[&on("disable_user", JOE)[..], &sign, &["--deadline-secs", "600"]].concat()).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    let made_up = lab.folder().join("made-up");
    let generate = ["--generate", "--output-password", made_up.to_str().unwrap()];
    let reset = on("reset_password", "user0002@acme.example");
    assert_eq!(lab.controller.cli(&[&reset[..], &generate, &sign].concat()).await["outcome"], json!("succeeded"));
    let dataset = lab.folder().join("users.jsonl");
    std::fs::write(&dataset, r#"{"Username": "user0003@acme.example", "Title": "Signed"}"#).unwrap();
    let import = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap()];
    assert_eq!(lab.controller.cli(&[&import[..], &sign].concat()).await["outcome"], json!("succeeded"));

    let before = lab.salesforce.counters().users;
    let refused = |task: &Value| {
        assert_eq!(task["outcome"], json!("failed"), "{task}");
        assert!(task.to_string().contains("bad_signature: "), "{task}");
    };
    for more in [&[][..], &["--sign-with", other_file]] {
        let submit = [&on("disable_user", "user0004@acme.example")[..], &["--async"], more].concat();
        let taken = lab.controller.cli(&submit).await;
        refused(&lab.controller.finished(taken["id"].as_str().unwrap().parse().unwrap()).await);
    }
    let signer = std::fs::read(&key).unwrap().try_into().unwrap();
    let signer = SigningKey::from_private(Zeroizing::new(signer)).unwrap();
    let [four, five] = [4, 5].map(|number| json!({ "account": user(number) }));
    let ids = [new_task_id(), new_task_id(), new_task_id()];
    let of_four = signature(&signer, ids[0], TaskKind::DisableUser, &four);
    let submit = async |id: TaskId, kind: &str, params: &Value, signature: &Value| {
        let body = json!({ "id": id, "system": SYSTEM, "kind": kind, "params": params, "signature": signature });
        lab.controller.api().ask(reqwest::Method::POST, "/v1/tasks", Some(&body)).await
    };
    for (id, kind, params) in
        [(ids[0], "disable_user", &five), (ids[1], "disable_user", &four), (ids[2], "freeze_user", &four)]
    {
        let (status, answer) = submit(id, kind, params, &of_four).await;
        assert!((200..=202).contains(&status), "{answer}");
        refused(&lab.controller.finished(id).await);
    }
    assert_eq!(lab.salesforce.counters().users, before, "nothing was done to anybody");
    let (status, answer) = submit(new_task_id(), "disable_user", &four, &json!({ "key": "x", "bytes": "" })).await;
    assert_eq!((status, &answer["field"]), (422, &json!("signature")), "{answer}");

    let id = new_task_id();
    let good = signature(&signer, id, TaskKind::DisableUser, &four);
    submit(id, "disable_user", &four, &good).await;
    assert_eq!(lab.controller.finished(id).await["outcome"], json!("succeeded"));
}
