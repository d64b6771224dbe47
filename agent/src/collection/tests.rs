use std::path::Path;
use std::sync::atomic::Ordering;

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::StreamRef;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{SealContext, SealedOutput, SealingKey, SegmentSealer};
use postern_protocol::{Epoch, ReportNo};
use zeroize::Zeroizing;

use super::*;
use crate::store::lab::Disklike;
use crate::store::spool_id;

const CONFIG: &str = "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n\
                      [[collection]]\nname = \"nightly\"\nsystem = \"acme\"\nrepeats = \"daily\"\ndirectory = \"/var/lib\"\n";

fn report(task: TaskId) -> Report {
    Report {
        number: ReportNo(1),
        task,
        epoch: Epoch(0),
        attempt: 1,
        outcome: Outcome::Failed.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::No.into(),
        failure: None,
        output: Bytes::default(),
        sealed: List::default(),
        streams: List::default(),
        ext: List::default(),
    }
}

/// Killed as soon as its report is taken, nobody could say any more how the run ended.
#[tokio::test]
async fn how_a_run_ended_is_on_disk_before_its_report_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    let run = Run { begun: 1, task: random::task_id(), end: None };
    let remembered = Remembered { collection, record: Record { since: 1, run: Some(run.clone()) }, watched: None };
    // Nobody takes what comes through it, and it is full: a report cannot be taken.
    let (dispatcher, _inputs) = Dispatcher::full();
    let (mut collector, _status) = Collector::new(remembered, store.clone(), dispatcher, SealingKeys::new(Vec::new()));
    let on_disk = async || {
        for _ in 0..1_000 {
            let record = store.collection(&"acme".parse().unwrap(), "nightly").unwrap();
            if let Some(end) = record.and_then(|it| it.run).and_then(|it| it.end) {
                return end;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("how the run ended is not on disk");
    };
    let report = report(run.task);
    let end = tokio::select! {
        _ = collector.take(&run, &report) => panic!("the report cannot be taken"),
        end = on_disk() => end,
    };
    assert_eq!(end.outcome.known(), Some(Outcome::Failed));
}

#[test]
fn a_collection_of_a_system_that_cannot_be_gathered_from_is_refused_with_its_place() {
    let config = Config::parse(Path::new("agent.toml"), CONFIG).unwrap();
    assert!(check(&config, |_| TaskKind::ALL).is_ok());
    let error = check(&config, |_| &[TaskKind::TestConnection]).unwrap_err().to_string();
    assert!(
        error.starts_with("agent.toml:6: collection `nightly`: `system`: the connector of `acme` cannot collect; "),
        "{error}"
    );
}

/// Leave `tell` out of `wait`, and a run whose task is not taken is told to be running.
#[tokio::test]
async fn a_run_whose_task_is_not_taken_is_told_to_wait_and_for_what() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    let remembered = Remembered { collection, record: Record { since: 1, run: None }, watched: None };
    // Nobody takes anything any more.
    let (dispatcher, inputs) = Dispatcher::channel();
    drop(inputs);
    let key = SealingKey::from_random(&Zeroizing::new([7; 32]));
    let (mut collector, mut status) = Collector::new(remembered, store, dispatcher, SealingKeys::new(vec![key]));
    let told = async {
        let told = status.wait_for(|it| it.outcome.as_deref() == Some("waiting")).await.unwrap();
        told.told.clone().unwrap_or_default()
    };
    let told = tokio::select! {
        _ = collector.begin() => panic!("its task cannot be taken"),
        told = told => told,
    };
    assert_eq!(told, "its task is not taken: the agent takes no tasks any more; it is tried again every minute");
}

fn key() -> SealingKey {
    SealingKey::from_random(&Zeroizing::new([7; 32]))
}

/// End over it, and nothing is gathered any more until somebody starts the agent again.
#[tokio::test(start_paused = true)]
async fn a_run_that_a_full_disk_does_not_remember_waits_for_room_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = Disklike::with_store(folder.path());
    let collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    let remembered = Remembered { collection, record: Record { since: 1, run: None }, watched: None };
    let (dispatcher, _inputs) = Dispatcher::channel();
    let keys = SealingKeys::new(vec![key()]);
    let (mut collector, mut status) = Collector::new(remembered, store.clone(), dispatcher, keys);
    disk.free.store(0, Ordering::SeqCst);
    let begun = async {
        let told = status.wait_for(|it| it.outcome.as_deref() == Some("waiting")).await.unwrap().told.clone();
        assert!(told.is_some_and(|told| told.contains("the disk is full")));
        disk.free.store(1 << 40, Ordering::SeqCst);
        status.wait_for(|it| it.outcome.as_deref() == Some("running")).await.unwrap();
        while store.collection(&"acme".parse().unwrap(), "nightly").unwrap().is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        ended = collector.begin() => panic!("nobody has taken its task: {ended:?}"),
        () = begun => (),
    }
}

/// A report of what was gathered, which lies in the spool, sealed to [`key`].
fn gathered(store: &Store, collection: &Collection, task: TaskId) -> Report {
    let target = TaskRequest::Collect(collection.request()).target();
    let context = SealContext { task, kind: TaskKind::Collect, system: &collection.system, target: &target };
    let stream_key = random::secret();
    let sealed = SealedOutput::seal(context, "file_key", stream_key.as_slice(), key().public(), &mut random::source());
    let id = random::stream_id();
    let mut writer = store.spool().begin(spool_id(id)).unwrap();
    writer.append(&SegmentSealer::new(&stream_key).seal(b"{}", true).unwrap()).unwrap();
    let (length, sha256) = writer.finish_here().unwrap();
    let streams = List::new(vec![StreamRef { id, length, sha256 }]).unwrap();
    let sealed = List::new(vec![sealed.unwrap()]).unwrap();
    Report { outcome: Outcome::Succeeded.into(), streams, sealed, ..report(task) }
}

/// What a directory holds.
fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    std::fs::read_dir(directory).map(|entries| entries.map(name).collect()).unwrap_or_default()
}

/// Write until the disk is full instead, and what the agent has to write finds no room either.
#[tokio::test(start_paused = true)]
async fn a_file_leaves_to_the_store_beside_it_what_that_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = Disklike::with_store(folder.path());
    let files = folder.path().join("collected");
    let mut collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    collection.directory.clone_from(&files);
    let run = Run { begun: 1, task: random::task_id(), end: None };
    let report = gathered(&store, &collection, run.task);
    let length = report.streams.iter().map(|stream| stream.length).sum::<u64>();
    let remembered = Remembered { collection, record: Record { since: 1, run: Some(run.clone()) }, watched: None };
    let (dispatcher, _inputs) = Dispatcher::channel();
    let keys = SealingKeys::new(vec![key()]);
    let (mut collector, mut status) = Collector::new(remembered, store.clone(), dispatcher, keys);

    // Twice what a batch leaves free for those that cannot wait, as for new work.
    disk.free.store((6 << 20) + length - 1, Ordering::SeqCst);
    let room = async {
        status.wait_for(|it| it.outcome.as_deref() == Some("waiting")).await.unwrap();
        assert_eq!(names(&files), [""; 0]);
        disk.free.store(1 << 40, Ordering::SeqCst);
    };
    let (end, waited) = tokio::join!(collector.written(&run, &report), tokio::time::timeout(LATER, room));
    waited.expect("it waits for room");
    assert_eq!((end.outcome.known(), end.told.as_str()), (Some(Outcome::Succeeded), ""));
    assert_eq!(names(&files), ["nightly-19700101T000000Z.jsonl"]);
}

/// Leave it to the collector, and a disk that it has filled to the last byte keeps the store from being opened.
#[test]
fn what_a_killed_process_left_of_a_file_is_gone_before_the_collector_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse(Path::new("agent.toml"), CONFIG).unwrap();
    let files = folder.path().join("collected");
    config.collections.iter_mut().for_each(|collection| collection.directory.clone_from(&files));
    prepare(&config);
    for name in ["nightly-20261122T023000Z.jsonl", "nightly-20261123T023000Z.jsonl.part", "users.jsonl.part"] {
        std::fs::write(files.join(name), "{}").unwrap();
    }
    prepare(&config);
    let mut left = names(&files);
    left.sort_unstable();
    assert_eq!(left, ["nightly-20261122T023000Z.jsonl", "users.jsonl.part"]);
}
