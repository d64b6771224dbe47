//! The files of the repository, and Rust sources with everything blanked that is not code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The folders with sources of ours.
const SOURCES: [&str; 6] = ["protocol", "agent", "controller-stub", "tests", "benches", "fuzz"];
/// The folders with what ships.
pub(crate) const PRODUCT: [&str; 7] = [
    "protocol/src/",
    "agent/src/",
    "agent/core/src/",
    "agent/health/src/",
    "agent/store/src/",
    "agent/traces/src/",
    "controller-stub/src/",
];

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of a file, by its path from the top.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below the folders with sources, as paths from the top, sorted.
pub(crate) fn files() -> Vec<String> {
    let mut found = Vec::new();
    for folder in SOURCES {
        walk(folder, &mut found);
    }
    found.sort();
    found
}

fn walk(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        // What git does not keep: builds, and packages of other languages.
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if root().join(&path).is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// One Rust file.
pub(crate) struct Source {
    /// Its path from the top.
    pub(crate) path: String,
    /// Its text, comments and the content of literals blanked, of the same length.
    pub(crate) code: String,
    /// The line from which on everything is tests.
    tests_from: usize,
}

/// Every Rust file.
pub(crate) fn sources() -> impl Iterator<Item = &'static Source> {
    /// Read once for all tests of a process.
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let rust = files().into_iter().filter(|path| Path::new(path).extension().is_some_and(|it| it == "rs"));
        rust.map(|path| Source::new(&path, &read(&path))).collect()
    });
    ALL.iter()
}

/// Every Rust file of what ships.
pub(crate) fn product() -> impl Iterator<Item = &'static Source> {
    sources().filter(|it| PRODUCT.iter().any(|folder| it.path.starts_with(folder)))
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let is_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        // A module with its tests below ends the product; one whose tests are in another file does not.
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        let is_module = |line: &str| line.ends_with('{') && contains_word(line, "mod");
        let begin = lines.windows(2).position(|it| it[0] == "#[cfg(test)]" && is_module(it[1]));
        let tests_from = if is_tests { 0 } else { begin.unwrap_or(usize::MAX) };
        Self { path: path.to_owned(), code, tests_from }
    }

    /// Whether the module `module` of the crate whose sources are in `folder` is in this file.
    pub(crate) fn is_in(&self, folder: &str, module: &str) -> bool {
        let Some(rest) = self.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix(module)) else {
            return false;
        };
        rest == ".rs" || rest.starts_with('/')
    }

    /// Where one of `words` stands in the code, tests included, as `file:line: word`.
    pub(crate) fn places(&self, words: &[&str]) -> Vec<String> {
        self.places_before(words, usize::MAX)
    }

    /// Where one of `words` stands in the code, tests left out.
    pub(crate) fn places_in_product(&self, words: &[&str]) -> Vec<String> {
        self.places_before(words, self.tests_from)
    }

    fn places_before(&self, words: &[&str], end: usize) -> Vec<String> {
        let mut places = Vec::new();
        for (number, line) in self.code.lines().enumerate().take(end) {
            for word in words.iter().filter(|word| contains_word(line, word)) {
                places.push(self.place(number, word));
            }
        }
        places
    }

    fn place(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// The modules that paths beginning with `prefix` name, as in `crate::link::Frames` or `crate::{chain, link}`,
    /// each with its place.
    pub(crate) fn modules_after(&self, prefix: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices(prefix) {
            if self.code[..at].ends_with(is_identifier) {
                continue;
            }
            let line = self.code[..at].matches('\n').count();
            let rest = &self.code[at + prefix.len()..];
            let names = if rest.starts_with('{') { heads_of_group(rest) } else { vec![head(rest)] };
            found.extend(names.into_iter().map(|name| (self.place(line, &format!("{prefix}{name}")), name)));
        }
        found
    }
}

/// Fails with the rule's sentence and the places that break it.
#[track_caller]
pub(crate) fn nothing_breaks(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "\n{rule}\n  {}\n", places.join("\n  "));
}

fn is_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The identifier that `text` begins with.
fn head(text: &str) -> String {
    text.trim_start().chars().take_while(|letter| is_identifier(*letter)).collect()
}

/// The first identifiers of the items of a `{…}` group.
fn heads_of_group(text: &str) -> Vec<String> {
    let (mut depth, mut item, mut names) = (0_u32, String::new(), Vec::new());
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => (),
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            names.push(head(&std::mem::take(&mut item)));
        } else if !(depth == 1 && letter == '{') {
            item.push(letter);
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Whether `word` stands in `line` and is no part of a longer identifier.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let inside = |edge: bool, letter: Option<char>| edge && letter.is_some_and(is_identifier);
        let (before, behind) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        !inside(word.starts_with(is_identifier), before) && !inside(word.ends_with(is_identifier), behind)
    })
}

/// Blanks comments and the content of string and character literals.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"', '\'', 'r']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = opening(rest, out.chars().next_back()) {
            out.extend(rest[..length].chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// How many bytes the comment or literal takes that `text` begins with, if it begins with one.
fn opening(text: &str, before: Option<char>) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('r') && !before.is_some_and(|it| is_identifier(it) && it != 'b') {
        let hashes = text[1..].chars().take_while(|it| *it == '#').count();
        if text[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let from = 2 + hashes;
            return Some(text[from..].find(&end).map_or(text.len(), |at| from + at + end.len()));
        }
    }
    // A lifetime has no closing quote behind its first letter.
    let mut letters = text.strip_prefix('\'')?.chars();
    let first = letters.next()?;
    (first == '\\' || letters.next() == Some('\'')).then(|| quoted(text, '\''))
}

/// How many bytes a literal takes that begins and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = true;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return at + letter.len_utf8();
        }
    }
    text.len()
}

#[test]
fn only_code_is_looked_at() {
    let text = r##"let a = "sled"; // sled
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
fn helper() {
}
/* sled */ let b = r#"sled " sled"#; let c = 'x'; let d: &'static str = b"sled\" sled"; sled::open();
#[cfg(test)]
mod tests {
    use sled;
}"##;
    let source = Source::new("x/src/y.rs", text);
    assert_eq!(source.places(&["sled"]), ["x/src/y.rs:7: sled", "x/src/y.rs:10: sled"]);
    assert_eq!(source.places_in_product(&["sled"]), ["x/src/y.rs:7: sled"]);
    assert_eq!(Source::new("z.rs", "unsled(); sled_store();").places(&["sled"]), [""; 0]);
}

#[test]
fn modules_are_found_alone_and_in_groups() {
    let source = Source::new("z.rs", "use crate::link::Frames;\nuse crate::{chain, store::{Store, link}, a as b};");
    let names: Vec<String> = source.modules_after("crate::").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["link", "chain", "store", "a"]);
}
