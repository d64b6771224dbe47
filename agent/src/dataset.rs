//! Datasets: records as submitters write them, read one at a time, and written one at a time.
//!
//! A record that is not as it should be is reported with its number and place, and the others go on; only text that
//! cannot be read on ends a dataset. Nothing larger than [`MAX_ENTRY`] is held in memory.

pub mod csv;
mod draft;
pub mod jsonl;
mod source;
pub mod split;
pub mod writer;
pub mod xml;

use std::io::Read;

use postern_protocol::Secret;
use postern_protocol::task::import_batch::{Delimiter, Format};

/// The most bytes of one entry, markup included. A user with every field filled takes a tenth of it.
pub const MAX_ENTRY: u64 = 256 * 1024;
/// The most bytes of one value: Salesforce's longest field of text.
pub const MAX_VALUE: usize = 131_072;
/// The most attributes of one entry. The User object has about two hundred fields.
pub const MAX_ATTRIBUTES: usize = 1_000;
/// The longest name of an attribute, in bytes. Salesforce's are at most 80 characters long.
pub const MAX_NAME: usize = 128;
/// The most elements of XML that are open at once, those whose end tags are missing included: the reader of markup
/// remembers each.
pub const MAX_OPEN: usize = 10_000;
/// The most bytes of the names of these elements together, which it remembers as well: a hundred for each.
pub const MAX_OPEN_NAMES: usize = 1024 * 1024;
/// The most attributes of the `<entry>` tag itself, which has two; each is compared with all before it.
pub const MAX_HEADER: usize = 16;

const EMPTY: &str = "the dataset is empty";
const SAY_FORM: &str = "name the file by the form it has, or give its format";

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

/// A place in a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column in bytes, from 1.
    pub column: u64,
    /// The bytes before it.
    pub offset: u64,
}

/// What an entry says, in whatever form it is written.
#[derive(Debug, Clone)]
pub struct Record {
    /// What it asks for.
    pub change: Change,
    /// What it says, in order. An attribute with several values stands here several times.
    pub attributes: Vec<Attribute>,
}

/// One record and where it stands.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number in the dataset, from 1.
    pub number: u64,
    /// Where it begins.
    pub place: Place,
    /// Where it ends: the bytes of the dataset up to there.
    pub end: u64,
    /// What it says.
    pub record: Record,
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its number in the dataset, from 1.
    pub number: u64,
    /// Where it begins.
    pub place: Place,
    /// Where it ends, unless it is everything from there on.
    pub end: Option<u64>,
    /// What is wrong, as a stable word.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub problem: String,
}

impl BadEntry {
    /// Where it stands and what is wrong with it.
    pub fn as_json(&self) -> serde_json::Value {
        let Place { line, column, offset } = self.place;
        let length = self.end.map(|end| end.saturating_sub(offset));
        serde_json::json!({
            "entry": self.number, "line": line, "column": column, "offset": offset, "length": length,
            "code": self.code, "message": self.problem,
        })
    }
}

/// One record, or what is wrong with it.
pub type Item = Result<Entry, BadEntry>;

/// The dataset cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", place.line, place.column)]
pub struct DatasetError {
    /// Where it was found out.
    pub place: Place,
    /// Where the last record ended: nothing after it can be trusted.
    pub rest: Place,
    /// What is wrong.
    pub problem: String,
}

impl DatasetError {
    /// The rest of the dataset as one entry that cannot be used.
    pub fn into_rest(self, number: u64) -> BadEntry {
        let Self { place, rest, problem } = self;
        let problem =
            format!("{problem} (line {}, column {}); nothing from here on was read", place.line, place.column);
        BadEntry { number, place: rest, end: None, code: "dataset_malformed", problem }
    }
}

/// Entries one by one. Blocks as its source blocks.
pub type Entries = Box<dyn Iterator<Item = Result<Item, DatasetError>> + Send>;

/// Reads a dataset that is written in `format`.
pub fn read(source: Box<dyn Read + Send>, format: Format, delimiter: Delimiter) -> Entries {
    match format {
        Format::Xml => Box::new(xml::Reader::new(source)),
        Format::Csv => Box::new(csv::Reader::new(source, delimiter)),
        Format::Jsonl => Box::new(jsonl::Reader::new(source)),
    }
}

/// Entries to the end; what cannot be read on is the last one, unless it is all there is.
pub struct Whole {
    entries: Entries,
    number: u64,
}

impl Whole {
    /// All of `entries`, from the first.
    pub fn new(entries: Entries) -> Self {
        Self { entries, number: 0 }
    }
}

impl Iterator for Whole {
    type Item = Result<Item, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.entries.next()?;
        self.number += 1;
        Some(match item {
            Err(error) if self.number > 1 => Ok(Err(error.into_rest(self.number))),
            other => other,
        })
    }
}

fn is(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests;
