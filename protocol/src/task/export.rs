//! Read records of one class and hand them over as a file.
//!
//! The file is the task's one stream. It is personal data, so it is sealed to the requester: the sealed output
//! [`RESULT_KEY`] holds the key of the stream, which is cut into segments like a dataset, see [`seal`](crate::seal).

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Repeat;
use crate::bounded::{List, Text};
use crate::code::Code;
use crate::codes;
use crate::filter::{Attribute, Filter};

/// It changes nothing.
pub const REPEAT: Repeat = Repeat::Freely;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];
/// The sealed output with the key of the stream.
pub const RESULT_KEY: &str = "result_key";

codes! {
    /// How records are written.
    pub enum RecordFormat {
        /// One JSON object a line.
        1 JsonLines = "jsonl",
        /// Comma-separated values under a line of names.
        2 Csv = "csv",
        /// `<root><entry changetype="…">…`, as datasets are.
        3 Xml = "xml",
    }
}

codes! {
    /// What is told of records.
    pub enum Content {
        /// Their attributes.
        1 Records = "records",
        /// Which attributes changed, and when; of a delta only.
        2 ChangeLog = "change_log",
    }
}

codes! {
    /// Which attributes are told of a record that changed. A new record is told whole.
    pub enum DeltaMode {
        /// Those that changed.
        1 OnlyChanged = "only_changed_attributes",
        /// Those that changed, and the mandatory ones.
        2 ChangedAndMandatory = "changed_and_mandatory_attributes",
        /// All.
        3 AllAttributes = "all_attributes",
    }
}

codes! {
    /// How the day of a moment is written.
    pub enum DayPattern {
        /// 2026-11-22
        1 Iso = "iso",
        /// 11/22/2026
        2 American = "american",
        /// 22/11/2026
        3 European = "european",
        /// 22.11.2026
        4 Dotted = "dotted",
        /// 20261122
        5 Compact = "compact",
        /// 22 November 2026
        6 Long = "long",
    }
}

codes! {
    /// How the time of a moment is written, in UTC.
    pub enum TimePattern {
        /// Not at all.
        1 None = "none",
        /// 14:05:09
        2 TwentyFour = "24h",
        /// 02:05:09 PM
        3 Twelve = "12h",
    }
}

codes! {
    /// How records were read.
    pub enum Way {
        /// Page by page.
        1 Pages = "pages",
        /// As one job in bulk.
        2 Bulk = "bulk",
    }
}

/// How one attribute's moments are written. Without one they are written as RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DateFormat {
    /// The attribute.
    pub attribute: Attribute,
    /// The day.
    pub day: Code<DayPattern>,
    /// The time.
    pub time: Code<TimePattern>,
}

/// Only what changed since the same cursor was last handed over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delta {
    /// The cursor: what was handed over before is remembered under this name, by the member that did it.
    pub cursor: Text<64>,
    /// Which attributes are told.
    #[serde(default = "changed_and_mandatory")]
    pub mode: Code<DeltaMode>,
    /// Whether the cursor begins anew: everything is handed over again.
    #[serde(default)]
    pub restart: bool,
    /// Attributes that alone make no change: a record of which only they differ is not told. If there is no list, those
    /// that the connector knows to change whenever a record is used.
    #[serde(default)]
    pub incidental: Option<List<Attribute, 32>>,
}

fn changed_and_mandatory() -> Code<DeltaMode> {
    DeltaMode::ChangedAndMandatory.into()
}

fn records() -> Code<Content> {
    Content::Records.into()
}

/// Which records, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The class of records, as the connector names it, e.g. `User`.
    pub object: Text<64>,
    /// The attributes wanted; empty: those of the schema.
    #[serde(default)]
    pub attributes: List<Attribute, 500>,
    /// Attributes without which the export is of no use: it fails if the connected system lacks one.
    #[serde(default)]
    pub mandatory: List<Attribute, 100>,
    /// Which records; all if there is none.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// A condition in the connected system's own language, which must hold as well; empty: none.
    #[serde(default)]
    pub clause: Text<4000>,
    /// How records are written.
    pub format: Code<RecordFormat>,
    /// How moments are written.
    #[serde(default)]
    pub dates: List<DateFormat, 100>,
    /// About how many records are expected; 0: the connected system is asked.
    #[serde(default)]
    pub size_hint: u64,
    /// What is told of records.
    #[serde(default = "records")]
    pub content: Code<Content>,
    /// Only what changed; all if there is none.
    #[serde(default)]
    pub delta: Option<Delta>,
}

impl Request {
    /// Two runs of one cursor would each take the other's records for handed over.
    pub(super) fn target(&self) -> Text<255> {
        match &self.delta {
            Some(delta) => Text::clipped(format!("{} {}", self.object.as_str(), delta.cursor.as_str()).to_lowercase()),
            None => Text::default(),
        }
    }
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Records in the file.
    pub records: u64,
    /// How they were read.
    pub way: Code<Way>,
    /// Of a delta: from when on changes were looked for, as RFC 3339 in UTC; empty: from the beginning.
    pub since: Text<32>,
    /// Of a delta: until when; empty for a full export.
    pub until: Text<32>,
    /// What a requester should know, e.g. which attributes the connected system lacks.
    pub warnings: List<Text<512>, 12>,
}
