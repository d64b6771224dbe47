//! What is written from the programs is what they say now.

use std::fs;

use postern_tests::reference::pages;

use crate::tree::{nothing_breaks, root};

#[test]
fn what_is_written_from_the_programs_is_what_they_say() {
    let is_true = |path, text: &str| fs::read_to_string(root().join(path)).is_ok_and(|found| found == text);
    let pages = pages();
    let stale = pages.iter().filter(|(path, text)| !is_true(path, text));
    let places: Vec<String> = stale.map(|(path, _)| path.display().to_string()).collect();
    nothing_breaks("docs/reference is as `cargo docs` writes it: run it.", &places);
}
