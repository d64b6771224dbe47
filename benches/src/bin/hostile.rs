//! What strangers at the doors of a controller cost those who belong there.
//!
//! An agent works while nobody else is there, while thousands of connections from a hundred addresses hold their places
//! without a word and are made again a second after they are ended, while they are made again at once and handshakes are
//! made as fast as this machine can, and again in peace. Meanwhile another agent enrolls from an address of its own.
//!
//! Controller, agent and simulator are processes of their own, and share the processors with the strangers, who are this
//! process: what is left of the work is what is left of the machine. What both take of it is told beside it.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use postern_benches::{Failure, Submitter, cpu_time, keep_busy, peak_memory, program, to_f64};
use postern_tests::lab::new_task_id;
use postern_tests::{Agent, Lab, LabOptions};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Who submits at once.
const SUBMITTERS: usize = 8;
/// Addresses that strangers come from.
const HOSTS: u8 = 100;
/// Who makes handshakes as fast as they go.
const FLOODERS: u8 = 16;
/// Connections to the API that say nothing: more than it has room for.
const CALLERS: u16 = 600;
/// How long a stranger waits that could not connect, and one that is not in a hurry.
const PAUSE: Duration = Duration::from_millis(10);
const BREATH: Duration = Duration::from_secs(1);
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(600);

const ABOUT: &str = "\
Measures how much of an agent's work is left while strangers hold connections to the controller's listeners or flood them \
with handshakes, how much memory the controller takes for them, and whether another agent can enroll meanwhile.

All connections are on loopback, from a hundred of its addresses; strangers, controller, agent and the simulated \
Salesforce share this machine's processors.";

/// Measure what strangers cost.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT)]
struct Args {
    /// Connections that are held, or made again when they are ended.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=8_000))]
    connections: u16,
    /// Seconds of work in each of the four phases.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    secs: u64,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// What strangers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Quiet,
    Held,
    Flood,
    QuietAgain,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Quiet, Self::Held, Self::Flood, Self::QuietAgain];

    const fn has_strangers(self) -> bool {
        matches!(self, Self::Held | Self::Flood)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "nobody else",
            Self::Held => "connections held",
            Self::Flood => "handshakes flooded, connections held",
            Self::QuietAgain => "nobody else, again",
        }
    }
}

#[derive(Debug)]
struct Measured {
    phase: Phase,
    /// Tasks a second.
    rate: f64,
    /// Connections strangers have had, and handshakes of TLS they have made to their end.
    connections: u64,
    handshakes: u64,
    /// The most memory the controller has had so far, in KiB.
    peak: u64,
    /// Processor time of the controller, and of the strangers with whoever submits, in seconds.
    controller: f64,
    strangers: f64,
}

fn main() -> ExitCode {
    program::main("hostile", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let binary = std::env::current_exe()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (measured, sessions) = runtime.block_on(async {
        let measured = tokio::time::timeout(LIMIT, measure(args, &binary)).await;
        measured.map_err(|_| format!("not done within {} s", LIMIT.as_secs()))?
    })?;
    if args.json {
        println!("{}", as_json(args, &measured, sessions));
    } else {
        println!("{}", as_table(&measured, sessions));
    }
    Ok(())
}

async fn measure(args: &Args, binary: &std::path::Path) -> Result<(Vec<Measured>, u64), Failure> {
    let lab = Lab::start_with(binary, LabOptions::default()).await;
    let member = lab.member("member").await;
    let submitter = Submitter::new(&lab.controller)?;
    let api: Value = serde_json::from_slice(&std::fs::read(lab.controller.data().join("api.json"))?)?;
    let pid = api.get("pid").and_then(Value::as_u64).ok_or("the controller told no process")?.try_into()?;
    let callers = api.get("api_url").and_then(Value::as_str).ok_or("the controller told no URL")?;
    let places = Places { agents: lab.controller.address(), api: callers.trim_start_matches("http://").parse()? };
    let tls = tls(&lab)?;

    let (mut measured, mut newcomers) = (Vec::new(), Vec::new());
    for phase in Phase::ALL {
        let before = (cpu_time(pid)?, cpu_time(std::process::id())?);
        let strangers = Strangers::begin(phase, args.connections, places, &tls);
        let enrolls = async { if phase.has_strangers() { enroll(&lab, phase).await.map(Some) } else { Ok(None) } };
        let (turn, enrolled) = tokio::join!(work(&submitter, args.secs), enrolls);
        let (connections, handshakes) = strangers.end().await;
        let (rate, newcomer, peak) = (turn?, enrolled?, peak_memory(pid)?);
        // It may have been given some of the work, so it stays.
        newcomers.extend(newcomer);
        let (controller, strangers) = (cpu_time(pid)? - before.0, cpu_time(std::process::id())? - before.1);
        measured.push(Measured { phase, rate, connections, handshakes, peak, controller, strangers });
    }
    Ok((measured, sessions(&member).await?))
}

/// Tasks a second.
async fn work(submitter: &Submitter, secs: u64) -> Result<f64, Failure> {
    let submitter = submitter.clone();
    let turn = keep_busy(SUBMITTERS, Duration::from_secs(secs), move |worker| {
        let submitter = submitter.clone();
        async move { submitter.submit("validate_user", &format!("user{:04}@acme.example", worker + 1)).await }
    });
    Ok(turn.await?.rate())
}

/// Has another agent enroll, and a task done.
async fn enroll(lab: &Lab, phase: Phase) -> Result<Agent, Failure> {
    let newcomer = lab.member(if phase == Phase::Held { "held" } else { "flood" }).await;
    let id = new_task_id();
    let submitted = lab.controller.try_submit(id, "test_connection", json!({})).await;
    submitted.map_err(|(status, answer)| format!("the controller answered {status}: {answer}"))?;
    let task = lab.controller.finished(id).await;
    match task.get("outcome").and_then(Value::as_str) {
        Some("succeeded") => Ok(newcomer),
        _ => Err(format!("a task did not succeed: {task}").into()),
    }
}

/// How many sessions the agent that worked has had.
async fn sessions(member: &Agent) -> Result<u64, Failure> {
    let status = member.status().await;
    status
        .pointer("/agent/ledger/session")
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("no session in {status}").into())
}

/// TLS without a certificate, as an applicant has it.
fn tls(lab: &Lab) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(std::fs::read(lab.controller.data().join("ca.der"))?.into())?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Where the doors are.
#[derive(Debug, Clone, Copy)]
struct Places {
    agents: SocketAddr,
    api: SocketAddr,
}

#[derive(Debug, Default)]
struct Counts {
    over: AtomicBool,
    connections: AtomicU64,
    handshakes: AtomicU64,
}

/// Those of one phase.
struct Strangers {
    counts: Arc<Counts>,
    tasks: JoinSet<()>,
}

impl Strangers {
    fn begin(phase: Phase, connections: u16, places: Places, tls: &TlsConnector) -> Self {
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        if phase.has_strangers() {
            let breath = if phase == Phase::Held { BREATH } else { Duration::ZERO };
            for number in 0..connections {
                tasks.spawn(hold(host(number), places.agents, &[22, 3, 1], breath, Arc::clone(&counts)));
            }
            for number in 0..CALLERS {
                tasks.spawn(hold(host(number), places.api, b"GET /", BREATH, Arc::clone(&counts)));
            }
        }
        if phase == Phase::Flood {
            for number in 0..FLOODERS {
                tasks.spawn(flood(host(number.into()), places.agents, tls.clone(), Arc::clone(&counts)));
            }
        }
        Self { counts, tasks }
    }

    /// Ends them. How many connections and handshakes there were.
    async fn end(mut self) -> (u64, u64) {
        self.counts.over.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
        (self.counts.connections.load(Ordering::Relaxed), self.counts.handshakes.load(Ordering::Relaxed))
    }
}

/// The address of a stranger.
fn host(number: u16) -> Ipv4Addr {
    let [_, low] = (number % u16::from(HOSTS)).to_be_bytes();
    Ipv4Addr::new(127, 0, 1, low)
}

async fn connect(from: Ipv4Addr, to: SocketAddr, counts: &Counts) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    // Ended by the other side or by a reset, so that no port waits.
    socket.bind((from, 0).into()).ok()?;
    let stream = socket.connect(to).await.ok()?;
    stream.set_zero_linger().ok()?;
    counts.connections.fetch_add(1, Ordering::Relaxed);
    Some(stream)
}

/// Begins and says no more; begins again when that is ended.
async fn hold(from: Ipv4Addr, to: SocketAddr, begin: &'static [u8], breath: Duration, counts: Arc<Counts>) {
    while !counts.over.load(Ordering::Relaxed) {
        match connect(from, to, &counts).await {
            Some(mut stream) => {
                if stream.write_all(begin).await.is_ok() {
                    let _ = stream.read(&mut [0]).await;
                }
                tokio::time::sleep(breath).await;
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Handshakes to their end, one after the other.
async fn flood(from: Ipv4Addr, to: SocketAddr, tls: TlsConnector, counts: Arc<Counts>) {
    let Ok(name) = ServerName::try_from("127.0.0.1") else { return };
    while !counts.over.load(Ordering::Relaxed) {
        match connect(from, to, &counts).await {
            Some(stream) => {
                if tls.connect(name.clone(), stream).await.is_ok() {
                    counts.handshakes.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What is left of the work when nobody else is there.
fn left(measured: &[Measured], rate: f64) -> f64 {
    let quiet: Vec<f64> =
        measured.iter().filter(|it| matches!(it.phase, Phase::Quiet | Phase::QuietAgain)).map(|it| it.rate).collect();
    rate * to_f64(quiet.len().try_into().unwrap_or(1)) / quiet.iter().sum::<f64>()
}

fn as_table(measured: &[Measured], sessions: u64) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "strangers",
        "connections",
        "handshakes",
        "work left",
        "another agent",
        "controller's peak",
        "processor time",
    ]);
    for it in measured {
        table.add_row([
            it.phase.name().to_owned(),
            it.connections.to_string(),
            it.handshakes.to_string(),
            format!("{:.2}", left(measured, it.rate)),
            // One that was not ends the run.
            if it.phase.has_strangers() { "enrolled" } else { "–" }.to_owned(),
            format!("{:.1} MiB", to_f64(it.peak) / 1024.0),
            format!("{:.1} s of {:.1} s", it.controller, it.controller + it.strangers),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\nsessions that the agent at work has had: {sessions}")
}

fn as_json(args: &Args, measured: &[Measured], sessions: u64) -> Value {
    let phases = measured.iter().map(|it| {
        json!({
            "strangers": it.phase.name(),
            "connections": it.connections,
            "handshakes": it.handshakes,
            "tasks_per_second": it.rate,
            "work_left": left(measured, it.rate),
            "enrolled": it.phase.has_strangers(),
            "controller_peak_kib": it.peak,
            "controller_cpu_secs": it.controller,
            "strangers_cpu_secs": it.strangers,
        })
    });
    json!({ "held": args.connections, "sessions": sessions, "phases": phases.collect::<Vec<_>>() })
}
