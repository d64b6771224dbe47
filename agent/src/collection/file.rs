//! The files of a collection.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_protocol::message::v1::Report;
use postern_protocol::plain::Chain;
use postern_protocol::seal::{SealContext, SealingKey};
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use postern_store::private::{self, PartFile};

use crate::config::Collection;
use crate::local::{PayloadError, write_payload};
use crate::store::Store;

/// `20261122T023000Z`
const MOMENT: &str = "%Y%m%dT%H%M%SZ";
const MOMENT_LENGTH: usize = 16;
const EXTENSION: &str = ".jsonl";
/// What a file is called while it grows.
const PART: &str = ".part";

/// Writes the file of a run, which is there when it is whole, and removes those that are more than are kept. The same
/// run has the same file, however often it is written.
pub(super) fn write(
    store: &Store,
    keys: &[SealingKey],
    (collection, begun): (&Collection, Timestamp),
    task: TaskId,
    report: &Report,
) -> Result<(), PayloadError> {
    private::directory(&collection.directory).map_err(io::Error::other)?;
    let target = TaskRequest::Collect(collection.request()).target();
    let context = SealContext { task, kind: TaskKind::Collect, system: &collection.system, target: &target };
    let path = collection.directory.join(name(&collection.name, begun));
    // Asked before each piece: others write, too.
    let room_for = |bytes| store.may_write_into(&collection.directory, bytes);
    room_for(report.streams.iter().map(|stream| stream.length).sum())?;
    write_payload(store, keys, context, report, PartFile::begin(&path)?, &room_for)?;
    if let Err(error) = prune(&path, &collection.name, collection.keep) {
        tracing::warn!(collection = collection.name.as_str(), error = %Chain(&error), "old files stay");
    }
    Ok(())
}

/// Removes what killed processes left of the files of a collection.
pub(super) fn remove_parts(directory: &Path, collection: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.and_then(|name| name.strip_suffix(PART)).is_some_and(|name| is_of(name, collection)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn name(collection: &str, begun: Timestamp) -> String {
    format!("{collection}-{}{EXTENSION}", begun.strftime(MOMENT))
}

/// Removes all but the newest files of a collection, of which one was just `written`. Those of later moments are of a clock
/// that was ahead, and go first.
fn prune(written: &Path, collection: &str, keep: usize) -> io::Result<()> {
    let directory = written.parent().unwrap_or(Path::new("."));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| is_of(name, collection)) {
            files.push(path);
        }
    }
    // Their names begin alike and go on with the moment.
    files.sort_unstable_by(|one, other| (*one <= *written, one).cmp(&(*other <= *written, other)));
    let old = files.len().saturating_sub(keep);
    files.iter().take(old).try_for_each(fs::remove_file)
}

fn is_of(name: &str, collection: &str) -> bool {
    let moment = name
        .strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(EXTENSION));
    moment.is_some_and(|moment| {
        moment.len() == MOMENT_LENGTH && moment.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_files_of_a_collection_are_kept_and_those_of_others_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |hour: i64| Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap();
        let mut files: Vec<String> = (0..5).map(|hour| name("night", at(hour))).collect();
        files.extend([name("night-all", at(0)), "night-notes.jsonl".to_owned()]);
        for name in &files {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        prune(&folder.path().join(name("night", at(4))), "night", 2).unwrap();
        let is_there = |name: &String| folder.path().join(name).exists();
        assert_eq!(files.iter().map(is_there).collect::<Vec<_>>(), [false, false, false, true, true, true, true]);
        assert_eq!(name("night", at(0)), "night-20260921T141320Z.jsonl");
    }

    /// Count the names alone, and a clock that was ahead has every file removed that comes after it was put right.
    #[test]
    fn the_file_just_written_stays_and_those_of_a_clock_that_was_ahead_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let at =
            |hour: i64| folder.path().join(name("night", Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap()));
        for hour in [0, 1, 24, 25, 26, 2] {
            fs::write(at(hour), "x").unwrap();
        }
        prune(&at(2), "night", 4).unwrap();
        assert_eq!([0, 1, 2, 24, 25, 26].map(|hour| at(hour).exists()), [true, true, true, false, false, true]);
        prune(&at(2), "night", 1).unwrap();
        assert_eq!([0, 1, 2, 26].map(|hour| at(hour).exists()), [false, false, true, false]);
    }
}
