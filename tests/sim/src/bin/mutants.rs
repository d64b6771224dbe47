//! `cargo mutants`: plants bugs one after the other and looks whether the simulation finds each.

#![allow(clippy::print_stdout, reason = "this program speaks to the person who runs it")]

use std::process::ExitCode;

use clap::Parser;
use postern_sim::mutants::{self, Nursery, PlantError};

/// Plants the bugs of `tests/sim/mutants.toml`, one after the other, in a copy of the sources below `target/mutants`.
/// Ends with 1 if the simulation finds nothing wrong with one of them, or the connector's test nothing with its twin.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Cli {
    /// How many seeds to run with each at most.
    #[arg(long, default_value_t = 3_000)]
    seeds: u64,
    /// Those only whose name contains this.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            println!("\n{missed} not found");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<usize, PlantError> {
    let nursery = Nursery::open()?;
    println!("without a bug, {} seeds …", cli.seeds.min(200));
    if let Some(found) = nursery.simulate(None, cli.seeds.min(200))? {
        return Err(PlantError::Simulation(format!("the simulation fails without a bug: {found}")));
    }
    let mut missed = 0;
    for mutant in mutants::all()?.iter().filter(|it| cli.only.as_ref().is_none_or(|only| it.name.contains(only))) {
        if let Some(found) = nursery.simulate(Some(mutant), cli.seeds)? {
            println!("found   {}\n        {found}", mutant.name);
        } else {
            missed += 1;
            println!("MISSED  {}", mutant.name);
        }
        for twin in &mutant.twin {
            if nursery.sees(twin)? {
                println!("        its twin in {}: {}", twin.file, twin.test);
            } else {
                missed += 1;
                println!("MISSED  its twin in {}: {}", twin.file, twin.test);
            }
        }
    }
    Ok(missed)
}
