//! How much of a bare log's speed the store keeps.
//!
//! The bare log does the least that durability costs: one thread gathers what waits, with the
//! store's own limits, appends it to a file and calls `fdatasync`. The store adds encryption, a
//! tree, a flush and damage detection. Both are driven in turns, so that a disk that slows down or
//! recovers in between does it to both, and the target is a ratio: at least 0.7 with 64 commits in
//! flight.
//!
//! Give `--dir` on the disk that matters: a RAM disk has no barrier to share.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use postern_benches::{Calibration, Failure, barrier, load, median, timed, to_f64};
use postern_store::{Batch, Options, Store, StoreKey, Table};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

const RECORDS: Table = Table::new("records", 1);

/// The committer's own limits (`agent/store/src/committer.rs`).
const GROUP: usize = 64;
const GROUP_BYTES: usize = 256 * 1024;
const QUEUE: usize = 2 * GROUP;

/// Record sizes in bytes: a task's state, and a task.
const SIZES: [usize; 2] = [200, 1024];
const IN_FLIGHT: [u32; 2] = [1, 64];

/// Measure group commit against a bare append and fdatasync log.
#[derive(Debug, Parser)]
struct Args {
    /// Where to write; a folder made and removed below it.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Turns of each side; the median counts.
    #[arg(long, default_value_t = 31)]
    rounds: u32,
    /// Commits in a turn for each one in flight.
    #[arg(long, default_value_t = 40)]
    commits: u32,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

struct Row {
    size: usize,
    in_flight: u32,
    /// Commits a second.
    store: f64,
    /// Commits a second.
    log: f64,
    /// Median over the turns of store by log of the same turn.
    ratio: f64,
    commits_per_barrier: f64,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let before = (barrier(&args.dir)?, load());
    let mut rows = Vec::new();
    for size in SIZES {
        for in_flight in IN_FLIGHT {
            rows.push(measure(&runtime, &args, size, in_flight)?);
        }
    }
    let calibration = Calibration::complete(before, &args.dir)?;
    if args.json {
        println!("{}", json(&calibration, &rows));
    } else {
        print(&calibration, &rows);
    }
    Ok(())
}

fn measure(runtime: &Runtime, args: &Args, size: usize, in_flight: u32) -> Result<Row, Failure> {
    let folder = tempfile::tempdir_in(&args.dir)?;
    let key = StoreKey::from_bytes([1; 32]);
    let store = Store::open(&folder.path().join("store"), &key, &Options::default(), 0)?.store;
    let log = Log::start(&folder.path().join("log"))?;
    let value: Arc<[u8]> = vec![7; size].into();

    let mut stores = Vec::new();
    let mut logs = Vec::new();
    let mut ratios = Vec::new();
    // The first turn warms both sides up.
    for round in 0..=args.rounds {
        let (taken, bytes) = (store.clone(), Arc::clone(&value));
        let by_store = drive(runtime, args, in_flight, move |number| {
            let (store, value) = (taken.clone(), Arc::clone(&bytes));
            let key = (u64::from(round) << 32 | number).to_be_bytes();
            async move {
                let mut batch = Batch::new();
                batch.put(RECORDS, &key, &value)?;
                store.commit(batch).await?;
                Ok(())
            }
        })?;
        let (taken, bytes) = (log.clone(), Arc::clone(&value));
        let by_log = drive(runtime, args, in_flight, move |_| {
            let (log, value) = (taken.clone(), Arc::clone(&bytes));
            async move { log.append(value).await }
        })?;
        if round > 0 {
            stores.push(by_store);
            logs.push(by_log);
            ratios.push(by_store / by_log);
        }
    }
    let commits_per_barrier = to_f64(store.commits()) / to_f64(store.barriers());
    Ok(Row { size, in_flight, store: median(stores), log: median(logs), ratio: median(ratios), commits_per_barrier })
}

type Outcome = Result<(), Failure>;

/// Runs `commit` in `in_flight` tasks, each of which waits for one before it begins the next, and
/// returns commits a second.
fn drive<F>(
    runtime: &Runtime,
    args: &Args,
    in_flight: u32,
    commit: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<f64, Failure>
where
    F: Future<Output = Outcome> + Send,
{
    let commits = args.commits;
    let (outcome, took) = timed(|| {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..in_flight {
                let commit = commit.clone();
                tasks.spawn(async move {
                    for number in 0..commits {
                        commit(u64::from(task) << 20 | u64::from(number)).await?;
                    }
                    Ok(())
                });
            }
            tasks.join_all().await.into_iter().collect::<Outcome>()
        })
    });
    outcome?;
    Ok(f64::from(in_flight) * f64::from(commits) / took.as_secs_f64())
}

/// The bare log.
#[derive(Clone)]
struct Log(mpsc::Sender<Append>);

type Append = (Arc<[u8]>, oneshot::Sender<io::Result<()>>);

impl Log {
    fn start(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let (sender, mut queue) = mpsc::channel::<Append>(QUEUE);
        std::thread::Builder::new().spawn(move || {
            while let Some((first, waiter)) = queue.blocking_recv() {
                let mut bytes = first.to_vec();
                let mut waiters = vec![waiter];
                while waiters.len() < GROUP && bytes.len() < GROUP_BYTES {
                    let Ok((next, waiter)) = queue.try_recv() else { break };
                    bytes.extend_from_slice(&next);
                    waiters.push(waiter);
                }
                let written = file.write_all(&bytes).and_then(|()| file.sync_data());
                for waiter in waiters {
                    let result = written.as_ref().map(drop).map_err(|error| error.kind().into());
                    let _ = waiter.send(result);
                }
            }
        })?;
        Ok(Self(sender))
    }

    async fn append(&self, bytes: Arc<[u8]>) -> Outcome {
        let (waiter, answer) = oneshot::channel();
        self.0.send((bytes, waiter)).await?;
        answer.await??;
        Ok(())
    }
}

fn print(calibration: &Calibration, rows: &[Row]) {
    println!("{calibration}");
    println!(
        "{:>8} {:>10} {:>12} {:>12} {:>7} {:>16}",
        "bytes", "in flight", "store/s", "log/s", "ratio", "commits/barrier"
    );
    for row in rows {
        println!(
            "{:>8} {:>10} {:>12.0} {:>12.0} {:>7.2} {:>16.1}",
            row.size, row.in_flight, row.store, row.log, row.ratio, row.commits_per_barrier
        );
    }
}

fn json(calibration: &Calibration, rows: &[Row]) -> serde_json::Value {
    let rows = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "bytes": row.size,
                "in_flight": row.in_flight,
                "store_per_sec": row.store,
                "log_per_sec": row.log,
                "ratio": row.ratio,
                "commits_per_barrier": row.commits_per_barrier,
            })
        })
        .collect::<Vec<_>>();
    serde_json::json!({
        "calibration": calibration.json(),
        "rows": rows,
    })
}
