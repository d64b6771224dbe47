//! What a field of a record holds, and how it is written as JSON.

use std::fmt::Write as _;

use crate::id::RecordId;
use crate::time;

/// The content of one field. Empty text is never stored: Salesforce reads it back as null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value {
    /// No value.
    #[default]
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any text, a picklist value too.
    Text(Box<str>),
    /// A moment, in milliseconds since 1970.
    Time(i64),
    /// A record's own id, or a reference to another.
    Id(RecordId),
}

impl Value {
    /// Text, with the empty one turned to null.
    pub(crate) fn text(text: impl Into<Box<str>>) -> Self {
        let text: Box<str> = text.into();
        if text.is_empty() { Self::Null } else { Self::Text(text) }
    }

    /// When a record was changed. Recorded stamps are whole seconds, with `.000` behind them.
    pub(crate) const fn stamp(millis: i64) -> Self {
        Self::Time(millis - millis.rem_euclid(1_000))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_id(&self) -> Option<RecordId> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }

    pub(crate) fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// This value as a cell of CSV. Moments end in `Z` there, and null is an empty cell.
    pub(crate) fn csv(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(it) => it.to_string(),
            Self::Int(it) => it.to_string(),
            Self::Text(it) => it.to_string(),
            Self::Time(it) => time::format_csv(*it),
            Self::Id(it) => it.to_string(),
        }
    }

    /// Appends this value as JSON.
    pub(crate) fn write_json(&self, out: &mut String) {
        // Writing into a `String` cannot fail.
        let _ = match self {
            Self::Null => out.write_str("null"),
            Self::Bool(it) => write!(out, "{it}"),
            Self::Int(it) => write!(out, "{it}"),
            Self::Text(it) => {
                write_json_text(it, out);
                Ok(())
            }
            Self::Time(it) => write!(out, "\"{}\"", time::format(*it)),
            Self::Id(it) => write!(out, "\"{it}\""),
        };
    }
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
