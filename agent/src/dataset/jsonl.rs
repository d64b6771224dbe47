//! The form of datasets with one JSON object a line.
//!
//! Each member is an attribute: a text, a number, a truth value, `null` for an empty one, or an array of them for
//! several values. A number is taken as it is written: read as one, it may be another. `changetype` (or `op`) and
//! `modifytype` are `modify` and `replace` unless they say something else.

use std::fmt;
use std::io::Read;

use postern_protocol::Secret;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::draft::{Draft, shown};
use super::source::{LineEnd, Source, wipe};
use super::{Change, DatasetError, EMPTY, Item, MAX_ENTRY, Place, SAY_FORM, is};

/// Reads entries one by one from lines of JSON.
pub struct Reader<R: Read> {
    source: Source<R>,
    line: Zeroizing<Vec<u8>>,
    number: u64,
    over: bool,
}

impl<R: Read> Reader<R> {
    /// A reader of `source`, which must be UTF-8.
    pub fn new(source: R) -> Self {
        Self { source: Source::new(source), line: Zeroizing::default(), number: 0, over: false }
    }

    fn read(&mut self) -> Result<Option<Item>, DatasetError> {
        while !self.over {
            wipe(&mut self.line);
            let place = self.source.start().map_err(|error| self.fatal(error.to_string()))?;
            let end = self.source.line(&mut self.line).map_err(|error| self.fatal(error.to_string()))?;
            match end {
                LineEnd::Nothing if self.number == 0 => return Err(self.fatal(EMPTY)),
                LineEnd::Nothing => self.over = true,
                LineEnd::Whole if self.line.iter().all(u8::is_ascii_whitespace) => (),
                LineEnd::Whole if self.number == 0 && self.line.trim_ascii_start().first() != Some(&b'{') => {
                    let form = if self.line.trim_ascii_start().first() == Some(&b'<') { " but like XML" } else { "" };
                    let problem =
                        format!("the first line is no JSON object{form}, so this is not JSON Lines; {SAY_FORM}");
                    return Err(DatasetError { place, ..self.fatal(problem) });
                }
                LineEnd::Whole | LineEnd::TooLong => return Ok(Some(self.entry(place, end))),
            }
        }
        Ok(None)
    }

    fn entry(&mut self, place: Place, end: LineEnd) -> Item {
        self.number += 1;
        let mut draft = Draft::new(self.number, place);
        draft.presumed = Some(Change::Modify);
        if end == LineEnd::TooLong {
            draft.refuse("entry_too_large", format!("the entry is larger than {MAX_ENTRY} bytes"));
        } else if self.line.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r')) {
            draft.refuse("bad_character", "the line holds a byte that is not UTF-8, or a control character");
        } else {
            match serde_json::from_slice(&self.line) {
                Ok(Members(members)) => fill(&mut draft, members),
                Err(error) => {
                    let problem =
                        format!("the line is not a JSON object (column {}): {}", error.column(), told(&error));
                    draft.refuse("entry_malformed", problem);
                }
            }
        }
        draft.finish(self.source.place().offset)
    }

    fn fatal(&mut self, problem: impl Into<String>) -> DatasetError {
        self.over = true;
        let place = self.source.place();
        DatasetError { place, rest: place, problem: problem.into() }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// What `serde_json` says without the place, which it counts from the line's own beginning, and without what stands there.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    if error.is_data() {
        what.split(['"', '`']).next().unwrap_or_default().trim_end().to_owned()
    } else {
        what.to_owned()
    }
}

fn fill(draft: &mut Draft, members: Vec<(String, Value)>) {
    for (name, value) in members {
        match value {
            Value::Text(text) if is(&name, "changetype") || is(&name, "op") => draft.changetype(&text),
            Value::Text(text) if is(&name, "modifytype") => draft.modifytype(&text),
            Value::Several(values) if values.is_empty() => draft.attribute(&name, Secret::new(String::new())),
            Value::Several(values) => values.into_iter().for_each(|value| put(draft, &name, value)),
            Value::Text(_) | Value::Bare(_) | Value::Nested => put(draft, &name, value),
        }
    }
}

fn put(draft: &mut Draft, name: &str, value: Value) {
    match value {
        Value::Text(text) | Value::Bare(text) => draft.attribute(name, Secret::new(text)),
        Value::Several(_) | Value::Nested => {
            draft.refuse("attribute_nested", format!("`{}` holds more than texts", shown(name)));
        }
    }
}

/// What a member holds.
enum Value {
    Text(String),
    /// A number or a truth value as it is written, and nothing of `null`.
    Bare(String),
    Several(Vec<Value>),
    /// More than several values.
    Nested,
}

impl Value {
    fn read(written: &RawValue) -> serde_json::Result<Self> {
        if !written.get().starts_with('[') {
            return Self::one(written);
        }
        let values: Vec<&RawValue> = serde_json::from_str(written.get())?;
        values.into_iter().map(Self::one).collect::<serde_json::Result<_>>().map(Self::Several)
    }

    fn one(written: &RawValue) -> serde_json::Result<Self> {
        Ok(match written.get() {
            text if text.starts_with('"') => Self::Text(serde_json::from_str(text)?),
            text if text.starts_with(['[', '{']) => Self::Nested,
            "null" => Self::Bare(String::new()),
            text => Self::Bare(text.to_owned()),
        })
    }
}

/// The members of an object in their order, those that stand there twice included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, written)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, Value::read(written).map_err(|error| A::Error::custom(told(&error)))?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
