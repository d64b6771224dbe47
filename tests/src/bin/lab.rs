//! `lab`: becomes `postern`, `postern-controller` or `salesforce-sim` by the name it is started under.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_tests::programs::run_by_name().unwrap_or_else(|| {
        #[allow(clippy::print_stderr, reason = "it is a program for people")]
        {
            eprintln!("start this under the name of a program, as the links in a lab's `bin` folder do");
        }
        ExitCode::from(2)
    })
}
