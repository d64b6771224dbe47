//! The rules of `docs/ARCHITECTURE.md`, executable: each test is one rule and fails with its sentence and the places
//! that break it.
//!
//! Every rule here was seen failing: one violation was planted for each, found at the right place, and taken out
//! again. Whoever changes a rule does the same.

#![cfg(test)]

mod catalogue;
mod commands;
mod configuration;
mod features;
mod homes;
mod limits;
mod manifests;
mod metrics;
mod reference;
mod tree;
mod words;
