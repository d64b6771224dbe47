//! Stories: real programs, real sockets, real kills.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken expectation ends the test, and indexing JSON yields null"
)]

mod bad_input;
mod crashes;
mod exports;
mod lines;
mod local;
mod main_job;
mod proxies;
mod sharing;
mod stopping;
mod strangers;
mod takeover;

use std::path::Path;

/// The binary that becomes the programs.
fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lab"))
}
