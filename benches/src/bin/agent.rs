//! What an agent costs a machine before it has anything to do: the size of its program, the time from start to
//! registered, the memory it keeps.
//!
//! It measures the program that ships, not this one under its name: build it first. The time is told beside that of
//! `postern --version`, which is the same program loaded and ended, in turns with it; what is above that is opening the
//! store, reading the system's root certificates, TLS with both certificates, the handshake of a session with its number
//! made durable, and writing the ready file.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use postern_benches::{Calibration, Failure, barrier, load, mapped_bytes, median, program, timed, timed_async};
use postern_tests::{Agent, Lab, LabOptions};
use serde_json::{Value, json};

/// How often the ready file is looked for: the resolution of the time to registered.
const LOOK: Duration = Duration::from_millis(1);
/// The longest a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(175);

const ABOUT: &str = "\
Measures the agent's program as it ships: its size, the time from process start to registered with a controller on \
loopback, and the memory it keeps when it has nothing to do.

Build it before: cargo build --release -p postern-agent

The stores are in a new folder below TMPDIR (or /tmp): set it to the disk that matters.";

/// Measure size, start and idle memory of the agent.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT)]
struct Args {
    /// The agent's program; without it, `postern` beside this program.
    #[arg(long, value_name = "FILE")]
    postern: Option<PathBuf>,
    /// Starts, after one to warm up; the median counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=99))]
    starts: u32,
    /// Seconds without work before memory is looked at.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=60))]
    idle_secs: u64,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug)]
struct Measured {
    program: PathBuf,
    /// The whole file, in bytes.
    file: u64,
    /// What of it is mapped at a start, in bytes.
    mapped: u64,
    /// Median seconds from process start to registered.
    registered: f64,
    /// Median seconds of `postern --version`.
    version: f64,
    /// Median over the starts of the one by the other.
    ratio: f64,
    /// Barriers the store paid from when it was open to registered.
    barriers: u64,
    memory: Memory,
}

/// What Linux says of a process. In KiB, but the threads.
#[derive(Debug)]
struct Memory {
    resident: u64,
    anonymous: u64,
    threads: u64,
}

fn main() -> ExitCode {
    program::main("agent", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let binary = std::env::current_exe()?;
    let postern = program::agent(args.postern.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (calibration, measured) = runtime.block_on(async {
        let measured = tokio::time::timeout(LIMIT, measure(args, &binary, postern)).await;
        measured.map_err(|_| format!("not done within {} s: ask for fewer --starts", LIMIT.as_secs()))?
    })?;
    if args.json {
        println!("{}", as_json(&calibration, &measured));
    } else {
        println!("{calibration}\n{}", as_table(&measured));
    }
    Ok(())
}

async fn measure(args: &Args, binary: &Path, program: PathBuf) -> Result<(Calibration, Measured), Failure> {
    let bytes = std::fs::read(&program)?;
    let (file, mapped) = (u64::try_from(bytes.len())?, mapped_bytes(&bytes)?);
    drop(bytes);
    let lab = Lab::start_with(binary, LabOptions::default()).await;
    let name = lab.programs().join("postern");
    std::fs::remove_file(&name)?;
    std::os::unix::fs::symlink(&program, &name)?;
    let mut agent = lab.member("agent").await;
    let before = (barrier(lab.folder())?, load());

    let (mut registered, mut versions, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for start in 0..=args.starts {
        agent.terminate().await;
        let by_version = version(&program)?;
        let by_start = start_agent(&mut agent).await?;
        if start > 0 {
            versions.push(by_version);
            registered.push(by_start);
            ratios.push(by_start / by_version);
        }
    }
    let (barriers, _) = status(&agent).await?;
    tokio::time::sleep(Duration::from_secs(args.idle_secs)).await;
    let memory = Memory::of(status(&agent).await?.1)?;
    let measured = Measured {
        program,
        file,
        mapped,
        registered: median(registered),
        version: median(versions),
        ratio: median(ratios),
        barriers,
        memory,
    };
    Ok((Calibration::complete(before, lab.folder())?, measured))
}

/// Seconds that the program takes to be loaded, say its version and end.
fn version(program: &Path) -> Result<f64, Failure> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    let (status, took) = timed(|| command.status());
    if status?.success() { Ok(took.as_secs_f64()) } else { Err("`postern --version` failed".into()) }
}

/// Starts the agent; seconds until it is registered.
async fn start_agent(agent: &mut Agent) -> Result<f64, Failure> {
    let ready = agent.folder().join("ready");
    match std::fs::remove_file(&ready) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => (),
    }
    let registering = async {
        agent.spawn();
        while !ready.exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let (registered, took) = timed_async(tokio::time::timeout(PATIENCE, registering)).await;
    registered.map_err(|_| format!("the agent did not register:\n{}", agent.log()))?;
    Ok(took.as_secs_f64())
}

/// The barriers and the process id that the agent tells.
async fn status(agent: &Agent) -> Result<(u64, u64), Failure> {
    let status = agent.status().await;
    let field = |path: &str| {
        status.pointer(path).and_then(Value::as_u64).ok_or_else(|| Failure::from(format!("no {path} in {status}")))
    };
    Ok((field("/agent/ledger/barriers")?, field("/agent/pid")?))
}

impl Memory {
    fn of(pid: u64) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or_else(|| format!("Linux does not tell `{name}` of process {pid}"))?.parse()?)
        };
        Ok(Self { resident: field("VmRSS")?, anonymous: field("RssAnon")?, threads: field("Threads")? })
    }
}

fn as_table(it: &Measured) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["agent", "measured", "of it, or beside it"]);
    let millis = |secs: f64| format!("{:.1} ms", secs * 1_000.0);
    let rows = [
        ("program", format!("{} bytes", it.file), format!("{} bytes without symbols and line tables", it.mapped)),
        (
            "process start to registered",
            millis(it.registered),
            format!(
                "{:.1} times `postern --version` ({}); {} barrier(s) for the session",
                it.ratio,
                millis(it.version),
                it.barriers
            ),
        ),
        (
            "resident memory, idle",
            format!("{} KiB", it.memory.resident),
            format!("{} KiB its own, the rest is the file; {} threads", it.memory.anonymous, it.memory.threads),
        ),
    ];
    for (what, measured, beside) in rows {
        table.add_row([what.to_owned(), measured, beside]);
    }
    for column in table.column_iter_mut().skip(1).take(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn as_json(calibration: &Calibration, it: &Measured) -> Value {
    json!({
        "calibration": calibration.json(),
        "program": it.program,
        "file_bytes": it.file,
        "mapped_bytes": it.mapped,
        "registered_secs": it.registered,
        "version_secs": it.version,
        "ratio_to_version": it.ratio,
        "barriers_to_registered": it.barriers,
        "resident_kib": it.memory.resident,
        "anonymous_kib": it.memory.anonymous,
        "threads": it.memory.threads,
    })
}
