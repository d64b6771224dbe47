//! CSV by the rules of the bulk API, which are stricter than most readers are.

use std::ops::Range;

/// What stands between the cells and between the records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: Delimiter,
    pub(crate) ending: LineEnding,
}

/// What stands between cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Backquote,
    Caret,
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

/// What ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnding {
    Lf,
    CrLf,
}

impl Delimiter {
    const ALL: [Self; 6] = [Self::Backquote, Self::Caret, Self::Comma, Self::Pipe, Self::Semicolon, Self::Tab];

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Backquote => "BACKQUOTE",
            Self::Caret => "CARET",
            Self::Comma => "COMMA",
            Self::Pipe => "PIPE",
            Self::Semicolon => "SEMICOLON",
            Self::Tab => "TAB",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Backquote => b'`',
            Self::Caret => b'^',
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

impl LineEnding {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::Lf, Self::CrLf].into_iter().find(|it| it.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lf => "LF",
            Self::CrLf => "CRLF",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// Reads a file record by record; nothing but the current one is copied.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
}

/// One record and where it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) place: Range<usize>,
    pub(crate) cells: Result<Vec<String>, StrayQuote>,
}

/// A quote where none may be: inside an unquoted cell, or followed by more than the end of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StrayQuote;

/// The records end with another line ending than the job says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongLineEnding;

impl<'a> Records<'a> {
    pub(crate) fn new(text: &'a [u8], dialect: Dialect) -> Self {
        Self { text, at: 0, dialect }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Whether the cell, or the whole record, ends here.
    fn at_end_of_cell(&self) -> bool {
        self.peek().is_none_or(|it| it == self.dialect.delimiter.byte() || it == b'\n') || self.at_crlf()
    }

    fn at_crlf(&self) -> bool {
        self.text.get(self.at..).is_some_and(|it| it.starts_with(b"\r\n"))
    }

    fn quoted(&mut self) -> Result<String, StrayQuote> {
        let mut cell = Vec::new();
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let length = rest.iter().position(|it| *it == b'"').ok_or(StrayQuote)?;
            cell.extend_from_slice(rest.get(..length).unwrap_or_default());
            self.at += length + 1;
            if self.peek() != Some(b'"') {
                break;
            }
            cell.push(b'"');
            self.at += 1;
        }
        if self.at_end_of_cell() { Ok(String::from_utf8_lossy(&cell).into_owned()) } else { Err(StrayQuote) }
    }

    fn unquoted(&mut self) -> Result<String, StrayQuote> {
        let start = self.at;
        while !self.at_end_of_cell() {
            if self.peek() == Some(b'"') {
                return Err(StrayQuote);
            }
            self.at += 1;
        }
        Ok(String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or_default()).into_owned())
    }

    fn cells(&mut self) -> Result<Vec<String>, StrayQuote> {
        let mut cells = Vec::new();
        loop {
            cells.push(if self.peek() == Some(b'"') { self.quoted()? } else { self.unquoted()? });
            if self.peek() != Some(self.dialect.delimiter.byte()) {
                return Ok(cells);
            }
            self.at += 1;
        }
    }

    /// The record of which a stray quote was found ends with its line.
    fn skip_line(&mut self) {
        while self.peek().is_some_and(|it| it != b'\n') && !self.at_crlf() {
            self.at += 1;
        }
    }

    fn end_of_record(&mut self) -> Result<(), WrongLineEnding> {
        let found = match self.peek() {
            None => return Ok(()),
            Some(b'\n') => LineEnding::Lf,
            Some(_) => LineEnding::CrLf,
        };
        self.at += found.text().len();
        if found == self.dialect.ending { Ok(()) } else { Err(WrongLineEnding) }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, WrongLineEnding>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.peek() == Some(b'\n') || self.at_crlf() {
            if let Err(wrong) = self.end_of_record() {
                return Some(Err(wrong));
            }
        }
        self.peek()?;
        let start = self.at;
        let cells = self.cells();
        if cells.is_err() {
            self.skip_line();
        }
        let place = start..self.at;
        Some(self.end_of_record().map(|()| Record { place, cells }))
    }
}

/// Appends one record, every cell of it in quotes.
pub(crate) fn write_record<'a>(out: &mut String, dialect: Dialect, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(char::from(dialect.delimiter.byte()));
        }
        out.push('"');
        for (index, part) in cell.split('"').enumerate() {
            if index > 0 {
                out.push_str("\"\"");
            }
            out.push_str(part);
        }
        out.push('"');
    }
    out.push_str(dialect.ending.text());
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: Dialect = Dialect { delimiter: Delimiter::Comma, ending: LineEnding::Lf };
    const DOS: Dialect = Dialect { delimiter: Delimiter::Semicolon, ending: LineEnding::CrLf };

    fn cells(text: &str, dialect: Dialect) -> Vec<Result<Vec<String>, StrayQuote>> {
        Records::new(text.as_bytes(), dialect).map(|it| it.unwrap().cells).collect()
    }

    fn list(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn quotes_delimiters_and_line_breaks_may_stand_in_quotes() {
        let text = "a,\"b \"\"x\"\", c\",\"d\ne\"\n, f ,\n\nlast,,\"\"";
        let read = cells(text, UNIX);
        assert_eq!(
            read,
            [Ok(list(&["a", "b \"x\", c", "d\ne"])), Ok(list(&["", " f ", ""])), Ok(list(&["last", "", ""]))]
        );
    }

    #[test]
    fn a_stray_quote_spoils_its_record_only() {
        let read = cells("a, \"b\"\n\"c\" ,d\ne,f\n", UNIX);
        assert_eq!(read, [Err(StrayQuote), Err(StrayQuote), Ok(list(&["e", "f"]))]);
        assert_eq!(cells("\"never closed", UNIX), [Err(StrayQuote)]);
    }

    #[test]
    fn the_line_ending_must_be_the_one_of_the_job() {
        assert_eq!(cells("a;b\r\nc;d\r\n", DOS), [Ok(list(&["a", "b"])), Ok(list(&["c", "d"]))]);
        assert_eq!(Records::new(b"a;b\nc;d\n", DOS).next(), Some(Err(WrongLineEnding)));
        assert_eq!(Records::new(b"a,b\r\n", UNIX).next(), Some(Err(WrongLineEnding)));
    }

    #[test]
    fn what_was_written_is_read_back() {
        let wild = ["", "plain", "a;b", "say \"hi\"", "two\r\nlines", "\u{1f600}"];
        let mut out = String::new();
        write_record(&mut out, DOS, wild);
        assert_eq!(cells(&out, DOS), [Ok(list(&wild))]);
    }

    #[test]
    fn a_record_knows_its_place() {
        let text = "a,b\n\"c\n\",d\n";
        let places: Vec<_> = Records::new(text.as_bytes(), UNIX).map(|it| it.unwrap().place).collect();
        assert_eq!(places, [0..3, 4..10]);
    }
}
