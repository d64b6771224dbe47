//! The CSV of query results.

use super::Rows;

/// The rows of a page, if it is whole and its header names these columns. An empty value is none.
pub(super) fn rows(body: &[u8], names: &[&str]) -> Option<Rows> {
    let text = std::str::from_utf8(body).ok()?;
    let mut lines = Lines { rest: text };
    let header = lines.next()??;
    let fits = |(cell, name): (&Option<String>, &&str)| cell.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(name));
    if header.len() != names.len() || !header.iter().zip(names).all(fits) {
        return None;
    }
    lines.map(|line| line.filter(|line| line.len() == names.len())).collect()
}

/// Lines of cells; `None` for one that breaks off.
struct Lines<'a> {
    rest: &'a str,
}

impl Iterator for Lines<'_> {
    type Item = Option<Vec<Option<String>>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut cells = Vec::new();
        loop {
            let Some((cell, rest)) = cell(self.rest) else {
                self.rest = "";
                return Some(None);
            };
            cells.push((!cell.is_empty()).then_some(cell));
            if let Some(rest) = rest.strip_prefix(',') {
                self.rest = rest;
            } else if let Some(rest) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
                self.rest = rest;
                return Some(Some(cells));
            } else {
                self.rest = "";
                // Only a line with its end is whole.
                return Some(None);
            }
        }
    }
}

/// A cell and what follows it.
fn cell(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\r', '\n'])?;
        return text.split_at_checked(end).map(|(cell, rest)| (cell.to_owned(), rest));
    };
    let mut cell = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        cell.push_str(piece);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None => return Some((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<Vec<String>>> {
        let rows = rows(text.as_bytes(), &["Id", "Title"])?;
        Some(rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
    }

    #[test]
    fn quoted_and_bare_cells_are_read() {
        let text = "\"Id\",\"Title\"\n\"1\",\"a,\"\"b\"\"\n\"\"c\"\n2,\r\n\"3\",\"\"\n";
        assert_eq!(read(text).unwrap(), [["1", "a,\"b\"\n\"c"], ["2", ""], ["3", ""]]);
        assert!(read("\"Id\",\"Title\"\n").unwrap().is_empty());
    }

    #[test]
    fn what_breaks_off_or_has_other_columns_is_no_page() {
        for text in [
            "",
            "Id,Title",
            "Id\n1\n",
            "Title,Id\n",
            "Id,Title\n1,\"a",
            "Id,Title\n1,a",
            "Id,Title\n1\n",
            "Id,Title\n1,a,b\n",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
