//! Rows of delimited text, as RFC 4180 has them, one at a time.

use std::io::{self, BufRead as _, Read};

use zeroize::Zeroizing;

use super::super::source::Source;
use super::super::{MAX_ATTRIBUTES, MAX_ENTRY, Place};

/// One row.
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) end: u64,
    pub(super) cells: Vec<Zeroizing<String>>,
    /// What is wrong with it. The rows after it are not concerned.
    pub(super) problem: Option<(&'static str, String)>,
}

/// No row can be read any more.
pub(super) enum Fatal {
    /// The source says so.
    Source(io::Error),
    /// A quoted value begins there and has no end: everything after it seems to be part of it.
    Open(Place),
    /// A quoted value begins there and is larger than an entry may be: where it ends, if it does, is not looked for.
    TooLarge(Place),
}

/// Where in a row a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Begin,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind what may be the closing quote.
    Closed,
}

/// Reads rows.
pub(super) struct Rows<R> {
    pub(super) source: Source<R>,
    pub(super) delimiter: u8,
}

impl<R: Read> Rows<R> {
    /// The next row; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fatal> {
        let place = self.source.start().map_err(Fatal::Source)?;
        let mut draft = Draft { place, ..Draft::default() };
        loop {
            self.source.refill();
            let delimiter = self.delimiter;
            let bytes = self.source.fill_buf().map_err(Fatal::Source)?;
            if bytes.is_empty() {
                return draft.over(self.source.place());
            }
            let mut taken = 0;
            let mut ended = false;
            for byte in bytes {
                if *byte == b'"' && draft.state == State::Begin {
                    break;
                }
                taken += 1;
                ended = draft.take(*byte, delimiter);
                if ended || draft.is_too_large_to_end() {
                    break;
                }
            }
            self.source.consume(taken);
            if ended {
                return Ok(Some(draft.row(self.source.place())));
            }
            if draft.is_too_large_to_end() {
                return Err(Fatal::TooLarge(draft.opened));
            }
            if draft.state == State::Begin && self.source.fill_buf().map_err(Fatal::Source)?.first() == Some(&b'"') {
                draft.opened = self.source.place();
                draft.state = State::Quoted;
                draft.quoted = true;
                self.source.consume(1);
            }
        }
    }
}

/// A row while it is read.
struct Draft {
    place: Place,
    state: State,
    cells: Vec<Zeroizing<String>>,
    cell: Zeroizing<Vec<u8>>,
    /// Whether the cell is, or was, between quotes; where they began.
    quoted: bool,
    opened: Place,
    bytes: u64,
    problem: Option<(&'static str, String)>,
}

impl Default for Draft {
    fn default() -> Self {
        let place = Place { line: 1, column: 1, offset: 0 };
        Self {
            place,
            state: State::Begin,
            cells: Vec::new(),
            cell: Zeroizing::default(),
            quoted: false,
            opened: place,
            bytes: 0,
            problem: None,
        }
    }
}

impl Draft {
    /// Takes a byte. Whether it ends the row.
    fn take(&mut self, byte: u8, delimiter: u8) -> bool {
        self.bytes += 1;
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Closed,
            (State::Quoted, byte) => self.push(byte),
            (State::Closed, b'"') => {
                self.push(byte);
                self.state = State::Quoted;
            }
            (_, b'\n') => {
                self.end_cell();
                return true;
            }
            (_, byte) if byte == delimiter => self.end_cell(),
            (State::Closed, b'\r') => (),
            (State::Closed, _) => {
                self.refuse("entry_malformed", || "a value goes on behind its closing quote".to_owned());
            }
            (State::Begin | State::Plain, byte) => {
                self.push(byte);
                self.state = State::Plain;
            }
        }
        false
    }

    fn push(&mut self, byte: u8) {
        if self.bytes > MAX_ENTRY {
            self.refuse("entry_too_large", || format!("the entry is larger than {MAX_ENTRY} bytes"));
            self.cell.clear();
            self.cells.clear();
        } else {
            self.cell.push(byte);
        }
    }

    /// The end of the quotes may be anywhere, or nowhere.
    fn is_too_large_to_end(&self) -> bool {
        self.bytes > MAX_ENTRY && self.state == State::Quoted
    }

    fn end_cell(&mut self) {
        if !self.quoted && self.cell.last() == Some(&b'\r') {
            self.cell.pop();
        }
        if self.cells.len() > MAX_ATTRIBUTES {
            self.refuse("too_many_attributes", || format!("the row has more than {MAX_ATTRIBUTES} values"));
        } else {
            // The source gives nothing but text, and no delimiter is part of a character.
            self.cells.push(Zeroizing::new(String::from_utf8_lossy(&self.cell).into_owned()));
        }
        self.cell.clear();
        self.quoted = false;
        self.state = State::Begin;
    }

    /// Only what was wrong first is put into words: a row that is too large comes here with each of its bytes.
    fn refuse(&mut self, code: &'static str, problem: impl FnOnce() -> String) {
        self.problem.get_or_insert_with(|| (code, problem()));
    }

    /// The end of the text: of a last row without a line end, or of nothing.
    fn over(mut self, end: Place) -> Result<Option<Row>, Fatal> {
        if self.state == State::Quoted {
            return Err(Fatal::Open(self.opened));
        }
        if self.bytes == 0 && !self.quoted {
            return Ok(None);
        }
        self.end_cell();
        Ok(Some(self.row(end)))
    }

    fn row(self, end: Place) -> Row {
        Row { place: self.place, end: end.offset, cells: self.cells, problem: self.problem }
    }
}
