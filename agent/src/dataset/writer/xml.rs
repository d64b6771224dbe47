//! The XML of datasets, as [`XmlReader`](super::super::xml::XmlReader) reads it.

use std::io::{self, Write};

use super::{Cell, Change};

/// Writes what stands before the first record.
pub(super) fn begin(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<root>\n")
}

/// Writes one record. Names are those of fields: letters, digits, `_` and `.`.
pub(super) fn record<'a>(
    out: &mut dyn Write,
    change: Change,
    cells: impl Iterator<Item = (&'a str, &'a Cell)>,
) -> io::Result<()> {
    out.write_all(match change {
        Change::Add => b"<entry changetype=\"add\">",
        Change::Modify => b"<entry changetype=\"modify\" modifytype=\"replace\">",
    })?;
    for (name, cell) in cells {
        write!(out, "<{name}>")?;
        escape(out, cell.as_text())?;
        write!(out, "</{name}>")?;
    }
    out.write_all(b"</entry>\n")
}

/// Writes what stands behind the last record.
pub(super) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"</root>\n")
}

fn escape(out: &mut dyn Write, text: &str) -> io::Result<()> {
    for character in text.chars() {
        match character {
            '<' => out.write_all(b"&lt;")?,
            '>' => out.write_all(b"&gt;")?,
            '&' => out.write_all(b"&amp;")?,
            // A reader would make a line feed of it.
            '\r' => out.write_all(b"&#13;")?,
            '\n' | '\t' => write!(out, "{character}")?,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => (),
            other => write!(out, "{other}")?,
        }
    }
    Ok(())
}
