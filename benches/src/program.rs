//! What the programs in `src/bin` that set up a lab begin and end with.

#![allow(clippy::print_stderr, reason = "a program says why it failed")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use postern_tests::programs;

use crate::Failure;

/// Runs a measurement, unless this process was started as one of the lab's programs: then it is that one.
pub fn main(name: &str, run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    if let Some(exit) = programs::run_by_name() {
        return exit;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The agent's program: the one that was named, or `postern` beside the program that runs.
///
/// # Errors
///
/// It is not there.
pub fn agent(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let postern = match named {
        Some(named) => named.to_owned(),
        None => std::env::current_exe()?.with_file_name("postern"),
    };
    postern.canonicalize().map_err(|error| {
        let shown = postern.display();
        format!("{shown}: {error}; build it (cargo build --release -p postern-agent) or name it (--postern)").into()
    })
}
