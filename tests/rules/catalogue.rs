//! The failure catalogue of `docs/testing.md`: every fault has a row, and every test that carries its number is in it.

use std::collections::BTreeSet;

use crate::tree::{nothing_breaks, read, sources};
use crate::{features, tree};

const TABLE: &str = "docs/testing.md";
const LAST: u32 = 73;
/// How the row of a fault without a test of its own begins to say so.
const WITHOUT: [&str; 2] = ["not proved yet", "covered by"];

struct Row {
    number: u32,
    tests: Vec<String>,
    words: String,
}

/// The number of `F07`.
fn number(text: &str) -> Option<u32> {
    text.strip_prefix('F').filter(|digits| digits.len() == 2)?.parse().ok()
}

/// The numbers that the name of a test begins with, as in `f03_f05_a_batch_goes_on`.
fn numbers(test: &str) -> BTreeSet<u32> {
    let numbered = |word: &str| number(&word.to_uppercase()).filter(|_| word.starts_with('f'));
    test.split('_').map_while(numbered).collect()
}

fn rows() -> Vec<Row> {
    let text = read(TABLE);
    let cells = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter_map(|cells| Some((number(cells.get(1)?)?, cells)));
    rows.map(|(number, cells)| {
        assert_eq!(cells.len(), 5, "{TABLE}: the row F{number:02} has three cells");
        Row { number, tests: features::spans(cells[3]), words: cells[3].to_owned() }
    })
    .collect()
}

/// The names of all tests, with the paths of their files.
fn tests() -> Vec<(String, String)> {
    let rules = |it: &&tree::Source| !it.path.starts_with("tests/rules/");
    let named =
        |it: &tree::Source| features::tests(&read(&it.path)).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    sources().filter(rules).flat_map(|it| named(it).into_iter().map(|name| (name, it.path.clone()))).collect()
}

#[test]
fn every_fault_has_a_row() {
    let numbers: Vec<u32> = rows().iter().map(|row| row.number).collect();
    let all: Vec<u32> = (1..=LAST).collect();
    assert_eq!(numbers, all, "{TABLE} has one row for each fault of the catalogue, in order");
}

#[test]
fn every_fault_is_proved_or_says_why_it_is_not() {
    let mut places = Vec::new();
    let all: BTreeSet<String> = tests().into_iter().map(|(name, _)| name).collect();
    for row in rows() {
        let number = row.number;
        if row.tests.is_empty() && !WITHOUT.iter().any(|words| row.words.starts_with(words)) {
            places.push(format!("F{number:02}: neither a test nor `{}`", WITHOUT.join("` or `")));
        }
        let strangers = row.tests.iter().filter(|test| !numbers(test).contains(&number));
        places.extend(strangers.map(|test| format!("F{number:02}: `{test}` does not carry the number")));
        let absent = row.tests.iter().filter(|test| !all.contains(*test));
        places.extend(absent.map(|test| format!("F{number:02}: there is no test `{test}`")));
    }
    nothing_breaks(
        "Every fault of docs/testing.md names tests that are there and carry its number, or says why not.",
        &places,
    );
}

#[test]
fn every_test_with_a_number_is_in_its_row() {
    let rows = rows();
    let mut places = Vec::new();
    for (test, path) in tests() {
        for number in numbers(&test) {
            if !rows.iter().any(|row| row.number == number && row.tests.contains(&test)) {
                places.push(format!("F{number:02} lacks `{test}` of {path}"));
            }
        }
    }
    nothing_breaks("Every test that carries the number of a fault is in its row of docs/testing.md.", &places);
}

/// The tests that a column of a document's tables names and that are nowhere. Names of tests are long: three words at
/// least.
fn absent(document: &str, column: usize) -> Vec<String> {
    let is_name = |span: &String| {
        span.split('_').count() >= 3
            && span.bytes().all(|it| it == b'_' || it.is_ascii_lowercase() || it.is_ascii_digit())
    };
    let all: BTreeSet<String> =
        sources().flat_map(|it| features::tests(&read(&it.path))).map(|(name, _)| name).collect();
    let text = read(document);
    let cells = text.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split('|').nth(column)?.to_owned()));
    let named = cells.flat_map(|cell| features::spans(&cell)).filter(is_name);
    named.filter(|name| !all.contains(name)).collect()
}

#[test]
fn every_test_that_catches_a_planted_bug_is_there() {
    nothing_breaks("Every test that docs/testing.md says to catch a planted bug is there.", &absent(TABLE, 1));
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    nothing_breaks("Every test that docs/SECURITY.md calls a proof is there.", &absent("docs/SECURITY.md", 2));
}

/// That the tests are there is what the rule about the threat model looks at.
#[test]
fn every_claim_about_trust_names_a_test() {
    const OF: [&str; 11] = [
        "enrollment",
        "channel",
        "renewal",
        "roots",
        "revocation",
        "sealing",
        "signing",
        "policy",
        "rest",
        "audit",
        "API",
    ];
    let text = read("docs/SECURITY.md");
    let (_, table) = text.split_once("| of | claim | proved by |\n|---|---|---|\n").expect("the table of claims");
    let rows: Vec<Vec<&str>> =
        table.lines().map_while(|line| Some(line.strip_prefix("| ")?.split(" | ").collect())).collect();
    let is_proved = |row: &&Vec<&str>| row.len() == 3 && features::spans(row[2]).iter().any(|it| it.contains('_'));
    let bare = rows.iter().filter(|row| !is_proved(row)).map(|row| row.join(" | "));
    let silent = OF.iter().filter(|of| !rows.iter().any(|row| row[0] == **of)).map(|of| format!("nothing of {of}"));
    nothing_breaks("Every claim about trust names a test that proves it.", &bare.chain(silent).collect::<Vec<_>>());
}

#[test]
fn every_test_that_a_limit_names_is_there() {
    nothing_breaks("Every test that docs/limits.md names is there.", &absent("docs/limits.md", 4));
}

#[test]
fn every_bug_that_the_simulation_has_to_find_is_listed_and_every_listed_one_is_planted() {
    let mutants = read("tests/sim/mutants.toml");
    let planted: BTreeSet<&str> =
        mutants.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    let text = read(TABLE);
    let (_, table) = text.split_once("| planted | breaks |\n|---|---|\n").unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<&str> = rows.collect();
    let places: Vec<String> = planted.symmetric_difference(&listed).map(|name| (*name).to_owned()).collect();
    nothing_breaks("docs/testing.md lists the bugs of tests/sim/mutants.toml.", &places);
}

#[test]
fn every_bug_in_the_model_of_the_connector_is_listed_with_the_tests_of_the_connector_that_see_it() {
    let mutants = read("tests/sim/mutants.toml");
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_suffix('"')?.to_owned());
    let mut bug = String::new();
    let mut planted = BTreeSet::new();
    for line in mutants.lines() {
        if let Some(name) = value(line, "name = \"") {
            bug = name;
        } else if let Some(test) = value(line, "test = \"") {
            planted.insert((bug.clone(), test));
        }
    }
    let text = read(TABLE);
    let head = "| planted in the model | the same in the connector is caught by |\n|---|---|\n";
    let (_, table) = text.split_once(head).unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.split_once(" | "));
    let tests = |(bug, cell): (&str, &str)| features::spans(cell).into_iter().map(|it| (bug.to_owned(), it)).collect();
    let listed: BTreeSet<(String, String)> = rows.flat_map(|row| -> Vec<_> { tests(row) }).collect();
    let places: Vec<String> =
        planted.symmetric_difference(&listed).map(|(bug, test)| format!("{bug}: {test}")).collect();
    nothing_breaks("docs/testing.md lists the twins of tests/sim/mutants.toml with their tests.", &places);
}

#[test]
fn numbers_are_read_from_the_beginning_of_a_name() {
    let read = |name| numbers(name).into_iter().collect::<Vec<_>>();
    assert_eq!(read("f03_f05_a_batch_of_f10"), [3, 5]);
    assert_eq!(read("fewer_f10"), [0; 0]);
    assert_eq!(read("f1_short"), [0; 0]);
}
