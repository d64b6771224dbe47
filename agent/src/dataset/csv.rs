//! The form of datasets with a header row and one row an entry.
//!
//! The header names the attributes; the columns `changetype` and `modifytype` may be left out and mean `modify` and
//! `replace`. An empty cell says nothing about its attribute, `#N/A` empties it.

mod rows;

use std::io::{self, Read};

use postern_protocol::Secret;
use postern_protocol::task::import_batch::Delimiter;

use super::draft::{Draft, shown};
use super::source::Source;
use super::{Change, DatasetError, EMPTY, Item, MAX_ATTRIBUTES, MAX_ENTRY, MAX_NAME, Place, SAY_FORM, is};
use rows::{Fatal, Row, Rows};

/// The cell that empties an attribute, as Salesforce's own tools write it.
pub const NOTHING: &str = "#N/A";

/// Reads entries one by one from rows.
pub struct Reader<R: Read> {
    rows: Rows<R>,
    header: Vec<String>,
    number: u64,
    /// Where the last row ended.
    rest: Place,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Over,
}

impl<R: Read> Reader<R> {
    /// A reader of `source`, which must be UTF-8. What parts its cells is found out from the header unless it is given.
    pub fn new(source: R, delimiter: Delimiter) -> Self {
        let place = Place { line: 1, column: 1, offset: 0 };
        let rows = Rows { source: Source::new(source), delimiter: byte(delimiter).unwrap_or_default() };
        Self { rows, header: Vec::new(), number: 0, rest: place, state: State::Header }
    }

    fn read(&mut self) -> Result<Option<Item>, DatasetError> {
        if self.state == State::Header {
            self.read_header()?;
            self.state = State::Rows;
        }
        while self.state == State::Rows {
            let row = self.rows.next().map_err(|fatal| self.told(fatal))?;
            self.rest = self.rows.source.place();
            match row {
                None => self.state = State::Over,
                Some(row) if is_blank(&row) => (),
                Some(row) => return Ok(Some(self.entry(row))),
            }
        }
        Ok(None)
    }

    fn read_header(&mut self) -> Result<(), DatasetError> {
        if self.rows.delimiter == 0 {
            self.rows.delimiter = self.found_delimiter().map_err(|error| self.fatal(error.to_string()))?;
        }
        let header = loop {
            match self.rows.next().map_err(|fatal| self.told(fatal))? {
                None => return Err(self.fatal(EMPTY)),
                Some(row) if is_blank(&row) => (),
                Some(row) => break row,
            }
        };
        self.rest = self.rows.source.place();
        let form = match header.cells.first().map(|cell| cell.trim_start()) {
            Some(cell) if cell.starts_with('<') => Some("XML"),
            Some(cell) if cell.starts_with('{') => Some("JSON Lines"),
            _ => None,
        };
        if let Some(form) = form {
            return Err(self.fatal(format!("this looks like {form}, not like CSV; {SAY_FORM}")));
        }
        if let Some((_, problem)) = header.problem {
            return Err(self.fatal(problem));
        }
        self.header = header.cells.iter().map(|cell| cell.trim().to_owned()).collect();
        match self.problem_of_header() {
            Some(problem) => Err(self.fatal(problem)),
            None => Ok(()),
        }
    }

    /// The one of the four that the first line has most of.
    fn found_delimiter(&mut self) -> io::Result<u8> {
        let mut quoted = false;
        let mut counts = DELIMITERS.map(|byte| (byte, 0));
        for byte in self.rows.source.peek()?.iter().take_while(|byte| **byte != b'\n') {
            quoted ^= *byte == b'"';
            for (delimiter, count) in &mut counts {
                *count += usize::from(!quoted && delimiter == byte);
            }
        }
        // The first of the most frequent.
        let most = counts.iter().rev().max_by_key(|(_, count)| *count);
        Ok(most.map_or(b',', |(delimiter, _)| *delimiter))
    }

    fn problem_of_header(&self) -> Option<String> {
        if self.header.len() > MAX_ATTRIBUTES {
            return Some(format!("the header has more than {MAX_ATTRIBUTES} columns"));
        }
        for (index, name) in self.header.iter().enumerate() {
            let column = index + 1;
            if name.is_empty() {
                return Some(format!("column {column} of the header has no name"));
            }
            if name.len() > MAX_NAME || name.chars().any(char::is_control) {
                return Some(format!("the name of column {column} of the header, `{}`, is no name", shown(name)));
            }
            if self.header.iter().take(index).any(|it| is(it, name)) {
                return Some(format!("the header names `{}` twice", shown(name)));
            }
        }
        match self.header.as_slice() {
            [one] if one.bytes().any(|byte| DELIMITERS.contains(&byte)) => Some(format!(
                "the header is one column, `{}`: something else parts its names; give the delimiter",
                shown(one)
            )),
            _ => None,
        }
    }

    fn entry(&mut self, row: Row) -> Item {
        self.number += 1;
        let mut draft = Draft::new(self.number, row.place);
        draft.presumed = Some(Change::Modify);
        if let Some((code, problem)) = row.problem {
            draft.refuse(code, problem);
        } else if row.cells.len() != self.header.len() {
            let (cells, columns) = (row.cells.len(), self.header.len());
            draft.refuse("ragged_row", format!("the row has {cells} values, and the header {columns} names"));
        }
        for (name, cell) in self.header.iter().zip(row.cells).filter(|(_, cell)| !cell.is_empty()) {
            if is(name, "changetype") {
                draft.changetype(&cell);
            } else if is(name, "modifytype") {
                draft.modifytype(&cell);
            } else {
                let value = if *cell == NOTHING { String::new() } else { (*cell).clone() };
                draft.attribute(name, Secret::new(value));
            }
        }
        draft.finish(row.end)
    }

    fn told(&mut self, fatal: Fatal) -> DatasetError {
        match fatal {
            Fatal::Source(error) => self.fatal(error.to_string()),
            Fatal::Open(place) => {
                let problem = "a quoted value begins here and has no end";
                DatasetError { place, ..self.fatal(problem) }
            }
            Fatal::TooLarge(place) => {
                let problem =
                    format!("a quoted value begins here and does not end within the {MAX_ENTRY} bytes of an entry");
                DatasetError { place, ..self.fatal(problem) }
            }
        }
    }

    fn fatal(&mut self, problem: impl Into<String>) -> DatasetError {
        self.state = State::Over;
        DatasetError { place: self.rows.source.place(), rest: self.rest, problem: problem.into() }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// What may part cells, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// `None`: it has to be found out.
fn byte(delimiter: Delimiter) -> Option<u8> {
    match delimiter {
        Delimiter::FoundOut => None,
        Delimiter::Comma => Some(b','),
        Delimiter::Semicolon => Some(b';'),
        Delimiter::Tab => Some(b'\t'),
        Delimiter::Pipe => Some(b'|'),
    }
}

/// A line with nothing on it.
fn is_blank(row: &Row) -> bool {
    matches!(row.cells.as_slice(), [one] if one.trim().is_empty()) && row.problem.is_none()
}
