//! Every kind of bad dataset: what is wrong is named with its entry, line and column, what is good is done (or nothing,
//! if all or none were to be), and the counts add up.

use postern_protocol::TaskOutput;
use postern_protocol::task::import_batch::{Delimiter, Format, Output, Request};
use serde_json::Value;

use crate::lab::{Lab, import_with};

/// A dataset with something bad in it.
struct Case {
    name: &'static str,
    format: Format,
    delimiter: Delimiter,
    dataset: Vec<u8>,
    /// What becomes of each entry: the code, or how it ended.
    told: Vec<&'static str>,
    /// Line and column of the bad one.
    place: (u64, u64),
}

fn case(
    name: &'static str,
    format: Format,
    dataset: impl Into<Vec<u8>>,
    told: &[&'static str],
    place: (u64, u64),
) -> Case {
    Case { name, format, delimiter: Delimiter::FoundOut, dataset: dataset.into(), told: told.to_vec(), place }
}

/// An entry that can be done.
fn good(number: u64) -> String {
    format!(
        "<entry changetype=\"modify\"><Username>user000{number}@acme.example</Username><Title>new</Title></entry>\n"
    )
}

/// A dataset with an entry that can be done before and behind `middle`.
fn around(middle: &str) -> String {
    format!("<root>\n{}{middle}\n{}</root>\n", good(1), good(2))
}

/// An entry for a user with some more in it.
fn with(more: &str) -> String {
    around(&format!("<entry changetype=\"modify\"><Username>user0003@acme.example</Username>{more}</entry>"))
}

fn rows(middle: &str) -> String {
    format!("Username,Title\nuser0001@acme.example,new\n{middle}\nuser0002@acme.example,new\n")
}

fn cases() -> Vec<Case> {
    let xml = |name, dataset: String, code| case(name, Format::Xml, dataset, &["modified", code, "modified"], (3, 1));
    let csv = |name, dataset: String, code| case(name, Format::Csv, dataset, &["modified", code, "modified"], (3, 1));
    let nobody = around("<entry changetype=\"modify\"><Title>x</Title></entry>");
    let long_name = format!("{}@acme.example", "x".repeat(68));
    let long_name = around(&format!("<entry changetype=\"add\"><Username>{long_name}</Username></entry>"));
    let long_key = |name: &str| {
        let key = format!("<{name}>{}</{name}>", "x".repeat(4_001));
        around(&format!("<entry changetype=\"modify\">{key}<Title>x</Title></entry>"))
    };
    let long_line = rows(&"x".repeat(3 * 1024 * 1024));
    let latin = [rows("").trim_end().as_bytes(), b"\nuser0003@acme.example,caf\xe9\n"].concat();
    let closed_wrong = around("<entry changetype=\"modify\"><Username>x</Title></entry>");
    let end = u64::try_from(good(1).len()).unwrap();
    vec![
        case("text between entries", Format::Xml, around("text"), &["modified", "dataset_malformed"], (2, end)),
        xml("malformed XML in the middle", closed_wrong, "attribute_not_closed"),
        xml("an unknown entity", with("<Title>&lol;</Title>"), "unknown_entity"),
        xml("an unknown attribute", with("<Nonsense>x</Nonsense>"), "unknown_attribute"),
        xml("an entry that names nobody", nobody, "no_key"),
        xml("a user name of 81 characters", long_name, "STRING_TOO_LONG"),
        xml("a name of somebody that no look-up takes", long_key("Username"), "STRING_TOO_LONG"),
        xml("a former name that no look-up takes", long_key("Original_Username"), "STRING_TOO_LONG"),
        xml("an alias of 9 characters", with("<Alias>ninechars</Alias>"), "STRING_TOO_LONG"),
        xml("an attribute twice", with("<Title>a</Title><title>b</title>"), "attribute_twice"),
        xml("a truth value that is none", with("<isActive>maybe</isActive>"), "bad_value"),
        xml("a NUL byte", with("<Title>a\0b</Title>"), "bad_character"),
        csv("a row with too few cells", rows("user0003@acme.example"), "ragged_row"),
        csv("a row with too many cells", rows("user0003@acme.example,a,b"), "ragged_row"),
        csv("a line longer than any entry", long_line, "entry_too_large"),
        case("bytes in another encoding", Format::Csv, latin, &["modified", "modified", "bad_character"], (5, 1)),
    ]
}

fn output(task_output: Option<&TaskOutput>) -> &Output {
    let Some(TaskOutput::ImportBatch(output)) = task_output else { panic!("{task_output:?}") };
    output
}

fn code(line: &Value) -> &str {
    line["code"].as_str().or(line["outcome"].as_str()).unwrap()
}

fn updates(lab: &Lab) -> u64 {
    lab.counters().users.values().map(|effects| effects.updates + effects.creates).sum()
}

#[tokio::test]
async fn each_bad_entry_has_its_place_and_the_good_ones_are_done() {
    for case in cases() {
        let lab = Lab::start().await;
        let request = Request { delimiter: case.delimiter.into(), ..Request::new(case.format) };
        let mut task = import_with(request, case.dataset);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        let lines = task.lines();
        assert_eq!(lines.iter().map(code).collect::<Vec<_>>(), case.told, "{}", case.name);
        let bad: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "failed").collect();
        let place = (bad[0]["line"].as_u64().unwrap(), bad[0]["column"].as_u64().unwrap());
        assert_eq!((bad.len(), place), (1, case.place), "{}", case.name);
        let numbers: Vec<u64> = lines.iter().map(|line| line["entry"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=u64::try_from(lines.len()).unwrap()).collect::<Vec<_>>(), "{}", case.name);
        let counts = output(conclusion.output.as_ref());
        let good = u64::try_from(case.told.len() - 1).unwrap();
        assert_eq!((counts.entries, counts.modified, counts.failed), (good + 1, good, 1), "{}", case.name);
        assert_eq!(updates(&lab), good, "{}", case.name);
    }
}

#[tokio::test]
async fn of_all_or_none_it_is_none_if_one_entry_is_bad() {
    for case in cases() {
        let lab = Lab::start().await;
        let request = Request { all_or_none: true, ..Request::new(case.format) };
        let mut task = import_with(request, case.dataset);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        let told = case.told.iter().map(|code| if *code == "modified" { "not_sent" } else { code });
        assert_eq!(task.lines().iter().map(code).collect::<Vec<_>>(), told.collect::<Vec<_>>(), "{}", case.name);
        let counts = output(conclusion.output.as_ref());
        let all = u64::try_from(case.told.len()).unwrap();
        assert_eq!((counts.entries, counts.failed), (all, all), "{}", case.name);
        assert_eq!((updates(&lab), task.intents()), (0, 0), "{}", case.name);
    }
}

/// Of these nothing can be understood, so nothing is done of them.
#[tokio::test]
async fn a_dataset_that_is_bad_as_a_whole_is_refused_with_its_place() {
    let bomb = "<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]>";
    let utf_16: Vec<u8> = with("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, format, delimiter, dataset) in [
        ("an empty file", Format::Xml, Delimiter::FoundOut, Vec::new()),
        ("an empty table", Format::Csv, Delimiter::FoundOut, Vec::new()),
        ("an empty list", Format::Jsonl, Delimiter::FoundOut, Vec::new()),
        ("a bomb of entities", Format::Xml, Delimiter::FoundOut, format!("{bomb}{}", with("&b;")).into_bytes()),
        ("UTF-16", Format::Xml, Delimiter::FoundOut, utf_16),
        ("another encoding declared", Format::Xml, Delimiter::FoundOut, {
            format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", with("")).into_bytes()
        }),
        ("a wrong delimiter", Format::Csv, Delimiter::Semicolon, rows("").into_bytes()),
    ] {
        let lab = Lab::start().await;
        let request = Request { delimiter: delimiter.into(), ..Request::new(format) };
        let mut task = import_with(request, dataset);
        let failure = task.attempt(&lab.connector()).await.unwrap_err();
        assert_eq!(failure.code.as_str(), "dataset_malformed", "{name}");
        assert!(failure.summary.contains(", column "), "{name}: {}", failure.summary);
        assert_eq!((updates(&lab), task.intents()), (0, 0), "{name}");
    }
}

/// A mark of the encoding in front is none of these.
#[tokio::test]
async fn a_byte_order_mark_is_passed_over() {
    let lab = Lab::start().await;
    for (format, text) in [(Format::Xml, with("<Title>x</Title>")), (Format::Csv, rows("user0003@acme.example,x"))] {
        let mut task = import_with(Request::new(format), format!("\u{feff}{text}").into_bytes());
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(output(conclusion.output.as_ref()).modified, 3, "{:?}", task.lines());
    }
}
