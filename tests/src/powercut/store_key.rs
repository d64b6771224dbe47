//! The key of a store is changed, and the power goes, or the process, at every single thing that it does to its disk.

use std::path::Path;

use postern_store::{Batch, Home, HomeError, Opened, Options, SpoolId, Store, Table, private};
use sha2::{Digest as _, Sha256};

use super::dice::Dice;
use super::every_write::Trial;
use super::states::Guard;
use super::told::{Told, Word};
use super::{Tally, Wrong};

/// What the worker is told to work on.
pub(super) const WORK: &str = "rotation";
const TABLE: Table = Table::new("tasks", 1);
const RECORDS: u64 = 200;
/// Of payloads: none, one chunk that is not full, and several.
const LENGTHS: [usize; 3] = [0, 1_000, 100_000];
/// The key that the store has before.
const OLD: &str = "old.key";

/// Looks behind everything that a change of the key does to the disk, or behind every so many of that.
///
/// # Errors
///
/// Why this machine cannot do it.
pub fn store_key_rotation(binary: &Path, every: usize, without: Option<Guard>) -> Result<Tally, String> {
    Trial { work: WORK, cuts: 1, prepare, hear: Told::hear, audit }.run(binary, every, without)
}

/// Changes the key of the store. What it says is durable.
pub(super) fn work(folder: &Path, say: &impl Fn(Word)) -> Result<(), HomeError> {
    Home::with_key_file(folder).rotate_key(None, &Options::default(), &mut |_| ())?;
    say(Word::Step(1));
    Ok(())
}

/// A store with something of everything, and a copy of its key for whoever looks.
fn prepare(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    private::directory(folder)?;
    let store = open(folder)?.store;
    let mut batch = Batch::new();
    for number in 0..RECORDS {
        batch.put(TABLE, &number.to_be_bytes(), &value(number))?;
    }
    store.commit_blocking(batch)?;
    let spool = store.spool()?;
    for (id, bytes) in payloads() {
        let mut writer = spool.write(id, u64::try_from(bytes.len())?)?;
        writer.append(&bytes)?;
        writer.finish(&Sha256::digest(&bytes).into())?;
    }
    std::fs::copy(folder.join("store.key"), folder.join(OLD))?;
    Ok(())
}

fn open(folder: &Path) -> Result<Opened, HomeError> {
    Home::with_key_file(folder).open(&Options::default(), 1)
}

fn value(number: u64) -> Vec<u8> {
    Dice::new(number, 0).bytes(64)
}

fn payloads() -> impl Iterator<Item = (SpoolId, Vec<u8>)> {
    (1..).zip(LENGTHS).map(|(number, len)| (SpoolId([number; 16]), Dice::new(number.into(), 1).bytes(len)))
}

/// The store opens with what lies beside it, has everything, and there is nothing left over.
fn audit(folder: &Path, told: &Told) -> Result<(), Wrong> {
    let unopenable = |error: HomeError| Wrong::Unopenable(error.to_string());
    let Opened { store, recovered } = open(folder).map_err(unopenable)?;
    if let Some(aside) = recovered.and_then(|it| it.moved_aside) {
        return Err(Wrong::Unopenable(aside.reason));
    }
    check_records(&store)?;
    let spool = store.spool().map_err(|error| Wrong::Payload(error.to_string()))?;
    for (id, bytes) in payloads() {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let whole = spool.verify(id, len, &Sha256::digest(&bytes).into());
        whole.map_err(|error| Wrong::Payload(error.to_string()))?;
    }
    for left in ["store.key.next", "store/data.rekeyed", "store/spool.rekeyed"] {
        if folder.join(left).exists() {
            return Err(Wrong::Payload(format!("`{left}` is left over")));
        }
    }
    let key = |name| std::fs::read(folder.join(name)).map_err(|error| Wrong::Unopenable(error.to_string()));
    if told.step == 1 && key("store.key")? == key(OLD)? {
        return Err(Wrong::Lost("the new key, which was told of".to_owned()));
    }
    Ok(())
}

fn check_records(store: &Store) -> Result<(), Wrong> {
    let records = store.scan(TABLE).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| Wrong::Unopenable(error.to_string()))?;
    let expected = (0..RECORDS).map(|number| (number.to_be_bytes().to_vec(), value(number)));
    if records.into_iter().eq(expected) { Ok(()) } else { Err(Wrong::NoPrefix("records differ".to_owned())) }
}
