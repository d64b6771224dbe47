//! What whoever helps may see, in one file: a gzip-compressed tar archive. It holds no secret, and no name of an account
//! unless that is asked for.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::Report;
use crate::config::{Config, Setting};
use crate::redaction::redacted;

/// Much larger than anything that is put in: whoever finds an archive this large has found a defect.
const MAX_PART: usize = 1024 * 1024;
/// A block of a tar archive.
const BLOCK: usize = 512;
/// Directories of the state directory that are measured, and not looked into deeper than this.
const DEPTH: usize = 6;
/// Of those right in it, so many are told by name: Postern makes fewer than ten.
const MOST_NAMED: usize = 20;
/// After so many files and directories nothing more is measured: an agent has a thousandth of it.
const MOST_MEASURED: u64 = 1_000_000;

/// Where the state of an agent tells the name of an account, or a sentence that may.
const NAMING: [&str; 2] = ["account", "sentences"];
const ACCOUNT: &str = "(account)";

/// Whether names of accounts are left in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They are.
    Shown,
    /// They are not.
    Hidden,
}

/// What goes into the file.
pub struct Bundle<'a> {
    /// What was found.
    pub report: &'a Report,
    /// What the store, or the agent that has it, tells.
    pub state: &'a Value,
    /// Whether names of accounts are left in.
    pub names: Names,
}

impl Bundle<'_> {
    /// The whole file. Of a configuration that cannot be used nothing else is told.
    pub fn pack(&self, config: Option<&Config>) -> Vec<u8> {
        let mut parts = vec![
            ("doctor.json", self.json(serde_json::to_value(self.report).unwrap_or_default())),
            ("host.json", self.json(host())),
        ];
        if let Some(config) = config {
            parts.push(("configuration.txt", self.configuration(config)));
            parts.push(("state.json", self.json(self.state.clone())));
            parts.push(("sizes.json", self.json(sizes(&config.state_dir))));
        }
        let mut tar = Vec::new();
        for (name, text) in parts {
            append(&mut tar, &format!("postern-support/{name}"), bounded(redacted(&text).into_owned()).as_bytes());
        }
        tar.resize(tar.len() + 2 * BLOCK, 0);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        // Nothing fails in memory.
        let _ = gzip.write_all(&tar);
        gzip.finish().unwrap_or_default()
    }

    fn json(&self, mut value: Value) -> String {
        if self.names == Names::Hidden {
            hide(&mut value);
        }
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }

    fn configuration(&self, config: &Config) -> String {
        let all = config.effective().into_iter().map(|it| match self.names {
            Names::Shown => it,
            Names::Hidden => it.without_names(),
        });
        let mut text = String::new();
        for Setting { section, key, value, from } in all {
            text.extend([&section, "  ", &key, " = ", &value, "   # ", &from, "\n"]);
        }
        match self.names {
            Names::Shown => text,
            Names::Hidden => without_names(&redacted(&text)),
        }
    }
}

/// At most [`MAX_PART`] of a text, and the truth about the rest.
fn bounded(mut text: String) -> String {
    let length = text.len();
    if length > MAX_PART {
        text.truncate(text.floor_char_boundary(MAX_PART - 100));
        text.extend(["\n(cut off here: ", &length.to_string(), " bytes)\n"]);
    }
    text
}

/// Takes the names of accounts out of a value, before it is written: what JSON escapes would not be recognized.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let old = std::mem::take(members);
            members.extend(old.into_iter().map(|(name, mut it)| {
                if NAMING.contains(&name.as_str()) && it.as_str().is_some_and(|text| !text.is_empty()) {
                    it = ACCOUNT.into();
                }
                hide(&mut it);
                (without_names(&name), it)
            }));
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        // Secrets first: one that looks like an address would be left in pieces that nobody recognizes.
        Value::String(text) => *text = without_names(&redacted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// A text in which whatever looks like the name of an account, which Salesforce wants in the form of an e-mail address, is
/// replaced.
fn without_names(text: &str) -> String {
    let is_name = |letter: char| letter.is_alphanumeric() || "._%+-'*?!#$&=^{|}~/".contains(letter);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, behind) = rest.split_at(at);
        let begin =
            before.char_indices().rev().take_while(|(_, it)| is_name(*it)).last().map_or(at, |(place, _)| place);
        let behind = behind.get(1..).unwrap_or_default();
        let end = behind.find(|letter: char| !is_name(letter)).unwrap_or(behind.len());
        out.push_str(before.get(..begin).unwrap_or_default());
        out.push_str(ACCOUNT);
        rest = behind.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// How much is below each directory of the state directory: files and bytes, and no names of files. Links are not followed.
fn sizes(state_dir: &Path) -> Value {
    let mut left = MOST_MEASURED;
    let (mut named, mut beside) = (serde_json::Map::new(), Size::default());
    for entry in state_dir.read_dir().into_iter().flatten().flatten() {
        if left == 0 {
            break;
        }
        let Ok(found) = entry.metadata() else { continue };
        if !found.is_dir() {
            beside.add(found.len(), &mut left);
            continue;
        }
        let mut below = Size::default();
        below.measure(&entry.path(), DEPTH, &mut left);
        if named.len() < MOST_NAMED {
            named.insert(entry.file_name().to_string_lossy().into_owned(), below.told());
        } else {
            beside = Size { files: beside.files + below.files, bytes: beside.bytes + below.bytes };
        }
    }
    json!({ "directories": named, "beside_them": beside.told(), "is_all": left > 0 })
}

/// Files and what they hold.
#[derive(Default)]
struct Size {
    files: u64,
    bytes: u64,
}

impl Size {
    fn add(&mut self, bytes: u64, left: &mut u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        *left = left.saturating_sub(1);
    }

    fn measure(&mut self, directory: &Path, depth: usize, left: &mut u64) {
        for entry in directory.read_dir().into_iter().flatten().flatten() {
            if *left == 0 {
                return;
            }
            match entry.metadata() {
                Ok(found) if found.is_dir() && depth > 0 => {
                    *left -= 1;
                    self.measure(&entry.path(), depth - 1, left);
                }
                Ok(found) => self.add(found.len(), left),
                Err(_) => (),
            }
        }
    }

    fn told(&self) -> Value {
        json!({ "files": self.files, "bytes": self.bytes })
    }
}

/// What matters of the host, without its name.
fn host() -> Value {
    let system = rustix::system::uname();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let zone = jiff::tz::TimeZone::system();
    json!({
        "postern": env!("CARGO_PKG_VERSION"),
        "system": system.sysname().to_string_lossy(),
        "kernel": system.release().to_string_lossy(),
        "machine": system.machine().to_string_lossy(),
        "release": release.trim_matches('"'),
        "memory": memory.trim(),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "time_zone": zone.iana_name().unwrap_or("unknown"),
        "user": rustix::process::geteuid().as_raw(),
    })
}

/// A file of a tar archive, in the form that POSIX calls ustar.
fn append(tar: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let mut header = Vec::with_capacity(BLOCK);
    let mut field = |text: &str, width: usize| {
        let end = header.len() + width;
        header.extend(text.bytes().take(width));
        header.resize(end, 0);
    };
    field(name, 100);
    for (number, width) in [(0o600, 8), (0, 8), (0, 8), (bytes.len(), 12), (0, 12)] {
        field(&format!("{number:0width$o}", width = width - 1), width);
    }
    // The checksum is made with blanks in its own place.
    field("        ", 8);
    field("0", 1);
    field("", 100);
    field("ustar", 6);
    field("00", 2);
    header.resize(BLOCK, 0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    tar.extend(header);
    tar.extend(bytes);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_are_left_out_wherever_they_stand() {
        let text = r#"{"a":"svc-postern@acme.example","b":["*@acme.example"],"c":"of o'neil@x.y, then"} @"#;
        let wanted = r#"{"a":"(account)","b":["(account)"],"c":"of (account), then"} (account)"#;
        assert_eq!(without_names(text), wanted);
        assert_eq!(without_names("nobody"), "nobody");
        assert_eq!(without_names("of `dept/joe@x.y`"), "of `(account)`");
        assert_eq!(without_names("of `a!b#c$d&e=f^g{h|i}j~k@x.y`"), "of `(account)`", "all that a name may have");
    }

    #[test]
    fn what_names_a_task_s_account_is_left_out_whatever_it_looks_like() {
        let mut value = json!({
            "tasks": [{ "account": "plain \"name\"", "kind": "disable_user" }, { "account": "" }],
            "troubles": [{ "text": "failed; code: user_not_found", "sentences": "the org has no user `plain`" }],
            "joe@x.y": ["a\tjoe@x.y"],
        });
        hide(&mut value);
        let expected = json!({
            "tasks": [{ "account": "(account)", "kind": "disable_user" }, { "account": "" }],
            "troubles": [{ "text": "failed; code: user_not_found", "sentences": "(account)" }],
            "(account)": ["a\t(account)"],
        });
        assert_eq!(value, expected);
    }

    /// Take names out before secrets, and what is behind the `@` of a password is told.
    #[test]
    fn a_secret_that_looks_like_an_address_is_left_out_whole() {
        let _in_use = crate::redaction::in_use(b"joe@left \"over\"");
        let mut value = json!({ "text": "the password joe@left \"over\" is wrong" });
        hide(&mut value);
        assert_eq!(value, json!({ "text": "the password *** is wrong" }));
    }

    /// Follow links, and a bundle measures the whole host. Tell names, and it is as long as somebody likes.
    #[test]
    fn sizes_are_of_the_state_directory_alone_and_have_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir_all(state.join("store/deep")).unwrap();
        std::fs::write(state.join("store/deep/db"), "12345").unwrap();
        std::fs::write(folder.path().join("outside"), "123").unwrap();
        std::os::unix::fs::symlink(folder.path(), state.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), state.join("store/link")).unwrap();
        let told = sizes(&state);
        assert_eq!(told["directories"].as_object().unwrap().len(), 1, "{told}");
        assert_eq!(told["directories"]["store"]["files"], 2, "{told}");
        assert_eq!((&told["beside_them"]["files"], &told["is_all"]), (&json!(1), &json!(true)), "{told}");
        for number in 0..200 {
            std::fs::create_dir(state.join(format!("{number}-{}", "x".repeat(200)))).unwrap();
            std::fs::write(state.join(format!("{number}-joe")), []).unwrap();
        }
        let told = sizes(&state).to_string();
        assert!(told.len() < 10_000 && !told.contains("joe"), "{told}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_letters_and_says_so() {
        let text = bounded("ö".repeat(MAX_PART));
        assert!(text.len() <= MAX_PART && text.ends_with(&format!("(cut off here: {} bytes)\n", 2 * MAX_PART)));
        assert_eq!(bounded("short".to_owned()), "short");
    }

    /// The sum is the one that Python's `tarfile` writes for the same file.
    #[test]
    fn a_file_of_an_archive_is_padded_to_blocks_and_has_the_sum_of_its_header() {
        let mut tar = Vec::new();
        append(&mut tar, "a/b", b"hello");
        assert_eq!(tar.len(), 2 * BLOCK);
        assert_eq!(&tar[148..156], b"006314\0 ");
        assert_eq!(&tar[124..135], b"00000000005");
        assert_eq!(&tar[257..265], b"ustar\x0000");
    }
}
