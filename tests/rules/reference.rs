//! What is written from the programs is what they say now.

use std::fs;

use postern_tests::reference::{FOLDERS, files};

use crate::tree::{nothing_breaks, root};

#[test]
fn what_is_written_from_the_programs_is_what_they_say() {
    let files = files();
    let is_true = |path, text: &str| fs::read_to_string(root().join(path)).is_ok_and(|found| found == text);
    let stale = files.iter().filter(|(path, text)| !is_true(path, text)).map(|(path, _)| path.display().to_string());
    let mut places: Vec<String> = stale.collect();
    for folder in FOLDERS {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = std::path::Path::new(folder).join(entry.unwrap().file_name());
            if !files.iter().any(|(it, _)| *it == path) {
                places.push(path.display().to_string());
            }
        }
    }
    nothing_breaks("Manual pages, completions and docs/reference are as `cargo docs` writes them: run it.", &places);
}
