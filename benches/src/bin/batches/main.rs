//! What batches cost, beside the clients that others use for them.
//!
//! Each piece of work is done by the agent, by simple-salesforce and by jsforce in each of the ways they offer, and by a
//! bare client that makes the agent's requests again and does nothing else (*limit*). Each begins with a simulator of
//! its own, in the same state; they take turns, so that a machine that slows down does so for all. Told are the
//! medians over the rounds: seconds from the start of a process to its end, seconds of processor time and the most
//! resident memory of that process, its HTTP calls, and the processor time of the simulator, which shows how much of
//! the wall time was not the client's.

#![allow(clippy::print_stdout, reason = "this program's output is its result")]

mod table;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use postern_benches::{
    Calibration, Failure, Recorder, Salesforce, Submitter, Usage, barrier, cpu_time, keep_busy_until, load, median,
    peak_memory, process, program, replay, timed_async,
};
use postern_tests::lab::AgentOptions;
use postern_tests::{Lab, LabOptions, programs};
use salesforce_sim::{CONSUMER_KEY, CONSUMER_SECRET};
use serde_json::{Value, json};

use table::{as_json, as_table};
use work::{FIELDS, Work, active};

/// Tasks under way at once where one account after the other is done.
const AT_ONCE: usize = 16;

const ABOUT: &str = "\
Measures imports, exports, passwords and one-by-one changes of the agent beside simple-salesforce, jsforce and a bare \
client that makes the agent's requests again, all against the same simulated Salesforce without latency.

The two foreign clients are those that tests/contract/run installs; run that first, or name the folder (--peers). \
Everything happens on loopback; stores are in a new folder below TMPDIR (or /tmp).";

/// Measure batches beside other clients.
#[derive(Debug, Parser)]
#[command(long_about = ABOUT, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Part>,
    /// What is done.
    #[arg(long, value_delimiter = ',', default_values = ["creates", "modifies", "switches", "passwords", "export"])]
    works: Vec<Work>,
    /// Who does it.
    #[arg(long, value_delimiter = ',', default_values = ["limit", "postern", "simple-salesforce", "jsforce"])]
    clients: Vec<Client>,
    /// Records, in place of the usual number of each piece of work.
    #[arg(long)]
    records: Option<usize>,
    /// Turns of each client; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// The agent's program; without it, `postern` beside this program.
    #[arg(long, value_name = "FILE")]
    postern: Option<PathBuf>,
    /// Where the foreign clients are installed.
    #[arg(long, value_name = "FOLDER", default_value = "target/contract")]
    peers: PathBuf,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Make the requests of a recording again: the limit, as a process of its own.
    #[command(hide = true)]
    Replay { recording: PathBuf, simulator: String },
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    /// The agent's requests, by a bare client.
    Limit,
    /// The agent.
    Postern,
    /// In Python.
    SimpleSalesforce,
    /// In JavaScript.
    Jsforce,
}

/// A client in one of its ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    client: Client,
    mode: &'static str,
}

/// One run.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    usage: Usage,
    calls: u64,
    /// Seconds of processor time of the simulator.
    simulator: f64,
}

/// Where everything is.
struct Stage {
    binary: PathBuf,
    postern: PathBuf,
    peers: PathBuf,
    folder: tempfile::TempDir,
}

fn main() -> ExitCode {
    program::main("batches", || run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    // The HTTP library wants one even for plain HTTP. A second call is refused, and is no worse.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(Part::Replay { recording, simulator }) = &args.command {
        println!("{}", runtime.block_on(replay(recording, simulator))?);
        return Ok(());
    }
    let binary = std::env::current_exe()?;
    let postern = program::agent(args.postern.as_deref())?;
    let folder = tempfile::Builder::new().prefix("postern-batches-").tempdir()?;
    programs::link(&binary, folder.path())?;
    let stage = Stage { binary, postern, peers: args.peers.clone(), folder };
    let before = (barrier(stage.folder.path())?, load());
    let mut told = Vec::new();
    for work in &args.works {
        let rows = runtime.block_on(stage.measure(*work, args))?;
        if !args.json {
            println!("{} of {}\n{}\n", work.name(), work.records(args), as_table(&rows));
        }
        told.push(json!({ "work": work.name(), "records": work.records(args), "rows": as_json(&rows) }));
    }
    let calibration = Calibration::complete(before, stage.folder.path())?;
    if args.json {
        println!("{}", json!({ "calibration": calibration.json(), "rounds": args.rounds, "works": told }));
    } else {
        println!("{calibration}");
    }
    Ok(())
}

impl Way {
    fn name(self) -> String {
        let name = match self.client {
            Client::Limit => "limit",
            Client::Postern => "postern",
            Client::SimpleSalesforce => "simple-salesforce",
            Client::Jsforce => "jsforce",
        };
        if self.mode.is_empty() { name.to_owned() } else { format!("{name}, {}", self.mode) }
    }
}

impl Stage {
    async fn measure(&self, work: Work, args: &Args) -> Result<Vec<(Way, Run)>, Failure> {
        let records = work.records(args);
        // The foreign clients know no column that says what is to be done.
        let dataset = work.dataset(records)?;
        std::fs::write(self.path("dataset.csv"), &dataset)?;
        std::fs::write(self.path("foreign.csv"), dataset.replace("changetype,", "").replace("\nadd,", "\n"))?;
        let ways: Vec<Way> = args
            .clients
            .iter()
            .flat_map(|client| work.modes(*client).iter().map(|mode| Way { client: *client, mode }))
            .collect();
        if args.clients.contains(&Client::Limit) {
            let salesforce = self.salesforce(work, records).await?;
            let recorder = Recorder::start(salesforce.url()).await?;
            self.postern(work, records, recorder.url()).await?;
            recorder.save(&self.path("recording.json"))?;
        }
        let mut runs: Vec<Vec<Run>> = ways.iter().map(|_| Vec::new()).collect();
        for _ in 0..args.rounds {
            for (way, runs) in ways.iter().zip(&mut runs) {
                runs.push(self.turn(*way, work, records).await?);
            }
        }
        Ok(ways.into_iter().zip(runs.iter().map(|runs| Run::median(runs))).collect())
    }

    async fn turn(&self, way: Way, work: Work, records: usize) -> Result<Run, Failure> {
        let salesforce = self.salesforce(work, records).await?;
        let before = cpu_time(salesforce.pid()?)?;
        let usage = match way.client {
            Client::Limit => self.limit(salesforce.url())?,
            Client::Postern => self.postern(work, records, salesforce.url()).await?,
            Client::SimpleSalesforce | Client::Jsforce => self.foreign(way, work, records, salesforce.url())?,
        };
        let simulator = cpu_time(salesforce.pid()?)? - before;
        Ok(Run { usage, calls: salesforce.calls().await?, simulator })
    }

    async fn salesforce(&self, work: Work, records: usize) -> Result<Salesforce, Failure> {
        Salesforce::start_with(self.folder.path(), self.folder.path(), work.users(records), work.licenses(records))
            .await
    }

    fn limit(&self, url: &str) -> Result<Usage, Failure> {
        let mut command = Command::new(&self.binary);
        let (_, usage) = process::run(command.arg("replay").arg(self.path("recording.json")).arg(url))?;
        Ok(usage)
    }

    fn foreign(&self, way: Way, work: Work, records: usize, url: &str) -> Result<Usage, Failure> {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut command = if way.client == Client::Jsforce {
            // Node looks for packages beside the script.
            let script = self.peers.join("node/jsforce_client.js");
            std::fs::copy(clients.join("jsforce_client.js"), &script)
                .map_err(|error| format!("{}: {error}; run tests/contract/run before", script.display()))?;
            let mut command = Command::new("node");
            command.arg(script);
            command
        } else {
            let mut command = Command::new(self.peers.join("venv/bin/python"));
            command.arg(clients.join("simple_salesforce_client.py"));
            command
        };
        command.args([work.name(), way.mode, url]).arg(self.path("foreign.csv")).arg(self.path("output.csv"));
        let (told, usage) = process::run(command.args([CONSUMER_KEY, CONSUMER_SECRET]))?;
        all_done(&way.name(), told.trim().parse()?, records)?;
        Ok(usage)
    }

    async fn postern(&self, work: Work, records: usize, url: &str) -> Result<Usage, Failure> {
        if work == Work::Switches {
            return self.switches(records, url).await;
        }
        let state = tempfile::tempdir_in(self.folder.path())?;
        let secret = state.path().join("consumer-secret");
        postern_store::private::replace(&secret, CONSUMER_SECRET.as_bytes())?;
        let config = state.path().join("agent.toml");
        std::fs::write(
            &config,
            format!(
                "[agent]\nstate_dir = \"{state}/state\"\n\n[[connected_system]]\nname = \"acme\"\nconnector = \
                 \"salesforce\"\n\n[connected_system.salesforce]\ndomain = \"{url}\"\ninsecure_plain_http = true\nmethod = \
                 \"oauth-client-credentials\"\nconsumer_key = \"{CONSUMER_KEY}\"\nconsumer_secret = {{ file = \
                 \"{secret}\" }}\n",
                state = state.path().display(),
                secret = secret.display(),
            ),
        )?;
        let mut command = Command::new(&self.postern);
        command.arg("--config").arg(&config).arg("exec");
        if work == Work::Export {
            command.args(["export", "--object", "User", "--format", "csv", "--attributes", &FIELDS.join(",")]);
            command.arg("--output").arg(state.path().join("output.csv"));
        } else {
            command.arg("import_batch").arg("--dataset").arg(self.path("dataset.csv"));
            command.arg("--results").arg(state.path().join("results.jsonl"));
        }
        let (told, usage) = process::run(command.args(["--system", "acme", "--json"]))?;
        let told: Value = serde_json::from_str(&told)?;
        let output = told.get("output").ok_or_else(|| format!("no output in {told}"))?;
        let counted = ["created", "modified", "records"].iter().filter_map(|name| output.get(name)?.as_u64());
        let count: u64 = counted.sum();
        all_done("postern", usize::try_from(count)?, records)?;
        Ok(usage)
    }

    /// One task for each account, through a controller; what the agent's process takes while that goes on.
    async fn switches(&self, records: usize, url: &str) -> Result<Usage, Failure> {
        let lab = Lab::start_with(&self.binary, LabOptions { users: 0, ..LabOptions::default() }).await;
        let domain = Some(url.to_owned());
        let options = AgentOptions { domain, concurrency: AT_ONCE, ..AgentOptions::default() };
        let agent = lab.member_with("agent", options).await;
        let pid = agent.pid().ok_or("the agent has ended")?;
        let submitter = Submitter::new(&lab.controller)?;
        let accounts: Vec<String> = active(records).map(|(_, user)| user).collect();
        let before = cpu_time(pid)?;
        let (done, took) = timed_async(keep_busy_until(AT_ONCE, accounts, move |account| {
            let submitter = submitter.clone();
            async move { submitter.submit("disable_user", &account).await }
        }))
        .await;
        done?;
        Ok(Usage { wall: took.as_secs_f64(), cpu: cpu_time(pid)? - before, peak: peak_memory(pid)? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Run {
    fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(runs.iter().map(figure).collect());
        Self {
            usage: Usage {
                wall: of(|run| run.usage.wall),
                cpu: of(|run| run.usage.cpu),
                peak: runs.iter().map(|run| run.usage.peak).max().unwrap_or(0),
            },
            calls: runs.iter().map(|run| run.calls).max().unwrap_or(0),
            simulator: of(|run| run.simulator),
        }
    }
}

fn all_done(who: &str, done: usize, records: usize) -> Result<(), Failure> {
    if done == records { Ok(()) } else { Err(format!("{who} did {done} of {records} records").into()) }
}
