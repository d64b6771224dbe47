use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use postern_agent_core::{JournalEntry, Mark, Write};
use postern_protocol::TaskId;
use postern_store::audit::{Log, Verifier};
use tempfile::TempDir;

use super::*;

/// A store, and the log that is written of it.
struct Lab {
    folder: TempDir,
    store: Option<Store>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(Store::open(folder.path()).unwrap().0);
        Self { folder, store }
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    /// The process dies, and another begins.
    fn restart(&mut self) {
        self.store = None;
        self.store = Some(Store::open(self.folder.path()).unwrap().0);
    }

    /// Events of these numbers, each with what it tells of.
    async fn commit(&self, events: impl IntoIterator<Item = u64>) {
        for number in events {
            self.store().commit(&[audit(number, 10), done(number)]).await.unwrap();
        }
    }

    /// Everything that waits is written by a scribe that begins now.
    async fn write(&self) -> Status {
        let (scribe, status) = Scribe::new(self.folder.path(), self.store());
        let stop = CancellationToken::new();
        stop.cancel();
        scribe.run(stop).await;
        status.borrow().clone()
    }

    /// The numbers of the events in the log, whose chain is whole and ends as the store remembers.
    fn numbers(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        let directory = directory(self.folder.path());
        let verifier = Verifier::new(&directory).known(self.store().audit().head().unwrap_or_default());
        verifier.run(|line| numbers.push(number(line.event))).unwrap();
        numbers
    }

    fn file(&self) -> PathBuf {
        directory(self.folder.path()).join("00000001.jsonl")
    }
}

fn number(event: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(event).unwrap()["number"].as_u64().unwrap()
}

fn audit(number: u64, len: usize) -> Write {
    Write::PutAudit(event(&serde_json::json!({ "number": number, "padding": "x".repeat(len) })))
}

fn done(number: u64) -> Write {
    let note = number.to_be_bytes().to_vec();
    Write::PutJournal(
        TaskId::from_bytes([1; 16]),
        u32::try_from(number).unwrap(),
        JournalEntry { step: 0, mark: Mark::Done, note, effect: Vec::new() },
    )
}

#[tokio::test]
async fn what_was_committed_is_written_in_order_and_goes_from_the_store() {
    let mut lab = Lab::new();
    lab.commit(1..=3).await;
    assert_eq!(lab.store().audit().waiting(), 3);
    let status = lab.write().await;
    assert_eq!((lab.numbers(), lab.store().audit().waiting()), (vec![1, 2, 3], 0));
    assert_eq!(status.head, lab.store().audit().head().unwrap().to_string());
    lab.restart();
    lab.commit(4..=4).await;
    lab.write().await;
    assert_eq!(lab.numbers(), [1, 2, 3, 4]);
}

/// The process dies after lines are in the file, and before the store knows.
#[tokio::test]
async fn a_crash_between_file_and_store_tells_nothing_twice() {
    let mut lab = Lab::new();
    lab.commit(1..=2).await;
    lab.write().await;
    for written in 1..=3_usize {
        let first = 10 * u64::try_from(written).unwrap();
        lab.commit(first..first + 3).await;
        let (_, _, events) = lab.store().audit_rows().unwrap();
        let mut log = Log::open(&directory(lab.folder.path()), lab.store().audit().head()).unwrap().log;
        log.append(&events[..written]).unwrap();
        drop(log);
        lab.restart();
        assert_eq!(lab.write().await.fault, None);
    }
    assert_eq!(lab.numbers(), [1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
}

#[tokio::test]
async fn a_crash_before_the_first_line_is_acknowledged_tells_nothing_twice() {
    let mut lab = Lab::new();
    lab.commit(1..=2).await;
    let (_, _, events) = lab.store().audit_rows().unwrap();
    Log::open(&directory(lab.folder.path()), None).unwrap().log.append(&events).unwrap();
    lab.restart();
    assert_eq!(lab.write().await.fault, None);
    assert_eq!(lab.numbers(), [1, 2]);
}

/// Larger than one batch of the engine: a crash may leave some of it, which counts only with the write behind it.
#[tokio::test]
async fn events_count_only_with_what_they_tell_of() {
    let mut lab = Lab::new();
    lab.commit(1..=1).await;
    let died: Vec<Write> = (2..=40).map(|number| audit(number, 8_000)).collect();
    // What a crash leaves of a commit whose last batch is lost.
    lab.store().commit_all_but_the_last_batch(&[died.as_slice(), &[done(2)]].concat()).await;
    lab.restart();
    assert_eq!(lab.store().audit().waiting(), 1);
    let again: Vec<Write> = (102..=140).map(|number| audit(number, 100)).collect();
    lab.store().commit(&[again.as_slice(), &[done(2)]].concat()).await.unwrap();
    lab.write().await;
    assert_eq!(lab.numbers(), [1].into_iter().chain(102..=140).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told_of_and_gone_on_with_when_it_can() {
    let lab = Lab::new();
    lab.commit(1..=1).await;
    fs::create_dir(directory(lab.folder.path())).unwrap();
    fs::set_permissions(directory(lab.folder.path()), fs::Permissions::from_mode(0o755)).unwrap();
    let status = lab.write().await;
    assert!(status.trouble.unwrap().contains("chmod 700"), "an operator is told what to do");
    assert_eq!(status.waiting, 1);
    fs::set_permissions(directory(lab.folder.path()), fs::Permissions::from_mode(0o700)).unwrap();
    let status = lab.write().await;
    assert_eq!((status.trouble, status.waiting, lab.numbers()), (None, 0, vec![1]));
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_noticed_at_the_next_start() {
    let mut lab = Lab::new();
    lab.commit(1..=3).await;
    lab.write().await;
    let text = fs::read_to_string(lab.file()).unwrap();
    let two: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    fs::write(lab.file(), two.concat()).unwrap();
    lab.restart();
    let fault = lab.write().await.fault.unwrap();
    assert!(fault.contains("ends with line 2, and line 3 is known"), "{fault}");
}

/// It would be an older store, whose rows were told already.
#[tokio::test]
async fn lines_that_the_store_does_not_know_of_are_told_of() {
    let mut lab = Lab::new();
    lab.commit(1..=1).await;
    lab.write().await;
    let mut log = Log::open(&directory(lab.folder.path()), lab.store().audit().head()).unwrap().log;
    log.append(&[Event { time: 0, what: "{\"number\":99}".to_owned() }]).unwrap();
    lab.commit(2..=2).await;
    lab.restart();
    let fault = lab.write().await.fault.unwrap();
    assert!(fault.contains("lines that this program's store does not know of"), "{fault}");
    assert_eq!(lab.numbers(), [1, 99, 2]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_while_too_much_waits_for_the_file() {
    let lab = Lab::new();
    let store = lab.store();
    store.audit().pretend(25_000);
    assert!(store.audit().room().await);
    store.audit().pretend(25_001);
    assert!(!store.audit().has_room() && !store.audit().room().await);
    let caught_up = async { store.audit().pretend(7) };
    assert!(tokio::join!(store.audit().room(), caught_up).0);
}

/// Bound the number of rows alone, and the audited values of a batch fill the space that is kept for a full disk.
#[tokio::test]
async fn what_waits_for_the_file_is_bounded_in_bytes_too() {
    let mut lab = Lab::new();
    for number in 1..=11 {
        let mut writes: Vec<Write> = (0..100).map(|_| audit(number, 8 * 1024)).collect();
        writes.push(done(number));
        assert!(lab.store().audit().has_room(), "{number}");
        lab.store().commit(&writes).await.unwrap();
    }
    assert!(!lab.store().audit().has_room());
    lab.restart();
    assert!(!lab.store().audit().has_room(), "those that waited before count");
    lab.write().await;
    assert!(lab.store().audit().has_room());
    assert_eq!(lab.store().audit().waiting(), 0);
}
