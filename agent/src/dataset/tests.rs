//! What all forms have in common, and CSV and JSON Lines.

use super::*;

fn entries(format: Format, bytes: &[u8]) -> (Vec<Item>, Option<DatasetError>) {
    let mut items = Vec::new();
    for item in read(Box::new(std::io::Cursor::new(bytes.to_vec())), format, Delimiter::FoundOut) {
        match item {
            Ok(item) => items.push(item),
            Err(error) => return (items, Some(error)),
        }
    }
    (items, None)
}

fn good(format: Format, text: &str) -> Vec<Record> {
    let (items, error) = entries(format, text.as_bytes());
    assert_eq!(error, None);
    items.into_iter().map(|item| item.unwrap().record).collect()
}

fn values(record: &Record) -> Vec<(&str, &str)> {
    record.attributes.iter().map(|it| (it.name.as_str(), it.value.expose())).collect()
}

/// The codes of bad entries, `ok` for good ones.
fn codes(format: Format, bytes: &[u8]) -> Vec<&'static str> {
    let (items, error) = entries(format, bytes);
    assert_eq!(error, None);
    items.iter().map(|item| item.as_ref().map_or_else(|bad| bad.code, |_| "ok")).collect()
}

fn fatal(format: Format, text: &str) -> String {
    entries(format, text.as_bytes()).1.expect("it cannot be read on").to_string()
}

#[test]
fn rows_are_entries_with_whichever_delimiter() {
    for delimiter in [",", ";", "\t", "|"] {
        let text = "changetype,Username,Title,Department\nadd,a@b.c,\"x \"\"y\"\", ;|\t\nz\",\r\n,d@e.f,#N/A,R";
        let text = text.replace(
            "changetype,Username,Title,Department",
            &["changetype", "Username", "Title", "Department"].join(delimiter),
        );
        let text = text
            .replace("add,a@b.c,", &format!("add{delimiter}a@b.c{delimiter}"))
            .replace("\",\r\n,d@e.f,#N/A,R", &format!("\"{delimiter}\r\n{delimiter}d@e.f{delimiter}#N/A{delimiter}R"));
        let records = good(Format::Csv, &text);
        assert_eq!(records[0].change, Change::Add);
        assert_eq!(values(&records[0]), [("Username", "a@b.c"), ("Title", "x \"y\", ;|\t\nz")], "{text}");
        assert_eq!(records[1].change, Change::Modify);
        assert_eq!(values(&records[1]), [("Username", "d@e.f"), ("Title", ""), ("Department", "R")]);
    }
}

#[test]
fn lines_are_entries_with_every_kind_of_value() {
    let records = good(
        Format::Jsonl,
        "\n{\"op\":\"add\",\"Username\":\"a@b.c\",\"IsActive\":true,\"Level__c\":3,\"Title\":null}\r\n\
         {\"modifytype\":\"Replace\",\"Zeta\":\"1\",\"Groups\":[\"one\",\"two\"],\"Empty\":[]}",
    );
    assert_eq!(records[0].change, Change::Add);
    let expected = [("Username", "a@b.c"), ("IsActive", "true"), ("Level__c", "3"), ("Title", "")];
    assert_eq!(values(&records[0]), expected);
    assert_eq!(values(&records[1]), [("Zeta", "1"), ("Groups", "one"), ("Groups", "two"), ("Empty", "")]);
}

/// Whoever reads a number as a number writes another one.
#[test]
fn numbers_are_taken_as_they_are_written() {
    for number in ["12345678901234567890123", "1.10", "-0", "0.1000000000000000055", "1E3", "1e999"] {
        let records = good(Format::Jsonl, &format!("{{\"a\": {number} ,\"b\":[ {number},\"x\"]}}"));
        assert_eq!(values(&records[0]), [("a", number), ("b", number), ("b", "x")]);
    }
    let deep = "[".repeat(50_000) + &"]".repeat(50_000);
    for (bad, code) in [
        ("01", "entry_malformed"),
        ("1.", "entry_malformed"),
        ("NaN", "entry_malformed"),
        ("\"\\ud800\"", "entry_malformed"),
        (&deep, "attribute_nested"),
    ] {
        assert_eq!(codes(Format::Jsonl, format!("{{}}\n{{\"a\":{bad}}}\n{{}}\n").as_bytes()), ["ok", code, "ok"]);
    }
}

/// It may be a value that is shown nowhere.
#[test]
fn what_stands_in_a_line_that_is_no_object_is_not_told() {
    for line in ["\"secret-word\"", "4711", "{\"a\":1} secret-word"] {
        let items: Vec<Item> = entries(Format::Jsonl, format!("{{\"Username\":\"a@b.c\"}}\n{line}\n").as_bytes()).0;
        let Err(bad) = &items[1] else { panic!("{line}") };
        assert!(!bad.problem.contains("secret") && !bad.problem.contains("4711"), "{}", bad.problem);
    }
}

#[test]
fn a_bad_row_or_line_does_not_stop_the_others() {
    let many = format!("{{{}}}", (0..=MAX_ATTRIBUTES).map(|n| format!("\"a{n}\":1")).collect::<Vec<_>>().join(","));
    let ok = "{\"Username\":\"a@b.c\"}";
    for (bad, code) in [
        ("{\"Username\":", "entry_malformed"),
        ("[1]", "entry_malformed"),
        ("x", "entry_malformed"),
        ("{\"op\":\"delete\"}", "changetype_not_supported"),
        ("{\"op\":\"add\",\"changetype\":\"modify\"}", "attribute_twice"),
        ("{\"modifytype\":\"AddDiffWithTarget\"}", "modifytype_not_supported"),
        ("{\"a\":{\"b\":1}}", "attribute_nested"),
        ("{\"a\":[[1]]}", "attribute_nested"),
        ("{\"a\":\"\\u0000\"}", "bad_character"),
        (&many, "too_many_attributes"),
    ] {
        assert_eq!(codes(Format::Jsonl, format!("{ok}\n{bad}\n{ok}\n").as_bytes()), ["ok", code, "ok"], "{bad}");
    }
    let long = "x".repeat(MAX_VALUE + 1);
    for (bad, code) in [
        ("a@b.c", "ragged_row"),
        ("a@b.c,1,2", "ragged_row"),
        ("\"a\"b,1", "entry_malformed"),
        ("a@b.c,\0", "bad_character"),
        (&format!("{long},{long}"), "entry_too_large"),
        (&format!("a@b.c,{long}"), "value_too_long"),
    ] {
        let text = format!("Username,Title\na@b.c,1\n{bad}\na@b.c,2\n");
        assert_eq!(codes(Format::Csv, text.as_bytes()), ["ok", code, "ok"]);
    }
}

#[test]
fn one_line_of_a_hundred_megabytes_is_one_bad_entry() {
    /// Gives a line of that length and then another.
    struct Long(u64);
    impl Read for Long {
        fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
            let mut rest = b"\n{}\n".chain(&b""[..]);
            if self.0 == 0 {
                self.0 = u64::MAX;
                return rest.read(target);
            }
            if self.0 > 100 * 1024 * 1024 {
                return Ok(0);
            }
            let length = target.len().min(usize::try_from(self.0).unwrap());
            target[..length].fill(b'x');
            self.0 -= u64::try_from(length).unwrap();
            Ok(length)
        }
    }
    let source = Box::new(Long(100 * 1024 * 1024));
    let items: Vec<Item> = read(source, Format::Jsonl, Delimiter::FoundOut).map(Result::unwrap).collect();
    assert_eq!(items[0].as_ref().unwrap_err().code, "entry_too_large");
    assert_eq!((items[1].as_ref().unwrap().number, items[1].as_ref().unwrap().place.line), (2, 2));
}

#[test]
fn what_ends_a_table_has_its_place() {
    assert!(fatal(Format::Csv, "").contains("empty"));
    assert!(fatal(Format::Csv, "\n\n").contains("empty"));
    assert!(fatal(Format::Jsonl, "").contains("empty"));
    assert!(fatal(Format::Csv, "a,,b\n").contains("column 2 of the header has no name"));
    assert!(fatal(Format::Csv, "a,b,A\n").contains("names `A` twice"));
    let open = fatal(Format::Csv, "Username,Title\na@b.c,1\nd@e.f,\"2\ng@h.i,3\n");
    assert_eq!(open, "line 3, column 7: a quoted value begins here and has no end");
    let long = fatal(Format::Csv, &format!("Username,Title\nd@e.f,\"{}\"\ng@h.i,3\n", "x".repeat(300 * 1024)));
    assert_eq!(
        long,
        "line 2, column 7: a quoted value begins here and does not end within the 262144 bytes of an entry"
    );
    let (items, error) = entries(Format::Csv, b"Username,Title\na@b.c,1\nd@e.f,\"2\n");
    let rest = error.unwrap().into_rest(2);
    assert_eq!((items.len(), rest.number, rest.place.line, rest.end), (1, 2, 3, None));
    assert!(rest.problem.contains("line 3, column 7"), "{}", rest.problem);
    assert!(good(Format::Csv, "Username\n").is_empty());
}

#[test]
fn a_dataset_of_another_form_is_refused_as_a_whole() {
    let (xml, lines, table) =
        ("\n<?xml version=\"1.0\"?>\n<root/>\n", "{\"a\":\"b\",\"c\":1}\n{}\n", "Username,Title\nx,y\n");
    for (format, text, says) in [
        (Format::Csv, xml, "looks like XML"),
        (Format::Csv, lines, "looks like JSON Lines"),
        (Format::Jsonl, xml, "line 2, column 1: the first line is no JSON object but like XML"),
        (Format::Jsonl, table, "line 1, column 1: the first line is no JSON object, so"),
    ] {
        let (items, error) = entries(format, text.as_bytes());
        let error = error.expect("it is of another form").to_string();
        assert!(items.is_empty() && error.contains(says), "{error}");
    }
}

#[test]
fn a_wrong_delimiter_is_found_in_the_header() {
    let source = Box::new(std::io::Cursor::new(b"Username;Title\na@b.c;1\n".to_vec()));
    let error = read(source, Format::Csv, Delimiter::Comma).next().unwrap().unwrap_err();
    assert!(error.problem.contains("`Username;Title`") && error.problem.contains("delimiter"), "{error}");
}

/// Written without saying so in Latin-1: the entry is refused, the others are not.
#[test]
fn bytes_that_are_not_utf_8_spoil_their_entry_alone() {
    let xml =
        b"<root><entry changetype=\"modify\"><a>\xe9</a></entry><entry changetype=\"modify\"><a>e</a></entry></root>";
    assert_eq!(codes(Format::Xml, xml), ["bad_character", "ok"]);
    assert_eq!(codes(Format::Csv, b"a,b\n\xe9,1\ne,1\n"), ["bad_character", "ok"]);
    assert_eq!(codes(Format::Jsonl, b"{\"a\":\"\xe9\"}\n{\"a\":\"e\"}\n"), ["bad_character", "ok"]);
}

/// What stands between `place` and `end` of each entry is that entry, whatever the form.
#[test]
fn an_entry_can_be_cut_out_of_its_dataset() {
    for (format, text, expected) in [
        (Format::Csv, "\u{feff}a,b\r\n1,2\r\n\n3,\"x\ny\"\n", &["1,2\r\n", "3,\"x\ny\"\n"][..]),
        (Format::Jsonl, "\u{feff}{\"a\":1}\n\n{\"é\":2}", &["{\"a\":1}\n", "{\"é\":2}"]),
        (
            Format::Xml,
            "\u{feff}<root>\n <entry changetype=\"add\"><é>ü</é></entry> <entry/><x/>\n</root>",
            &["<entry changetype=\"add\"><é>ü</é></entry>", "<entry/>", "<x/>"],
        ),
    ] {
        let (items, error) = entries(format, text.as_bytes());
        assert_eq!(error, None);
        let cut = |item: &Item| {
            let (place, end) = match item {
                Ok(entry) => (entry.place, entry.end),
                Err(bad) => (bad.place, bad.end.unwrap()),
            };
            text.get(usize::try_from(place.offset).unwrap()..usize::try_from(end).unwrap()).unwrap().to_owned()
        };
        assert_eq!(items.iter().map(cut).collect::<Vec<_>>(), expected);
    }
}
