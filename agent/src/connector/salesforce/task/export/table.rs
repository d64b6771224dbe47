//! The CSV of query results, read as it comes.

use super::Rows;

/// Longer than any value Salesforce holds: 131,072 characters, of four bytes at most.
const MAX_CELL: usize = 512 * 1024;
/// More than the long texts of one record together: an object has 1,638,400 characters of them, of four bytes at most.
const MAX_ROW: usize = 8 * 1024 * 1024;

/// Takes CSV in pieces, wherever they are cut, and gives its rows. An empty value is none.
pub(in super::super::super) struct Table {
    names: Vec<String>,
    at: At,
    /// Whether the line of names was read.
    headed: bool,
    cell: Vec<u8>,
    row: Vec<Option<String>>,
    /// How many bytes the cells of the row have that are whole.
    held: usize,
    /// How many more rows there may be.
    room: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A new cell.
    Cell,
    /// A cell without quotes.
    Bare,
    /// A cell in quotes.
    Quoted,
    /// What follows a quote within quotes.
    Quote,
    /// A line feed.
    Return,
}

impl Table {
    /// A table with these columns and no more than so many rows. A row without values is a few bytes here, and a hundred times
    /// as many once it is read.
    pub(in super::super::super) fn new(names: Vec<String>, most: usize) -> Self {
        Self { names, at: At::Cell, headed: false, cell: Vec::new(), row: Vec::new(), held: 0, room: most }
    }

    /// Takes a piece, and adds the rows that end in it. `None`: this is no table with these columns, or one with more rows.
    pub(in super::super::super) fn take(&mut self, piece: &[u8], rows: &mut Rows) -> Option<()> {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            rest = match self.at {
                At::Cell if *byte == b'"' => self.goes_on(At::Quoted, after),
                At::Cell => self.goes_on(At::Bare, rest),
                At::Bare => self.text(rest, |byte| matches!(byte, b',' | b'\r' | b'\n'), rows)?,
                At::Quoted => self.text(rest, |byte| byte == b'"', rows)?,
                At::Quote if *byte == b'"' => {
                    self.cell.push(b'"');
                    self.goes_on(At::Quoted, after)
                }
                At::Quote => self.ends(*byte, after, rows)?,
                At::Return if *byte == b'\n' => self.line(after, rows)?,
                At::Return => return None,
            };
        }
        Some(())
    }

    /// Whether all that was begun is at its end. Only a line with its end is whole.
    pub(in super::super::super) fn is_whole(&self) -> bool {
        self.headed && self.at == At::Cell && self.row.is_empty()
    }

    fn goes_on<'a>(&mut self, at: At, rest: &'a [u8]) -> &'a [u8] {
        self.at = at;
        rest
    }

    /// Text of a cell up to what ends it.
    fn text<'a>(&mut self, rest: &'a [u8], ends: impl Fn(u8) -> bool, rows: &mut Rows) -> Option<&'a [u8]> {
        let end = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        let (text, rest) = rest.split_at_checked(end)?;
        let length = self.cell.len() + text.len();
        if length > MAX_CELL || self.held + length > MAX_ROW {
            return None;
        }
        self.cell.extend_from_slice(text);
        match rest.split_first() {
            None => Some(rest),
            Some((b'"', after)) if self.at == At::Quoted => Some(self.goes_on(At::Quote, after)),
            Some((byte, after)) => self.ends(*byte, after, rows),
        }
    }

    /// A cell ends, with what separates it from the next.
    fn ends<'a>(&mut self, byte: u8, after: &'a [u8], rows: &mut Rows) -> Option<&'a [u8]> {
        if self.row.len() >= self.names.len() {
            return None;
        }
        let cell = std::str::from_utf8(&self.cell).ok()?;
        self.held += cell.len();
        self.row.push((!cell.is_empty()).then(|| cell.to_owned()));
        self.cell.clear();
        match byte {
            b',' => Some(self.goes_on(At::Cell, after)),
            b'\r' => Some(self.goes_on(At::Return, after)),
            b'\n' => self.line(after, rows),
            _ => None,
        }
    }

    /// A line ends.
    fn line<'a>(&mut self, after: &'a [u8], rows: &mut Rows) -> Option<&'a [u8]> {
        let row = std::mem::replace(&mut self.row, Vec::with_capacity(self.names.len()));
        self.held = 0;
        let fits = |(cell, name): (&Option<String>, &String)| {
            cell.as_deref().is_some_and(|cell| cell.eq_ignore_ascii_case(name))
        };
        if row.len() != self.names.len() || (!self.headed && !row.iter().zip(&self.names).all(fits)) {
            return None;
        }
        if self.headed {
            self.room = self.room.checked_sub(1)?;
            rows.push(row);
        }
        self.headed = true;
        Some(self.goes_on(At::Cell, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a text that comes in pieces of so many bytes.
    fn read(text: &str, pieces: usize) -> Option<Vec<Vec<String>>> {
        let mut table = Table::new(vec!["Id".to_owned(), "Title".to_owned()], usize::MAX);
        let mut rows = Rows::new();
        text.as_bytes().chunks(pieces).try_for_each(|piece| table.take(piece, &mut rows))?;
        table
            .is_whole()
            .then(|| rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
    }

    #[test]
    fn quoted_and_bare_cells_are_read_wherever_they_are_cut() {
        let text = "\"Id\",\"Title\"\n\"1\",\"a,\"\"b\"\"\n\"\"c\"\n2,\r\n\"3\",\"\"\n4,é😀\n";
        for pieces in 1..=text.len() {
            assert_eq!(read(text, pieces).unwrap(), [["1", "a,\"b\"\n\"c"], ["2", ""], ["3", ""], ["4", "é😀"]]);
        }
        assert!(read("\"Id\",\"Title\"\n", 3).unwrap().is_empty());
    }

    /// F64: 32 MiB of commas and line feeds would take a gigabyte.
    #[test]
    fn f64_a_table_has_no_more_rows_than_were_asked_for() {
        for (sent, most) in [(250, Some(250)), (251, None), (100_000, None)] {
            let mut table = Table::new(vec!["Id".to_owned(), "Title".to_owned()], 250);
            let mut rows = Rows::new();
            let taken = table.take(format!("Id,Title\n{}", ",\n".repeat(sent)).as_bytes(), &mut rows);
            assert_eq!((taken.map(|()| rows.len()), rows.len()), (most, 250), "{sent}");
        }
    }

    /// F64: a table of five hundred columns has rows of a quarter of a gigabyte else.
    #[test]
    fn f64_a_row_has_no_more_bytes_than_a_record() {
        let most = MAX_ROW / MAX_CELL;
        for (cells, taken) in [(most, Some(1)), (most + 1, None)] {
            let names: Vec<String> = (0..cells).map(|number| format!("C{number}")).collect();
            let mut table = Table::new(names.clone(), 10);
            let mut rows = Rows::new();
            let row = vec!["x".repeat(MAX_CELL); cells].join(",");
            let read = table.take(format!("{}\n{row}\n", names.join(",")).as_bytes(), &mut rows);
            assert_eq!(read.map(|()| rows.len()), taken, "{cells}");
        }
    }

    #[test]
    fn what_breaks_off_or_has_other_columns_is_no_table() {
        for text in [
            "",
            "Id,Title",
            "Id\n1\n",
            "Title,Id\n",
            "Id,Title\n1,\"a",
            "Id,Title\n1,a",
            "Id,Title\n1,",
            "Id,Title\n1,a\r",
            "Id,Title\n1,a\rb\n",
            "Id,Title\n1\n",
            "Id,Title\n1,a,b\n",
            "Id,Title\n1,\"a\"b\n",
        ] {
            for pieces in 1..=text.len().max(1) {
                assert!(read(text, pieces).is_none(), "{text}");
            }
        }
        assert!(read(&format!("Id,Title\n1,{}\n", "x".repeat(MAX_CELL + 1)), 1_000).is_none());
    }
}
