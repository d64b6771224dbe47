use postern_agent_core::{Ledger, Limits, Origin, Restored, RestoredTask, TaskState};
use postern_protocol::bounded::List;
use postern_protocol::message::v1::{Offer, Report, ReportAck};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::import_batch::{self, Format};
use postern_protocol::{Epoch, Outcome, ReportNo, TaskRequest};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::connector::Keep as _;
use crate::dispatcher::{Inputs, Loop};
use crate::executor::{Executor, Who};
use crate::kept::Kept;
use crate::keys::SealingKeys;
use crate::spawn::Spawner;
use crate::store::Store;

/// A mover in a session, and the controller's end of it.
struct Desk {
    mover: Mover,
    frames: mpsc::Receiver<FromMember>,
    store: Store,
    dispatcher: Dispatcher,
    inputs: Inputs,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let (dispatcher, inputs) = Dispatcher::channel();
        let mut mover = Mover::new(store.spool().clone(), dispatcher.clone());
        let (to_controller, frames) = mpsc::channel(16);
        mover.handle(Command::Connected(to_controller));
        Self { mover, frames, store, dispatcher, inputs, folder }
    }

    /// The frames that were sent since the last look.
    fn sent(&mut self) -> Vec<FromMember> {
        std::iter::from_fn(|| self.frames.try_recv().ok()).collect()
    }
}

/// Far beyond what anything here takes; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const ONE: TaskId = TaskId::from_bytes([1; 16]);
const TWO: TaskId = TaskId::from_bytes([2; 16]);

fn stream(n: u8) -> StreamRef {
    StreamRef { id: StreamId::from_bytes([n; 16]), length: 7, sha256: [n; 32] }
}

fn announced(task: TaskId, stream: StreamRef) -> FromMember {
    StreamOpen { task, stream }.into()
}

fn unknown(stream: StreamRef) -> FromMember {
    StreamReset { stream: stream.id, fault: StreamFault::Unknown.into() }.into()
}

/// Leave `put_off` out of `was_reset` and nothing is due.
#[test]
fn a_result_that_was_reset_is_announced_again_and_the_others_do_not_wait_for_it() {
    let mut desk = Desk::new();
    desk.mover.handle(Command::Upload(ONE, stream(1)));
    desk.mover.handle(Command::Reset(stream(1).id, StreamFault::Full.into()));
    desk.mover.handle(Command::Upload(TWO, stream(2)));
    assert_eq!(desk.sent(), [announced(ONE, stream(1)), announced(TWO, stream(2))]);

    let due = desk.mover.poll_timeout().unwrap();
    desk.mover.handle_timeout(due);
    assert_eq!(desk.sent(), [announced(ONE, stream(1))]);
    assert_eq!(desk.mover.poll_timeout(), None);
}

/// Put off what the disk lost, and it is announced again and again until the agent is started anew.
#[test]
fn results_that_the_disk_lost_are_told_as_lost_and_not_announced_again() {
    let mut desk = Desk::new();
    let mut result = desk.store.spool().begin(spool_id(stream(1).id)).unwrap();
    result.append(b"another").unwrap();
    result.finish_here().unwrap();
    let file = desk.folder.path().join("store/spool").join("01".repeat(16));
    std::fs::write(&file, std::fs::read(&file).unwrap().iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap();
    for (task, stream) in [(ONE, stream(1)), (TWO, stream(2))] {
        desk.mover.handle(Command::Upload(task, stream));
        desk.mover.handle(Command::OpenAcked(stream.id, 0));
        assert_eq!(desk.sent(), [announced(task, stream), unknown(stream)]);
        assert!(desk.mover.untold.contains(&Moved::Lost(task)));
    }
    assert_eq!(desk.mover.poll_timeout(), None);
}

/// Look for the file, and what only the agent's disk lost is told as lost.
#[test]
fn results_that_the_controller_has_are_not_looked_for_here() {
    let mut desk = Desk::new();
    desk.mover.handle(Command::Upload(ONE, stream(1)));
    desk.mover.handle(Command::OpenAcked(stream(1).id, 1));
    assert!(desk.mover.untold.is_empty());
    desk.mover.handle(Command::Stored(stream(1).id));
    assert!(desk.mover.untold.contains(&Moved::Uploaded(ONE)));
    assert_eq!(desk.sent(), [announced(ONE, stream(1))]);
}

/// Take it whenever it comes, and a few bytes of a controller have the file opened and a window of it sent, past every pause.
#[test]
fn a_result_begins_only_where_it_was_announced_and_waits_for_the_answer() {
    let mut desk = Desk::new();
    let mut result = desk.store.spool().begin(spool_id(stream(1).id)).unwrap();
    result.append(b"results").unwrap();
    result.finish_here().unwrap();
    let chunk = Chunk { stream: stream(1).id, index: 0, bytes: Bytes::new(b"results".to_vec()).unwrap() };
    desk.mover.handle(Command::Upload(ONE, stream(1)));
    desk.mover.handle(Command::OpenAcked(stream(1).id, 0));
    assert_eq!(desk.sent(), [announced(ONE, stream(1)), chunk.clone().into()]);
    desk.mover.handle(Command::OpenAcked(stream(1).id, 0));
    assert_eq!(desk.sent(), [], "it is on its way");

    desk.mover.handle(Command::Reset(stream(1).id, StreamFault::Full.into()));
    desk.mover.handle(Command::OpenAcked(stream(1).id, 0));
    assert_eq!(desk.sent(), [], "it is put off");

    let due = desk.mover.poll_timeout().unwrap();
    desk.mover.handle_timeout(due);
    desk.mover.handle(Command::OpenAcked(stream(1).id, 0));
    assert_eq!(desk.sent(), [announced(ONE, stream(1)), chunk.into()]);
}

#[test]
fn a_new_session_begins_without_pauses() {
    let mut desk = Desk::new();
    desk.mover.handle(Command::Upload(ONE, stream(1)));
    desk.mover.handle(Command::Reset(stream(1).id, StreamFault::Full.into()));
    desk.mover.handle(Command::Disconnected);
    assert_eq!(desk.mover.poll_timeout(), None);
}

#[test]
fn a_result_that_is_needed_no_more_keeps_no_place_at_the_controller() {
    let mut desk = Desk::new();
    desk.mover.handle(Command::Upload(ONE, stream(1)));
    desk.mover.handle(Command::Forget(vec![stream(1).id]));
    assert_eq!(desk.sent(), [announced(ONE, stream(1)), unknown(stream(1))]);
}

/// Tell it later than that, and the word that a payload is here outlives the payload; or never, and nothing of that name is taken in
/// any more.
#[test]
fn of_a_payload_that_is_deleted_nothing_is_told_but_that() {
    let mut desk = Desk::new();
    let wanted = StreamRef { sha256: sha256(b"payload"), ..stream(1) };
    let mut payload = desk.store.spool().begin(spool_id(wanted.id)).unwrap();
    payload.append(b"payload").unwrap();
    payload.finish_here().unwrap();
    desk.mover.handle(Command::Receive(ONE, wanted));
    assert_eq!(desk.mover.untold, BTreeSet::from([Moved::Here(ONE, wanted.id)]));
    desk.mover.handle(Command::Forget(vec![wanted.id]));
    assert_eq!(desk.mover.untold, BTreeSet::from([Moved::Forgotten(wanted.id)]));
    assert!(!desk.store.spool().contains(spool_id(wanted.id)));
}

/// Leave the reset out, and the controller keeps the file open until the session ends.
#[test]
fn a_payload_that_is_needed_no_more_is_awaited_no_more() {
    let mut desk = Desk::new();
    desk.mover.handle(Command::Receive(ONE, stream(1)));
    desk.mover.handle(Command::Forget(vec![stream(1).id]));
    // Say that it is unknown, and one that was announced once more meanwhile never comes.
    let put_off = StreamReset { stream: stream(1).id, fault: StreamFault::Full.into() };
    assert_eq!(desk.sent(), [acked(stream(1), 0), put_off.into()]);
}

fn acked(stream: StreamRef, durable: u64) -> FromMember {
    StreamOpenAck { stream: stream.id, durable }.into()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Look at the name alone, and another task's payload is taken for the one that was asked for.
#[test]
fn a_payload_that_is_here_already_counts_only_if_it_is_the_one_that_was_announced() {
    let mut desk = Desk::new();
    let spool = desk.store.spool().clone();
    let mut other = spool.begin(spool_id(stream(1).id)).unwrap();
    other.append(b"another").unwrap();
    other.finish_here().unwrap();
    let wanted = StreamRef { sha256: sha256(b"payload"), ..stream(1) };

    desk.mover.handle(Command::Receive(ONE, wanted));
    assert_eq!(desk.sent(), [acked(wanted, 0)]);
    let chunk = Chunk { stream: wanted.id, index: 0, bytes: Bytes::new(b"payload".to_vec()).unwrap() };
    desk.mover.handle(Command::Chunk(chunk));
    desk.sent();
    spool.verify(spool_id(wanted.id), wanted.length, &wanted.sha256).unwrap();

    desk.mover.handle(Command::Receive(ONE, wanted));
    assert_eq!(desk.sent(), [acked(wanted, 1), StreamClose { stream: wanted.id }.into()]);
}

/// Read what came before each time, and a few bytes of a controller have gigabytes read by the thread that others wait for.
#[test]
fn a_payload_that_is_announced_again_all_the_time_is_put_off_and_others_begin() {
    let mut desk = Desk::new();
    let put_off: FromMember = StreamReset { stream: stream(1).id, fault: StreamFault::Full.into() }.into();
    let mut told = Vec::new();
    while told.last() != Some(&put_off) && told.len() < 100 {
        desk.mover.handle(Command::Receive(ONE, stream(1)));
        told.extend(desk.sent());
    }
    // The first time there was nothing yet.
    assert!((18..100).contains(&told.len()), "{}", told.len());
    desk.mover.handle(Command::Receive(TWO, stream(2)));
    assert_eq!(desk.sent(), [acked(stream(2), 0)]);
}

async fn next(frames: &mut mpsc::Receiver<FromMember>) -> FromMember {
    tokio::time::timeout(PATIENCE, frames.recv()).await.expect("a frame in time").expect("a frame")
}

/// Without the timer in `run` the second announcement never comes.
#[tokio::test]
async fn the_thread_wakes_for_what_was_put_off() {
    let Desk { mover, mut frames, .. } = tokio::task::spawn_blocking(Desk::new).await.unwrap();
    let (streams, commands) = Streams::channel();
    let running = tokio::task::spawn_blocking(move || mover.run(commands));
    streams.send(Command::Upload(ONE, stream(1))).await;
    assert_eq!(next(&mut frames).await, announced(ONE, stream(1)));
    streams.send(Command::Reset(stream(1).id, StreamFault::Full.into())).await;
    assert_eq!(next(&mut frames).await, announced(ONE, stream(1)));
    drop(streams);
    running.await.unwrap();
}

/// Have the thread wait until the dispatcher takes what it is told, and the link waits with it, which waits for the thread.
#[tokio::test]
async fn the_thread_does_not_wait_for_a_dispatcher_that_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (dispatcher, inputs) = Dispatcher::full();
    let mover = Mover::new(store.spool().clone(), dispatcher);
    let (streams, commands) = Streams::channel();
    let running = tokio::task::spawn_blocking(move || mover.run(commands));
    let told = async {
        for _ in 0..2 * COMMANDS {
            streams.send(Command::Upload(ONE, stream(1))).await;
            streams.send(Command::Stored(stream(1).id)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("everything is taken");
    drop((streams, inputs));
    running.await.unwrap();
}

fn concluded() -> RestoredTask {
    let request = TaskRequest::ImportBatch(import_batch::Request::new(Format::Csv));
    let offer = Offer {
        epoch: Epoch(1),
        lease_ttl_ms: 60_000,
        attempt: 1,
        ..Offer::new(ONE, "acme".parse().unwrap(), &request, Bytes::default())
    };
    let report = Report {
        number: ReportNo(0),
        task: ONE,
        epoch: Epoch(1),
        attempt: 1,
        outcome: Outcome::Succeeded.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::Yes.into(),
        failure: None,
        output: Bytes::default(),
        sealed: List::default(),
        streams: List::new(vec![stream(1)]).unwrap(),
        ext: List::default(),
    };
    let state = TaskState::Concluded(Box::new(report));
    RestoredTask { offer, origin: Origin::Controller, state, journal: 0, streams_here: Vec::new() }
}

/// The controller finished the task otherwise, or forgot it: a result nobody takes must not keep the report back, and what
/// nobody has was not handed over. Take `unknown` for any other reset and the report never leaves; take the result for
/// uploaded, and the next delta skips what was in it.
#[tokio::test]
async fn a_report_leaves_without_the_result_that_the_controller_does_not_want() {
    let Desk { mover, mut frames, store, dispatcher, inputs, folder: _folder } =
        tokio::task::spawn_blocking(Desk::new).await.unwrap();
    let mut result = store.spool().begin(spool_id(stream(1).id)).unwrap();
    result.append(b"results").unwrap();
    result.finish_here().unwrap();
    let looked_at = store.clone();
    let restored = Restored { tasks: vec![concluded()], ..Restored::default() };
    let ledger = Ledger::restore(Limits::for_systems(BTreeMap::new()), restored);
    let (streams, commands) = Streams::channel();
    let tasks = Spawner::default();
    tasks.spawn_blocking_part(move || mover.run(commands));
    let executor = Executor::new(
        BTreeMap::new(),
        SealingKeys::new(Vec::new()),
        Who::default(),
        store.clone(),
        dispatcher.clone(),
        tasks.clone(),
    );
    let running = Loop::new(ledger, store, executor, streams.clone(), inputs);
    tasks.spawn(|_| async move { running.run(CancellationToken::new()).await.unwrap() });
    let (to_controller, mut spoken) = mpsc::channel(16);
    dispatcher.established(ReportNo(0), Duration::from_secs(60), to_controller).await;

    assert_eq!(next(&mut frames).await, announced(ONE, stream(1)));
    streams.send(Command::Reset(stream(1).id, StreamFault::Unknown.into())).await;
    let report = async {
        loop {
            if let FromMember::Report(report) = spoken.recv().await.expect("a frame") {
                return report;
            }
        }
    };
    let report = tokio::time::timeout(PATIENCE, report).await.expect("a report in time");
    assert_eq!((report.task, report.number), (ONE, ReportNo(1)));
    assert!(report.streams.is_empty());

    dispatcher.frame(ReportAck { upto: report.number }.into()).await;
    until(|| looked_at.tombstone(ONE).unwrap().is_some()).await;
    assert!(!Kept::new(looked_at.clone(), "acme".parse().unwrap()).delivered(ONE).unwrap());
    until(|| !looked_at.spool().contains(spool_id(stream(1).id))).await;
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is so in time");
}
