//! `cargo demo`: the main job for a person to watch.

use std::process::ExitCode;

use clap::Parser;
use postern_tests::{demo, programs};

/// Runs a controller, a simulated Salesforce and two agents of one cluster on loopback, has them do every kind of
/// task, kills and disables members in the middle of it, and shows what came of everything.
#[derive(Debug, Parser)]
struct Options {
    /// Keep everything running afterwards, and print the commands to play with and where the web console is.
    #[arg(long)]
    stay: bool,
}

#[allow(clippy::print_stderr, reason = "it is a program for people")]
fn main() -> ExitCode {
    if let Some(exit) = programs::run_by_name() {
        return exit;
    }
    let options = Options::parse();
    let binary = std::env::current_exe().expect("the path of this program");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(demo::run(&binary, options.stay)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("\nthe demo did not go as it should: {what}");
            ExitCode::FAILURE
        }
    }
}
