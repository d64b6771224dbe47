//! What a thousand agents cost one controller.
//!
//! Light agents, all in this process, enroll, connect and work as real ones do: mutual TLS, WebSocket, the frames and the
//! session of the protocol, the back-off of the agent. The controller is the real program, a process of its own. They share
//! the processors, so that what is told of time is an upper bound; counts, memory and ratios say more.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod fleet;
mod identity;
mod member;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use postern_benches::{
    Calibration, Failure, Submitter, barrier, cpu_time, keep_busy, keep_busy_until, load, median, program,
    resident_memory, to_f64,
};
use postern_tests::lab::{CLUSTER, ControllerOptions, SYSTEM, new_task_id};
use postern_tests::{Lab, LabOptions};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use fleet::{Fleet, Storm, percentile};

/// Tasks under way at once while the dispatch is measured: as many as submitters that wait for outcomes may have.
const IN_FLIGHT: usize = 64;
/// Requests under way at once while tasks are piled up.
const PILERS: usize = 64;
/// How long to wait before the controller is asked again how many are connected.
const PAUSE: Duration = Duration::from_millis(100);
/// Descriptors of this process that are not connections.
const OTHER_FILES: u64 = 256;
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(1_800);

const ABOUT: &str = "\
Measures one controller with many agents: memory of a connection, processor time when nothing happens, how long it takes \
until all have come back after their connections were cut or the controller was killed, and tasks a second and the time \
from submission to offer beside the same with one agent.

Agents, submitters and controller share this machine's processors. With --agents 100 --secs 3 it takes about a minute.";

/// Measure one controller with many agents.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT)]
struct Args {
    /// Agents.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    agents: u16,
    /// Seconds of nothing, and of each turn of work.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    secs: u64,
    /// Turns of work with one agent and with all.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Tasks that nobody can do and that wait while all come back once more.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=90_000))]
    pile: u32,
    /// Handshakes that one address may have under way at the controller, in place of its default: all agents come from one.
    #[arg(long)]
    handshakes: Option<u16>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug)]
struct Figures {
    /// Enrollments a second.
    enrolled: f64,
    /// KiB of a connection.
    memory: f64,
    /// Processor time of the controller in a hundred of one processor's while nothing happens, without and with agents.
    idle: (f64, f64),
    /// Batches that its store committed meanwhile.
    idle_commits: u64,
    storms: Vec<(&'static str, Storm)>,
    one: Work,
    all: Work,
    /// Median over the rounds of the rate with all by that with one.
    ratio: f64,
    calibration: Calibration,
}

/// Work with so many agents.
#[derive(Debug, Default)]
struct Work {
    rates: Vec<f64>,
    offers: Vec<Duration>,
    /// Time to the offer while no other task is under way.
    alone: Vec<Duration>,
}

fn main() -> ExitCode {
    program::main("scale", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let needed = u64::from(args.agents) + OTHER_FILES;
    let mut files = getrlimit(Resource::Nofile);
    if files.current.is_some_and(|current| current < needed) {
        files.current = Some(files.maximum.map_or(needed, |maximum| maximum.min(needed)));
        setrlimit(Resource::Nofile, files)?;
    }
    let binary = std::env::current_exe()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let figures = runtime.block_on(async {
        let measured = tokio::time::timeout(LIMIT, measure(args, &binary)).await;
        measured.map_err(|_| format!("not done within {} s", LIMIT.as_secs()))?
    })?;
    if args.json {
        println!("{}", figures.as_json(args));
    } else {
        println!("{}", figures.as_text(args));
    }
    Ok(())
}

async fn measure(args: &Args, binary: &Path) -> Result<Figures, Failure> {
    let mut serve = vec!["--auto-approve"];
    if let Some(handshakes) = args.handshakes {
        serve.extend(["--max-handshakes-per-address", handshakes.to_string().leak()]);
    }
    let controller = ControllerOptions { serve, ..ControllerOptions::default() };
    let mut lab = Lab::start_with(binary, LabOptions { users: 0, controller }).await;
    let before = (barrier(lab.folder())?, load());
    let submitter = Submitter::new(&lab.controller)?;
    let pid = lab.controller.pid().ok_or("the controller does not run")?;
    let (count, nothing) = (usize::from(args.agents), Duration::from_secs(args.secs));

    let mut fleet = Fleet::new(lab.controller.url());
    let took = fleet.enroll(count, &submitter).await?;
    let enrolled = f64::from(args.agents) / took.as_secs_f64();
    // Only a cluster with a connected member can be given a system.
    fleet.bring(1).await?;
    lab.controller.associate(SYSTEM, CLUSTER).await;
    fleet.bring(0).await?;
    let (idle_alone, _) = idle(pid, nothing, &submitter).await?;

    let empty = resident_memory(pid)?;
    let mut storms = vec![("all come for the first time", fleet.bring(count).await?)];
    let (idle_all, idle_commits) = idle(pid, nothing, &submitter).await?;
    let memory = to_f64(resident_memory(pid)?.saturating_sub(empty)) / f64::from(args.agents);
    storms.push(("all connections are cut at once", fleet.cut().await?));

    let (mut one, mut all, mut ratios) = (Work::default(), Work::default(), Vec::new());
    for _ in 0..args.rounds {
        let with_one = one.turn(1, args, &fleet, &submitter).await?;
        let with_all = all.turn(count, args, &fleet, &submitter).await?;
        ratios.push(with_all / with_one);
    }

    storms.push(("the controller is killed and started again", kill(&mut lab, &fleet).await?));
    if args.pile > 0 {
        pile(args.pile, &lab, &Submitter::new(&lab.controller)?).await?;
        storms.push(("all connections are cut at once, tasks wait", fleet.cut().await?));
        storms.push(("the controller is killed and started again, tasks wait", kill(&mut lab, &fleet).await?));
    }
    let calibration = Calibration::complete(before, lab.folder())?;
    Ok(Figures {
        enrolled,
        memory,
        idle: (idle_alone, idle_all),
        idle_commits,
        storms,
        one,
        all,
        ratio: median(ratios),
        calibration,
    })
}

/// Processor time of the controller, in a hundred of one processor's, and batches committed, while nothing happens.
async fn idle(pid: u32, length: Duration, submitter: &Submitter) -> Result<(f64, u64), Failure> {
    let (stored, cpu, start) = (submitter.stored().await?, cpu_time(pid)?, Instant::now());
    tokio::time::sleep(length).await;
    let spent = (cpu_time(pid)? - cpu) / start.elapsed().as_secs_f64();
    Ok((100.0 * spent, submitter.stored().await?.since(stored).commits))
}

/// Kills the controller and starts it again; the time counts from when it listens.
async fn kill(lab: &mut Lab, fleet: &Fleet) -> Result<Storm, Failure> {
    fleet.forget();
    lab.controller.kill().await;
    lab.controller.restart().await;
    fleet.come_back(Instant::now()).await
}

/// Submits tasks for a system that no agent serves.
async fn pile(count: u32, lab: &Lab, submitter: &Submitter) -> Result<(), Failure> {
    const UNSERVED: &str = "unserved";
    lab.controller.associate(UNSERVED, CLUSTER).await;
    keep_busy_until(PILERS, 0..count, |number| {
        let submitter = submitter.clone();
        async move {
            let params = json!({ "account": format!("user{number}@acme.example") });
            submitter.hand_in_to(UNSERVED, new_task_id(), "disable_user", &params).await
        }
    })
    .await
}

impl Work {
    /// One turn with so many agents connected. Tasks a second.
    async fn turn(&mut self, agents: usize, args: &Args, fleet: &Fleet, submitter: &Submitter) -> Result<f64, Failure> {
        fleet.bring(agents).await?;
        // What is offered to a member that has just gone waits for the end of its lease.
        while submitter.connected().await? != u64::try_from(agents)? {
            tokio::time::sleep(PAUSE).await;
        }
        let next = Arc::new(AtomicUsize::new(0));
        let work = {
            let (shared, submitter) = (Arc::clone(&fleet.shared), submitter.clone());
            move |_| {
                let (shared, submitter) = (Arc::clone(&shared), submitter.clone());
                let account = format!("user{}@acme.example", next.fetch_add(1, Ordering::Relaxed));
                async move {
                    let task = new_task_id();
                    shared.submits(task);
                    submitter.hand_in_to(SYSTEM, task, "disable_user", &json!({ "account": account })).await?;
                    submitter.succeeded(task).await
                }
            }
        };
        let length = Duration::from_secs(args.secs);
        let turn = keep_busy(IN_FLIGHT, length, work.clone()).await?;
        self.offers.extend(fleet.shared.take_latencies());
        keep_busy(1, length / 4, work).await?;
        self.alone.extend(fleet.shared.take_latencies());
        self.offers.sort();
        self.alone.sort();
        self.rates.push(turn.rate());
        Ok(turn.rate())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

impl Figures {
    fn as_text(&self, args: &Args) -> String {
        let mut storms = Table::new();
        storms.load_preset(presets::UTF8_BORDERS_ONLY);
        storms.set_header(["storm", "half back", "99 %", "all", "dials", "of one", "unheard", "turned away"]);
        for (name, it) in &self.storms {
            storms.add_row([
                (*name).to_owned(),
                format!("{:.2} s", it.half.as_secs_f64()),
                format!("{:.2} s", it.most.as_secs_f64()),
                format!("{:.2} s", it.all.as_secs_f64()),
                format!("{:.2} each", to_f64(it.dials) / f64::from(args.agents)),
                format!("at most {}", it.most_dials),
                it.unheard.to_string(),
                it.turned_away.to_string(),
            ]);
        }
        let mut work = Table::new();
        work.load_preset(presets::UTF8_BORDERS_ONLY);
        work.set_header(["agents", "tasks/s", "offer p50", "p99", "alone p50", "p99"]);
        for (agents, it) in [(1, &self.one), (args.agents, &self.all)] {
            let time = |them: &[Duration], percent| format!("{:.1} ms", millis(percentile(them, percent)));
            work.add_row([
                agents.to_string(),
                format!("{:.0}", median(it.rates.clone())),
                time(&it.offers, 50),
                time(&it.offers, 99),
                time(&it.alone, 50),
                time(&it.alone, 99),
            ]);
        }
        for table in [&mut storms, &mut work] {
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!(
            "{}\nenrolled: {:.0} a second\nmemory of a connection: {:.0} KiB\nprocessor when nothing happens: {:.1} % of \
             one, {:.1} % without agents; {} commits in {} s\n{storms}\n{work}\ntasks a second with all by those with one: \
             {:.2}",
            self.calibration,
            self.enrolled,
            self.memory,
            self.idle.1,
            self.idle.0,
            self.idle_commits,
            args.secs,
            self.ratio,
        )
    }

    fn as_json(&self, args: &Args) -> Value {
        let storm = |(name, it): &(&str, Storm)| {
            json!({
                "storm": name,
                "half_ms": millis(it.half),
                "p99_ms": millis(it.most),
                "all_ms": millis(it.all),
                "dials": it.dials,
                "most_dials": it.most_dials,
                "unheard": it.unheard,
                "turned_away": it.turned_away,
            })
        };
        let work = |agents: u16, it: &Work| {
            json!({
                "agents": agents,
                "tasks_per_second": it.rates,
                "offer_p50_ms": millis(percentile(&it.offers, 50)),
                "offer_p99_ms": millis(percentile(&it.offers, 99)),
                "alone_p50_ms": millis(percentile(&it.alone, 50)),
                "alone_p99_ms": millis(percentile(&it.alone, 99)),
            })
        };
        json!({
            "agents": args.agents,
            "enrolled_per_second": self.enrolled,
            "connection_kib": self.memory,
            "idle_cpu_percent": { "without_agents": self.idle.0, "with_agents": self.idle.1 },
            "idle_commits": self.idle_commits,
            "storms": self.storms.iter().map(storm).collect::<Vec<_>>(),
            "work": [work(1, &self.one), work(args.agents, &self.all)],
            "ratio": self.ratio,
        })
    }
}
