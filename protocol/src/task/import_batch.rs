//! Create and modify accounts from a dataset.
//!
//! The dataset is the task's one stream. The submitter seals it whole: personal data and passwords in it are for the
//! member alone. The sealed field [`DATASET_KEY`] holds the key, see [`seal`](crate::seal).

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Repeat;
use crate::bounded::Text;
use crate::code::Code;
use crate::codes;

/// Each unit is looked up before it is repeated.
pub const REPEAT: Repeat = Repeat::AfterReadBack;

/// The sealed field with the key of the dataset's stream.
pub const DATASET_KEY: &str = "dataset_key";
/// The key of the dataset.
pub const SEALED_FIELDS: &[&str] = &[DATASET_KEY];

codes! {
    /// How a dataset is written.
    pub enum Format {
        /// `<root><entry changetype="add|modify">…`.
        1 Xml = "xml",
        /// A header row and one row an entry.
        2 Csv = "csv",
        /// One JSON object a line.
        3 Jsonl = "jsonl",
    }
}

codes! {
    /// What parts the cells of a row.
    pub enum Delimiter {
        /// The one of the others that the header has most of.
        1 FoundOut = "found_out",
        /// A comma.
        2 Comma = "comma",
        /// A semicolon.
        3 Semicolon = "semicolon",
        /// A tab.
        4 Tab = "tab",
        /// A vertical bar.
        5 Pipe = "pipe",
    }
}

impl Format {
    /// What the end of a file's name says of its form.
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "xml" => Some(Self::Xml),
            "csv" | "tsv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// How to read the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How it is written.
    pub format: Code<Format>,
    /// What parts the cells of its rows, if it has rows.
    #[serde(default = "found_out")]
    pub delimiter: Code<Delimiter>,
}

fn found_out() -> Code<Delimiter> {
    Delimiter::FoundOut.into()
}

impl Request {
    #[allow(clippy::unused_self, reason = "every kind answers this; this one is about no single account")]
    pub(super) fn target(&self) -> Text<255> {
        Text::default()
    }
}

/// How many entries ended how. Their sum is the number of entries; the stream of the report says it for each.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Output {
    /// Entries in the dataset.
    pub entries: u64,
    /// Accounts created.
    pub created: u64,
    /// Accounts modified.
    pub modified: u64,
    /// Entries refused, by Postern or by the connected system.
    pub failed: u64,
    /// Entries of which it cannot be found out whether they took effect.
    pub unknown: u64,
}
