//! What is shown of a task, of the entries of a batch, and of what was done.

use postern_controller_stub::access::Role;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Chunk, Report, StreamOpen, StreamRef};
use postern_protocol::stream::CHUNK;
use postern_protocol::{StreamId, TaskId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::access::{Caller, token};
use crate::lab::Lab;
use crate::member::{Session, succeeded};
use crate::payloads::submit_import;

/// A session finishes the next task with this payload.
async fn finish_with(lab: &Lab, session: &mut Session, number: u64, bytes: &[u8]) -> TaskId {
    let offer = session.offer().await;
    let stream = StreamRef {
        id: StreamId::from_bytes([number.try_into().unwrap(); 16]),
        length: u64::try_from(bytes.len()).unwrap(),
        sha256: Sha256::digest(bytes).into(),
    };
    session.send(StreamOpen { task: offer.task, stream }).await;
    while !matches!(session.next().await, FromController::StreamOpenAck(_)) {}
    for (index, piece) in bytes.chunks(CHUNK).enumerate() {
        let (index, bytes) = (u64::try_from(index).unwrap(), Bytes::new(piece.to_vec()).unwrap());
        session.send(Chunk { stream: stream.id, index, bytes }).await;
    }
    session.send(Report { streams: List::new(vec![stream]).unwrap(), ..succeeded(number, &offer) }).await;
    lab.finished(offer.task).await;
    offer.task
}

/// The entries of a batch, read in pages of so many, and how many pages that were.
async fn records(caller: &Caller, task: TaskId, query: &str, token: &str) -> (Vec<Value>, usize) {
    let (mut items, mut behind, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = caller.call("GET", &format!("/v1/tasks/{task}/records?{query}{behind}"), token).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next"].as_str() else { return (items, pages) };
        behind = format!("&cursor={next}");
    }
}

/// Go on behind the piece that was read, in place of the line that was shown, and entries are lost.
#[tokio::test]
async fn the_failed_entries_of_a_batch_are_found_page_by_page() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let mut results = String::new();
    let outcome = |entry: u64| match entry % 1_000 {
        7 => "failed",
        8 => "unknown",
        _ => "modified",
    };
    for entry in 1..=5_000 {
        let line = json!({
            "entry": entry, "line": entry + 1, "offset": entry * 10, "length": 10, "action": "modify",
            "account": format!("user{entry}@acme.example"), "outcome": outcome(entry), "message": "é",
        });
        results.extend([line.to_string().as_str(), "\n"]);
    }
    submit_import(&lab, b"<root/>");
    let task = finish_with(&lab, &mut session, 1, results.as_bytes()).await;
    let (caller, token) = (Caller::of(&lab), token(&lab, "o", Role::Operator).await);
    let (all, pages) = records(&caller, task, "limit=200", &token).await;
    assert_eq!((all.len(), pages), (5_000, 25));
    assert!(all.iter().map(|it| it["entry"].as_u64().unwrap()).eq(1..=5_000));
    let (failed, _) = records(&caller, task, "only=failed&limit=3", &token).await;
    let told: Vec<_> = failed.iter().map(|it| it["entry"].as_u64().unwrap() % 1_000).collect();
    assert_eq!(told, [7, 8, 7, 8, 7, 8, 7, 8, 7, 8]);
    assert_eq!(failed[0]["account"], "user7@acme.example");
    assert_eq!((&failed[0]["outcome"], &failed[0]["message"]), (&json!("failed"), &json!("é")));
}

#[tokio::test]
async fn records_that_are_not_there_or_not_for_the_controller_are_refused_with_the_reason() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let (caller, token) = (Caller::of(&lab), token(&lab, "o", Role::Operator).await);
    let refused = async |task: TaskId, query: &str, status: u16, words: &str| {
        let (answered, problem) = caller.call("GET", &format!("/v1/tasks/{task}/records{query}"), &token).await;
        assert_eq!(answered.as_u16(), status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
    };
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    refused(offer.task, "", 409, "is not finished").await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    refused(offer.task, "", 404, "left no results").await;
    refused(offer.task, "?only=all", 422, "`only`").await;
    let other = lab.submit("enable_user", "a").await;
    refused(other, "", 409, "is no import of a dataset").await;
    let offer = session.offer().await;
    session.send(succeeded(2, &offer)).await;
    assert_eq!(session.acked().await, 2);
    let key = lab.path("key");
    let submit = ["task", "submit", "export", "--system", "sf", "--params", r#"{"object":"User","format":"csv"}"#];
    let (code, _, err) = lab.command(&[&submit[..], &["--result-key", key.to_str().unwrap(), "--async"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let sealed = finish_with(&lab, &mut session, 3, b"sealed").await;
    refused(sealed, "", 409, "is sealed to its requester").await;
}

#[tokio::test]
async fn a_task_tells_who_had_it_under_which_lease_and_when() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "a").await;
    session.offer().await;
    identity.last_session = session.number();
    drop(session);
    let mut session = Session::open(&lab, &identity).await;
    let second = session.offer().await;
    assert_eq!((second.task, second.attempt), (task, 2), "the first offer was lost");
    let shown: Value = lab.client().get(&format!("/v1/tasks/{task}")).await.unwrap();
    let attempts = shown["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|it| (it["member"].clone(), it["epoch"].as_u64().unwrap())).collect();
    assert_eq!(told[0], (json!(identity.member), 1));
    assert_eq!(told.last(), Some(&(json!(identity.member), shown["epoch"].as_u64().unwrap())));
    assert!(attempts.is_sorted_by_key(|it| it["at"].as_u64().unwrap()), "{attempts:?}");
    assert!(attempts[0]["at"].as_u64().unwrap() >= shown["submitted"].as_u64().unwrap());
    lab.kill();
    lab.restart().await;
    let again: Value = lab.client().get(&format!("/v1/tasks/{task}")).await.unwrap();
    assert_eq!(again["attempts"][0], attempts[0], "it is durable");
}

#[tokio::test]
async fn an_administrator_reads_what_was_done_the_newest_first() {
    let lab = Lab::start().await;
    for name in ["a", "b", "c"] {
        let _: Value = lab.client().post("/v1/clusters", &json!({ "name": name })).await.unwrap();
    }
    let lines: Vec<Value> = lab
        .wait_for("the lines", async || {
            let lines: Vec<Value> = lab.client().list("/v1/audit", usize::MAX).await.unwrap();
            let made = lines.iter().filter(|it| it["event"]["act"] == "cluster.create").count();
            (made == 3).then_some(lines)
        })
        .await;
    let of_clusters = lines.iter().filter(|it| it["event"]["act"] == "cluster.create");
    assert_eq!(of_clusters.map(|it| it["event"]["on"].as_str().unwrap()).collect::<Vec<_>>(), ["c", "b", "a"]);
    assert!(lines.is_sorted_by(|a, b| a["number"].as_u64() > b["number"].as_u64()), "{lines:?}");
    let caller = Caller::of(&lab);
    let administrator = token(&lab, "x", Role::Administrator).await;
    let (_, page) = caller.call("GET", "/v1/audit?limit=1", &administrator).await;
    let next = page["next"].as_str().unwrap();
    let (_, page) = caller.call("GET", &format!("/v1/audit?limit=200&cursor={next}"), &administrator).await;
    assert_eq!(page["items"].as_array().unwrap().last(), lines.last());
    let viewer = token(&lab, "v", Role::Viewer).await;
    assert_eq!(caller.call("GET", "/v1/audit", &viewer).await.0, 403);
}
