//! From a report to the terminal, and to the files that were asked for.

use std::io::{self, Write as _};
use std::path::Path;

use postern_protocol::code::CodeSet as _;
use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::outcome::Outcome;
use postern_protocol::seal::SealContext;
use postern_protocol::task::import_batch::Remainder;
use postern_protocol::{TaskKind, TaskOutput};
use serde_json::{Value, json};

use super::{Failed, LocalTask, payload_file};
use crate::app::App;
use crate::command::{say, say_json, say_pairs};
use crate::exit::Exit;
use crate::store::spool_id;

/// Failed entries of a batch that are printed; the results file has all.
const SHOWN: usize = 20;
/// The longest result line that is read back.
const MAX_LINE: usize = 64 * 1024;

/// Shows what came of it and writes what was to be written, and returns the exit code.
pub(super) fn show(app: &App, local: &mut LocalTask, offer: &Offer, report: &Report) -> Result<Exit, Failed> {
    let kind = local.request.kind();
    let output = if report.output.is_empty() { None } else { TaskOutput::decode(kind, &report.output).ok() };
    let output = output.map_or(Value::Null, |output| serde_json::to_value(output).unwrap_or_default());
    let saved = save_generated(local, offer, report);
    let failed = match local.payload.take() {
        Some((key, file)) => payload_file::fill(file, app, &key, offer, report).map(|()| Vec::new())?,
        None => save_results(app, local, report)?,
    };
    if local.json {
        say_json(&json!({
            "task": report.task, "kind": kind, "outcome": report.outcome, "certainty": report.certainty,
            "changed": report.changed, "failure": report.failure, "output": output, "failed_entries": failed,
        }));
    } else {
        show_as_text(kind, report, &output, &failed);
    }
    saved?;
    Ok(match report.outcome.known() {
        Some(Outcome::Succeeded | Outcome::AlreadySatisfied) => Exit::Ok,
        _ => Exit::Failed,
    })
}

fn show_as_text(kind: TaskKind, report: &Report, output: &Value, failed: &[Value]) {
    let failure = report.failure.as_ref();
    let mut pairs = vec![
        ("task", format!("{} ({})", report.task, kind.name())),
        ("outcome", report.outcome.to_string()),
        ("changed", report.changed.to_string()),
        ("failure", failure.map(|failure| format!("{} ({})", failure.summary, failure.code)).unwrap_or_default()),
        ("next step", failure.map(|failure| failure.next_step.to_string()).unwrap_or_default()),
    ];
    let fields = TaskOutput::fields(output);
    pairs.extend(fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
    say_pairs(&pairs);
    for entry in failed {
        let text = |name: &str| entry.get(name).map(|value| value.to_string().trim_matches('"').to_owned());
        let part = |name: &str| text(name).unwrap_or_default();
        say(format_args!("  entry {} ({}): {} {}", part("entry"), part("account"), part("code"), part("message")));
    }
}

fn save_generated(local: &mut LocalTask, offer: &Offer, report: &Report) -> Result<(), Failed> {
    let kind = local.request.kind();
    let (Some((key, file)), Some(sealed)) = (&mut local.generated, report.sealed.first()) else { return Ok(()) };
    let context = SealContext { task: offer.task, kind, system: &offer.system, target: &offer.target };
    let password = sealed.open(context, key).map_err(|error| Failed::because(Exit::Bug, &error))?;
    file.fill(&password)
}

/// Writes the results where they were wanted and returns the first entries that failed.
fn save_results(app: &App, local: &mut LocalTask, report: &Report) -> Result<Vec<Value>, Failed> {
    let Some(stream) = report.streams.first() else { return Ok(Vec::new()) };
    let reader = app
        .store
        .spool()
        .read(spool_id(stream.id), stream.length)
        .map_err(|error| Failed::because(Exit::Store, &error))?;
    let mut failed = Vec::new();
    let mut rest = Remainder::default();
    let mut line = Vec::new();
    let mut offset = 0;
    let mut results = local.results.take();
    while offset < stream.length {
        let piece = reader.read_at(offset).map_err(|error| Failed::because(Exit::Store, &error))?;
        offset += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if let Some(file) = &mut results {
            file.write_all(&piece).map_err(|error| unwritten(file.path(), &error))?;
        }
        for byte in piece {
            if byte != b'\n' {
                if line.len() < MAX_LINE {
                    line.push(byte);
                }
                continue;
            }
            note_failed(&mut failed, &line);
            rest.note(&line);
            line.clear();
        }
    }
    if let Some(file) = results {
        let path = file.path().to_owned();
        file.complete().map_err(|error| unwritten(&path, &error))?;
    }
    if let (Some(file), Some(dataset)) = (&mut local.rest, &local.dataset) {
        file.fill(&rest, dataset)?;
    }
    Ok(failed)
}

fn unwritten(path: &Path, error: &io::Error) -> Failed {
    Failed::new(Exit::Failed, format!("the results cannot be written to `{}`: {error}", path.display()))
}

fn note_failed(failed: &mut Vec<Value>, line: &[u8]) {
    if failed.len() >= SHOWN {
        return;
    }
    if let Ok(entry) = serde_json::from_slice::<Value>(line) {
        let outcome = entry.get("outcome").and_then(Value::as_str).unwrap_or_default();
        if matches!(outcome, "failed" | "unknown") {
            failed.push(entry);
        }
    }
}
