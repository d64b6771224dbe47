//! Good and bad datasets.

use std::io;

use super::*;
use crate::dataset::{Change, Entry, MAX_ATTRIBUTES};

fn read(text: &str) -> (Vec<Item>, Option<DatasetError>) {
    let mut items = Vec::new();
    for item in Reader::new(text.as_bytes()) {
        match item {
            Ok(item) => items.push(item),
            Err(error) => return (items, Some(error)),
        }
    }
    (items, None)
}

fn good(text: &str) -> Vec<Entry> {
    let (items, error) = read(text);
    assert_eq!(error, None);
    items.into_iter().map(Result::unwrap).collect()
}

fn values(entry: &Entry) -> Vec<(&str, &str)> {
    entry.record.attributes.iter().map(|it| (it.name.as_str(), it.value.expose())).collect()
}

/// The codes of bad entries, `ok` for good ones.
fn codes(text: &str) -> Vec<&'static str> {
    let (items, error) = read(text);
    assert_eq!(error, None);
    items.iter().map(|item| item.as_ref().map_or_else(|bad| bad.code, |_| "ok")).collect()
}

fn fatal(text: &str) -> String {
    read(text).1.expect("it cannot be read on").to_string()
}

#[test]
fn the_dataset_of_the_identity_suites_is_read() {
    let entries = good(
        "<?xml version=\"1.0\" ?>\n<root>\n<entry changetype=\"modify\" modifytype=\"replace\" >\n\
         <Original_Username>GoneUser@example.com</Original_Username>\n\
         <Username>GoneUser@example.com.gone</Username>\n<password>1ih34189u</password>\n</entry>\n\
         <entry changetype='add'><IsActive>false</IsActive><Title/></entry></root>\n",
    );
    assert_eq!((entries[0].number, entries[0].place.line, entries[0].place.column), (1, 3, 1));
    assert_eq!(entries[0].record.change, Change::Modify);
    assert_eq!(
        values(&entries[0]),
        [
            ("Original_Username", "GoneUser@example.com"),
            ("Username", "GoneUser@example.com.gone"),
            ("password", "1ih34189u")
        ]
    );
    assert_eq!((entries[1].number, entries[1].place.line, entries[1].record.change), (2, 8, Change::Add));
    assert_eq!(values(&entries[1]), [("IsActive", "false"), ("Title", "")]);
}

#[test]
fn entities_character_references_and_cdata_are_text() {
    let entries = good(
        "<root><entry CHANGETYPE=\"Add\"><a>x &amp; &lt;y&gt; &#65;&#x20AC;</a><b><![CDATA[<raw> & ]]></b>\
         <c> kept \r\n as it is </c><!-- gone --></entry></root>",
    );
    let expected = [("a", "x & <y> A€"), ("b", "<raw> & "), ("c", " kept \n as it is ")];
    assert_eq!(values(&entries[0]), expected);
}

#[test]
fn a_bad_entry_does_not_stop_the_others() {
    let ok = "<entry changetype=\"add\"><a>1</a></entry>";
    for (bad, code) in [
        ("<entry><a>1</a></entry>", "changetype_missing"),
        ("<entry changetype=\"delete\"/>", "changetype_not_supported"),
        ("<entry changetype=\"modify\" modifytype=\"AddDiffWithTarget\"/>", "modifytype_not_supported"),
        ("<entry changetype=\"add\"><a><b>1</b></a></entry>", "attribute_nested"),
        ("<entry changetype=\"add\"><a>&unknown;</a></entry>", "unknown_entity"),
        ("<entry changetype=\"add\">text</entry>", "entry_malformed"),
        ("<entry changetype=\"add\"><a>1</b></entry>", "attribute_not_closed"),
        ("<entry changetype=\"add\"><a>1</entry>", "attribute_not_closed"),
        ("<entry changetype=\"add\"><a>1</a>", "entry_not_closed"),
        ("<entry changetype=\"add\" changetype=\"add\"/>", "entry_malformed"),
        ("<user changetype=\"add\"><a>1</a></user>", "not_an_entry"),
    ] {
        assert_eq!(codes(&format!("<root>{ok}{bad}{ok}</root>")), ["ok", code, "ok"], "{bad}");
    }
}

/// So stands the last entry of the identity suites' "restore" example.
#[test]
fn an_entry_without_its_end_before_the_root_ends_is_reported_alone() {
    let ok = "<entry changetype=\"add\"><a>1</a></entry>";
    let text = format!("<root>{ok}\n<entry changetype=\"modify\"><a>1</a></root>");
    assert_eq!(codes(&text), ["ok", "entry_not_closed"]);
    let (items, _) = read(&text);
    let bad = items[1].as_ref().unwrap_err();
    assert_eq!((bad.place.line, bad.place.column), (2, 1));
    let end = usize::try_from(bad.end.unwrap()).unwrap();
    assert_eq!(&text[end..], "</root>");
}

#[test]
fn what_is_too_large_is_refused_and_skipped() {
    let ok = "<entry changetype=\"add\"><a>1</a></entry>";
    let value = "x".repeat(MAX_VALUE + 1);
    let long = format!("<root><entry changetype=\"add\"><a>{value}</a></entry>{ok}</root>");
    assert_eq!(codes(&long), ["value_too_long", "ok"]);
    let many = "<a>1</a>".repeat(MAX_ATTRIBUTES + 1);
    let many = format!("<root><entry changetype=\"add\">{many}</entry>{ok}</root>");
    assert_eq!(codes(&many), ["too_many_attributes", "ok"]);
    let part = format!("<a>{}</a>", "x".repeat(100_000));
    let large = format!("<root><entry changetype=\"add\">{}</entry>{ok}</root>", part.repeat(3));
    assert_eq!(codes(&large), ["entry_too_large", "ok"]);
    let name = "n".repeat(MAX_NAME + 1);
    let named = format!("<root><entry changetype=\"add\"><{name}>1</{name}></entry>{ok}</root>");
    assert_eq!(codes(&named), ["attribute_name_too_long", "ok"]);
}

/// Take the allowance out of the meter and this one fills the memory.
#[test]
fn one_endless_piece_ends_the_dataset() {
    let endless = b"<root><entry changetype=\"add\"><a>".chain(io::repeat(b'x'));
    let error = Reader::new(endless).last().unwrap().unwrap_err();
    assert!(error.problem.contains("larger than an entry may be"), "{error}");
}

#[test]
fn what_cannot_be_read_on_has_its_place() {
    assert_eq!(fatal("<html></html>"), "line 1, column 7: a dataset begins with `<root>`");
    assert!(fatal("{}").contains("begins with `<root>`"));
    assert!(fatal("").contains("empty") && fatal(" \n").contains("empty"));
    assert!(fatal("<root>\n<entry changetype=\"add\">").starts_with("line 2, column 25: the dataset ends within"));
    assert!(fatal("<root>\n").contains("ends before `</root>`"));
    assert!(fatal("<root>x</root>").contains("only `<entry>` elements"));
    assert!(fatal("<!DOCTYPE root [<!ENTITY a \"b\">]><root/>").contains("document types are not allowed"));
    assert!(fatal("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><root/>").contains("UTF-8"));
}

#[test]
fn nothing_stands_behind_the_root() {
    let entry = "<entry changetype=\"add\"><a>1</a></entry>";
    let first = format!("<root>{entry}</root>");
    for behind in [format!("\n<?xml version=\"1.0\"?>\n{first}"), first.clone(), "x".to_owned(), "</root>".to_owned()] {
        let (items, error) = read(&format!("{first}{behind}"));
        let error = error.unwrap();
        assert_eq!((items.len(), items[0].is_ok()), (1, true), "{behind}");
        assert_eq!(usize::try_from(error.rest.offset).unwrap(), first.len(), "{behind}");
        assert!(error.problem.contains("behind `</root>`"), "{error}");
    }
    assert!(fatal(&format!("<root/>{first}")).contains("behind `</root>`"));
    assert_eq!(codes(&format!("{first}\n<!-- of one day --><?done?>\n")), ["ok"]);
}

#[test]
fn an_attribute_may_be_called_like_the_root() {
    let entry = "<entry changetype=\"add\"><a>1</a></entry>";
    let (items, error) = read(&format!("<root><entry changetype=\"add\"><root>x</root></entry>{entry}</root>"));
    assert_eq!((items.len(), error), (2, None));
    assert_eq!(values(items[0].as_ref().unwrap()), [("root", "x")]);
}

#[test]
fn after_an_error_there_is_nothing() {
    let mut reader = Reader::new("<root>x<entry changetype=\"add\"/></root>".as_bytes());
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

/// Take the bound away, and each level costs more memory than it has bytes.
#[test]
fn elements_without_an_end_are_counted() {
    let most = MAX_OPEN;
    let nested = |levels: usize| format!("<root><entry changetype='add'>{}", "<a>".repeat(levels));
    assert!(fatal(&nested(most)).contains("end tags are missing"));
    let whole = format!("{}{}</entry></root>", nested(most - 2), "</a>".repeat(most - 2));
    assert_eq!(codes(&whole), ["attribute_nested"]);
    let unclosed = "<entry changetype='add'>".repeat(most + 1);
    assert!(fatal(&format!("<root>{unclosed}")).contains("end tags are missing"));
    let closed = "<entry changetype='add'><a/></entry>".repeat(most + 1);
    assert_eq!(codes(&format!("<root>{closed}</root>")).len(), most + 1);
}

/// Take the bound away, and an agent holds the names of a dataset of gigabytes that has few elements. A name that is too long is
/// an entry that is refused, and no more.
#[test]
fn the_names_of_elements_without_an_end_are_counted_in_bytes() {
    let name = "a".repeat(64 * 1024);
    let most = MAX_OPEN_NAMES / name.len() - 1;
    let nested = |levels: usize| format!("<root><entry changetype='add'>{}", format!("<{name}>").repeat(levels));
    let error = fatal(&nested(most + 1));
    assert!(error.contains("longer than 1048576 bytes together: end tags are missing"), "{error}");
    let whole =
        nested(most) + &format!("</{name}>").repeat(most) + "</entry><entry changetype='add'><a/></entry></root>";
    assert_eq!(codes(&whole), ["attribute_nested", "ok"]);
    let closed = format!("<entry changetype='add'><{name}></{name}></entry>").repeat(most + 2);
    assert_eq!(codes(&format!("<root>{closed}</root>")).len(), most + 2);
}

/// Compare all of them with each other, and one tag takes seconds.
#[test]
fn a_tag_with_many_attributes_is_refused_without_reading_them() {
    let many = (0..50).fold(String::new(), |all, number| all + &format!(" a{number}=''"));
    assert_eq!(codes(&format!("<root><entry{many} changetype='add'><a/></entry></root>")), ["entry_malformed"]);
    let few = (0..14).fold(String::new(), |all, number| all + &format!(" a{number}=''"));
    assert_eq!(codes(&format!("<root><entry{few} changetype='add' modifytype='replace'><a/></entry></root>")), ["ok"]);
}

#[test]
fn no_entity_is_declared_and_none_expands() {
    let bomb = "<!DOCTYPE root [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><root><entry changetype='add'><a>&b;</a></entry></root>";
    assert!(fatal(bomb).contains("document types"));
    assert_eq!(codes("<root><entry changetype='add'><a>&b;</a></entry></root>"), ["unknown_entity"]);
}
