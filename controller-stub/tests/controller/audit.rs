//! Who did what, in a log that shows whether it was changed.

use postern_controller_stub::access::Role;
use postern_controller_stub::api::permissions;
use postern_store::audit::{Head, Verifier};
use serde_json::{Value, json};

use crate::access::{Caller, filled, token};
use crate::lab::{Lab, files};

/// The lines that the log holds once it has at least so many.
async fn lines(lab: &Lab, at_least: usize) -> Vec<Value> {
    lab.wait_for("the lines of the log", async || {
        let mut lines: Vec<Value> = Vec::new();
        let read =
            Verifier::new(&lab.data_dir().join("audit")).run(|it| lines.push(serde_json::from_str(it.event).unwrap()));
        (read.is_ok() && lines.len() >= at_least).then_some(lines)
    })
    .await
}

/// The lines about this, of this act.
pub(crate) async fn of(lab: &Lab, act: &str, count: usize) -> Vec<Value> {
    lab.wait_for(&format!("{count} lines of {act}"), async || {
        let lines: Vec<Value> = lines(lab, 1).await.into_iter().filter(|it| it["act"] == act).collect();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

/// The line about this, of this act, that tells of a refusal of the one who is called so.
async fn refused(lab: &Lab, act: &str, name: &str) -> Value {
    lab.wait_for(&format!("a refused {act} of {name}"), async || {
        let mut lines = lines(lab, 1).await.into_iter();
        lines.find(|it| it["act"] == act && it["by"]["name"] == name && it["result"] == "refused")
    })
    .await
}

#[tokio::test]
async fn every_act_has_a_line_that_says_who_did_it_and_none_holds_a_secret() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    lab.add_system().await;
    let ci = token(&lab, "ci", Role::Operator).await;
    let task = lab.submit("enable_user", "joe@example.com").await;
    let drain = format!("/v1/members/{}/drain", identity.member);
    assert_eq!(Caller::of(&lab).call("POST", &drain, &ci).await.0, 200);

    let started = &of(&lab, "controller.start", 1).await[0];
    assert!(started["on"].as_str().unwrap().contains("auto_approve true"), "{started}");
    let made = &of(&lab, "api_token.create", 2).await[1];
    assert!(made["on"].as_str().unwrap().ends_with(" ci, operator"), "{made}");
    assert_eq!(made["by"]["name"], "bootstrap");
    let enrolled = &of(&lab, "member.enroll", 1).await[0];
    assert_eq!(enrolled["by"], "controller", "{enrolled}");
    assert!(enrolled["on"].as_str().unwrap().contains("enabled"), "it says that nobody was asked: {enrolled}");
    let submitted = &of(&lab, "task.submit", 1).await[0];
    assert!(submitted["on"].as_str().unwrap().starts_with(&task.to_string()), "{submitted}");
    let drained = &of(&lab, "member.drain", 1).await[0];
    assert_eq!((&drained["result"], &drained["on"]), (&json!("done"), &json!(identity.member)));
    assert_eq!((&drained["by"]["name"], &drained["by"]["role"]), (&json!("ci"), &json!("operator")));
    assert_eq!(drained["by"]["from"], "127.0.0.1");
    assert!(drained["by"]["token"].as_str().unwrap().starts_with("apt_"), "{drained}");

    let (_, secret) = ci.split_once('.').unwrap();
    for file in files(&lab.data_dir().join("audit")) {
        assert!(!std::fs::read_to_string(file).unwrap().contains(secret));
    }
    let (code, out, err) = lab.command(&["audit", "show", "--by", "ci"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("ci from 127.0.0.1 member.drain {} done", identity.member)), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
}

/// Leave out the line for what was refused and this waits in vain. What has a `{…}` in its path gets as far as to be refused
/// by the state; what is wrong before that is no act.
#[tokio::test]
async fn what_was_refused_has_a_line_for_every_route_that_acts() {
    let lab = Lab::start().await;
    let (caller, viewer) = (Caller::of(&lab), token(&lab, "looks", Role::Viewer).await);
    let acts = permissions().into_iter().filter(|it| it.method != "GET");
    for it in acts.clone() {
        assert_eq!(caller.call(it.method, &filled(&it), &viewer).await.0, 403);
    }
    for it in acts.clone() {
        let refused = refused(&lab, it.act, "looks").await;
        assert_eq!(refused["why"], format!("needs the role {}", it.least), "{refused}");
    }
    let mine = std::fs::read_to_string(lab.data_dir().join("api.token")).unwrap();
    // Whoever approves a member or accepts a certificate says which, before anything is looked for.
    let acts = acts.filter(|it| !matches!(it.act, "member.accept" | "member.approve"));
    for it in acts.filter(|it| it.path.starts_with("/v1/members/") || it.path.starts_with("/v1/api-tokens/")) {
        assert_eq!(caller.call(it.method, &filled(&it), mine.trim()).await.0, 404);
        let refused = refused(&lab, it.act, "bootstrap").await;
        assert!(refused["why"].as_str().unwrap().contains("there is no"), "{refused}");
    }
}

/// Its root is looked for, and made, before the state is asked to begin.
#[tokio::test]
async fn a_rotation_that_is_refused_before_its_root_is_there_has_its_line() {
    let lab = Lab::start().await;
    let begin = async |how: Value| lab.client().post::<Value>("/v1/ca/rotation/begin", &how).await;
    assert!(begin(json!({ "root": 9 })).await.is_err());
    begin(json!({})).await.unwrap();
    assert!(begin(json!({})).await.is_err());
    let lines = of(&lab, "ca.rotate", 3).await;
    let told: Vec<_> = lines.iter().map(|it| (it["on"].as_str().unwrap(), it["result"].as_str().unwrap())).collect();
    assert_eq!(told, [("begin, root 9", "refused"), ("begin, root 2", "done"), ("begin", "refused")]);
    assert!(lines[0]["why"].as_str().unwrap().contains("never was a root 9"), "{}", lines[0]);
    assert!(lines[2]["why"].as_str().unwrap().contains("under way"), "{}", lines[2]);
    assert!(lines.iter().all(|it| it["by"]["name"] == "bootstrap"), "{lines:?}");
}

/// Write every refusal down and the log grows by a thousand lines.
#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_not_written_down() {
    let lab = Lab::start().await;
    let (caller, viewer) = (Caller::of(&lab), token(&lab, "looks", Role::Viewer).await);
    let mut asked = 0;
    let counted = lab.wait_for("a line that counts", async || {
        for _ in 0..100 {
            assert_eq!(caller.call("POST", "/v1/clusters", &viewer).await.0, 403);
            asked += 1;
        }
        let refused = of(&lab, "cluster.create", 1).await;
        refused.iter().any(|it| it["left_out"].as_u64() > Some(0)).then_some(refused.len())
    });
    assert!(counted.await < asked);
}

/// Answer before the commit and a line is missing now and then; write rows again after a crash and one is there twice.
#[tokio::test]
async fn an_act_that_was_answered_has_its_line_once_whatever_is_killed_when() {
    let mut lab = Lab::start().await;
    let mut made = Vec::new();
    for round in 0..5 {
        for number in 0..=round {
            let name = format!("c{round}-{number}");
            let _: Value = lab.client().post("/v1/clusters", &json!({ "name": name })).await.unwrap();
            made.push(name);
        }
        lab.kill();
        lab.restart().await;
    }
    let lines = of(&lab, "cluster.create", made.len()).await;
    assert_eq!(lines.iter().map(|it| it["on"].as_str().unwrap()).collect::<Vec<_>>(), made);
    let (code, out, err) = lab.command(&["audit", "verify"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("holds what the running controller remembers"), "{out}");
}

#[tokio::test]
async fn a_log_that_was_edited_is_found_out() {
    let lab = Lab::start().await;
    let _ = token(&lab, "ci", Role::Administrator).await;
    of(&lab, "api_token.create", 2).await;
    let file = files(&lab.data_dir().join("audit")).remove(0);
    let edited = std::fs::read_to_string(&file).unwrap().replace("ci, administrator", "ci, viewer");
    std::fs::write(&file, edited).unwrap();
    let (code, _, err) = lab.command(&["audit", "verify"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("was edited"), "{err}");
    let (code, out, _) = lab.command(&["audit", "verify", "--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["whole"], &found["file"]), (Some(1), &json!(false), &json!(file)), "{found}");
    assert!(found["whole_until"].as_str().unwrap().starts_with("2:"), "{found}");
}

#[tokio::test]
async fn lines_are_shown_from_a_moment_on() {
    let lab = Lab::start().await;
    lines(&lab, 1).await;
    let shown = |since| lab.command(&["audit", "show", "--since", since]);
    let (code, out, err) = shown("2020-01-01");
    assert_eq!((code, out.is_empty()), (Some(0), false), "{err}");
    assert_eq!(shown("2199-01-01"), (Some(0), String::new(), String::new()));
    assert_eq!(shown("yesterday").0, Some(2));
}

/// Open the log with the first row alone, and a controller that does nothing finds nothing wrong.
#[tokio::test]
async fn what_is_wrong_with_the_log_is_told_by_the_status() {
    let mut lab = Lab::start().await;
    lab.wait_for("a log that holds every line", async || {
        let status: Value = lab.client().get("/v1/status").await.unwrap();
        let is_written = status["audit"]["waiting"] == 0 && status["audit"]["head"] != Head::default().to_string();
        is_written.then_some(())
    })
    .await;
    lab.kill();
    std::fs::write(files(&lab.data_dir().join("audit")).remove(0), "").unwrap();
    lab.restart().await;
    let told = lab.wait_for("a fault", async || {
        let status: Value = lab.client().get("/v1/status").await.unwrap();
        status["audit"]["fault"].as_str().map(str::to_owned)
    });
    assert!(told.await.contains("ends with line 0, and line"));
    let (_, out, _) = lab.command(&["status"]);
    assert!(out.contains("run `postern-controller audit verify`"), "{out}");
}

#[tokio::test]
async fn nothing_is_done_without_a_line_once_too_much_waits_for_the_log() {
    let lab = Lab::start().await;
    let viewer = token(&lab, "thief", Role::Viewer).await;
    lines(&lab, 2).await;
    let log = lab.data_dir().join("audit");
    std::fs::rename(&log, lab.path("aside")).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    let client = lab.client();
    let mut refused = None;
    let mut rounds = 0;
    while refused.is_none() {
        let names = (0..100).map(|it| format!("c{it}"));
        let made = futures_util::future::join_all(
            names.map(async |name| client.post::<Value>("/v1/clusters", &json!({ "name": name })).await),
        );
        refused = made.await.into_iter().find_map(Result::err);
        rounds += 1;
        assert!(rounds < 110, "all of it waits, or none of it has a line");
    }
    let refused = refused.unwrap();
    assert!(refused.text.contains("audit log cannot be written"), "{}", refused.text);
    let status: Value = client.get("/v1/status").await.unwrap();
    assert!(status["audit"]["trouble"].as_str().unwrap().contains("audit"), "looking goes on, and says why: {status}");
    let waiting = async || client.get::<Value>("/v1/status").await.unwrap()["audit"]["waiting"].as_u64();
    let before = waiting().await;
    assert!(before.is_some(), "looking goes on");
    let payload = Caller::of(&lab).call("POST", &format!("/v1/streams?sha256={}", "0".repeat(64)), &viewer).await;
    assert_eq!(payload.0, 403);
    assert_eq!(waiting().await, before, "a refusal is no line either");
    let gone: Value = client.delete("/v1/api-tokens/thief").await.unwrap();
    assert_eq!(gone["name"], "thief", "what only takes away is done: {gone}");
}
