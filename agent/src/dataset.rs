//! Datasets: records as submitters write them, read one at a time.
//!
//! A record that is not as it should be is reported with its number and place, and the others go on; only text that
//! cannot be read on ends a dataset.

pub mod writer;
pub mod xml;

use postern_protocol::Secret;

/// What an entry asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new account.
    Add,
    /// Other attributes for an account that exists.
    Modify,
}

/// One attribute of an entry. Its value may be a password, and is personal data anyway.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

/// Where an entry begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column in bytes, from 1.
    pub column: u64,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number in the dataset, from 1.
    pub number: u64,
    /// Where it begins.
    pub place: Place,
    /// What it asks for.
    pub change: Change,
    /// What it says, in order.
    pub attributes: Vec<Attribute>,
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its number in the dataset, from 1.
    pub number: u64,
    /// Where it begins.
    pub place: Place,
    /// What is wrong, as a stable word.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub problem: String,
}

/// One record, or what is wrong with it.
pub type Item = Result<Entry, BadEntry>;

/// The dataset cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", place.line, place.column)]
pub struct DatasetError {
    /// Where it was found out.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
}
