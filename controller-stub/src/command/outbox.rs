//! `outbox`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use postern_protocol::outbox::OwedReport;
use postern_protocol::plain;
use serde_json::{Value, json};

use super::{client, output};
use crate::api::HandedInView;
use crate::cli::{OutboxCommand, Reach};
use crate::exit::{Exit, Failure};

/// A line is far shorter: the largest report has less than 128 KiB, a third more in base64.
const MAX_LINE: u64 = 256 * 1024;

pub(super) async fn run(reach: &Reach, command: OutboxCommand) -> Result<(), Failure> {
    let OutboxCommand::Import { file } = command;
    let client = client(reach)?;
    let mut all = Vec::new();
    let (mut not_taken, mut cut_off) = (0, None);
    for owed in read(&file)? {
        // One that is not taken says why, and the others are handed in all the same.
        let answer: Result<HandedInView, Failure> = client.post_patiently("/v1/outbox", &owed).await;
        let became = match answer {
            Ok(view) => serde_json::to_value(view.verdict).unwrap_or_default(),
            Err(failure) if failure.exit == Exit::Refused => {
                not_taken += 1;
                Value::String(failure.text)
            }
            Err(failure) => {
                cut_off = Some(failure);
                break;
            }
        };
        all.push((owed, became));
    }
    // What was done is told in any case: handed in again, it counts for nothing.
    show(reach, &all)?;
    if let Some(Failure { exit, text, .. }) = cut_off {
        return Err(Failure::new(
            exit,
            format!("{text}; {} were handed in; import the file again for the rest", all.len()),
        ));
    }
    if not_taken > 0 {
        return Err(Failure::new(Exit::Failed, format!("{not_taken} of {} reports were not taken", all.len())));
    }
    Ok(())
}

fn show(reach: &Reach, all: &[(OwedReport, Value)]) -> Result<(), Failure> {
    if reach.json {
        let line = |(owed, became): &(OwedReport, Value)| json!({ "task": owed.task, "epoch": owed.epoch, "outcome": owed.outcome, "became": became });
        return output::json(&all.iter().map(line).collect::<Vec<_>>());
    }
    let rows = all.iter().map(|(owed, became)| {
        let became = became.as_str().unwrap_or_default().to_owned();
        vec![owed.task.to_string(), owed.epoch.to_string(), owed.outcome.to_string(), became]
    });
    output::rows(&["task", "epoch", "outcome", "became"], rows.collect(), "the file has no report");
    Ok(())
}

/// All lines, before the first is handed in: a file that is not one is found out before anything is done.
fn read(path: &Path) -> Result<Vec<OwedReport>, Failure> {
    let unusable = |why: String| Failure::new(Exit::Usage, format!("`{}` {why}", path.display()));
    let mut file = BufReader::new(File::open(path).map_err(|error| unusable(format!("cannot be read: {error}")))?);
    let (mut all, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE).read_line(&mut line);
        if read.map_err(|error| unusable(format!("cannot be read: {error}")))? == 0 {
            return Ok(all);
        }
        let owed = serde_json::from_str(&line).map_err(|error| {
            unusable(format!(
                "is not what `postern outbox export` wrote, line {}: {}",
                all.len() + 1,
                plain::json(&error)
            ))
        })?;
        all.push(owed);
    }
}
