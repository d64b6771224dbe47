//! `console`: walks through the web console with a real Chromium.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use postern_tests::{console, programs};

/// Starts a controller, a simulated Salesforce and agents on loopback, and does in a headless Chromium what operators do.
/// Needs `chromium` and `chromedriver` on the path.
#[derive(Debug, Parser)]
struct Options {
    /// Where pictures of the pages go.
    #[arg(long, default_value = "target/console")]
    pictures: PathBuf,
}

fn main() -> ExitCode {
    if let Some(exit) = programs::run_by_name() {
        return exit;
    }
    let options = Options::parse();
    let binary = std::env::current_exe().expect("the path of this program");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(console::run(&binary, &options.pictures));
    ExitCode::SUCCESS
}
