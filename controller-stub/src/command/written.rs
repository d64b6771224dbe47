//! A task in a file, as it is submitted: for whoever wants to know what an agent makes of it before it is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use postern_protocol::plain;
use serde_json::{Map, Value, json};

use super::new_file;
use crate::exit::{Exit, Failure};

/// What the API takes.
const MAX_FILE: u64 = 256 * 1024;

/// Writes a task to a new file.
pub(super) fn write(file: &Path, task: &Value) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(task).map_err(|error| Failure::from_error(Exit::Bug, &error))?;
    text.push('\n');
    new_file::keep(file, "task", text.as_bytes())
}

/// Reads a task that was written, to be submitted by whoever waits for it or does not.
pub(super) fn read(file: &Path, asynchronous: bool) -> Result<Value, Failure> {
    let unusable = |why: String| Failure::new(Exit::Usage, format!("`{}` {why}", file.display()));
    let mut text = String::new();
    File::open(file)
        .and_then(|it| it.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let mut task: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("is not what `task submit --write` wrote: {}", plain::json(&error))))?;
    if !task.contains_key("id") {
        return Err(unusable(
            "has no `id`, so that it would be another task each time: write it with `task submit --write`".to_owned(),
        ));
    }
    task.insert("mode".to_owned(), json!(if asynchronous { "async" } else { "sync" }));
    Ok(Value::Object(task))
}
