//! The simulator as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    salesforce_sim::program::main()
}
