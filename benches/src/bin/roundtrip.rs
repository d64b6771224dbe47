//! What a durable task costs beside the calls it makes.
//!
//! A task is submitted through the controller's API, offered to an agent, journaled, run against a simulated Salesforce
//! without latency, reported and acknowledged. Beside it a bare client makes the same calls to the same simulator and
//! keeps nothing. Both take turns, so that a machine that slows down or recovers in between does it to both; the ratio
//! of a row is the median of the ratios of its rounds.
//!
//! Controller, agent and simulator are processes of their own, this program under other names; all of it happens on
//! loopback.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use postern_benches::{
    Bare, Calibration, Failure, Kind, People, Salesforce, Stored, Submitter, Turn, barrier, keep_busy, load, median,
    program, to_f64,
};
use postern_tests::lab::AgentOptions;
use postern_tests::{Agent, Lab, LabOptions};
use serde_json::{Value, json};

/// How many tasks the agent runs at once.
const CONCURRENCY: usize = 32;
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(175);

const ABOUT: &str = "\
Measures tasks a second through controller, agent and a simulated Salesforce without latency, beside the same calls \
made by a bare HTTP client in turns with them, and how many barriers each store pays for a task.

The stores are in a new folder below TMPDIR (or /tmp): set it to the disk that matters, a RAM disk has no barrier. All \
connections are on loopback. It takes under two minutes with the usual rounds and turns, and gives up after three.";

/// Measure the durable round trip of a task.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT)]
struct Args {
    /// Turns of each side for a row, after one to warm up; the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Milliseconds of a turn.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=10_000))]
    turn_ms: u64,
    /// Tasks under way at once, a row for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    in_flight: Vec<u16>,
    /// Kinds of tasks.
    #[arg(long, value_delimiter = ',', default_values = ["validate", "switch"])]
    kinds: Vec<Kind>,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// Everything that runs.
struct Stage {
    salesforce: Salesforce,
    submitter: Submitter,
    bare: Bare,
    agent: Agent,
    people: Arc<People>,
    lab: Lab,
}

#[derive(Debug)]
struct Row {
    kind: Kind,
    in_flight: usize,
    /// Tasks a second.
    tasks: f64,
    /// The same work a second, made by the bare client.
    bare: f64,
    /// Median over the rounds of tasks by bare of the same round.
    ratio: f64,
    /// Calls to the simulator for a task, and for the bare client's equal.
    calls: (f64, f64),
    agent: Cost,
    controller: Cost,
}

/// What one task costs a store.
#[derive(Debug)]
struct Cost {
    commits: f64,
    barriers: f64,
}

fn main() -> ExitCode {
    program::main("roundtrip", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let binary = std::env::current_exe()?;
    let (calibration, rows) = runtime.block_on(async {
        let measured = tokio::time::timeout(LIMIT, measure(args, &binary)).await;
        measured.map_err(|_| format!("not done within {} s: ask for fewer --rounds", LIMIT.as_secs()))?
    })?;
    if args.json {
        println!("{}", as_json(args, &calibration, &rows));
    } else {
        println!("{calibration}\n{}", as_table(&rows));
    }
    Ok(())
}

async fn measure(args: &Args, binary: &Path) -> Result<(Calibration, Vec<Row>), Failure> {
    let workers = args.in_flight.iter().copied().max().unwrap_or(1);
    let stage = Stage::set(binary, usize::from(workers)).await?;
    let before = (barrier(stage.lab.folder())?, load());
    let mut rows = Vec::new();
    for kind in &args.kinds {
        for in_flight in &args.in_flight {
            rows.push(stage.row(args, *kind, usize::from(*in_flight)).await?);
        }
    }
    Ok((Calibration::complete(before, stage.lab.folder())?, rows))
}

impl Stage {
    async fn set(binary: &Path, workers: usize) -> Result<Self, Failure> {
        let people = Arc::new(People::new(workers));
        let lab = Lab::start_with(binary, LabOptions { users: 0, ..LabOptions::default() }).await;
        let salesforce = Salesforce::start(lab.programs(), lab.folder(), people.users()).await?;
        let domain = Some(salesforce.url().to_owned());
        let agent = lab.member_with("agent", AgentOptions { domain, concurrency: CONCURRENCY, ..Default::default() });
        let agent = agent.await;
        let submitter = Submitter::new(&lab.controller)?;
        let bare = Bare::sign_in(salesforce.url()).await?;
        Ok(Self { salesforce, submitter, bare, agent, people, lab })
    }

    async fn row(&self, args: &Args, kind: Kind, in_flight: usize) -> Result<Row, Failure> {
        let length = Duration::from_millis(args.turn_ms);
        let (agent, controller) = self.stored().await?;
        let (mut tasks, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut by_tasks, mut by_bare) = (Tally::default(), Tally::default());
        // The first round warms both sides up: it opens connections and signs in.
        for round in 0..=args.rounds {
            let task = by_tasks.take(&self.salesforce, self.tasks(kind, in_flight, length)).await?;
            let bare = by_bare.take(&self.salesforce, self.calls(kind, in_flight, length)).await?;
            if round > 0 {
                tasks.push(task.rate());
                bares.push(bare.rate());
                ratios.push(task.rate() / bare.rate());
            }
        }
        let (agent_after, controller_after) = self.stored().await?;
        Ok(Row {
            kind,
            in_flight,
            tasks: median(tasks),
            bare: median(bares),
            ratio: median(ratios),
            calls: (by_tasks.calls_for_each(), by_bare.calls_for_each()),
            agent: Cost::new(agent_after.since(agent), by_tasks.done),
            controller: Cost::new(controller_after.since(controller), by_tasks.done),
        })
    }

    async fn tasks(&self, kind: Kind, in_flight: usize, length: Duration) -> Result<Turn, Failure> {
        let (submitter, people) = (self.submitter.clone(), Arc::clone(&self.people));
        keep_busy(in_flight, length, move |worker| {
            let (submitter, people) = (submitter.clone(), Arc::clone(&people));
            async move { submitter.work(kind, people.of(worker)?).await }
        })
        .await
    }

    async fn calls(&self, kind: Kind, in_flight: usize, length: Duration) -> Result<Turn, Failure> {
        let (bare, people) = (self.bare.clone(), Arc::clone(&self.people));
        keep_busy(in_flight, length, move |worker| {
            let (bare, people) = (bare.clone(), Arc::clone(&people));
            async move { bare.work(kind, people.of(worker)?).await }
        })
        .await
    }

    /// What the stores of agent and controller have done.
    async fn stored(&self) -> Result<(Stored, Stored), Failure> {
        let status = self.agent.status().await;
        let ledger = status.pointer("/agent/ledger").ok_or_else(|| format!("no ledger in {status}"))?;
        Ok((Stored::of(ledger)?, self.submitter.stored().await?))
    }
}

/// The work of one side over a row, and the calls it took.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    calls: u64,
}

impl Tally {
    async fn take(
        &mut self,
        salesforce: &Salesforce,
        turn: impl Future<Output = Result<Turn, Failure>>,
    ) -> Result<Turn, Failure> {
        let before = salesforce.calls().await?;
        let turn = turn.await?;
        self.calls += salesforce.calls().await?.saturating_sub(before);
        self.done += turn.done;
        Ok(turn)
    }

    fn calls_for_each(&self) -> f64 {
        to_f64(self.calls) / to_f64(self.done)
    }
}

impl Cost {
    fn new(stored: Stored, tasks: u64) -> Self {
        let each = |count: u64| to_f64(count) / to_f64(tasks);
        Self { commits: each(stored.commits), barriers: each(stored.barriers) }
    }

    fn json(&self) -> Value {
        json!({ "commits_per_task": self.commits, "barriers_per_task": self.barriers })
    }
}

fn as_table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "kind",
        "in flight",
        "tasks/s",
        "bare/s",
        "ratio",
        "calls: task, bare",
        "barriers a task: agent",
        "controller",
    ]);
    for row in rows {
        table.add_row([
            row.kind.name().to_owned(),
            row.in_flight.to_string(),
            format!("{:.0}", row.tasks),
            format!("{:.0}", row.bare),
            format!("{:.3}", row.ratio),
            format!("{:.1}, {:.1}", row.calls.0, row.calls.1),
            format!("{:.2}", row.agent.barriers),
            format!("{:.2}", row.controller.barriers),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn as_json(args: &Args, calibration: &Calibration, rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        json!({
            "kind": row.kind.name(),
            "in_flight": row.in_flight,
            "tasks_per_sec": row.tasks,
            "bare_per_sec": row.bare,
            "ratio": row.ratio,
            "calls_per_task": row.calls.0,
            "calls_per_bare": row.calls.1,
            "agent": row.agent.json(),
            "controller": row.controller.json(),
        })
    });
    json!({
        "calibration": calibration.json(),
        "rounds": args.rounds,
        "turn_ms": args.turn_ms,
        "rows": rows.collect::<Vec<_>>(),
    })
}
