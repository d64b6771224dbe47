//! Stories: real programs, real sockets, real kills.

#![cfg(test)]

mod at_rest;
mod audit;
mod bad_input;
mod collections;
mod crashes;
mod datasets;
mod disks;
mod doctor;
mod exports;
mod fail_points;
mod features;
mod health;
mod hostile;
mod identity;
mod impostor;
mod lines;
mod local;
mod main_job;
mod manners;
mod mistakes;
mod outbox;
mod policy;
mod power;
mod proxies;
mod python;
mod renewal;
mod restored;
mod roles;
mod roots;
mod sealing;
mod secrets;
mod sharing;
mod stopping;
mod strangers;
mod streams;
mod takeover;
mod traces;
mod watching;

use std::path::Path;

use postern_tests::lab::SYSTEM;

/// Somebody whom everybody works on.
const JOE: &str = "user0001@acme.example";

/// The binary that becomes the programs.
fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lab"))
}

/// The command line for a new password.
fn reset_password<'a>(account: &'a str, how: &[&'a str]) -> Vec<&'a str> {
    [&["task", "submit", "reset_password", "--system", SYSTEM, "--account", account], how].concat()
}
