//! `cargo sim`: looks for an order of loss, duplication, crash and delay that breaks a promise.

#![allow(clippy::print_stdout, reason = "this program speaks to the person who runs it")]

use std::process::ExitCode;

use clap::Parser;
use postern_sim::search::{self, Asked};

/// Runs seeds of the simulation. Prints the shrunk steps of the first seed that breaks an invariant, and ends with 1.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone, and say what happened in it.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Of that seed, take these steps only, as printed for a seed that failed: `3,7,12`.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// Seeds that run at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Say how often each rare situation was met, and fail if one never was.
    #[arg(long)]
    coverage: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let found = match cli.seed {
        Some(seed) => search::one(seed, cli.only.as_deref()),
        None => search::many(&Asked { from: cli.from, seeds: cli.seeds, jobs: cli.jobs }),
    };
    match found {
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
        Ok(found) => {
            print!("{found}");
            if cli.coverage {
                print!("\nsituations met:\n{}", found.coverage);
            }
            let missing = if cli.coverage { found.coverage.missing() } else { Vec::new() };
            for situation in &missing {
                println!("never met: {}", situation.text());
            }
            if found.failure.is_none() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}
