//! Finished tasks are forgotten after a while.

use std::time::Duration;

use data_encoding::HEXLOWER;
use postern_controller_stub::api::StreamView;
use postern_controller_stub::client::sealing::{self, Binding};
use postern_controller_stub::exit::Exit;
use postern_controller_stub::state::ledger::{Ledger, Write};
use postern_controller_stub::state::records::Records as _;
use postern_controller_stub::{clock, random};
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Chunk, Report, StreamFault, StreamOpen, StreamRef};
use postern_protocol::task::import_batch;
use postern_protocol::time::UnixMillis;
use postern_protocol::{StreamId, TaskId, TaskKind, TaskRequest};
use postern_store::{Options, Store, StoreKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::{Lab, files};
use crate::member::{Identity, Session, succeeded};

fn days_ago(days: u64) -> UnixMillis {
    clock::before(clock::wall(), Duration::from_secs(days * 24 * 60 * 60))
}

/// Submits a batch under this id, with a dataset sealed to this member.
async fn submit_import(lab: &Lab, id: TaskId, identity: &Identity) {
    let request = TaskRequest::from_json(TaskKind::ImportBatch, json!({ "format": "xml" })).unwrap();
    let binding = Binding { task: id, system: "sf".parse().unwrap(), request };
    let dataset = sealing::dataset(b"<root/>").unwrap();
    let key = binding.seal(import_batch::DATASET_KEY, &dataset.key[..], &[*identity.sealing.public()]).unwrap();
    let sha256 = HEXLOWER.encode(&Sha256::digest(&dataset.bytes));
    let stream: StreamView = lab.client().upload(&format!("/v1/streams?sha256={sha256}"), dataset.bytes).await.unwrap();
    let body = json!({
        "id": id, "system": "sf", "kind": "import_batch", "params": { "format": "xml" }, "sealed": [key],
        "streams": [stream.id],
    });
    let _: Value = lab.client().post("/v1/tasks", &body).await.unwrap();
}

async fn send_result(session: &mut Session, task: TaskId) -> StreamRef {
    let bytes = b"what came of it".to_vec();
    let length = u64::try_from(bytes.len()).unwrap();
    let stream = StreamRef { id: StreamId::from_bytes([5; 16]), length, sha256: Sha256::digest(&bytes).into() };
    session.send(StreamOpen { task, stream }).await;
    session.send(Chunk { stream: stream.id, index: 0, bytes: Bytes::new(bytes).unwrap() }).await;
    for expected in ["StreamOpenAck", "ChunkAck", "StreamClose"] {
        assert_eq!(session.next().await.name(), expected);
    }
    stream
}

/// Moves the end of a task back in time, in the ledger of a controller that is not running.
async fn make_old(lab: &Lab, task: TaskId, finished: UnixMillis) {
    let key = StoreKey::load_or_create(&lab.data_dir().join("store.key")).unwrap();
    let store = Store::open(&lab.data_dir().join("store"), &key, &Options::default(), 1).unwrap().store;
    let ledger = Ledger::new(store);
    let mut record = ledger.task(task).unwrap().unwrap();
    record.finish.as_mut().unwrap().at = finished;
    ledger.commit(vec![Write::Task(record)]).await.unwrap();
}

/// Leave the payloads out of `forget_finished` and their files stay; leave out `check_made` and the task is run again.
#[tokio::test]
async fn a_task_that_is_forgotten_goes_with_its_payloads_and_is_not_run_again() {
    let mut lab = Lab::start_with(&["--auto-approve", "--keep-finished-days", "365"]).await;
    let (mut identity, mut session) = lab.working_member().await;
    let id = TaskId::from_random(days_ago(40).0, random::bytes());
    submit_import(&lab, id, &identity).await;
    let offer = session.offer().await;
    let stream = send_result(&mut session, id).await;
    let report = Report { streams: List::new(vec![stream]).unwrap(), ..succeeded(1, &offer) };
    session.send(report).await;
    assert_eq!(session.acked().await, 1);
    let spool = lab.data_dir().join("store/spool");
    assert_eq!(files(&spool).len(), 2, "the dataset and the results");
    identity.last_session = session.number();
    identity.next_report = 2;
    drop(session);
    lab.disconnected(identity.member).await;
    let waiting = TaskId::from_random(days_ago(41).0, random::bytes());
    let body = |id| json!({ "id": id, "system": "sf", "kind": "enable_user", "params": { "account": "a" } });
    let _: Value = lab.client().post("/v1/tasks", &body(waiting)).await.unwrap();

    assert_eq!(lab.terminate(), Some(0));
    make_old(&lab, id, days_ago(31)).await;
    lab.restart_with(&["--auto-approve", "--keep-finished-days", "30", "--keep-finished-tasks", "0"]).await;
    let no_files = async || files(&spool).is_empty().then_some(());
    lab.wait_for("the payloads to go", no_files).await;
    let shown: Result<Value, _> = lab.client().get(&format!("/v1/tasks/{id}")).await;
    assert!(shown.unwrap_err().text.contains("forgotten"));
    assert_eq!(lab.task(waiting).await.state, "queued", "what is not finished is never forgotten");
    let again: Value = lab.client().post("/v1/tasks", &body(waiting)).await.unwrap();
    assert_eq!(again["state"], "queued", "nor refused");

    let again = lab.client().post::<Value>("/v1/tasks", &body(id)).await.unwrap_err();
    assert_eq!(again.exit, Exit::Refused);
    assert!(again.text.contains("more than 30 days ago"), "{}", again.text);
    let ahead = TaskId::from_random(clock::wall().0 + 1_000 * 60 * 60 * 48, random::bytes());
    let ahead = lab.client().post::<Value>("/v1/tasks", &body(ahead)).await.unwrap_err();
    assert!(ahead.text.contains("yet to come"), "{}", ahead.text);

    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    session.answer_inventory(&[]).await;
    session.send(StreamOpen { task: id, stream }).await;
    let FromController::StreamReset(reset) = session.next().await else { panic!("no StreamReset") };
    assert_eq!(reset.fault, StreamFault::Unknown.into());
    session.send(Report { streams: List::new(vec![stream]).unwrap(), ..succeeded(2, &offer) }).await;
    assert_eq!(session.acked().await, 2, "a late word about it is acknowledged");
}
