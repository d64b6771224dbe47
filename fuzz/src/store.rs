//! What is on disk, after somebody else had the disk.

use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};

use postern_agent::store::{collection, record};
use postern_controller_stub::state::record as ledger;
use postern_protocol::codec::{self, CodecError};
use postern_store::{Options, Spool, SpoolId, Store, StoreKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::choice;

/// The records of every table, as they are behind the seal: of another version of this program, for example.
pub fn records(data: &[u8]) {
    let (table, bytes) = choice(data);
    let again = match table % 8 {
        0 => record::read_task(bytes).map(|(offer, origin)| record::task(&offer, origin)),
        1 => record::read_state(bytes).map(|it| record::state(&it)),
        2 => record::read_entry(bytes).map(|it| record::entry(&it)),
        3 => record::read_report(bytes).map(|it| record::report(&it)),
        4 => record::read_tombstone(bytes).map(|it| record::tombstone(&it)),
        5 => record::read_membership(bytes).map(|it| record::membership(&it)),
        6 => record::read_number(bytes).map(|it| Ok::<_, CodecError>(record::number(it).to_vec())),
        _ => codec::decode::<collection::Record>(bytes).map(|it| codec::encode(&it)),
    };
    if let Ok(again) = again {
        assert_eq!(again.expect("what was read can be written"), bytes, "another record of the same thing");
    }
}

/// The records of a controller's ledger: what was read means the same when it was written.
pub fn ledger_records(data: &[u8]) {
    let (table, bytes) = choice(data);
    match table % 8 {
        0 => again::<ledger::ClusterRecord>(bytes),
        1 => again::<ledger::TokenRecord>(bytes),
        2 => again::<ledger::MemberRecord>(bytes),
        3 => again::<ledger::MemberNumbers>(bytes),
        4 => again::<ledger::SystemRecord>(bytes),
        5 => again::<ledger::TaskRecord>(bytes),
        6 => again::<ledger::StreamRecord>(bytes),
        _ => again::<ledger::RootsRecord>(bytes),
    }
}

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&record).expect("what was read can be written");
    let record: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&record).ok(), Some(written), "it means something else");
}

/// A store of one process, in a folder of its own.
struct Bench {
    folder: TempDir,
    spool: Spool,
    _store: Store,
}

impl Bench {
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
pub fn payload(data: &[u8]) {
    static BENCH: OnceLock<Mutex<Bench>> = OnceLock::new();
    let bench = BENCH.get_or_init(|| Mutex::new(Bench::new())).lock().unwrap_or_else(PoisonError::into_inner);
    let (pieces, changes) = choice(data);
    let plain: Vec<u8> = (0..pieces % 20 * 4096).map(|at| at.to_le_bytes()[0]).collect();
    let (id, length) = (SpoolId([9; 16]), u64::try_from(plain.len()).unwrap_or_default());
    let sha256: [u8; 32] = Sha256::digest(&plain).into();
    let mut writer = bench.spool.write(id, length).expect("a payload can be begun");
    writer.append(&plain).expect("it takes bytes");
    writer.finish(&sha256).expect("it is whole");

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
    bench.spool.delete(id).expect("it can be deleted");
}
