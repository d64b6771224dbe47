//! Every input that is kept, fed to its target once, without a fuzzer.

#![cfg(test)]

mod seeds;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postern_fuzz::TARGETS;
use postern_protocol::TaskKind;
use postern_protocol::code::CodeSet as _;

/// The folders with an input in each file: where the fuzzer begins, and what once made a target fail.
const KEPT: [&str; 2] = ["corpus", "regressions"];
/// The most bytes of all inputs together: they are in every checkout.
const MOST: u64 = 1024 * 1024;

/// Seeds that their target refuses, which is what they show.
const WRONG_ON_PURPOSE: [&str; 32] = [
    "api_bodies/twice",
    "audit_log/edited",
    "audit_log/zeros",
    "composite_answer/refused",
    "configuration/wrong",
    "controller_session/other_revisions",
    "controller_session/too_early",
    "dataset_csv/utf16",
    "dataset_xml/bad",
    "dataset_xml/broken",
    "dataset_xml/doctype",
    "description/none",
    "description/wrong",
    "enrollment_token/empty",
    "login_answer/doctype",
    "member_session/other_revisions",
    "member_session/refused",
    "member_session/too_early",
    "page/more_than_there_are",
    "page/nowhere",
    "policy_check/secret",
    "proxy_answer/nonsense",
    "request_head/cursor_of_another",
    "request_head/query_unknown",
    "schema/doctype",
    "schema/twice",
    "secret/empty",
    "store_files/of_another_version",
    "submission/secret",
    "table/broken",
    "token_answer/opaque",
    "trust_bundle/none",
];

/// Those among them that are refused for their length, and would be taken if they were half as long.
const BEYOND_A_BOUND: [&str; 10] = [
    "audit_log/event_too_long",
    "composite_answer/too_heavy",
    "dataset_csv/too_long",
    "dataset_jsonl/too_long",
    "dataset_xml/endless_comment",
    "dataset_xml/too_long",
    "login_answer/too_long",
    "page/too_heavy",
    "schema/too_long",
    "table/too_long",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files of a folder, sorted; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_that_is_kept_is_stood_by_its_target() {
    for target in TARGETS {
        for kept in KEPT {
            for file in files(&folder(kept).join(target.name)) {
                // Captured, and shown if the target fails.
                println!("{}", file.display());
                (target.run)(&fs::read(&file).unwrap());
            }
        }
    }
}

/// A seed that its target refuses at the first look shows nothing of what comes behind it: whoever changes what is read makes
/// such seeds of all that there are, and no other test sees it.
#[test]
fn every_seed_is_read_but_those_that_are_wrong_on_purpose() {
    let mut refused = BTreeSet::new();
    for target in TARGETS {
        for seed in files(&folder("corpus").join(target.name)) {
            if !(target.run)(&fs::read(&seed).unwrap()) {
                refused.insert(format!("{}/{}", target.name, seed.file_name().unwrap().display()));
            }
        }
    }
    let wrong = WRONG_ON_PURPOSE.iter().chain(&BEYOND_A_BOUND).map(|it| (*it).to_owned());
    let wrong: BTreeSet<String> = wrong.collect();
    assert_eq!(refused, wrong, "left: what is refused; right: what should be");
}

/// Inputs are far smaller than most bounds: without what repeats, no bound is ever met.
#[test]
fn what_repeats_once_too_often_meets_the_bound_of_its_reader() {
    for seed in BEYOND_A_BOUND {
        let (target, _) = seed.split_once('/').unwrap();
        let run = postern_fuzz::target(target).unwrap().run;
        let beyond = fs::read(folder("corpus").join(seed)).unwrap();
        let mut within = beyond.clone();
        let power = within.iter().position(|byte| *byte == 0x1d).unwrap() + 1;
        within[power] -= 1;
        assert!(run(&within), "{seed}: half as much is taken");
        assert!(!run(&beyond), "{seed}: there is no bound");
    }
}

/// The configuration that is shipped is the first seed.
#[test]
fn the_annotated_example_is_stood_by_the_configuration() {
    for file in files(&folder("../packaging/config")) {
        println!("{}", file.display());
        (postern_fuzz::target("configuration").unwrap().run)(&fs::read(&file).unwrap());
    }
}

/// Bytes of one thing are foreign bytes to the reader of another.
#[test]
fn every_target_stands_every_golden_file() {
    let golden = seeds::golden_files();
    assert!(golden.len() > 50, "the golden files have moved");
    for (name, bytes) in golden {
        for target in TARGETS {
            println!("{} of {name}", target.name);
            (target.run)(&bytes);
        }
    }
}

#[test]
fn every_target_has_seeds_and_every_folder_is_a_targets() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "a name stands twice");
    let folders =
        |kept| files(&folder(kept)).iter().map(|it| it.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let seeded: BTreeSet<String> = folders("corpus");
    assert_eq!(seeded, names, "seeds of each target, and of no other");
    let found: BTreeSet<String> = folders("regressions");
    assert!(found.is_subset(&names), "{found:?}");
}

/// A target that reads several things by its first byte has a seed of each: without one the fuzzer has to come upon the thing by
/// chance, and the replay never sees it.
#[test]
fn every_choice_of_a_target_has_a_seed() {
    let choices = [
        ("api_answer", 15),
        ("api_bodies", 15),
        ("audit_log", 3),
        ("dataset_csv", 5),
        ("identity_file", 6),
        ("kept_notes", 14),
        ("ledger_records", 15),
        ("records", 10),
        ("request_head", 8),
        ("sealed", 7),
        ("store_files", 3),
    ];
    for (name, of) in choices {
        let seeds = files(&folder("corpus").join(name));
        let made: BTreeSet<usize> =
            seeds.iter().filter_map(|seed| fs::read(seed).unwrap().first().map(|it| usize::from(*it) % of)).collect();
        assert_eq!(made, (0..of).collect(), "{name}");
    }
    let kinds = |name: &str| -> BTreeSet<u16> {
        files(&folder("corpus").join(name))
            .iter()
            .filter_map(|it| fs::read(it).unwrap().first().map(|it| (*it).into()))
            .collect()
    };
    let all = TaskKind::ALL.iter().map(|kind| kind.code()).collect();
    for name in ["task_json", "task_output", "task_request"] {
        assert!(kinds(name).is_superset(&all), "{name}: {:?} of {all:?}", kinds(name));
    }
}

/// `fuzz/run` takes the targets from the ledger.
#[test]
fn every_target_has_its_row_in_the_ledger() {
    let ledger = fs::read_to_string(folder("ledger.tsv")).unwrap();
    let rows: Vec<&str> = ledger.lines().skip(1).map(|row| row.split('\t').next().unwrap()).collect();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(rows, names);
}

#[test]
fn what_is_kept_is_small() {
    let inputs = TARGETS.iter().flat_map(|it| KEPT.map(|kept| files(&folder(kept).join(it.name)))).flatten();
    let bytes: u64 = inputs.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= MOST, "{bytes} bytes; keep what the fuzzer finds elsewhere, and here what shows a bug");
}
