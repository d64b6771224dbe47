//! Create and modify accounts from a dataset.
//!
//! The dataset is the task's one stream. The submitter seals it whole: personal data and passwords in it are for the
//! member alone. The sealed field [`DATASET_KEY`] holds the key, see [`seal`](crate::seal).

use std::ops::Range;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Repeat;
use crate::bounded::{List, Text};
use crate::code::{Code, UnknownName};
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

impl Delimiter {
    /// What somebody means who types the character itself, or its name.
    pub fn typed(text: &str) -> Result<Self, UnknownName> {
        match text {
            "," => Ok(Self::Comma),
            ";" => Ok(Self::Semicolon),
            "\t" | "\\t" => Ok(Self::Tab),
            "|" => Ok(Self::Pipe),
            name => name.parse(),
        }
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

codes! {
    /// What is sent of an attribute of an account that exists.
    pub enum Difference {
        /// The value.
        1 Replace = "replace",
        /// The value, if the account has another.
        2 DiffWithTarget = "diff_with_target",
        /// Those of the values that the account lacks, beside those it has.
        3 AddDiffWithTarget = "add_diff_with_target",
        /// What the account has without the values.
        4 RemoveDiffWithTarget = "remove_diff_with_target",
    }
}

codes! {
    /// Which connected system an entry is for.
    pub enum DynamicSystem {
        /// The task's.
        1 None = "none",
        /// The one that the entry names in its attribute `Transaction-SystemName`.
        2 TransactionSystemName = "transaction_system_name",
        /// The one that a variable of the request names.
        3 GlobalVariable = "global_variable",
    }
}

/// The attribute with which an entry names its connected system.
pub const TRANSACTION_SYSTEM_NAME: &str = "Transaction-SystemName";

/// How one attribute is treated.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The attribute's name, in any case.
    pub attribute: Text<80>,
    /// What is sent of it.
    #[serde(default = "replace")]
    pub difference: Code<Difference>,
    /// Whether its values are shown nowhere: not in results, plans or the audit log.
    #[serde(default)]
    pub encrypted: bool,
    /// Whether its old and new values are written to the audit log.
    #[serde(default)]
    pub audited: bool,
}

/// A variable and its value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: Text<64>,
    /// Its value.
    pub value: Text<64>,
}

/// How to read the dataset, and what to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How it is written.
    pub format: Code<Format>,
    /// What parts the cells of its rows, if it has rows.
    #[serde(default = "found_out")]
    pub delimiter: Code<Delimiter>,
    /// Whether nothing is changed unless every entry passes the checks that can be made before.
    #[serde(default)]
    pub all_or_none: bool,
    /// Whether it is only said what would be changed.
    #[serde(default)]
    pub dry_run: bool,
    /// More entries than this to create, or to modify, go as one job in bulk.
    #[serde(default = "bulk_threshold")]
    pub bulk_threshold: u32,
    /// How attributes are treated that are not just replaced.
    #[serde(default)]
    pub attributes: List<Rule, 100>,
    /// The attribute whose value stands with each entry in the audit log; empty: none.
    #[serde(default)]
    pub audit_key: Text<80>,
    /// Which connected system entries are for.
    #[serde(default = "no_dynamic_system")]
    pub dynamic_system: Code<DynamicSystem>,
    /// The variable that names it, if a variable does.
    #[serde(default)]
    pub system_variable: Text<64>,
    /// The values of variables.
    #[serde(default)]
    pub variables: List<Variable, 16>,
    /// The attribute whose value is the account's id for the submitter; results tell it.
    #[serde(default = "username")]
    pub account_id: Text<80>,
    /// The attribute whose value the account signs in with; results tell it.
    #[serde(default = "username")]
    pub login_id: Text<80>,
}

fn replace() -> Code<Difference> {
    Difference::Replace.into()
}

fn found_out() -> Code<Delimiter> {
    Delimiter::FoundOut.into()
}

fn no_dynamic_system() -> Code<DynamicSystem> {
    DynamicSystem::None.into()
}

fn username() -> Text<80> {
    Text::clipped(Request::NAMED_BY)
}

const fn bulk_threshold() -> u32 {
    Request::BULK_THRESHOLD
}

impl Request {
    /// The threshold for bulk unless another is asked for.
    pub const BULK_THRESHOLD: u32 = 1_000;
    /// The attribute that gives an account's id and its login id unless others are asked for.
    pub const NAMED_BY: &str = "Username";

    /// Does a dataset that is written in `format`, in the plainest way.
    pub fn new(format: Format) -> Self {
        Self {
            format: format.into(),
            delimiter: found_out(),
            all_or_none: false,
            dry_run: false,
            bulk_threshold: bulk_threshold(),
            attributes: List::default(),
            audit_key: Text::default(),
            dynamic_system: no_dynamic_system(),
            system_variable: Text::default(),
            variables: List::default(),
            account_id: username(),
            login_id: username(),
        }
    }

    #[allow(clippy::unused_self, reason = "every kind answers this; this one is about no single account")]
    pub(super) fn target(&self) -> Text<255> {
        Text::default()
    }
}

/// A text that is not a rule or a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotA {
    /// Not `NAME=WORD,…`.
    #[error(
        "`{0}` is not NAME=WORD,… with words from replace, diff_with_target, add_diff_with_target, \
         remove_diff_with_target, encrypted and audited"
    )]
    Rule(String),
    /// Not `NAME=VALUE`.
    #[error("`{0}` is not NAME=VALUE of at most 64 bytes each")]
    Variable(String),
}

impl FromStr for Rule {
    type Err = NotA;

    /// `Title=diff_with_target,audited`.
    fn from_str(text: &str) -> Result<Self, NotA> {
        let wrong = || NotA::Rule(text.chars().take(160).collect());
        let (name, words) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(wrong)?;
        let attribute = Text::new(name.trim()).map_err(|_| wrong())?;
        let mut rule = Self { attribute, difference: replace(), encrypted: false, audited: false };
        for word in words.split(',') {
            match word.trim() {
                "encrypted" => rule.encrypted = true,
                "audited" => rule.audited = true,
                word => rule.difference = word.parse::<Difference>().map_err(|_| wrong())?.into(),
            }
        }
        Ok(rule)
    }
}

impl FromStr for Variable {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let wrong = || NotA::Variable(text.chars().take(160).collect());
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Self { name: Text::new(name).map_err(|_| wrong())?, value: Text::new(value).map_err(|_| wrong())? })
    }
}

/// A stock of licenses, and what the entries of a dry run need of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct License {
    /// The license.
    pub name: Text<80>,
    /// How many there are.
    pub total: u64,
    /// How many are in use.
    pub used: u64,
    /// How many more the entries need.
    pub needed: u64,
}

/// How many entries ended how. Their sum is the number of entries, but for the failure `results_incomplete`; the stream of
/// the report says it for each. A batch that was given up in the middle has none: its stream tells of what was done until then.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Whether nothing was changed, and this says what would be.
    pub dry_run: bool,
    /// Entries in the dataset.
    pub entries: u64,
    /// Accounts created.
    pub created: u64,
    /// Accounts modified.
    pub modified: u64,
    /// Accounts that were as the entry wants them.
    pub unchanged: u64,
    /// Entries refused, by Postern or by the connected system.
    pub failed: u64,
    /// Entries of which it cannot be found out whether they took effect.
    pub unknown: u64,
    /// Of a dry run: the licenses that the entries need.
    pub licenses: List<License, 50>,
}

/// What of a dataset did not succeed, as the lines of its results say: enough to write a dataset of the rest, in the
/// form of the original, whatever that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remainder {
    /// Entries that have a line.
    told: u64,
    /// Where the first of them begins and the last one ends; what is around them belongs to the form.
    place: Option<Range<u64>>,
    failed: Vec<Range<u64>>,
    /// The number of the last one that was told, and where it ends.
    last: Option<(u64, u64)>,
    /// Where there are entries without a line, between two that have one.
    untold: Vec<Range<u64>>,
}

#[derive(Deserialize)]
struct Told {
    entry: u64,
    outcome: String,
    offset: u64,
    /// Without it, the entry is all the rest.
    length: Option<u64>,
}

impl Remainder {
    /// Takes note of a line of the results. A line that is none is passed over.
    pub fn note(&mut self, line: &[u8]) {
        let Ok(told) = serde_json::from_slice::<Told>(line) else { return };
        let entry = told.offset..told.length.map_or(u64::MAX, |length| told.offset.saturating_add(length));
        if let Some((last, end)) = self.last
            && last.saturating_add(1) < told.entry
        {
            self.untold.push(end..entry.start);
        }
        self.told = self.told.saturating_add(1);
        self.last = Some((told.entry, entry.end));
        let all = self.place.get_or_insert_with(|| entry.clone());
        all.start = all.start.min(entry.start);
        all.end = all.end.max(entry.end);
        // What a later version calls otherwise is none of these, and may not be done.
        if !matches!(told.outcome.as_str(), "created" | "modified" | "unchanged" | "would_create" | "would_modify") {
            self.failed.push(entry);
        }
    }

    /// How many entries the results tell of.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Whether the results tell of each of the entries that a batch's output counts. A batch that was given up in the
    /// middle has no output.
    pub fn is_whole(&self, entries: Option<u64>) -> bool {
        entries == Some(self.told)
    }

    /// The parts of a dataset of `length` bytes that make a dataset of what did not succeed, and of what the results do
    /// not tell of where they are not whole; none if all did. They ascend and have no byte in common, whatever the lines
    /// say: no entry is sent twice that they name twice.
    pub fn parts(&self, length: u64, entries: Option<u64>) -> Vec<Range<u64>> {
        let is_whole = self.is_whole(entries);
        if is_whole && self.failed.is_empty() {
            return Vec::new();
        }
        let place = self.place.clone().unwrap_or_default();
        let (head, tail) = (0..place.start, place.end..length);
        let mut open = self.failed.clone();
        open.extend(self.untold.iter().filter(|_| !is_whole).cloned());
        open.sort_unstable_by_key(|it| it.start);
        let mut taken = 0;
        let parts = [head].into_iter().chain(open).chain([tail]).filter_map(|part| {
            let part = part.start.max(taken)..part.end.min(length);
            (!part.is_empty()).then(|| {
                taken = part.end;
                part
            })
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TaskKind, TaskRequest};

    #[test]
    fn what_parts_cells_is_typed_as_it_is_or_by_its_name() {
        for (typed, delimiter) in [
            (",", Delimiter::Comma),
            ("comma", Delimiter::Comma),
            (";", Delimiter::Semicolon),
            ("semicolon", Delimiter::Semicolon),
            ("\t", Delimiter::Tab),
            ("\\t", Delimiter::Tab),
            ("tab", Delimiter::Tab),
            ("|", Delimiter::Pipe),
            ("pipe", Delimiter::Pipe),
            ("found_out", Delimiter::FoundOut),
        ] {
            assert_eq!(Delimiter::typed(typed), Ok(delimiter), "{typed}");
        }
        assert!(Delimiter::typed(":").is_err());
    }

    #[test]
    fn a_request_says_no_more_than_its_form() {
        let json = serde_json::json!({ "format": "csv" });
        let request = TaskRequest::from_json(TaskKind::ImportBatch, json).unwrap();
        assert_eq!(request, TaskRequest::ImportBatch(Request::new(Format::Csv)));
    }

    #[test]
    fn a_rule_is_read_from_a_line() {
        let rule: Rule = "Title=diff_with_target, audited".parse().unwrap();
        assert_eq!((rule.attribute.as_str(), rule.difference.known()), ("Title", Some(Difference::DiffWithTarget)));
        assert!(rule.audited && !rule.encrypted);
        for wrong in ["Title", "=audited", "Title=often", &format!("{}=audited", "x".repeat(81))] {
            assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
        }
        assert_eq!("a=b=c".parse::<Variable>().unwrap().value.as_str(), "b=c");
    }

    #[test]
    fn what_did_not_succeed_is_cut_out_between_head_and_tail() {
        let mut rest = Remainder::default();
        rest.note(br#"{"entry":1,"outcome":"modified","offset":10,"length":5}"#);
        assert!(rest.parts(40, Some(1)).is_empty());
        for line in [
            &br#"{"entry":2,"outcome":"failed","offset":15,"length":5}"#[..],
            br#"{"entry":3,"outcome":"unknown","offset":25,"length":5}"#,
            br#"{"entry":4,"outcome":"unchanged","offset":30,"length":5}"#,
            b"no line",
        ] {
            rest.note(line);
        }
        assert_eq!(rest.parts(40, Some(4)), [0..10, 15..20, 25..30, 35..40]);
        rest.note(br#"{"entry":5,"outcome":"failed","offset":35}"#);
        assert_eq!(rest.parts(40, Some(5)), [0..10, 15..20, 25..30, 35..40]);
        rest.note(br#"{"entry":6,"outcome":"postponed","offset":20,"length":5}"#);
        assert_eq!(rest.parts(40, Some(6)), [0..10, 15..20, 20..25, 25..30, 35..40]);
    }

    /// A batch that is given up in the middle tells of what it has done: all of that may have succeeded, and nothing is said
    /// of the others.
    #[test]
    fn what_results_do_not_tell_of_did_not_succeed() {
        let mut rest = Remainder::default();
        assert_eq!(rest.parts(40, None), std::slice::from_ref(&(0..40)), "nothing was told");
        assert!(rest.parts(40, Some(0)).is_empty(), "there is nothing to tell of");
        rest.note(br#"{"entry":1,"outcome":"modified","offset":10,"length":5}"#);
        rest.note(br#"{"entry":2,"outcome":"modified","offset":15,"length":5}"#);
        assert!(rest.is_whole(Some(2)) && rest.parts(40, Some(2)).is_empty());
        for entries in [None, Some(4)] {
            assert!(!rest.is_whole(entries));
            assert_eq!(rest.parts(40, entries), [0..10, 20..40]);
        }
        rest.note(br#"{"entry":5,"outcome":"failed","offset":30,"length":5}"#);
        assert_eq!(rest.parts(40, Some(5)), [0..10, 20..30, 30..35, 35..40], "3 and 4 have no line");
        assert_eq!(
            rest.parts(40, Some(3)),
            [0..10, 30..35, 35..40],
            "there are no others: what is between them is no entry"
        );
    }

    /// An agent that is not what it should be may name any place, any number of times.
    #[test]
    fn no_entry_is_in_the_rest_twice_that_results_name_twice_or_in_another_order() {
        let mut rest = Remainder::default();
        for line in [
            &br#"{"entry":4,"outcome":"failed","offset":25,"length":5}"#[..],
            br#"{"entry":1,"outcome":"failed","offset":10,"length":5}"#,
            br#"{"entry":4,"outcome":"failed","offset":25,"length":5}"#,
            br#"{"entry":2,"outcome":"unknown","offset":12,"length":8}"#,
            br#"{"entry":9,"outcome":"failed","offset":90,"length":5}"#,
        ] {
            rest.note(line);
        }
        assert_eq!(rest.parts(40, Some(5)), [0..10, 10..15, 15..20, 25..30]);
    }

    /// The largest request fits the place that an offer has for it.
    #[test]
    fn the_largest_request_fits_an_offer() {
        let rule = Rule { attribute: Text::clipped("x".repeat(80)), .."x=audited".parse().unwrap() };
        let long = Text::clipped("x".repeat(64));
        let request = Request {
            attributes: List::clipped(vec![rule; 100]),
            audit_key: Text::clipped("x".repeat(80)),
            system_variable: long.clone(),
            variables: List::clipped(vec![Variable { name: long.clone(), value: long }; 16]),
            account_id: Text::clipped("x".repeat(80)),
            login_id: Text::clipped("x".repeat(80)),
            ..Request::new(Format::Xml)
        };
        assert!(TaskRequest::ImportBatch(request).encode().unwrap().len() <= 16 * 1024);
    }
}
