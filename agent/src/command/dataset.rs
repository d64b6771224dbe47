//! `postern dataset`: what is done with a dataset before it is imported.

use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};

use super::{Failed, format_of, say, say_error, say_json};
use crate::cli::{Dataset, DatasetCommand, Split};
use crate::dataset::BadEntry;
use crate::dataset::split::{self, SplitError, Summary};
use crate::exit::Exit;

pub(super) fn run(options: &Dataset) -> Result<Exit, Failed> {
    match &options.command {
        DatasetCommand::Split(options) => split(options),
    }
}

fn split(options: &Split) -> Result<Exit, Failed> {
    let format = format_of(&options.file, options.format)?;
    let dataset = open(&options.file)?;
    let done = split::split(&dataset, format, options.delimiter, &options.by, &options.output).map_err(|error| {
        let exit = match &error {
            SplitError::Exists(_) | SplitError::LeftBehind(_) => Exit::Usage,
            SplitError::Malformed(_)
            | SplitError::TooManySystems
            | SplitError::TooMuchAround
            | SplitError::Read(_)
            | SplitError::Write { .. } => Exit::Failed,
        };
        Failed::because(exit, &error)
    })?;
    if options.json {
        say_json(&as_json(&done));
    } else {
        show(&done);
    }
    Ok(if done.rejected.is_some() { Exit::Failed } else { Exit::Ok })
}

fn open(path: &Path) -> Result<File, Failed> {
    let shown = path.display();
    let unreadable = |error| Failed::new(Exit::Usage, format!("the dataset `{shown}` cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_file() {
        Ok(file)
    } else {
        Err(Failed::new(Exit::Usage, format!("`{shown}` is no file; write the dataset to one")))
    }
}

fn show(done: &Summary) {
    let mut rows = vec![["system".to_owned(), "entries".to_owned(), "file".to_owned()]];
    let row =
        |name: &str, entries: u64, file: &Path| [name.to_owned(), entries.to_string(), file.display().to_string()];
    rows.extend(done.parts.iter().map(|it| row(it.system.as_str(), it.entries, &it.file)));
    rows.extend(done.rejected.iter().map(|it| row("(rejected)", it.entries, &it.file)));
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [system, entries, file] in &rows {
        say(format_args!("{system:first$}  {entries:>second$}  {file}"));
    }
    let Some(rejected) = &done.rejected else { return };
    for bad in &rejected.first {
        say_error(format_args!("entry {}: {}: {}", bad.number, bad.code, bad.problem));
    }
    say_error(format_args!(
        "{} of {} entries are in no dataset of a system; `{}` says why, entry by entry",
        rejected.entries,
        done.entries,
        rejected.reasons.display()
    ));
}

fn as_json(done: &Summary) -> Value {
    let parts: Vec<Value> =
        done.parts.iter().map(|it| json!({ "system": it.system, "entries": it.entries, "file": it.file })).collect();
    let rejected = done.rejected.as_ref().map(|it| {
        let first: Vec<Value> = it.first.iter().map(BadEntry::as_json).collect();
        json!({ "entries": it.entries, "file": it.file, "reasons": it.reasons, "first": first })
    });
    json!({ "entries": done.entries, "systems": parts, "rejected": rejected })
}
