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
    /// The whole file.
    pub fn pack(&self, config: &Config) -> Vec<u8> {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
        let parts = [
            ("doctor.json", pretty(&serde_json::to_value(self.report).unwrap_or_default())),
            ("configuration.txt", self.configuration(config)),
            ("state.json", pretty(self.state)),
            ("sizes.json", pretty(&sizes(&config.state_dir))),
            ("host.json", pretty(&host())),
        ];
        let mut tar = Vec::new();
        for (name, text) in parts {
            let text = redacted(&text).into_owned();
            let mut bytes = match self.names {
                Names::Shown => text,
                Names::Hidden => without_names(&text),
            }
            .into_bytes();
            bytes.truncate(MAX_PART);
            append(&mut tar, &format!("postern-support/{name}"), &bytes);
        }
        tar.resize(tar.len() + 2 * BLOCK, 0);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        // Nothing fails in memory.
        let _ = gzip.write_all(&tar);
        gzip.finish().unwrap_or_default()
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
        text
    }
}

/// A text in which whatever looks like the name of an account, which Salesforce wants in the form of an e-mail address, is
/// replaced.
fn without_names(text: &str) -> String {
    let is_name = |letter: char| letter.is_alphanumeric() || "._%+-'*?!#$&=^{|}~".contains(letter);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, behind) = rest.split_at(at);
        let begin =
            before.char_indices().rev().take_while(|(_, it)| is_name(*it)).last().map_or(at, |(place, _)| place);
        let behind = behind.get(1..).unwrap_or_default();
        let end = behind.find(|letter: char| !is_name(letter)).unwrap_or(behind.len());
        out.push_str(before.get(..begin).unwrap_or_default());
        out.push_str("(account)");
        rest = behind.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// How much is below each directory of the state directory: files and bytes, and no names of files.
fn sizes(state_dir: &Path) -> Value {
    let entries = state_dir.read_dir().into_iter().flatten().flatten();
    let all = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let (files, bytes) = if entry.path().is_dir() {
            size(&entry.path(), DEPTH)
        } else {
            (1, entry.metadata().map(|it| it.len()).unwrap_or_default())
        };
        (name, json!({ "files": files, "bytes": bytes }))
    });
    Value::Object(all.collect())
}

fn size(directory: &Path, depth: usize) -> (u64, u64) {
    let mut total = (0, 0);
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        let (files, bytes) =
            if found.is_dir() && depth > 0 { size(&entry.path(), depth - 1) } else { (1, found.len()) };
        total = (total.0 + files, total.1 + bytes);
    }
    total
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
        assert_eq!(without_names("of `a!b#c$d&e=f^g{h|i}j~k@x.y`"), "of `(account)`", "all that a name may have");
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
