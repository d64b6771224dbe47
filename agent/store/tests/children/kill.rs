//! A process that is killed at any moment, seventy times.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use postern_store::{Batch, Options, Store, Table};

use crate::lab::{Folder, NOW, OUTBOX, TASKS, key, poll};

const ROUNDS: u64 = 70;

/// Numbers kept, so that deletes are part of it and the store stays small.
const WINDOW: u64 = 200;

/// Commits in flight in the process that is killed.
const IN_FLIGHT: usize = 16;

/// Invariant 19: after any crash the store is a prefix of commit groups that contains all that was
/// told. The child counts upwards in two tables at once, and prints each number once its commit
/// resolved. Seen to fail without the flush, and with the two tables written one after the other.
#[test]
fn killed_at_any_moment_the_store_holds_a_prefix_with_all_that_was_told() {
    let _alone = crate::alone();
    let folder = Folder::new();
    let mut told = 0;
    for round in 0..ROUNDS {
        // Another number of commits each time, from none at all: also killed while opening.
        told = told.max(count_and_kill(&folder, (round * 37) % 211));

        let opened = folder.open();
        assert_eq!(opened.recovered.and_then(|it| it.moved_aside), None, "round {round}");
        let tasks = numbers(&opened.store, TASKS);
        let last = tasks.last().copied().unwrap_or(0);
        assert!(last >= told, "round {round}: {told} was told and {last} is the last");
        assert!(tasks.iter().copied().eq(last.saturating_sub(WINDOW) + 1..=last), "round {round}: not a prefix");
        assert_eq!(numbers(&opened.store, OUTBOX), tasks, "round {round}: half a batch");
    }
    assert!(told > ROUNDS);
}

/// Lets the child tell of `patience` commits, kills it, and returns the highest number it told.
fn count_and_kill(folder: &Folder, patience: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_counts", "--nocapture"])
        .env("STORE_TO_COUNT_IN", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = 0;
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // A line cut by the kill lacks its end mark.
        if let Some(number) = line.unwrap().strip_prefix("told ").and_then(|it| it.strip_suffix('.')) {
            told = number.parse().unwrap();
            seen += 1;
        }
        if seen >= patience {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

fn numbers(store: &Store, table: Table) -> Vec<u64> {
    store.scan(table).map(|it| u64::from_be_bytes(it.unwrap().0.try_into().unwrap())).collect()
}

/// The process of the test above; by itself it does nothing.
#[tokio::test]
async fn child_counts() {
    let Ok(path) = std::env::var("STORE_TO_COUNT_IN") else { return };
    let store = Store::open(path.as_ref(), &key(), &Options::default(), NOW).unwrap().store;
    let mut next = numbers(&store, TASKS).last().copied().unwrap_or(0) + 1;
    let mut flying = VecDeque::new();
    loop {
        while flying.len() < IN_FLIGHT {
            let mut commit = Box::pin(commit(store.clone(), next));
            // The first poll hands it over, so they are in order.
            let early = poll(commit.as_mut());
            flying.push_back((next, commit, early));
            next += 1;
        }
        let (number, commit, early) = flying.pop_front().unwrap();
        if early.is_pending() {
            commit.await;
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "told {number}.").unwrap();
        out.flush().unwrap();
    }
}

async fn commit(store: Store, number: u64) {
    let mut batch = Batch::new();
    for table in [TASKS, OUTBOX] {
        batch.put(table, &number.to_be_bytes(), &number.to_be_bytes().repeat(20)).unwrap();
        if let Some(old) = number.checked_sub(WINDOW) {
            batch.delete(table, &old.to_be_bytes()).unwrap();
        }
    }
    store.commit(batch).await.unwrap();
}
