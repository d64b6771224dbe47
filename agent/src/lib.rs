//! The Postern agent: administers Salesforce users on behalf of a controller elsewhere.
//!
//! [`main`] is the whole program. What it decides is decided in `postern-agent-core`; here is everything that waits:
//!
//! - `app` builds the parts and stops them in order; `command` prints and chooses exit codes;
//! - `dispatcher` owns the ledger and drives it: write, then speak and act;
//! - `executor` runs attempts; [`connector`] is what they call;
//! - `judge` stands beside whatever judges who answers over TLS, and bounds what it looks at;
//! - `link` keeps the session with the controller; `streams` moves payloads;
//! - `collection` begins what is due by its [`schedule`], as a task of this machine (`local`);
//! - [`policy`] decides what may be done here, whoever asks;
//! - [`doctor`] finds out what is wrong;
//! - `health` says whether work can be done, [`metrics`] what was counted;
//! - `audit` writes down what was done, in a log that shows whether it was changed;
//! - `store` is what is on disk; `identity` who this agent is, `keys` what is sealed to it; `redaction` keeps secrets out of
//!   texts; `traces` tells a collector of tasks, if there is one.

mod allocator;
mod app;
mod audit;
mod cli;
pub mod clock;
mod collection;
mod command;
pub mod config;
pub mod connector;
pub mod dataset;
mod dispatcher;
pub mod doctor;
mod enrollment;
mod executor;
pub mod exit;
mod health;
pub mod http;
pub mod identity;
mod judge;
mod kept;
mod keys;
pub mod link;
mod local;
mod member_state;
pub mod metrics;
pub mod policy;
mod random;
mod redaction;
pub mod schedule;
mod spawn;
mod status;
pub mod store;
mod streams;
mod telemetry;
mod traces;
mod watchdog;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub use command::policy::offered;
pub use status::{Answer, Ask};

/// The `postern` program: reads the command line, runs the command, says how it went.
pub fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => command::run(cli).into(),
        Err(error) => {
            // Help and version are no errors, and clap knows which stream each belongs to.
            let exit = if error.use_stderr() { exit::Exit::Usage } else { exit::Exit::Ok };
            let _ = error.print();
            exit.into()
        }
    }
}

/// The command line, for whoever describes it.
pub fn command_line() -> clap::Command {
    cli::Cli::command()
}
