//! Payloads, both ways, and across interruptions.

use std::path::Path;

use postern_controller_stub::access::Role;
use postern_protocol::StreamId;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{
    Chunk, ChunkAck, Credit, HeldState, HeldTask, Inventory, LeaseRef, Reject, Rejection, Report, StreamClose,
    StreamFault, StreamOpen, StreamOpenAck, StreamRef, StreamReset,
};
use postern_protocol::seal::{SealContext, SegmentOpener};
use postern_protocol::session::Ended;
use postern_protocol::stream::{CHUNK, chunks};
use postern_protocol::{Epoch, Outcome, TaskId, TaskKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::access::{Caller, token};
use crate::lab::{Lab, files};
use crate::member::{Session, succeeded};

fn payload(length: usize) -> (Vec<u8>, StreamRef) {
    let bytes: Vec<u8> = (0..length).map(|it| u8::try_from(it % 251).unwrap()).collect();
    let stream = StreamRef {
        id: StreamId::from_bytes([5; 16]),
        length: u64::try_from(length).unwrap(),
        sha256: Sha256::digest(&bytes).into(),
    };
    (bytes, stream)
}

fn chunk(stream: StreamRef, bytes: &[u8], index: u64) -> Chunk {
    let start = usize::try_from(index).unwrap() * CHUNK;
    let piece = bytes[start..bytes.len().min(start + CHUNK)].to_vec();
    Chunk { stream: stream.id, index, bytes: Bytes::new(piece).unwrap() }
}

pub(crate) fn submit_import(lab: &Lab, dataset: &[u8]) {
    std::fs::write(lab.path("users.xml"), dataset).unwrap();
    let file = lab.path("users.xml");
    let arguments =
        ["task", "submit", "import_batch", "--system", "sf", "--dataset", file.to_str().unwrap(), "--async"];
    let (code, out, err) = lab.command(&arguments);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[tokio::test]
async fn a_dataset_reaches_the_member_sealed_and_goes_on_where_it_was_durable() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let dataset = b"<root>personal data</root>".repeat(40_000);
    submit_import(&lab, &dataset);
    let offer = session.offer().await;
    let [stream] = offer.streams[..] else { panic!("no payload") };
    session.accept(&offer).await;
    let FromController::StreamOpen(open) = session.next().await else { panic!("no StreamOpen") };
    assert_eq!((open.task, open.stream), (offer.task, stream));

    let total = chunks(stream.length);
    assert!(total > 9, "{total}");
    session.send(StreamOpenAck { stream: stream.id, durable: 0 }).await;
    let mut received = Vec::new();
    for index in 0..3 {
        let FromController::Chunk(chunk) = session.next().await else { panic!("no chunk") };
        assert_eq!(chunk.index, index);
        received.extend_from_slice(&chunk.bytes);
    }
    identity.last_session = session.number();
    drop(session);

    let held = [(offer.task, offer.epoch, HeldState::Journaled)];
    let mut session = Session::open_holding(&lab, &identity, &held).await;
    let FromController::StreamOpen(_) = session.next().await else { panic!("no StreamOpen") };
    session.send(StreamOpenAck { stream: stream.id, durable: 3 }).await;
    for index in 3..total {
        let FromController::Chunk(chunk) = session.next().await else { panic!("no chunk") };
        assert_eq!(chunk.index, index);
        received.extend_from_slice(&chunk.bytes);
        session.send(ChunkAck { stream: stream.id, durable: index + 1 }).await;
    }
    session.send(StreamClose { stream: stream.id }).await;
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&received)), stream.sha256);
    assert!(!received.windows(13).any(|it| it == b"personal data"), "it travels sealed");

    let system = "sf".parse().unwrap();
    let context = SealContext { task: offer.task, kind: TaskKind::ImportBatch, system: &system, target: "" };
    let key = offer.sealed[0].open(context, std::slice::from_ref(&identity.sealing)).unwrap();
    let mut opener = SegmentOpener::new(&zeroize::Zeroizing::new(key.as_slice().try_into().unwrap()));
    let mut plain = Vec::new();
    let mut pieces = received.chunks(CHUNK).peekable();
    while let Some(piece) = pieces.next() {
        plain.extend_from_slice(&opener.open(piece, pieces.peek().is_none()).unwrap());
    }
    assert_eq!(plain, dataset);
}

#[tokio::test]
async fn of_an_upload_that_is_given_up_in_the_middle_nothing_is_left() {
    let lab = Lab::start().await;
    let api = lab.addresses().api_url.replace("http://", "");
    let in_spool = || files(&lab.data_dir().join("store")).into_iter().filter(|it| is_payload(it)).count();
    for is_revoked in [false, true] {
        let token = token(&lab, "ci", Role::Operator).await;
        let mut stream = TcpStream::connect(&api).await.unwrap();
        let head = format!(
            "POST /v1/streams?sha256={} HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/octet-stream\r\ncontent-length: 1000000\r\n\r\n",
            "0".repeat(64)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![0; 100_000]).await.unwrap();
        lab.wait_for("the payload to begin", async || (in_spool() == 1).then_some(())).await;
        if !is_revoked {
            drop(stream);
            lab.wait_for("the payload to go", async || (in_spool() == 0).then_some(())).await;
        }
        let _: Value = lab.client().delete("/v1/api-tokens/ci").await.unwrap();
        lab.wait_for("the payload to go", async || (in_spool() == 0).then_some(())).await;
    }
}

pub(crate) fn is_payload(path: &Path) -> bool {
    path.parent().is_some_and(|it| it.ends_with("spool"))
}

/// Let the controller forget a payload that was reset and it never comes again.
#[tokio::test]
async fn a_dataset_that_was_reset_is_announced_again_in_the_same_session() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, &b"<root/>".repeat(20_000));
    let offer = session.offer().await;
    let [stream] = offer.streams[..] else { panic!("no payload") };
    session.accept(&offer).await;
    let full = || StreamReset { stream: stream.id, fault: StreamFault::Full.into() };
    let announced = || StreamOpen { task: offer.task, stream }.into();
    assert_eq!(session.next().await, announced());
    session.send(full()).await;

    assert_eq!(session.next().await, announced(), "no room at once");
    session.send(StreamOpenAck { stream: stream.id, durable: 0 }).await;
    let FromController::Chunk(first) = session.next().await else { panic!("no chunk") };
    session.send(full()).await;
    let again = loop {
        match session.next().await {
            FromController::Chunk(on_its_way) => assert!(on_its_way.index > first.index),
            other => break other,
        }
    };
    assert_eq!(again, announced(), "no room in the middle");
    session.send(StreamOpenAck { stream: stream.id, durable: 1 }).await;
    let FromController::Chunk(second) = session.next().await else { panic!("no chunk") };
    assert_eq!((first.index, second.index), (0, 1));
}

/// Take what was announced under an earlier lease for on its way and the member waits for ever.
#[tokio::test]
async fn a_dataset_is_announced_anew_to_a_member_that_gave_its_task_back_and_got_it_again() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let [stream] = offer.streams[..] else { panic!("no payload") };
    session.accept(&offer).await;
    let announced = FromController::from(StreamOpen { task: offer.task, stream });
    assert_eq!(session.next().await, announced);
    let (reason, message) = (Rejection::Draining.into(), Text::default());
    session.send(Reject { task: offer.task, epoch: offer.epoch, reason, message, retry_after_ms: 1 }).await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    assert_eq!(session.next().await, announced);
}

/// Answer the chunks that crossed a reset and the member takes the answers for what became of its next try.
#[tokio::test]
async fn a_result_that_was_reset_can_be_sent_again_in_the_same_session() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (bytes, stream) = payload(2 * CHUNK);
    let open = || StreamOpen { task: offer.task, stream };
    session.send(open()).await;
    assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into());
    session.send(chunk(stream, &bytes, 1)).await;
    session.send(chunk(stream, &bytes, 0)).await;
    session.send(open()).await;
    assert_eq!(session.next().await, StreamReset { stream: stream.id, fault: StreamFault::Corrupt.into() }.into());
    assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into());
    for index in 0..2 {
        session.send(chunk(stream, &bytes, index)).await;
    }
    assert_eq!(session.next().await, ChunkAck { stream: stream.id, durable: 2 }.into());
    assert_eq!(session.next().await, StreamClose { stream: stream.id }.into());
}

/// Tell the member that it is there, and its report waits for what never comes again.
#[tokio::test]
async fn a_result_that_made_room_for_others_in_the_middle_comes_again() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (bytes, stream) = payload(1000);
    let open = |stream| StreamOpen { task: offer.task, stream };
    for others in 5..=13 {
        let stream = StreamRef { id: StreamId::from_bytes([others; 16]), ..stream };
        session.send(open(stream)).await;
        assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into());
    }
    session.send(chunk(stream, &bytes, 0)).await;
    assert!(matches!(session.next().await, FromController::StreamReset(_)));
    session.send(open(stream)).await;
    assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into());
    session.send(chunk(stream, &bytes, 0)).await;
    assert_eq!(session.next().await, ChunkAck { stream: stream.id, durable: 1 }.into());
    assert_eq!(session.next().await, StreamClose { stream: stream.id }.into());
}

/// A report that refers to a payload counts only once the payload is stored; both outlive a kill in the middle.
#[tokio::test]
async fn results_are_stored_before_the_report_that_names_them() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (bytes, stream) = payload(9 * CHUNK + 100);
    let report = Report { streams: List::new(vec![stream]).unwrap(), ..succeeded(1, &offer) };
    session.send(report.clone()).await;
    session.send(StreamOpen { task: offer.task, stream }).await;
    let FromController::StreamOpenAck(ack) = session.next().await else { panic!("no StreamOpenAck") };
    assert_eq!(ack.durable, 0);
    for index in 0..4 {
        session.send(chunk(stream, &bytes, index)).await;
    }
    let FromController::ChunkAck(ack) = session.next().await else { panic!("no ChunkAck") };
    assert_eq!(ack.durable, 4);
    assert_eq!(lab.task(offer.task).await.outcome, None);
    identity.last_session = session.number();
    lab.kill();
    lab.restart().await;

    let held = [(offer.task, offer.epoch, HeldState::Reported)];
    let mut session = Session::open_holding(&lab, &identity, &held).await;
    session.send(StreamOpen { task: offer.task, stream }).await;
    let mut durable = None;
    while durable.is_none() {
        match session.next().await {
            FromController::StreamOpenAck(ack) => durable = Some(ack.durable),
            // The dataset is announced to its holder again.
            FromController::StreamOpen(_) => (),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(durable, Some(4));
    session.send(report).await;
    for index in 4..chunks(stream.length) {
        session.send(chunk(stream, &bytes, index)).await;
    }
    let mut seen = Vec::new();
    while !seen.contains(&"ReportAck") || !seen.contains(&"StreamClose") {
        seen.push(session.next().await.name());
    }
    assert_eq!(lab.task(offer.task).await.outcome, Some(Outcome::Succeeded));
    let mut results = Vec::new();
    lab.client().download(&format!("/v1/tasks/{}/results", offer.task), &mut results).await.unwrap();
    assert_eq!(results, bytes);
}

#[tokio::test]
async fn a_payload_that_is_not_the_one_announced_is_refused() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (bytes, stream) = payload(1000);
    let lie = StreamRef { sha256: [1; 32], ..stream };
    session.send(StreamOpen { task: offer.task, stream: lie }).await;
    assert!(matches!(session.next().await, FromController::StreamOpenAck(_)));
    session.send(chunk(stream, &bytes, 0)).await;
    let FromController::StreamReset(reset) = session.next().await else { panic!("no StreamReset") };
    assert_eq!(reset.fault, StreamFault::Corrupt.into());

    let of_nobody = TaskId::from_bytes([9; 16]);
    let other = StreamRef { id: StreamId::from_bytes([6; 16]), ..stream };
    session.send(StreamOpen { task: of_nobody, stream: other }).await;
    let FromController::StreamReset(reset) = session.next().await else { panic!("no StreamReset") };
    assert_eq!(reset.fault, StreamFault::Unknown.into());
}

#[tokio::test]
async fn an_upload_that_is_not_what_was_announced_is_refused_by_the_name_of_its_hash_and_leaves_nothing() {
    let lab = Lab::start().await;
    let operator = token(&lab, "o", Role::Operator).await;
    let path = format!("/v1/streams?sha256={}", "0".repeat(64));
    let request = Caller::of(&lab).request("POST", &path).bearer_auth(operator).body("sealed\0");
    let response = request.header("content-type", "application/octet-stream").send().await.unwrap();
    let problem: Value = response.json().await.unwrap();
    assert_eq!((&problem["status"], &problem["field"]), (&json!(422), &json!("sha256")), "{problem}");
    assert!(!files(&lab.data_dir()).iter().any(|it| is_payload(it)));
}

/// It would have the passwords of everybody in the file, and the mistake would show at the agent alone.
#[tokio::test]
async fn a_dataset_in_clear_is_refused_and_leaves_nothing() {
    let lab = Lab::start().await;
    let operator = token(&lab, "o", Role::Operator).await;
    let dataset = "Username,NewPassword\nann@example.com,correct horse\n".repeat(10_000);
    let path = format!("/v1/streams?sha256={}", data_encoding::HEXLOWER.encode(&Sha256::digest(&dataset)));
    let request = Caller::of(&lab).request("POST", &path).bearer_auth(operator).body(dataset);
    let response = request.header("content-type", "application/octet-stream").send().await.unwrap();
    let problem: Value = response.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(problem["status"] == 422 && detail.contains("sealed before it is uploaded"), "{problem}");
    assert!(!problem.to_string().contains("horse"));
    assert!(!files(&lab.data_dir()).iter().any(|it| is_payload(it)));
}

#[tokio::test]
async fn an_upload_of_more_than_256_mib_is_refused_by_its_announced_length() {
    let lab = Lab::start().await;
    let api = lab.addresses().api_url.replace("http://", "");
    let token = token(&lab, "ci", Role::Operator).await;
    let most: u64 = 256 * 1024 * 1024;
    for (length, refused) in [(most + 1, true), (most, false)] {
        let mut stream = TcpStream::connect(&api).await.unwrap();
        let head = format!(
            "POST /v1/streams?sha256={} HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n",
            "0".repeat(64)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if refused {
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 413");
        } else {
            let in_spool = || files(&lab.data_dir()).iter().filter(|it| is_payload(it)).count();
            lab.wait_for("the payload to begin", async || (in_spool() == 1).then_some(())).await;
        }
    }
}

#[tokio::test]
async fn a_result_of_more_than_4_gib_and_a_seventeenth_at_once_are_put_off() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let (_, small) = payload(1000);
    let mut number = 0;
    let mut announced = |task, length| {
        number += 1;
        let stream = StreamRef { id: StreamId::from_bytes([number; 16]), length, ..small };
        (stream.id, StreamOpen { task, stream })
    };
    let full = |stream| StreamReset { stream, fault: StreamFault::Full.into() }.into();
    submit_import(&lab, b"<root/>");
    let mut offer = session.offer().await;
    let (id, open) = announced(offer.task, 4 * 1024 * 1024 * 1024 + 1);
    session.send(open).await;
    assert_eq!(session.next().await, full(id));
    for begun in 0..16 {
        // A task has eight at most.
        if begun == 8 {
            submit_import(&lab, b"<root/>");
            offer = session.offer().await;
        }
        let (id, open) = announced(offer.task, small.length);
        session.send(open).await;
        assert_eq!(session.next().await, StreamOpenAck { stream: id, durable: 0 }.into(), "{begun}");
    }
    submit_import(&lab, b"<root/>");
    let (id, open) = announced(session.offer().await.task, small.length);
    session.send(open).await;
    assert_eq!(session.next().await, full(id));
}

/// As many as it takes of a payload that never comes.
#[tokio::test]
async fn a_member_whose_reports_wait_for_a_257th_time_loses_its_session() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (_, stream) = payload(1000);
    let waits = |number| Report { streams: List::new(vec![stream]).unwrap(), ..succeeded(number, &offer) };
    for number in 1..=256 {
        session.send(waits(number)).await;
    }
    session.send(StreamOpen { task: offer.task, stream }).await;
    assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into(), "it is there yet");
    session.send(waits(257)).await;
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "overloaded");
}

#[tokio::test]
async fn an_inventory_of_more_tasks_than_a_member_may_hold_ends_its_session() {
    const MOST: usize = 131_072;
    const PAGE: usize = 512;
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    lab.add_system().await;
    let page = |nonce, number: usize, last| {
        let task = |at: usize| {
            let id = u128::try_from(number * PAGE + at).unwrap().to_be_bytes();
            let lease = LeaseRef { task: TaskId::from_bytes(id), epoch: Epoch(1) };
            HeldTask { lease, state: HeldState::Reported.into() }
        };
        Inventory { nonce, last, tasks: List::new((0..PAGE).map(task).collect()).unwrap() }
    };
    for pages in [MOST / PAGE, MOST / PAGE + 2] {
        let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
        let FromController::InventoryAsk(ask) = session.next().await else { panic!("no InventoryAsk") };
        for number in 0..pages {
            session.send(page(ask.nonce, number, number + 1 == pages)).await;
        }
        if pages == MOST / PAGE {
            session.send(Credit { offers: 1 }).await;
            let task = lab.submit("validate_user", "a").await;
            assert_eq!(session.offer().await.task, task, "it may hold so many");
            identity.last_session = session.number();
        } else {
            let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
            assert_eq!(reason, "overloaded");
        }
    }
}

/// Begin it again as often as it is announced, and each time all that came of it is read, which may be gigabytes.
#[tokio::test]
async fn a_payload_that_is_announced_again_all_the_time_waits_and_others_begin() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    submit_import(&lab, b"<root/>");
    let offer = session.offer().await;
    let (bytes, stream) = payload(5 * CHUNK);
    let open = |stream| StreamOpen { task: offer.task, stream };
    session.send(open(stream)).await;
    assert_eq!(session.next().await, StreamOpenAck { stream: stream.id, durable: 0 }.into());
    for index in 0..4 {
        session.send(chunk(stream, &bytes, index)).await;
    }
    assert_eq!(session.next().await, ChunkAck { stream: stream.id, durable: 4 }.into());
    let mut again = 0;
    loop {
        session.send(open(stream)).await;
        match session.next().await {
            FromController::StreamOpenAck(ack) => assert_eq!(ack.durable, 4),
            FromController::StreamReset(reset) => {
                assert_eq!(reset, StreamReset { stream: stream.id, fault: StreamFault::Full.into() });
                break;
            }
            other => panic!("{other:?}"),
        }
        again += 1;
        assert!(again < 100, "it was read each time");
    }
    assert!(again >= 16, "{again}");
    let other = StreamRef { id: StreamId::from_bytes([6; 16]), ..stream };
    session.send(open(other)).await;
    assert_eq!(session.next().await, StreamOpenAck { stream: other.id, durable: 0 }.into());
}
