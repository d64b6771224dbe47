//! The store's engine at work as the controller uses it, and what has to be found of it.

use std::path::Path;

use data_encoding::HEXLOWER;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use postern_store::{Batch, Opened, Options, Store, StoreError, StoreKey, Table};

use super::Wrong;
use super::dice::Dice;
use super::told::{Told, Word};

const TASKS: Table = Table::new("tasks", 1);
const OUTBOX: Table = Table::new("outbox", 2);
/// Numbers kept, so that deletes are part of it and the store stays small.
const WINDOW: u64 = 100;
/// Commits under way at once.
const IN_FLIGHT: usize = 16;
/// The largest value, small enough that sled uses its space again within a run.
const VALUE: usize = 3 * 1024;

/// Counts upwards in two tables at once. What it says is durable.
///
/// # Errors
///
/// What the disk did not do.
pub fn work(folder: &Path, seed: u64, steps: u64, say: &impl Fn(Word)) -> Result<(), StoreError> {
    let store = open(folder)?.store;
    say(Word::Opened(HEXLOWER.encode(&store.incarnation().0)));
    let begun = numbers(&store, TASKS)?.last().map_or(0, |it| it.0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // Commits are applied in the order in which they are first polled, which is that of the numbers.
    let commits = stream::iter(begun + 1..=begun + steps).map(|number| {
        let store = store.clone();
        async move {
            store.commit(batch(seed, number)?).await?;
            Ok(number)
        }
    });
    runtime.block_on(commits.buffered(IN_FLIGHT).try_for_each(|number| {
        say(Word::Step(number));
        std::future::ready(Ok(()))
    }))
}

fn open(folder: &Path) -> Result<Opened, StoreError> {
    Store::open(&folder.join("store"), &StoreKey::from_bytes([7; 32]), &Options::default(), 1)
}

fn batch(seed: u64, number: u64) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    for table in [TASKS, OUTBOX] {
        batch.put(table, &number.to_be_bytes(), &value(seed, table, number))?;
        if let Some(old) = number.checked_sub(WINDOW) {
            batch.delete(table, &old.to_be_bytes())?;
        }
    }
    Ok(batch)
}

fn value(seed: u64, table: Table, number: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed, number * 256 + u64::from(table.tag()));
    let len = dice.index(VALUE);
    dice.bytes(len)
}

fn numbers(store: &Store, table: Table) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let number = |key: Vec<u8>| key.try_into().map_or(0, u64::from_be_bytes);
    store.scan(table).map(|item| item.map(|(key, value)| (number(key), value))).collect()
}

/// Opens the store as the controller does at its start, and compares it with what has to be there.
///
/// # Errors
///
/// What is not as it must be.
pub fn audit(folder: &Path, seed: u64, told: &Told) -> Result<Told, Wrong> {
    let unopenable = |error: StoreError| Wrong::Unopenable(error.to_string());
    let Opened { store, recovered } = open(folder).map_err(unopenable)?;
    if let Some(aside) = recovered.and_then(|it| it.moved_aside) {
        return Err(Wrong::Unopenable(aside.reason));
    }
    let incarnation = HEXLOWER.encode(&store.incarnation().0);
    if told.incarnation.as_ref().is_some_and(|it| *it != incarnation) {
        return Err(Wrong::Lost("the store itself: it has another incarnation".to_owned()));
    }
    let mut step = 0;
    for table in [TASKS, OUTBOX] {
        let found = numbers(&store, table).map_err(unopenable)?;
        let last = found.last().map_or(0, |it| it.0);
        if table == TASKS {
            step = last;
        }
        if last < told.step {
            return Err(Wrong::Lost(format!("step {last} is the last and {} was told", told.step)));
        }
        let expected = last.saturating_sub(WINDOW) + 1..=last;
        if last != step || !expected.map(|number| (number, value(seed, table, number))).eq(found) {
            return Err(Wrong::NoPrefix(format!("table `{}` is not what it was at step {step}", table.name())));
        }
    }
    Ok(Told { incarnation: Some(incarnation), step, ..Told::default() })
}
