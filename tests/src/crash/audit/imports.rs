//! Whether an import tells of each entry once, and tells the truth.

use std::collections::BTreeSet;

use salesforce_sim::Counters;
use serde_json::Value;

use super::super::Tally;
use super::super::ended::{Ended, Entry, Seen};
use super::{Trouble, accounts};

pub(super) fn check(
    it: &Ended,
    trouble: Trouble,
    entries: &[Entry],
    results: Option<&Result<Vec<u8>, String>>,
    tally: &mut Tally,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for entry in entries {
        if let Some(calls) = entry.calls {
            complaints.extend(accounts::check_calls(it, trouble, calls));
        }
    }
    let lines = match results {
        Some(Ok(bytes)) => bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()),
        Some(Err(error)) => {
            complaints.push(format!("its results cannot be had: {error}"));
            return complaints;
        }
        None if it.told.outcome == "dead_lettered" || it.told.outcome == "unknown" => return complaints,
        None if trouble.cancelled && it.told.changed == "no" => {
            complaints.extend(entries.iter().filter_map(nothing_happened));
            return complaints;
        }
        None => {
            complaints.push("there are no results".to_owned());
            return complaints;
        }
    };
    let lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap_or(Value::Null)).collect();
    complaints.extend(check_counts(it, entries.len(), &lines));
    for line in &lines {
        let number = line["entry"].as_u64().and_then(|number| usize::try_from(number).ok());
        let Some(entry) = number.and_then(|number| entries.get(number.checked_sub(1)?)) else {
            complaints.push(format!("a line tells of no entry: {line}"));
            continue;
        };
        let fate = line["outcome"].as_str().unwrap_or_default();
        let told = line["code"].as_str().map_or_else(|| fate.to_owned(), |code| format!("{fate}: {code}"));
        *tally.entries.entry(told).or_default() += 1;
        tally.effects += u64::from(fate == "created");
        complaints.extend(check_line(trouble, entry, fate, line).map(|complaint| format!("{complaint}: {line}")));
    }
    complaints
}

/// One line for each entry, and the sums of the outcome are those of the lines.
fn check_counts(it: &Ended, entries: usize, lines: &[Value]) -> Vec<String> {
    let mut complaints = Vec::new();
    let numbers: BTreeSet<u64> = lines.iter().filter_map(|line| line["entry"].as_u64()).collect();
    // What was given up on the way has the results of what was done until then.
    let is_whole = it.told.output.is_object();
    if numbers.len() != lines.len() || (is_whole && lines.len() != entries) {
        complaints.push(format!("{} lines tell of {} of {entries} entries", lines.len(), numbers.len()));
    }
    if is_whole {
        let count = |fate: &str| lines.iter().filter(|line| line["outcome"] == fate).count();
        for (name, counted) in ["created", "modified", "unchanged", "failed", "unknown"].map(|fate| (fate, count(fate)))
        {
            if it.told.output[name] != counted {
                complaints.push(format!("{counted} lines say {name}, the outcome {}", it.told.output[name]));
            }
        }
        if it.told.output["entries"] != entries {
            complaints.push(format!("{} of {entries} entries were counted", it.told.output["entries"]));
        }
    }
    complaints
}

fn check_line(trouble: Trouble, entry: &Entry, fate: &str, line: &Value) -> Option<String> {
    let is_given_up = line["code"] == "killed_the_agent" && trouble.kills_of_one >= 2;
    match fate {
        "created" | "modified" if (fate == "created") != entry.is_new => Some("it was something else to do".to_owned()),
        "created" | "modified" if !entry.is_there.at_end => Some("there is no such account".to_owned()),
        "created" if entry.calls.is_some() && !entry.is_set => Some("its password was not set".to_owned()),
        "created" | "modified" => None,
        "unchanged" if !entry.is_new && entry.is_there.at_end && trouble.may_have_lost_answers() => None,
        "unknown" if trouble.may_have_lost_answers() || trouble.cancelled => None,
        "failed" if is_given_up || trouble.cancelled => nothing_happened(entry).filter(|_| line["partly"] != true),
        _ => Some("it may not end so".to_owned()),
    }
}

fn nothing_happened(entry: &Entry) -> Option<String> {
    entry.is_there.after.then(|| format!("{} was changed all the same", entry.account))
}

/// No account was made twice, and none that nobody asked for.
pub(super) fn check_made(ended: &[Ended], counters: &Counters) -> Vec<String> {
    let entries = ended.iter().flat_map(|it| match &it.seen {
        Seen::Import { entries, .. } => entries.as_slice(),
        Seen::Account { .. } | Seen::Password { .. } | Seen::Export { .. } => &[],
    });
    let asked: BTreeSet<&str> = entries.filter(|entry| entry.is_new).map(|entry| entry.account.as_str()).collect();
    let made = counters.users.iter().filter(|(_, effects)| effects.creates > 0);
    made.filter(|(name, effects)| effects.creates > 1 || !asked.contains(name.as_str()))
        .map(|(name, effects)| {
            format!("{name} was made {} times, asked for: {}", effects.creates, asked.contains(name.as_str()))
        })
        .collect()
}
