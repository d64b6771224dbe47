//! `powercut`: rebuilds the states in which power cuts may leave a disk and opens the store in each.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use postern_tests::powercut::{self, Guard, Plan, Tally};
use postern_tests::programs;

/// Lets processes work on stores, rebuilds the states in which a power cut may have left their disks, and proves in each
/// that the store opens with everything that was told. Needs a C compiler.
#[derive(Debug, Parser)]
struct Options {
    /// How many states.
    #[arg(long, default_value_t = 1_000)]
    states: u64,
    /// What is chosen follows from it; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Take the store not to have this guard: to see that it is missed.
    #[arg(long)]
    without: Option<Guard>,
    /// Look again at the states of a worker that was kept because of a violation.
    #[arg(long, value_name = "FOLDER")]
    again: Option<PathBuf>,
    /// Of these, at this one alone.
    #[arg(long, requires = "again")]
    state: Option<u64>,
    /// Print the tally as JSON.
    #[arg(long)]
    json: bool,
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for people")]
fn main() -> ExitCode {
    if let Some(exit) = programs::run_by_name() {
        return exit;
    }
    let options = Options::parse();
    let looked = match &options.again {
        Some(folder) => powercut::again(folder, options.without, options.state),
        None => run(&options),
    };
    match looked {
        Ok(tally) => {
            print(&tally, options.json);
            ExitCode::from(u8::from(!tally.violations.is_empty()))
        }
        Err(why) => {
            eprintln!("power cuts cannot be tried here: {why}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stderr, reason = "it is a program for people")]
fn run(options: &Options) -> Result<Tally, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let seed = options.seed.unwrap_or_else(powercut::random_seed);
    eprintln!("seed {seed}");
    let plan = Plan { states: options.states, seed, without: options.without };
    powercut::run(&binary, plan, |tally| {
        if tally.workers.is_multiple_of(8) {
            eprintln!("{} of {} states, {} violations", tally.states, options.states, tally.violations.len());
        }
    })
}

#[allow(clippy::print_stdout, reason = "it is a program for people")]
fn print(tally: &Tally, json: bool) {
    if json {
        return println!("{}", serde_json::to_string_pretty(tally).expect("a tally is plain data"));
    }
    println!(
        "{} states of {} workers ({} went on from a cut, {} met a failing sync), {} of an agent, {} cut while opening, {} \
         changes at risk: {} lost, {} not opened, {} no prefix, {} with a wrong payload",
        tally.states,
        tally.workers,
        tally.recovered,
        tally.failed_syncs,
        tally.agent_states,
        tally.opening,
        tally.at_risk,
        tally.lost,
        tally.unopenable,
        tally.no_prefix,
        tally.payloads
    );
    for violation in &tally.violations {
        println!("VIOLATION: {violation}");
    }
}
