//! The reference controller: certificate authority, clusters, members, tasks. Small, but good enough for a pilot.
//!
//! - [`queue`], [`membership`], [`enrollment`], [`access`], [`root_rotation`]: what it decides, without I/O;
//! - [`state`]: everything it knows, over a durable ledger;
//! - [`dispatcher`]: the one owner of the state: persist, then speak;
//! - [`link`]: agents, over TLS and WebSocket; [`api`]: operators and submitters, over HTTP; [`door`]: who of them may be
//!   connected, within [`limits`]; `console`: the pages of the API for people;
//! - `health`: whether work can be done; [`metrics`]: what was counted;
//! - [`audit`]: what was done, in a log that shows whether it was changed;
//! - [`ca`]: certificates; [`client`] and `command`: the command line.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub mod access;
pub mod api;
pub mod audit;
pub mod ca;
mod cli;
pub mod client;
pub mod clock;
mod command;
pub mod config;
mod console;
pub mod dispatcher;
pub mod door;
pub mod enrollment;
pub mod exit;
mod health;
pub mod hex;
pub mod limits;
pub mod link;
pub mod membership;
pub mod metrics;
pub mod network;
mod pace;
pub mod queue;
pub mod random;
pub mod root_rotation;
pub mod server;
pub mod space;
pub mod spawn;
pub mod state;
pub mod telemetry;
pub mod traces;

/// The whole program: parses the process's arguments and carries out the command.
pub fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap knows which is which.
            let _ = error.print();
            return if error.use_stderr() { exit::Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match command::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command::complain(&failure);
            failure.exit.into()
        }
    }
}

/// The command line, for whoever describes it.
pub fn command_line() -> clap::Command {
    cli::Cli::command()
}
