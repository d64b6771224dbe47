use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use postern_agent_core::{Caller, Mark, Origin, Payload, TaskState};
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{MAX_PARAMS, MAX_PARTS, MembershipState, Offer, Report, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{MAX_RECIPIENTS, MAX_SECRET, SealedField, SealingPublicKey, WrappedKey};
use postern_protocol::{Epoch, Outcome};
use postern_store::audit::{Event, Head};
use postern_store::private;
use sha2::{Digest as _, Sha256};

use super::collection::{End, Record, Run};
use super::lab::{Disklike, offer, report};
use super::*;
use crate::connector::Keep as _;
use crate::kept::Kept;

impl Store {
    /// Opens the store with the key beside it.
    pub(crate) fn open(state_dir: &Path) -> Result<(Self, Option<Recovered>), AgentStoreError> {
        Self::open_in(&Home::with_key_file(state_dir))
    }
}

fn read_journal(store: &Store, task: TaskId) -> Vec<JournalEntry> {
    store.journal(task).collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_task_far_larger_than_a_value_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let large = offer(1, MAX_PARAMS);
    let entry = JournalEntry {
        step: 2,
        mark: Mark::Done,
        note: vec![9; crate::connector::MAX_NOTE],
        effect: vec![8; crate::connector::MAX_EFFECT],
    };
    store
        .commit(&[
            Write::PutTask(Box::new(large.clone()), Origin::Local(Caller::Schedule)),
            Write::PutState(large.task, TaskState::Started { unended: 1 }),
            Write::PutJournal(large.task, 0, entry.clone()),
        ])
        .await
        .unwrap();
    drop(store);

    let (store, recovered) = Store::open(folder.path()).unwrap();
    assert!(recovered.is_none());
    let restored = store.restore().unwrap();
    let [task] = restored.tasks.as_slice() else { panic!("{:?}", restored.tasks) };
    assert_eq!((&task.offer, task.origin, task.journal), (&large, Origin::Local(Caller::Schedule), 1));
    assert_eq!(task.state, TaskState::Started { unended: 1 });
    assert_eq!(read_journal(&store, large.task), [entry]);
}

/// Hand the parts of a commit over side by side, and a disk that is full for a moment refuses the first and takes the others:
/// the log of what was done is told of the end of a step whose lines are missing, and stands still from then on.
#[tokio::test]
async fn what_a_full_disk_refused_is_not_followed_by_what_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = Disklike::with_store(folder.path());
    let tasks: Vec<Write> =
        (1..=60).map(|n| Write::PutTask(Box::new(offer(n, MAX_PARAMS)), Origin::Controller)).collect();
    disk.full_for.store(1, Ordering::SeqCst);
    let refused = store.commit(&tasks).await.unwrap_err();
    assert!(matches!(&refused, AgentStoreError::Store(error) if error.is_disk_full()), "{refused}");
    assert_eq!(store.restore().unwrap().tasks.len(), 0);

    store.commit(&tasks).await.unwrap();
    assert_eq!(store.restore().unwrap().tasks.len(), tasks.len());
}

#[tokio::test]
async fn a_shorter_version_of_a_record_hides_the_parts_of_a_longer_one() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let task = TaskId::from_bytes([1; 16]);
    let concluded = TaskState::Concluded(Box::new(report(0, task)));
    store.commit(&[Write::PutTask(Box::new(offer(1, 10)), Origin::Controller)]).await.unwrap();
    store.commit(&[Write::PutState(task, concluded)]).await.unwrap();
    store.commit(&[Write::PutState(task, TaskState::Started { unended: 0 })]).await.unwrap();
    assert_eq!(store.restore().unwrap().tasks[0].state, TaskState::Started { unended: 0 });
}

#[tokio::test]
async fn a_reported_task_leaves_nothing_but_its_report_and_the_counter_survives_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let first = offer(1, MAX_PARAMS);
    store.commit(&[Write::PutTask(Box::new(first.clone()), Origin::Controller)]).await.unwrap();
    let owed = report(41, first.task);
    store.commit(&[Write::PutReport(Box::new(owed.clone())), Write::DeleteTask(first.task)]).await.unwrap();
    let restored = store.restore().unwrap();
    assert!(restored.tasks.is_empty());
    assert_eq!(restored.reports, [owed]);

    store.commit(&[Write::DeleteReport(ReportNo(41))]).await.unwrap();
    let restored = store.restore().unwrap();
    assert!(restored.reports.is_empty());
    assert_eq!(restored.next_report, ReportNo(42));
}

#[tokio::test]
async fn membership_session_and_kept_facts_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let membership = Membership { state: MembershipState::Draining, epoch: Epoch(9), hard: false };
    let system: SystemName = "acme".parse().unwrap();
    store.commit(&[Write::PutSession(SessionNo(3)), Write::PutMembership(membership)]).await.unwrap();
    store.keep(&system, "network", b"token").await.unwrap();
    let incarnation = store.incarnation();
    drop(store);

    let (store, _) = Store::open(folder.path()).unwrap();
    let restored = store.restore().unwrap();
    assert_eq!((restored.session, restored.membership), (SessionNo(3), Some(membership)));
    assert_eq!(store.recall(&system, "network").unwrap().unwrap(), b"token");
    assert_eq!(store.recall(&system, "other").unwrap(), None);
    assert_eq!(store.incarnation(), incarnation);
}

/// Forget `Transaction::put` and the task is there again after a restart, although its report says it was cancelled.
#[tokio::test]
async fn a_task_put_and_deleted_in_one_commit_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let task = offer(1, MAX_PARAMS);
    let writes = [
        Write::PutTask(Box::new(task.clone()), Origin::Controller),
        Write::PutReport(Box::new(report(1, task.task))),
        Write::DeleteTask(task.task),
    ];
    store.commit(&writes).await.unwrap();
    let restored = store.restore().unwrap();
    assert_eq!((restored.tasks.len(), restored.reports.len()), (0, 1));
}

/// Put them all into one batch, and it is larger than any may be: the agent ends, and again at every start.
#[tokio::test]
async fn tasks_that_are_dropped_together_are_not_too_many_for_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let wrapped = Bytes::new(vec![7; 48]).unwrap();
    let key = WrappedKey { key: SealingPublicKey([1; 32]).id(), enc: [7; 32], wrapped };
    let secret = SealedField {
        name: Text::new("password").unwrap(),
        ciphertext: Bytes::new(vec![7; MAX_SECRET]).unwrap(),
        keys: List::new(vec![key; MAX_RECIPIENTS]).unwrap(),
    };
    let sealed = List::new(vec![secret; MAX_PARTS]).unwrap();
    for n in 0..=255 {
        let offer = Offer { sealed: sealed.clone(), ..offer(n, MAX_PARAMS) };
        store.commit(&[Write::PutTask(Box::new(offer), Origin::Controller)]).await.unwrap();
    }
    let membership = Membership { state: MembershipState::Disabled, epoch: Epoch(2), hard: true };
    let dropped = (0..=255).map(|n| Write::DeleteTask(TaskId::from_bytes([n; 16])));
    let writes: Vec<Write> = std::iter::once(Write::PutMembership(membership)).chain(dropped).collect();
    store.commit(&writes).await.unwrap();
    assert!(store.restore().unwrap().tasks.is_empty());
}

/// Raise `BATCH_BYTES` beyond the engine's bound and this fails.
#[tokio::test]
async fn more_than_a_batch_is_committed_in_several() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let writes: Vec<Write> =
        (1..=60).map(|n| Write::PutTask(Box::new(offer(n, MAX_PARAMS)), Origin::Controller)).collect();
    store.commit(&writes).await.unwrap();
    assert_eq!(store.restore().unwrap().tasks.len(), 60);
}

/// Delete the journal in the batch of its task, or leave out the sweep, and this fails.
#[tokio::test]
async fn a_task_with_a_journal_larger_than_any_commit_can_end() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let task = offer(1, 10);
    store.commit(&[Write::PutTask(Box::new(task.clone()), Origin::Controller)]).await.unwrap();
    let entry = JournalEntry { step: 0, mark: Mark::Done, note: vec![1; 8], effect: Vec::new() };
    let journal: Vec<Write> = (0..6_000).map(|number| Write::PutJournal(task.task, number, entry.clone())).collect();
    store.commit(&journal).await.unwrap();
    store.commit(&[Write::PutReport(Box::new(report(1, task.task))), Write::DeleteTask(task.task)]).await.unwrap();
    assert!(read_journal(&store, task.task).is_empty());

    // As a crash leaves it that came before its last entry was deleted.
    let orphan = TaskId::from_bytes([9; 16]);
    let journal: Vec<Write> = (0..6_000).map(|number| Write::PutJournal(orphan, number, entry.clone())).collect();
    store.commit(&journal).await.unwrap();
    store.restore().unwrap();
    assert!(read_journal(&store, orphan).is_empty());
}

/// Commit all of it together and the old entries are taken for the new attempt's, or the new ones go with the old.
#[tokio::test]
async fn a_task_taken_anew_in_the_commit_it_ended_in_has_a_journal_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let task = offer(1, 10);
    let take = Write::PutTask(Box::new(task.clone()), Origin::Controller);
    let entry = |step| JournalEntry { step, mark: Mark::Intent, note: Vec::new(), effect: Vec::new() };
    let old = (0..3).map(|number| Write::PutJournal(task.task, number, entry(number)));
    store.commit(&[take.clone()].into_iter().chain(old).collect::<Vec<_>>()).await.unwrap();

    store.commit(&[Write::DeleteTask(task.task), take, Write::PutJournal(task.task, 0, entry(9))]).await.unwrap();
    assert_eq!(read_journal(&store, task.task), [entry(9)]);
    assert_eq!(store.restore().unwrap().tasks.first().map(|task| task.journal), Some(1));
}

fn payload(store: &Store, n: u8, bytes: &[u8]) -> StreamRef {
    let stream = StreamRef {
        id: StreamId::from_bytes([n; 16]),
        length: bytes.len().try_into().unwrap(),
        sha256: Sha256::digest(bytes).into(),
    };
    let mut writer = store.spool().write(spool_id(stream.id), stream.length).unwrap();
    writer.append(bytes).unwrap();
    writer.finish(&stream.sha256).unwrap();
    stream
}

fn spool_file(folder: &tempfile::TempDir, stream: StreamRef) -> std::path::PathBuf {
    folder.path().join("store/spool").join(spool_id(stream.id).to_string())
}

fn batch(n: u8, stream: StreamRef) -> Offer {
    Offer { streams: List::new(vec![stream]).unwrap(), ..offer(n, 10) }
}

/// F23. Look whether a file is there instead of what is in it, and the task begins with a dataset that breaks off.
#[tokio::test]
async fn f23_a_damaged_payload_of_a_task_goes_and_is_waited_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (sound, damaged) = (payload(&store, 1, &vec![1; 100_000]), payload(&store, 2, &vec![2; 100_000]));
    let tasks = [(1, sound), (2, damaged)].map(|(n, it)| Write::PutTask(Box::new(batch(n, it)), Origin::Controller));
    store.commit(&tasks).await.unwrap();
    let path = spool_file(&folder, damaged);
    let mut content = std::fs::read(&path).unwrap();
    content[70_000] ^= 1;
    std::fs::write(&path, content).unwrap();

    let restored = store.restore().unwrap();
    let here: Vec<&[StreamId]> = restored.tasks.iter().map(|it| it.streams_here.as_slice()).collect();
    assert_eq!(here, [&[sound.id][..], &[]]);
    assert!(!path.exists());
}

/// F23. Leave the results to the upload, and it is refused and tried again without end.
#[tokio::test]
async fn f23_lost_results_are_told_in_place_of_the_outcome_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let results = payload(&store, 1, b"results");
    let task = offer(1, 10);
    let concluded = Report { streams: List::new(vec![results]).unwrap(), ..report(0, task.task) };
    let state = TaskState::Concluded(Box::new(concluded.clone()));
    let writes =
        [Write::PutTask(Box::new(task.clone()), Origin::Controller), Write::PutState(task.task, state.clone())];
    store.commit(&writes).await.unwrap();
    assert_eq!(store.restore().unwrap().tasks[0].state, state);

    std::fs::remove_file(spool_file(&folder, results)).unwrap();
    let TaskState::Concluded(told) = store.restore().unwrap().tasks.remove(0).state else { panic!("not concluded") };
    assert_eq!((told.outcome, told.changed), (Outcome::Failed.into(), concluded.changed));
    assert_eq!(told.failure.unwrap().code.as_str(), "results_lost");
    assert!(told.streams.is_empty());
}

/// F23. Each of the three is found if its sweep is left out.
#[tokio::test]
async fn f23_what_belongs_to_nothing_is_removed_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let gone = TaskId::from_bytes([9; 16]);
    let entry = JournalEntry { step: 0, mark: Mark::Intent, note: Vec::new(), effect: Vec::new() };
    let growing = StreamRef { id: StreamId::from_bytes([1; 16]), length: 100_000, sha256: [0; 32] };
    drop(store.spool().write(spool_id(growing.id), growing.length).unwrap());
    let kept = Write::PutTask(Box::new(batch(1, growing)), Origin::Controller);
    let state = Write::PutState(gone, TaskState::Started { unended: 0 });
    store.commit(&[kept, state, Write::PutJournal(gone, 0, entry)]).await.unwrap();
    let orphan = payload(&store, 2, b"nobody's");

    store.restore().unwrap();
    assert_eq!(store.engine.scan_keys(STATES, &[]).count(), 0);
    assert!(read_journal(&store, gone).is_empty());
    assert!(!spool_file(&folder, orphan).exists());
    assert!(spool_file(&folder, growing).with_added_extension("part").exists(), "it goes on from there");
}

fn stone() -> Tombstone {
    Tombstone {
        task: TaskId::from_bytes([3; 16]),
        epoch: Epoch(4),
        attempt: 5,
        outcome: Outcome::Failed,
        certainty: Certainty::Certain,
        changed: Changed::No,
        payload: Payload::HandedOver,
        ended: 0,
    }
}

/// Lose the number, and over a restart a task that waited for long is the first to be forgotten again.
#[test]
fn a_tombstone_keeps_its_number_and_one_of_an_earlier_build_has_none() {
    let numbered = Tombstone { ended: 7, ..stone() };
    let bytes = record::tombstone(&numbered).unwrap();
    assert_eq!(record::read_tombstone(&bytes).unwrap(), numbered);
    let (earlier, _number) = bytes.split_at(bytes.len() - 8);
    assert_eq!(record::read_tombstone(earlier).unwrap(), stone());
}

/// The writes that a store of [`GOLDEN`] was filled with.
fn golden() -> Vec<Write> {
    let (held, ended) = (offer(1, MAX_PARAMS), offer(2, 10));
    let entry = JournalEntry { step: 2, mark: Mark::Intent, note: vec![9; 1000], effect: vec![8; 100] };
    vec![
        Write::PutTask(Box::new(held.clone()), Origin::Controller),
        Write::PutState(held.task, TaskState::Started { unended: 1 }),
        Write::PutJournal(held.task, 0, entry),
        Write::PutReport(Box::new(report(41, ended.task))),
        Write::PutTombstone(stone()),
        Write::PutSession(SessionNo(7)),
        Write::PutMembership(Membership { state: MembershipState::Enabled, epoch: Epoch(9), hard: true }),
    ]
}

/// A state directory of every format there was, packed: file names, and contents in hexadecimal.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/golden");

fn unpack(packed: &[u8], to: &Path) {
    let files: BTreeMap<String, String> = serde_json::from_reader(GzDecoder::new(packed)).unwrap();
    for (name, content) in files {
        let path = to.join(name);
        let above = path.ancestors().skip(1).take_while(|it| *it != to).collect::<Vec<_>>();
        above.into_iter().rev().for_each(|it| private::directory(it).unwrap());
        private::replace(&path, &HEXLOWER.decode(content.as_bytes()).unwrap()).unwrap();
    }
}

fn pack(from: &Path) -> Vec<u8> {
    let (mut files, mut waiting) = (BTreeMap::new(), vec![from.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(from).unwrap().to_str().unwrap().to_owned();
                files.insert(name, HEXLOWER.encode(&std::fs::read(&path).unwrap()));
            }
        }
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    serde_json::to_writer(&mut packed, &files).unwrap();
    packed.finish().unwrap()
}

/// With `POSTERN_STORE_CREATE=1` the store of a format that has none is made.
#[tokio::test]
async fn a_store_of_every_format_there_was_is_read_as_it_was_written() {
    let newest = Path::new(GOLDEN).join(format!("format-{}.gz", postern_store::FORMAT));
    if !newest.exists() && std::env::var_os("POSTERN_STORE_CREATE").is_some_and(|it| it == "1") {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        store.commit(&golden()).await.unwrap();
        store.keep(&"acme".parse().unwrap(), "network", b"token").await.unwrap();
        drop(store);
        std::fs::write(&newest, pack(folder.path())).unwrap();
    }
    for format in 1..=postern_store::FORMAT {
        let folder = tempfile::tempdir().unwrap();
        unpack(&std::fs::read(format!("{GOLDEN}/format-{format}.gz")).unwrap(), folder.path());

        let (store, recovered) = Store::open(folder.path()).unwrap();

        assert!(recovered.is_none(), "{recovered:?}");
        let restored = store.restore().unwrap();
        let [task] = restored.tasks.as_slice() else { panic!("{:?}", restored.tasks) };
        let mut read = vec![
            Write::PutTask(Box::new(task.offer.clone()), task.origin),
            Write::PutState(task.offer.task, task.state.clone()),
            Write::PutJournal(task.offer.task, 0, read_journal(&store, task.offer.task).remove(0)),
        ];
        read.extend(restored.reports.iter().map(|it| Write::PutReport(Box::new(it.clone()))));
        read.extend(restored.tombstones.into_iter().map(Write::PutTombstone));
        read.push(Write::PutSession(restored.session));
        read.extend(restored.membership.map(Write::PutMembership));
        assert_eq!(read, golden(), "format {format}");
        assert_eq!(restored.next_report, ReportNo(42));
        assert_eq!(store.recall(&"acme".parse().unwrap(), "network").unwrap().unwrap(), b"token");
    }
}

/// What the store of [`GOLDEN`] has no place for, each under its table and key: the other states and marks and origins of
/// tasks, collections, rows of the audit log. Put a state or a field in between, and a store that an upgrade finds does not
/// open, or has a task that was never begun for one that was.
#[tokio::test]
async fn records_of_every_shape_have_the_bytes_that_they_always_had() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let offers = [(1, Origin::Local(Caller::Person)), (2, Origin::Local(Caller::Schedule)), (3, Origin::Controller)];
    let task = |n| TaskId::from_bytes([n; 16]);
    let short = Report { output: Bytes::default(), ..report(41, task(2)) };
    let mut writes: Vec<Write> =
        offers.map(|(n, origin)| Write::PutTask(Box::new(offer(n, 1)), origin)).into_iter().collect();
    writes.extend([
        Write::PutState(task(1), TaskState::Journaled { unended: 1 }),
        Write::PutState(task(2), TaskState::Concluded(Box::new(short))),
        Write::PutState(task(3), TaskState::Started { unended: 1 }),
    ]);
    let marks = [Mark::Intent, Mark::Done, Mark::TakenBack, Mark::Memo, Mark::Unchanged];
    for (number, mark) in (0..).zip(marks) {
        let entry = JournalEntry { step: 2, mark, note: vec![9], effect: vec![8] };
        writes.push(Write::PutJournal(task(1), number, entry));
    }
    let event = Event { time: 5, what: "{}".to_owned() };
    let lost = Tombstone { payload: Payload::Lost, ..stone() };
    writes.push(Write::PutTombstone(lost));
    writes.extend([Write::PutAudit(record::audit(&event)), Write::PutAudit(record::audit(&event))]);
    store.commit(&writes).await.unwrap();
    store.audit_written(1, 10, Head { number: 6, hash: [7; 32] }).unwrap();
    let end = End { outcome: Outcome::Failed.into(), told: Text::clipped("why"), users: 3, removed: 4 };
    let run = Run { begun: 2, task: task(1), end: Some(end) };
    let acme = "acme".parse().unwrap();
    store.keep_collection(&acme, "nightly", &Record { since: 1, run: Some(run) }).await.unwrap();
    let restored = store.restore().unwrap();
    assert_eq!(restored.tombstones, [lost]);
    let read = restored.tasks;
    assert_eq!(read.iter().map(|it| (it.offer.task.as_bytes()[0], it.origin)).collect::<Vec<_>>(), offers);
    let states = read.iter().map(|it| Write::PutState(it.offer.task, it.state.clone()));
    assert_eq!(states.collect::<Vec<_>>(), writes[3..6]);
    assert_eq!(read_journal(&store, task(1)).iter().map(|it| it.mark).collect::<Vec<_>>(), marks);
    assert_eq!(store.audit_rows().unwrap(), (2, 10, vec![event]));

    let mut told = String::new();
    let mut tell = |table, key: &[u8], bytes: &[u8]| {
        writeln!(told, "{table} {} {}", HEXLOWER.encode(key), HEXLOWER.encode(bytes)).unwrap();
    };
    for table in [1, 2, 3, 5, 8, 10] {
        for item in store.engine.scan(Table::new("", table)) {
            let (key, bytes) = item.unwrap();
            tell(table, &key, &bytes);
        }
    }
    for key in [&b"audit_released"[..], b"audit_written"] {
        tell(6, key, &store.engine.get(Table::new("", 6), key).unwrap().unwrap());
    }
    assert_eq!(told, include_str!("golden/records-1"));
}

/// Look at the reports alone, and whoever retires the host is told that nothing is owed.
#[tokio::test]
async fn what_waits_for_its_results_to_be_taken_is_owed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (concluded, local, held) = (offer(1, 1), offer(2, 1), offer(3, 1));
    let ended = |task| Write::PutState(task, TaskState::Concluded(Box::new(report(0, task))));
    let writes = [
        Write::PutTask(Box::new(concluded.clone()), Origin::Controller),
        ended(concluded.task),
        Write::PutTask(Box::new(local.clone()), Origin::Local(Caller::Person)),
        ended(local.task),
        Write::PutTask(Box::new(held.clone()), Origin::Controller),
        Write::PutReport(Box::new(report(1, TaskId::from_bytes([4; 16])))),
    ];
    store.commit(&writes).await.unwrap();
    assert_eq!(store.owed().unwrap(), (2, Some(concluded.task.made())));
}

/// From the offer to the acknowledgement there is no moment at which a file seems to be lost that is handed over after it.
#[tokio::test]
async fn what_comes_of_a_task_is_on_its_way_until_it_is_handed_over_or_nothing_came() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let kept = Kept::new(store.clone(), "acme".parse().unwrap());
    let (held, empty) = (offer(1, MAX_PARAMS), offer(2, 1));
    let stands = |task| (kept.owed(task).unwrap(), kept.delivered(task).unwrap());
    assert_eq!(stands(held.task), (false, false));
    let put = |offer: &Offer| Write::PutTask(Box::new(offer.clone()), Origin::Controller);
    store.commit(&[put(&held), put(&empty)]).await.unwrap();
    assert_eq!(stands(held.task), (true, false), "it may be at work");

    let mut owed = report(41, held.task);
    owed.streams = List::new(vec![payload(&store, 7, b"results")]).unwrap();
    let ended = Write::PutState(held.task, TaskState::Concluded(Box::new(owed.clone())));
    store.commit(&[ended]).await.unwrap();
    assert_eq!(stands(held.task), (true, false));
    let nothing = report(42, empty.task);
    let reports = [owed, nothing].map(|it| [Write::PutReport(Box::new(it.clone())), Write::DeleteTask(it.task)]);
    store.commit(reports.as_flattened()).await.unwrap();
    assert_eq!((stands(held.task), stands(empty.task)), ((true, false), (false, false)));

    let buried = Tombstone {
        task: held.task,
        epoch: held.epoch,
        attempt: 1,
        outcome: Outcome::Succeeded,
        certainty: Certainty::Certain,
        changed: Changed::No,
        payload: Payload::HandedOver,
        ended: 1,
    };
    store.commit(&[Write::PutTombstone(buried), Write::DeleteReport(ReportNo(41))]).await.unwrap();
    assert_eq!((stands(held.task), kept.taken_anew(held.task)), ((false, true), Ok(false)));
    store.commit(&[Write::PutTombstone(Tombstone { payload: Payload::Lost, ..buried })]).await.unwrap();
    assert_eq!((stands(held.task), kept.taken_anew(held.task)), ((false, false), Ok(true)));
}
