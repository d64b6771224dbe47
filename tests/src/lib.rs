//! The test lab: the real programs as real processes on loopback, and a simulated Salesforce for them to work on.
//!
//! Tests and the demo begin with [`Lab::start`]. The programs are the test binary itself under other names, see
//! [`programs`].

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test lab: a broken expectation ends the test, and indexing JSON yields null"
)]

pub mod console;
pub mod crash;
pub mod cuts;
pub mod demo;
pub mod disk;
pub mod lab;
pub mod leak;
pub mod powercut;
pub mod programs;
pub mod proxy;
pub mod reference;
pub mod wait;

pub use lab::{Agent, Controller, Lab, LabOptions};
pub use wait::wait_for;
