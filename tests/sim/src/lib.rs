//! A deterministic simulation of three members, two controllers, their disks, the network and Salesforce.
//!
//! What decides is real: the agent's ledger, both ends of sessions, the controller's state. What waits is modelled, so
//! that a seed drives everything: when what happens, what is lost, what a crash leaves. At every step the
//! [`oracle`] asserts the safety invariants; once nothing goes wrong any more, everything has to come to its end.

#![allow(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "members are counted, and what a simulation does not look at is none of its business"
)]

pub mod agenda;
pub mod attempt;
pub mod controller;
pub mod coverage;
pub mod disk;
pub mod member;
pub mod mutants;
pub mod net;
pub mod oracle;
pub mod salesforce;
pub mod search;
pub mod truth;
pub mod workload;
pub mod world;
