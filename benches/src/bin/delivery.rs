//! How long results take to be delivered that piled up while the controller did not hear them.
//!
//! An agent works; every report it sends is lost on the way, as on a line that died in one direction, until so many
//! wait. Then the connection breaks, the agent comes back, and everything is told again. The time counts from the first
//! report of the new session to the acknowledgement of the last: until then the agent keeps it. Beside it the same bytes
//! go to a plain TCP sink, report by report, which stores nothing and says one word at the end; both take turns.
//!
//! Controller, agent and simulator are processes of their own, this program under other names; all of it happens on
//! loopback. The frames of both are watched by a tap in between, which costs both ends one more TLS.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use postern_benches::{
    Calibration, Failure, Salesforce, Stored, Submitter, barrier, load, median, peak_memory, program, timed_async,
    to_f64,
};
use postern_protocol::message::{FromController, FromMember};
use postern_tests::lab::{AgentOptions, ControllerOptions};
use postern_tests::proxy::{Passing, Tap};
use postern_tests::{Agent, Lab, LabOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How many tasks the agent runs at once.
const CONCURRENCY: usize = 32;
/// Who submits at once.
const SUBMITTERS: usize = 16;
/// Longer than a run: a task whose report is lost must not be given out again.
const LEASE: Duration = Duration::from_secs(3_600);
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(900);

const ABOUT: &str = "\
Measures how long an agent takes to deliver the reports that wait when it has a session again, until the controller has \
acknowledged them all, as a ratio to streaming the same bytes to a plain TCP sink.

The stores are in a new folder below TMPDIR (or /tmp): set it to the disk that matters, a RAM disk has no barrier. All \
connections are on loopback.";

/// Measure the delivery of waiting results.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT)]
struct Args {
    /// Reports that wait. An outbox holds 100,000, and the fuller it is the fewer tasks are taken on.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=99_000))]
    reports: u32,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// What passes the tap.
#[derive(Debug, Default)]
struct Watch {
    holding: AtomicBool,
    lost: AtomicU64,
    bytes: AtomicU64,
    /// The report whose acknowledgement ends a round.
    last: AtomicU64,
    begun: Mutex<Option<Instant>>,
    took: Mutex<Option<Duration>>,
    done: Notify,
}

impl Watch {
    fn judge(&self, passing: &Passing) -> bool {
        match passing {
            Passing::Up(FromMember::Report(_), bytes) => self.report(u64::try_from(*bytes).unwrap_or(0)),
            Passing::Down(FromController::ReportAck(ack), _) => {
                if ack.upto.0 >= self.last.load(Ordering::Relaxed) {
                    self.end();
                }
                true
            }
            Passing::Up(..) | Passing::Down(..) => true,
        }
    }

    fn report(&self, bytes: u64) -> bool {
        if self.holding.load(Ordering::Relaxed) {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        true
    }

    fn end(&self) {
        if let Some(begun) = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take() {
            *self.took.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun.elapsed());
            self.done.notify_one();
        }
    }
}

#[derive(Debug)]
struct Round {
    bytes: u64,
    delivery: f64,
    sink: f64,
    agent: Stored,
    controller: Stored,
}

#[derive(Debug)]
struct Measured {
    rounds: Vec<Round>,
    /// The most memory the agent took, in KiB.
    peak: u64,
}

/// Everything that runs.
struct Stage {
    watch: Arc<Watch>,
    tap: Tap,
    submitter: Submitter,
    agent: Agent,
    _salesforce: Salesforce,
    lab: Lab,
}

fn main() -> ExitCode {
    program::main("delivery", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let binary = std::env::current_exe()?;
    let (calibration, measured) = runtime.block_on(async {
        let measured = tokio::time::timeout(LIMIT, measure(args, &binary)).await;
        measured.map_err(|_| format!("not done within {} s: ask for fewer --rounds", LIMIT.as_secs()))?
    })?;
    if args.json {
        println!("{}", as_json(args, &calibration, &measured));
    } else {
        println!("{calibration}\n{}", as_table(args, &measured));
    }
    Ok(())
}

async fn measure(args: &Args, binary: &Path) -> Result<(Calibration, Measured), Failure> {
    let stage = Stage::set(binary).await?;
    let before = (barrier(stage.lab.folder())?, load());
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        rounds.push(stage.round(args.reports, u64::from(round) * u64::from(args.reports)).await?);
    }
    let peak = peak_memory(stage.agent.pid().ok_or("the agent has ended")?)?;
    Ok((Calibration::complete(before, stage.lab.folder())?, Measured { rounds, peak }))
}

impl Stage {
    async fn set(binary: &Path) -> Result<Self, Failure> {
        let controller = ControllerOptions { lease_ttl: LEASE, ..ControllerOptions::default() };
        let lab = Lab::start_with(binary, LabOptions { users: 0, controller }).await;
        let salesforce = Salesforce::start(lab.programs(), lab.folder(), 1).await?;
        let watch = Arc::new(Watch::default());
        let judge = Arc::clone(&watch);
        let tap = Tap::open(&lab.controller, &lab.folder().join("agent"), move |it| judge.judge(it)).await;
        let agent = lab.member_with(
            "agent",
            AgentOptions {
                domain: Some(salesforce.url().to_owned()),
                concurrency: CONCURRENCY,
                controller_section: format!("urls = [\"{}\"]", tap.url()),
                ..AgentOptions::default()
            },
        );
        let agent = agent.await;
        let submitter = Submitter::new(&lab.controller)?;
        Ok(Self { watch, tap, submitter, agent, _salesforce: salesforce, lab })
    }

    /// Lets so many reports pile up, the last of them with number `last`, and has them delivered.
    async fn round(&self, reports: u32, last: u64) -> Result<Round, Failure> {
        self.watch.lost.store(0, Ordering::Relaxed);
        self.watch.bytes.store(0, Ordering::Relaxed);
        self.watch.last.store(last, Ordering::Relaxed);
        self.watch.holding.store(true, Ordering::Relaxed);
        self.submit(reports).await?;
        while self.watch.lost.load(Ordering::Relaxed) < u64::from(reports) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (agent, controller) = self.stored().await?;
        self.watch.holding.store(false, Ordering::Relaxed);
        self.tap.cut();
        self.watch.done.notified().await;
        let took = self.watch.took.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (agent_after, controller_after) = self.stored().await?;
        let bytes = self.watch.bytes.load(Ordering::Relaxed);
        Ok(Round {
            bytes,
            delivery: took.ok_or("the round was not timed")?.as_secs_f64(),
            sink: sink(reports, bytes).await?.as_secs_f64(),
            agent: agent_after.since(agent),
            controller: controller_after.since(controller),
        })
    }

    async fn submit(&self, reports: u32) -> Result<(), Failure> {
        let left = Arc::new(AtomicU64::new(u64::from(reports)));
        let mut submitting = JoinSet::new();
        for _ in 0..SUBMITTERS {
            let (submitter, left) = (self.submitter.clone(), Arc::clone(&left));
            submitting.spawn(async move {
                let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                while take().is_ok() {
                    submitter.hand_in("test_connection", &json!({})).await?;
                }
                Ok::<(), Failure>(())
            });
        }
        while let Some(submitted) = submitting.join_next().await {
            submitted??;
        }
        Ok(())
    }

    /// What the stores of agent and controller have done.
    async fn stored(&self) -> Result<(Stored, Stored), Failure> {
        let status = self.agent.status().await;
        let ledger = status.pointer("/agent/ledger").ok_or_else(|| format!("no ledger in {status}"))?;
        Ok((Stored::of(ledger)?, self.submitter.stored().await?))
    }
}

/// Streams as many bytes in as many pieces to a sink that reads them and answers at the end.
async fn sink(pieces: u32, bytes: u64) -> Result<Duration, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let reading = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut read = vec![0; 64 * 1024];
        while stream.read(&mut read).await? > 0 {}
        stream.write_all(b"!").await
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let piece = vec![7; usize::try_from(bytes / u64::from(pieces))?];
    let streaming = async {
        for _ in 0..pieces {
            stream.write_all(&piece).await?;
        }
        stream.shutdown().await?;
        stream.read_u8().await
    };
    let (streamed, took) = timed_async(streaming).await;
    streamed?;
    reading.await??;
    Ok(took)
}

impl Measured {
    fn of(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(value).collect())
    }

    fn ratio(&self) -> f64 {
        self.of(|round| round.delivery / round.sink)
    }
}

fn as_table(args: &Args, it: &Measured) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "reports",
        "bytes",
        "delivery",
        "reports/s",
        "plain TCP sink",
        "ratio",
        "barriers: agent",
        "controller",
        "agent's peak",
    ]);
    let delivery = it.of(|round| round.delivery);
    table.add_row([
        args.reports.to_string(),
        format!("{:.0}", it.of(|round| to_f64(round.bytes))),
        format!("{delivery:.3} s"),
        format!("{:.0}", f64::from(args.reports) / delivery),
        format!("{:.2} ms", it.of(|round| round.sink * 1_000.0)),
        format!("{:.0}", it.ratio()),
        format!("{:.0}", it.of(|round| to_f64(round.agent.barriers))),
        format!("{:.0}", it.of(|round| to_f64(round.controller.barriers))),
        format!("{} MiB", it.peak / 1024),
    ]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn as_json(args: &Args, calibration: &Calibration, it: &Measured) -> Value {
    let rounds = it.rounds.iter().map(|round| {
        json!({
            "bytes": round.bytes,
            "delivery_secs": round.delivery,
            "sink_secs": round.sink,
            "agent_barriers": round.agent.barriers,
            "controller_barriers": round.controller.barriers,
        })
    });
    json!({
        "calibration": calibration.json(),
        "reports": args.reports,
        "rounds": rounds.collect::<Vec<_>>(),
        "ratio": it.ratio(),
        "agent_peak_kib": it.peak,
    })
}
