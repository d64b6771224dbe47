//! `cuts`: cuts the line at every byte of a session.

use std::process::ExitCode;

use clap::Parser;
use postern_tests::cuts::{self, Plan};
use postern_tests::programs;

/// Cuts the line between an agent and its controller after every byte of a session in which one task is done, in either
/// direction, and sees to it that the task is done and reported once all the same.
#[derive(Debug, Parser)]
struct Options {
    /// Cut at one byte of so many.
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// How many labs work at once.
    #[arg(long, default_value_t = 4)]
    labs: usize,
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
    let binary = std::env::current_exe().expect("the path of this program");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let plan = Plan { step: options.step, labs: options.labs };
    let tally = runtime.block_on(cuts::run(&binary, plan, |tally| {
        if tally.rounds.is_multiple_of(100) {
            eprintln!("{} cuts, {} violations", tally.cuts, tally.violations.len());
        }
    }));
    if options.json {
        println!("{}", serde_json::to_string_pretty(&tally).expect("a tally is plain data"));
    } else {
        let (up, down) = tally.session;
        println!(
            "{} cuts in a session of {up} bytes up and {down} down; {} were behind its end",
            tally.cuts,
            tally.rounds - tally.cuts
        );
        for violation in &tally.violations {
            println!("VIOLATION: {violation}");
        }
    }
    ExitCode::from(u8::from(!tally.violations.is_empty()))
}
