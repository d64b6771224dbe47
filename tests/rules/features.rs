//! The table of `docs/features.md`: every promise is there, and every test that it names proves it by name.

use std::collections::BTreeSet;

use crate::tree::{nothing_breaks, read, sources};

const TABLE: &str = "docs/features.md";
/// The last number of each letter whose numbers leave no gap.
const COMPLETE: [(&str, u32); 2] = [("B", 19), ("C", 14)];
/// What the table says of numbers that it keeps free.
const NOT_THERE: &str = "Not there yet:";

struct Row {
    id: String,
    commands: Vec<String>,
    /// Path and name.
    tests: Vec<(String, String)>,
}

/// The code spans of a text.
pub(crate) fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(['B', 'C', 'D']).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit())
}

fn rows() -> Vec<Row> {
    let text = read(TABLE);
    let cells = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter(|cells| cells.get(1).is_some_and(|id| is_id(id)));
    rows.map(|cells| {
        assert_eq!(cells.len(), 7, "{TABLE}: the row {} has five cells", cells[1]);
        let tests = cells[5].split("](../").skip(1).map(|rest| {
            let (path, rest) = rest.split_once(')').unwrap();
            (path.to_owned(), spans(rest).first().cloned().unwrap_or_default())
        });
        Row { id: cells[1].to_owned(), commands: spans(cells[3]), tests: tests.collect() }
    })
    .collect()
}

/// The features that comments name, as in `Feature B3.` or `Features B3, B4.`
fn named(comment: &str) -> Vec<String> {
    let lists = comment.split("Feature").skip(1).filter_map(|rest| rest.strip_prefix("s ").or(rest.strip_prefix(' ')));
    let ids = lists.flat_map(|list| list.split('.').next().unwrap_or_default().split(", "));
    ids.filter(|id| is_id(id)).map(str::to_owned).collect()
}

/// Every test of a file with the features that its comment names.
pub(crate) fn tests(text: &str) -> Vec<(String, Vec<String>)> {
    let (mut found, mut comment, mut is_test) = (Vec::new(), String::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            comment.push_str(words);
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                found.push((name.to_owned(), named(&comment)));
            }
            comment.clear();
            is_test = false;
        }
    }
    found
}

#[test]
fn every_feature_has_a_row() {
    let text = read(TABLE);
    let absent = text.lines().find_map(|line| line.strip_prefix(NOT_THERE)).unwrap_or_default();
    let absent: BTreeSet<&str> = absent.split([' ', ',', '.']).filter(|word| is_id(word)).collect();
    let ids: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let unique: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut places = Vec::new();
    for (letter, last) in COMPLETE {
        let all = (1..=last).map(|number| format!("{letter}{number}"));
        places.extend(all.filter(|id| unique.contains(id.as_str()) == absent.contains(id.as_str())));
    }
    if unique.len() < ids.len() {
        places.push("a number stands twice".to_owned());
    }
    nothing_breaks("docs/features.md has one row for each feature, or says that it is not there yet.", &places);
}

#[test]
fn every_feature_is_shown_by_a_command() {
    let is_command = |text: &String| {
        let program = text.split(' ').find(|word| !word.contains('=')).unwrap_or_default();
        ["postern", "postern-controller", "curl", "cp", "cargo"].contains(&program)
    };
    let shown = |row: &Row| !row.commands.is_empty() && row.commands.iter().all(is_command);
    let places: Vec<String> = rows().iter().filter(|row| !shown(row)).map(|row| row.id.clone()).collect();
    nothing_breaks("Every feature of docs/features.md is shown by commands.", &places);
}

#[test]
fn every_test_of_a_feature_is_there_and_names_it() {
    let mut places = Vec::new();
    for row in rows() {
        if row.tests.is_empty() {
            places.push(format!("{}: no test", row.id));
        }
        for (path, name) in &row.tests {
            let all = tests(&read(path));
            match all.iter().find(|(it, _)| it == name) {
                None => places.push(format!("{}: {path} has no test `{name}`", row.id)),
                Some((_, ids)) if !ids.contains(&row.id) => {
                    places.push(format!("{}: the comment of `{name}` does not say `Feature {}.`", row.id, row.id));
                }
                Some(_) => (),
            }
        }
    }
    nothing_breaks("Every test that docs/features.md names is there and names its feature.", &places);
}

#[test]
fn a_test_that_names_a_feature_is_in_its_row() {
    let rows = rows();
    let mut places = Vec::new();
    for source in sources().filter(|it| it.path != "tests/rules/features.rs") {
        for (name, ids) in tests(&read(&source.path)) {
            let is_there = |id: &String| {
                let mut proofs = rows.iter().filter(|row| row.id == *id).flat_map(|row| &row.tests);
                proofs.any(|(path, it)| *path == source.path && *it == name)
            };
            let strangers = ids.iter().filter(|id| !is_there(id));
            places.extend(strangers.map(|id| format!("{}: `{name}` says {id}", source.path)));
        }
    }
    nothing_breaks("A test whose comment names a feature stands in the feature's row of docs/features.md.", &places);
}

#[test]
fn features_are_read_from_comments_of_tests() {
    let text = "/// Text.\n/// Features B3, C10.\n#[tokio::test]\nasync fn one() {\n/// Feature B4.\nfn no_test() {\n\
                #[test]\n#[cfg(unix)]\nfn two() {";
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(tests(text), [("one".to_owned(), ids(&["B3", "C10"])), ("two".to_owned(), ids(&[]))]);
}
