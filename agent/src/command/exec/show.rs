//! From a report to the terminal, and to the files that were asked for.

use std::io::{self, Write as _};
use std::path::Path;

use postern_protocol::code::CodeSet as _;
use postern_protocol::message::v1::{Offer, Report, StreamRef};
use postern_protocol::outcome::Outcome;
use postern_protocol::plain::on_one_line;
use postern_protocol::seal::SealContext;
use postern_protocol::task::import_batch::Remainder;
use postern_protocol::task::reset_password::Source;
use postern_protocol::{TaskKind, TaskOutput, TaskRequest};
use postern_store::SpoolError;
use postern_store::private::PartFile;
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

/// Writes what was to be written and shows what came of it, even where that could not be written: nobody can ask again.
/// Returns the exit code.
pub(super) fn show(app: &App, local: &mut LocalTask, offer: &Offer, report: &Report) -> Result<Exit, Failed> {
    let kind = local.request.kind();
    let output = if report.output.is_empty() { None } else { TaskOutput::decode(kind, &report.output).ok() };
    let output = output.map_or(Value::Null, |output| serde_json::to_value(output).unwrap_or_default());
    let saved = save_generated(local, offer, report);
    let password = told_of_password(local, report, saved.is_ok());
    let (failed, written) = match local.payload.take() {
        Some((key, file)) => (FailedEntries::default(), payload_file::fill(file, app, &key, offer, report)),
        None => save_results(app, local, report, output.get("entries").and_then(Value::as_u64)),
    };
    if local.json {
        say_json(&json!({
            "task": report.task, "kind": kind, "outcome": report.outcome, "certainty": report.certainty,
            "changed": report.changed, "failure": report.failure, "output": output, "failed_entries": failed.shown,
        }));
    } else {
        show_as_text(kind, report, &output, password);
        show_failed(&failed);
    }
    saved?;
    written?;
    Ok(match report.outcome.known() {
        Some(Outcome::Succeeded | Outcome::AlreadySatisfied) => Exit::Ok,
        _ => Exit::Failed,
    })
}

fn show_as_text(kind: TaskKind, report: &Report, output: &Value, password: String) {
    let failure = report.failure.as_ref();
    let mut pairs = vec![
        ("task", format!("{} ({})", report.task, kind.name())),
        ("outcome", report.outcome.to_string()),
        ("changed", report.changed.to_string()),
        ("failure", failure.map(|failure| format!("{} ({})", failure.summary, failure.code)).unwrap_or_default()),
        ("next step", failure.map(|failure| failure.next_step.to_string()).unwrap_or_default()),
    ];
    let fields = TaskOutput::fields(kind, output);
    pairs.extend(fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
    pairs.push(("password", password));
    say_pairs(&pairs);
}

fn show_failed(failed: &FailedEntries) {
    failed.shown.iter().for_each(|entry| say(format_args!("  {}", entry_line(entry))));
    match failed.count - failed.shown.len() {
        0 => (),
        more => say(format_args!("  and {more} more; the file of `--results` has them all")),
    }
}

/// One line for an entry that failed.
fn entry_line(entry: &Value) -> String {
    let text = |name: &str| match entry.get(name) {
        Some(Value::String(text)) => on_one_line(text),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let account = match text("account") {
        account if account.is_empty() => account,
        account => format!(" ({account})"),
    };
    format!("entry {}{account}: {}: {}", text("entry"), text("code"), text("message"))
}

/// Where the password of a reset is that the command made or got, or how to get it.
fn told_of_password(local: &LocalTask, report: &Report, saved: bool) -> String {
    let done = matches!(report.outcome.known(), Some(Outcome::Succeeded));
    match (&local.generated, &local.request) {
        (Some((_, file)), _) if saved && !report.sealed.is_empty() => format!("written to `{}`", file.path().display()),
        (None, TaskRequest::ResetPassword(it)) if done && it.source.known() == Some(Source::Service) => {
            "add `--temporary FILE` to get the next one".to_owned()
        }
        _ => String::new(),
    }
}

fn save_generated(local: &mut LocalTask, offer: &Offer, report: &Report) -> Result<(), Failed> {
    let kind = local.request.kind();
    let (Some((key, file)), Some(sealed)) = (&mut local.generated, report.sealed.first()) else { return Ok(()) };
    let context = SealContext { task: offer.task, kind, system: &offer.system, target: &offer.target };
    let password = sealed.open(context, key).map_err(|error| Failed::because(Exit::Bug, &error))?;
    file.fill(&password)
}

/// Writes the results of so many entries, and what did not succeed of the dataset, where they were wanted. Returns the entries
/// that failed, and what could not be written first.
fn save_results(
    app: &App,
    local: &mut LocalTask,
    report: &Report,
    entries: Option<u64>,
) -> (FailedEntries, Result<(), Failed>) {
    let mut failed = FailedEntries::default();
    let Some(stream) = report.streams.first() else { return (failed, Ok(())) };
    let mut rest = Remainder::default();
    let mut results = local.results.take().map(Ok);
    let read = each_line(
        app,
        stream,
        |piece| write_on(&mut results, piece),
        |line| {
            failed.note(line);
            rest.note(line);
        },
    );
    // What was not read through says nothing of what is behind, and takes the place of no file.
    if read.is_err() {
        return (failed, read);
    }
    let written = results.transpose().and_then(|file| file.map_or(Ok(()), complete));
    let rest = match (&mut local.rest, &local.dataset) {
        (Some(file), Some(dataset)) => file.fill(&rest, entries, dataset),
        _ => Ok(()),
    };
    (failed, written.and(rest))
}

/// Reads the results through, piece by piece and line by line.
fn each_line(
    app: &App,
    stream: &StreamRef,
    mut with_piece: impl FnMut(&[u8]),
    mut with_line: impl FnMut(&[u8]),
) -> Result<(), Failed> {
    let unread = |error: SpoolError| Failed::because(Exit::Store, &error);
    let reader = app.store.spool().read(spool_id(stream.id), stream.length).map_err(unread)?;
    let mut line = Vec::new();
    let mut offset = 0;
    while offset < stream.length {
        let piece = reader.read_at(offset).map_err(unread)?;
        offset += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        with_piece(&piece);
        for byte in piece {
            if byte != b'\n' {
                if line.len() < MAX_LINE {
                    line.push(byte);
                }
                continue;
            }
            with_line(&line);
            line.clear();
        }
    }
    Ok(())
}

/// Goes on with a file, unless that has failed before.
fn write_on(results: &mut Option<Result<PartFile, Failed>>, piece: &[u8]) {
    if let Some(Ok(file)) = results
        && let Err(error) = file.write_all(piece)
    {
        *results = Some(Err(unwritten(file.path(), &error)));
    }
}

fn complete(file: PartFile) -> Result<(), Failed> {
    let path = file.path().to_owned();
    file.complete().map_err(|error| unwritten(&path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Failed {
    Failed::new(Exit::Failed, format!("the results cannot be written to `{}`: {error}", path.display()))
}

/// The entries of a batch that failed or are unknown.
#[derive(Default)]
struct FailedEntries {
    /// The first [`SHOWN`] of them.
    shown: Vec<Value>,
    count: usize,
}

impl FailedEntries {
    /// Looks at one line of the results.
    fn note(&mut self, line: &[u8]) {
        let Ok(entry) = serde_json::from_slice::<Value>(line) else { return };
        if matches!(entry.get("outcome").and_then(Value::as_str), Some("failed" | "unknown")) {
            self.count += 1;
            if self.shown.len() < SHOWN {
                self.shown.push(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_names_no_account_is_shown_without_one() {
        let ragged = json!({ "entry": 2, "account": "", "code": "ragged_row", "message": "the row is \"short\"" });
        assert_eq!(entry_line(&ragged), "entry 2: ragged_row: the row is \"short\"");
        let named = json!({ "entry": 3, "account": "a@b.c", "code": "no_key", "message": "x" });
        assert_eq!(entry_line(&named), "entry 3 (a@b.c): no_key: x");
    }

    #[test]
    fn every_entry_that_failed_is_counted_and_the_first_are_shown() {
        let mut failed = FailedEntries::default();
        for outcome in ["failed", "unknown", "modified"] {
            (0..SHOWN).for_each(|_| failed.note(format!("{{\"outcome\":\"{outcome}\"}}").as_bytes()));
        }
        assert_eq!((failed.shown.len(), failed.count), (SHOWN, 2 * SHOWN));
    }
}
