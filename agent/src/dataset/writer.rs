//! Records written in the forms that datasets have, one at a time.

mod csv;
mod jsonl;
mod xml;

use std::io::{self, Write};

use super::Change;

/// What one attribute of a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// True or false.
    Truth(bool),
    /// A number, as it is written.
    Number(String),
}

/// In which form records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values under a line of names.
    Csv,
    /// The XML of datasets.
    Xml,
}

/// Writes records with the same attributes one after the other.
pub struct Writer {
    form: Form,
    names: Vec<String>,
}

impl Writer {
    /// A writer of records with these attributes.
    pub fn new(form: Form, names: Vec<String>) -> Self {
        Self { form, names }
    }

    /// What stands before the first record.
    pub fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::JsonLines => Ok(()),
            Form::Csv => csv::line(out, self.names.iter().map(String::as_str)),
            Form::Xml => xml::begin(out),
        }
    }

    /// One record: a cell for every attribute, `None` if the record says nothing of it.
    pub fn record(&self, out: &mut dyn Write, change: Change, cells: &[Option<Cell>]) -> io::Result<()> {
        let named = || self.names.iter().map(String::as_str).zip(cells);
        let told = named().filter_map(|(name, cell)| cell.as_ref().map(|cell| (name, cell)));
        match self.form {
            Form::JsonLines => jsonl::record(out, told),
            Form::Csv => csv::line(out, named().map(|(_, cell)| cell.as_ref().map_or("", Cell::as_text))),
            Form::Xml => xml::record(out, change, told),
        }
    }

    /// What stands behind the last record.
    pub fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::JsonLines | Form::Csv => Ok(()),
            Form::Xml => xml::end(out),
        }
    }
}

impl Cell {
    /// The cell as a text; empty if there is nothing.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Text(text) | Self::Number(text) => text,
            Self::Truth(true) => "true",
            Self::Truth(false) => "false",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::xml;

    fn written(form: Form) -> String {
        let writer = Writer::new(form, vec!["Id".to_owned(), "Title".to_owned(), "IsActive".to_owned()]);
        let text = |text: &str| Some(Cell::Text(text.to_owned()));
        let mut out = Vec::new();
        writer.begin(&mut out).unwrap();
        let awkward = "a,\"b\"\n<&> 'é\u{1}😀]]>";
        writer.record(&mut out, Change::Modify, &[text("1"), text(awkward), Some(Cell::Truth(true))]).unwrap();
        writer.record(&mut out, Change::Add, &[text("2"), Some(Cell::Null), None]).unwrap();
        writer.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_lines_keep_types_and_say_nothing_of_what_is_not_told() {
        let written = written(Form::JsonLines);
        let lines: Vec<serde_json::Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["IsActive"], serde_json::json!(true));
        assert_eq!(lines[0]["Title"], serde_json::json!("a,\"b\"\n<&> 'é\u{1}😀]]>"));
        assert_eq!(lines[1], serde_json::json!({ "Id": "2", "Title": null }));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let expected = "Id,Title,IsActive\n1,\"a,\"\"b\"\"\n<&> 'é\u{1}😀]]>\",true\n2,,\n";
        assert_eq!(written(Form::Csv), expected);
    }

    /// XML has no way to write most control characters: they are left out.
    #[test]
    fn xml_is_a_dataset_that_can_be_read_back() {
        let written = written(Form::Xml);
        let entries: Vec<_> = xml::Reader::new(written.as_bytes()).map(|it| it.unwrap().unwrap().record).collect();
        assert_eq!((entries[0].change, entries[1].change), (Change::Modify, Change::Add));
        let values: Vec<&str> = entries[0].attributes.iter().map(|it| it.value.expose()).collect();
        assert_eq!(values, ["1", "a,\"b\"\n<&> 'é😀]]>", "true"]);
        assert_eq!(entries[1].attributes.len(), 2);
    }
}
