//! A task in a file, as it is submitted: for whoever wants to know what an agent makes of it before it is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use postern_protocol::{TaskId, plain};
use serde::Deserialize as _;
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
pub(super) fn read(file: &Path, asynchronous: bool) -> Result<(TaskId, Value), Failure> {
    let unusable = |why: String| Failure::new(Exit::Usage, format!("`{}` {why}", file.display()));
    let mut text = String::new();
    File::open(file)
        .and_then(|it| it.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    if u64::try_from(text.len()).is_ok_and(|it| it > MAX_FILE) {
        return Err(unusable(format!("has more than {MAX_FILE} bytes, which is more than a task has")));
    }
    let mut task: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("is not what `task submit --write` wrote: {}", plain::json(&error))))?;
    let Some(id) = task.get("id") else {
        return Err(unusable(
            "has no `id`, so that it would be another task each time: write it with `task submit --write`".to_owned(),
        ));
    };
    let id =
        TaskId::deserialize(id).map_err(|error| unusable(format!("has no `id` of a task: {}", plain::json(&error))))?;
    task.insert("mode".to_owned(), json!(if asynchronous { "async" } else { "sync" }));
    Ok((id, Value::Object(task)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read no further than the bound, and what comes behind it is left out in silence.
    #[test]
    fn what_is_longer_than_a_task_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("task.json");
        let task = r#"{"id": "tsk_00000000000000000000000000000001"}"#;
        std::fs::write(&file, task).unwrap();
        assert!(read(&file, false).is_ok());
        std::fs::write(&file, format!("{task}{}{task}", " ".repeat(300_000))).unwrap();
        let why = read(&file, false).unwrap_err().text;
        assert!(why.contains("more than"), "{why}");
    }
}
