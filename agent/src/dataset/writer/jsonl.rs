//! One JSON object a line.

use std::io::{self, Write};

use super::Cell;

/// Writes one record.
pub(super) fn record<'a>(out: &mut dyn Write, cells: impl Iterator<Item = (&'a str, &'a Cell)>) -> io::Result<()> {
    out.write_all(b"{")?;
    for (number, (name, cell)) in cells.enumerate() {
        if number > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        match cell {
            Cell::Null => out.write_all(b"null")?,
            Cell::Text(text) => serde_json::to_writer(&mut *out, text)?,
            Cell::Truth(_) | Cell::Number(_) => out.write_all(cell.as_text().as_bytes())?,
        }
    }
    out.write_all(b"}\n")
}
