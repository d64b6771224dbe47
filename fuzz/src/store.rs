//! What is on disk, after somebody else had the disk.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use data_encoding::HEXLOWER;
use postern_agent::connector::salesforce::notes;
use postern_agent::connector::{Effect, MAX_EFFECT, unpacked};
use postern_agent::policy::{Act, Ceiling, Ceilings, Counters, Policy};
use postern_agent::store::{collection, record};
use postern_controller_stub::state::record as ledger;
use postern_protocol::codec::{self, CodecError};
use postern_store::audit::{Event, Line, Log, Verifier, backwards};
use postern_store::{Batch, Opened, Options, Spool, SpoolId, SpoolReader, Store, StoreError, StoreKey, Table, private};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{choice, grown};

/// The records of every table, as they are behind the seal: of another version of this program, for example.
pub fn records(data: &[u8]) -> bool {
    let (table, bytes) = choice(data);
    let again = match table % 10 {
        0 => record::read_task(bytes).map(|(offer, origin)| record::task(&offer, origin)),
        1 => record::read_state(bytes).map(|it| record::state(&it)),
        2 => record::read_entry(bytes).map(|it| record::entry(&it)),
        3 => record::read_report(bytes).map(|it| record::report(&it)),
        // That of an earlier build has no number at its end.
        4 => record::read_tombstone(bytes)
            .map(|it| record::tombstone(&it).map(|again| again.into_iter().take(bytes.len()).collect())),
        5 => record::read_membership(bytes).map(|it| record::membership(&it)),
        6 => record::read_number(bytes).map(|it| Ok::<_, CodecError>(record::number(it).to_vec())),
        7 => codec::decode::<collection::Record>(bytes).map(|it| codec::encode(&it)),
        8 => record::read_audit(bytes).map(|it| Ok(record::audit(&it))),
        _ => record::read_written(bytes).map(|(row, head)| record::written(row, head)),
    };
    let Ok(again) = again else { return false };
    assert_eq!(again.expect("what was read can be written"), bytes, "another record of the same thing");
    true
}

/// The records of a controller's ledger: what was read means the same when it was written.
pub fn ledger_records(data: &[u8]) -> bool {
    let (table, bytes) = choice(data);
    match table % 15 {
        0 => again::<ledger::ClusterRecord>(bytes),
        1 => again::<ledger::TokenRecord>(bytes),
        2 => again::<ledger::MemberRecord>(bytes),
        3 => again::<ledger::MemberNumbers>(bytes),
        4 => again::<ledger::SystemRecord>(bytes),
        5 => again::<ledger::TaskRecord>(bytes),
        6 => again::<ledger::StreamRecord>(bytes),
        7 => again::<ledger::RootsRecord>(bytes),
        8 => again::<ledger::OnceRecord>(bytes),
        9 => again::<ledger::ApiTokenRecord>(bytes),
        10 => again::<ledger::AuditRow>(bytes),
        11 => again::<ledger::AuditWritten>(bytes),
        12 => again::<Vec<ledger::NewerCertificate>>(bytes),
        13 => again::<ledger::AttemptRecord>(bytes),
        _ => again::<ledger::ForgottenRecord>(bytes),
    }
}

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<T>(bytes) else { return false };
    let written = serde_json::to_vec(&record).expect("what was read can be written");
    let record: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&record).ok(), Some(written), "it means something else");
    true
}

/// A store of one process, in a folder of its own.
pub(crate) struct Bench {
    folder: TempDir,
    spool: Spool,
    _store: Store,
}

impl Bench {
    /// The one of the process, for as long as the result lives.
    pub(crate) fn take() -> MutexGuard<'static, Self> {
        static BENCH: OnceLock<Mutex<Bench>> = OnceLock::new();
        BENCH.get_or_init(|| Mutex::new(Self::new())).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a payload.
    pub(crate) fn write(&self, id: SpoolId, plain: &[u8]) -> SpoolReader {
        let length = u64::try_from(plain.len()).unwrap_or_default();
        let mut writer = self.spool.write(id, length).expect("a payload can be begun");
        writer.append(plain).expect("it takes bytes");
        writer.finish(&Sha256::digest(plain).into()).expect("it is whole");
        self.spool.read(id, length).expect("it can be read")
    }

    pub(crate) fn delete(&self, id: SpoolId) {
        self.spool.delete(id).expect("it can be deleted");
    }

    fn new() -> Self {
        let folder = TempDir::new().expect("there is a place for a folder");
        let options = Options { headroom: 4096, ..Options::default() };
        let opened = Store::open(&folder.path().join("store"), &StoreKey::from_bytes([7; 32]), &options, 0);
        let store = opened.expect("a new store can be opened").store;
        let spool = store.spool().expect("it has a spool");
        Self { folder, spool, _store: store }
    }
}

/// A payload whose file is changed here and there: it is read as it was written, or called damaged.
///
/// The first byte says how long the payload is, in pieces of 4 KiB; then come changes, each two bytes of a place and
/// one to turn bits with; what is left over is written behind.
pub fn payload(data: &[u8]) -> bool {
    let bench = Bench::take();
    let (pieces, changes) = choice(data);
    let plain: Vec<u8> = (0..pieces % 20 * 4096).map(|at| at.to_le_bytes()[0]).collect();
    let (id, length) = (SpoolId([9; 16]), u64::try_from(plain.len()).unwrap_or_default());
    let sha256: [u8; 32] = Sha256::digest(&plain).into();
    drop(bench.write(id, &plain));

    let file = bench.folder.path().join("store/spool").join(id.to_string());
    let mut bytes = fs::read(&file).expect("it is there");
    let whole = bytes.clone();
    let mut changes = changes.chunks_exact(3);
    for change in &mut changes {
        if let [low, high, bits] = change {
            // Places of every chunk: the file has up to 80 KiB.
            let at = usize::from(u16::from_le_bytes([*low, *high])) * 2 % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
    }
    bytes.extend_from_slice(changes.remainder());
    fs::write(&file, &bytes).expect("it can be changed");

    let found = bench.spool.verify(id, length, &sha256);
    assert_eq!(found.is_ok(), bytes == whole, "damage is told, and nothing else is called damage: {found:?}");
    bench.delete(id);
    true
}

/// Files of an audit log. By the first byte: files as they are; a line that is given its hash; events that are written and
/// then changed. What is called whole has as many lines as line feeds, the writer goes on behind it, and no changed byte
/// goes unnoticed.
pub fn audit_log(data: &[u8]) -> bool {
    let (form, bytes) = choice(data);
    match form % 3 {
        0 => log_of_files(bytes),
        1 => line_with_its_hash(bytes),
        _ => log_that_is_changed(bytes),
    }
}

/// A folder with a log of these files, which are 0x1e apart.
fn log_of_files(bytes: &[u8]) -> bool {
    let folder = TempDir::new().expect("there is a place for a folder");
    let directory = folder.path().join("audit");
    private::directory(&directory).expect("it can be made");
    for (number, file) in bytes.splitn(4, |byte| *byte == 0x1e).enumerate() {
        private::replace(&directory.join(format!("{:08}.jsonl", number + 1)), file).expect("it can be written");
    }
    let mut lines = Vec::new();
    let found = Verifier::new(&directory).run(|line| lines.push(shown(line)));
    let mut reversed = Vec::new();
    let end = backwards(&directory, None, |line| {
        reversed.push(shown(line));
        true
    });
    let Ok(found) = found else { return false };
    end.expect("what is whole can be read backwards");
    reversed.reverse();
    assert_eq!(reversed, lines, "backwards it is another log");
    let before = u64::try_from(lines.len() / 2).unwrap_or_default();
    let mut newest = None;
    let one = backwards(&directory, Some(before), |line| {
        newest = Some(shown(line));
        false
    });
    one.expect("what is whole can be read backwards");
    assert_eq!(newest.as_ref(), lines.iter().rfind(|line| line.0 < before), "before line {before} comes another");
    let lines = u64::try_from(lines.len()).unwrap_or_default();
    let feeds = bytes.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!((found.lines, u64::try_from(feeds).ok()), (lines, Some(lines)), "every line was looked at");
    let mut opened = Log::open(&directory, Some(found.head)).expect("what is whole can be opened");
    assert_eq!((opened.log.head(), opened.fault), (found.head, None), "writer and verifier read the same");
    opened.log.append([&Event { time: 0, what: "{}".to_owned() }]).expect("it can be gone on with");
    let again = Verifier::new(&directory).known(found.head).run(|_| ()).expect("it is still whole");
    assert_eq!((again.lines, again.unfinished), (lines + 1, 0));
    true
}

/// What tells lines apart.
fn shown(line: &Line<'_>) -> (u64, String) {
    (line.head.number, line.event.to_owned())
}

/// Past its hash, a line is read in one form alone.
fn line_with_its_hash(said: &[u8]) -> bool {
    let hash = HEXLOWER.encode(&Sha256::digest(said));
    let bytes = [said, b",\"hash\":\"", hash.as_bytes(), b"\"}"].concat();
    let Ok(Line { head, prev, time, event }) = Line::read(&bytes) else { return false };
    let prev = HEXLOWER.encode(&prev);
    let again = format!("{{\"no\":{},\"time\":\"{time}\",\"event\":{event},\"prev\":\"{prev}\"", head.number);
    assert_eq!(again.as_bytes(), said, "two lines of one meaning");
    assert_eq!(HEXLOWER.encode(&head.hash), hash);
    true
}

/// Events of a log that is changed.
const MOST_EVENTS: usize = 5_000;

/// Two bytes of a place, one to turn bits with, and then events, a line each.
fn log_that_is_changed(bytes: &[u8]) -> bool {
    let Some((&[low, high, bits], events)) = bytes.split_first_chunk() else { return false };
    let events = &*grown(events);
    let Ok(events) = std::str::from_utf8(events) else { return false };
    let folder = TempDir::new().expect("there is a place for a folder");
    let directory = folder.path().join("audit");
    let mut log = Log::open(&directory, None).expect("a new log can be opened").log;
    // Each is made durable by itself: hundreds of thousands of them take seconds and show nothing more.
    let events = events.split('\n').take(MOST_EVENTS).map(|what| Event { time: 0, what: what.to_owned() });
    let written: Vec<String> = events.filter(|event| log.append([event]).is_ok()).map(|event| event.what).collect();
    let (head, mut read) = (log.head(), Vec::new());
    let known = Verifier::new(&directory).known(head);
    known.run(|line| read.push(line.event.to_owned())).expect("what was written is whole");
    assert_eq!(read, written);
    let mut reversed = Vec::new();
    let end = backwards(&directory, None, |line| {
        reversed.push(line.event.to_owned());
        true
    });
    end.expect("what is whole can be read backwards");
    reversed.reverse();
    assert_eq!(reversed, written, "backwards it is another log");

    let file = directory.join("00000001.jsonl");
    let Ok(mut bytes) = fs::read(&file) else { return false };
    let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len().max(1);
    let Some(byte) = bytes.get_mut(at).filter(|_| bits != 0) else { return false };
    *byte ^= bits;
    fs::write(&file, &bytes).expect("it can be changed");
    assert!(known.run(|_| ()).is_err(), "a changed byte goes unnoticed");
    true
}

/// The files that stand beside the records of a store. By the first byte, one is of these bytes: what is refused is left as
/// it was, and no record is lost in silence.
pub fn store_files(data: &[u8]) -> bool {
    const NAMES: [&str; 3] = ["format", "watermark", "headroom"];
    const RECORD: Table = Table::new("facts", 1);
    thread_local!(static STORE: TempDir = {
        let folder = TempDir::new().expect("there is a place for a folder");
        let store = open(folder.path()).expect("a new store can be opened").store;
        let mut batch = Batch::new();
        batch.put(RECORD, b"key", b"value").expect("there is room for it");
        store.commit_blocking(batch).expect("it takes a record");
        drop(store);
        folder
    });
    let (which, bytes) = choice(data);
    let folder = TempDir::new().expect("there is a place for a folder");
    STORE.with(|store| copy(&store.path().join("store"), &folder.path().join("store")));
    let file = folder.path().join("store").join(NAMES.get(which % NAMES.len()).copied().unwrap_or("format"));
    private::replace(&file, bytes).expect("it can be written");
    match open(folder.path()) {
        Ok(opened) => {
            let moved = opened.recovered.is_some_and(|it| it.moved_aside.is_some());
            let found = opened.store.get(RECORD, b"key").expect("it can be read");
            assert_eq!(found.is_none(), moved, "a record is lost in silence");
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(fs::read(&file).ok().as_deref(), Some(bytes), "it was refused and changed");
            false
        }
    }
}

fn open(folder: &Path) -> Result<Opened, StoreError> {
    let options = Options { headroom: 4096, ..Options::default() };
    Store::open(&folder.join("store"), &StoreKey::from_bytes([7; 32]), &options, 0)
}

/// All files of a folder, in another.
fn copy(from: &Path, to: &Path) {
    private::directory(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            // `fs::copy` would not go on where the fuzzer's timer interrupts it.
            let bytes = fs::read(&path).expect("it can be read");
            fs::write(&copied, bytes).expect("it can be written");
        }
    }
}

/// What the agent keeps of systems, and notes of tasks, by the first byte: what was read means the same when it was written.
pub fn kept_notes(data: &[u8]) -> bool {
    let (kind, bytes) = choice(data);
    let kind = kind % (notes::KINDS.len() + 3);
    if let Some(again) = notes::KINDS.get(kind) {
        let Some(written) = again(bytes) else { return false };
        assert_eq!(again(&written).as_ref(), Some(&written), "it means something else");
        true
    } else {
        match kind - notes::KINDS.len() {
            0 => effect(bytes),
            1 => told_of_steps(bytes),
            _ => counters(bytes),
        }
    }
}

/// What an intent tells the audit log has room in the journal, whatever it is.
fn effect(bytes: &[u8]) -> bool {
    let written = Effect::decode(bytes).encode();
    assert!(written.len() <= MAX_EFFECT, "{} bytes", written.len());
    assert_eq!(Effect::decode(&written).encode(), written, "it tells something else");
    written == bytes
}

/// What was told of finished steps: no entry is counted that has no line.
fn told_of_steps(bytes: &[u8]) -> bool {
    let counted = notes::counted(bytes);
    let mut told = Vec::new();
    let whole = unpacked(bytes).read_to_end(&mut told).is_ok();
    assert_eq!(counted.is_some(), whole, "one reads what the other does not");
    let lines = told.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(
        counted.is_none_or(|counted| usize::try_from(counted).is_ok_and(|it| it <= lines)),
        "{counted:?} of {lines}"
    );
    whole
}

/// What a policy counted: whatever it was, a change that may begin is counted, and no more may than there is a ceiling for.
fn counters(bytes: &[u8]) -> bool {
    const MOST: usize = 2;
    let Ok(mut counters) = serde_json::from_slice::<Counters>(bytes) else { return false };
    let ceiling = Ceiling { per_hour: Some(2), per_day: Some(2) };
    let policy = Policy { ceilings: Ceilings { deactivations: ceiling, ..Ceilings::default() }, ..Policy::default() };
    let acts: Vec<Act> = (0..=MOST)
        .map(|number| Act { account: format!("{number}@acme.example"), deactivates: true, ..Act::default() })
        .collect();
    for now in ["2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z"] {
        let now = now.parse().expect("it is a time");
        let admitted = policy.admit(&acts, &mut counters, now).into_iter().flatten().count();
        assert!(admitted <= MOST, "{admitted} began");
    }
    let written = serde_json::to_vec(&counters).expect("what was counted can be written");
    let again: Counters = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, counters, "it means something else");
    true
}
