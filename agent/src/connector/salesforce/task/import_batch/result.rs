//! What became of each entry: one line of JSON an entry, in the notes that end a unit.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::import_batch::Output;
use postern_protocol::{Failure, FailureClass, Outcome};
use serde::{Deserialize, Serialize};

use crate::connector::{Conclusion, JournalEntry, MAX_NOTE, Mark};

/// The longest text of a line; escaped, four of them still fit a note.
const MAX_TEXT: usize = 300;

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    Created,
    Modified,
    Failed,
    Unknown,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) entry: u64,
    #[serde(rename = "line")]
    pub(super) at: u64,
    pub(super) action: String,
    pub(super) account: String,
    pub(super) outcome: Fate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// A text that keeps its line within a note.
pub(super) fn clipped(text: &str) -> String {
    let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let mut text: String = plain.take(MAX_TEXT).collect();
    text.truncate(text.floor_char_boundary(2 * MAX_TEXT));
    text
}

/// Whole lines, as many as fit, a note.
pub(super) fn notes(lines: &[Line]) -> Vec<Vec<u8>> {
    let mut notes: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        match notes.last_mut() {
            Some(note) if note.len() + text.len() <= MAX_NOTE => note.extend(text),
            _ => notes.push(text),
        }
    }
    notes
}

/// How many entries ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    created: u64,
    modified: u64,
    failed: u64,
    unknown: u64,
}

impl Tally {
    /// What earlier attempts finished.
    pub(super) fn of_journal(journal: &[JournalEntry]) -> Self {
        let mut tally = Self::default();
        for entry in journal.iter().filter(|entry| entry.mark == Mark::Done) {
            for line in entry.note.split(|byte| *byte == b'\n') {
                if let Ok(line) = serde_json::from_slice::<Line>(line) {
                    tally.count(line.outcome);
                }
            }
        }
        tally
    }

    pub(super) fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Created => self.created += 1,
            Fate::Modified => self.modified += 1,
            Fate::Failed => self.failed += 1,
            Fate::Unknown => self.unknown += 1,
        }
    }

    pub(super) fn entries(&self) -> u64 {
        self.created + self.modified + self.failed + self.unknown
    }

    /// How the batch ended.
    pub(super) fn conclusion(self) -> Conclusion {
        let Self { created, modified, failed, unknown } = self;
        let (entries, good) = (self.entries(), created + modified);
        let changed = match (good, unknown) {
            (1.., _) => Changed::Yes,
            (0, 1..) => Changed::Unknown,
            (0, 0) => Changed::No,
        };
        let conclusion = Conclusion::succeeded(Output { entries, created, modified, failed, unknown }, changed);
        if failed + unknown == 0 {
            return conclusion;
        }
        let summary = format!("of {entries} entries, {failed} failed and {unknown} are unknown");
        let failure = Failure::new(FailureClass::Rejected, "entries_failed", summary)
            .with_next_step("Read the results: each entry's line says what happened and what to do.");
        let (outcome, certainty) = match (good, unknown) {
            (1.., _) => (Outcome::PartiallySucceeded, Certainty::Certain),
            (0, 0) => (Outcome::Failed, Certainty::Certain),
            (0, 1..) if failed > 0 => (Outcome::PartiallySucceeded, Certainty::Unknown),
            (0, 1..) => (Outcome::Unknown, Certainty::Unknown),
        };
        Conclusion { outcome, certainty, failure: Some(failure), ..conclusion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> Line {
        Line {
            entry: number,
            at: number,
            action: "modify".to_owned(),
            account: clipped(text),
            outcome: Fate::Failed,
            id: Some("0055g00000XyZ12AAF".to_owned()),
            code: Some(clipped(text)),
            message: Some(clipped(text)),
        }
    }

    #[test]
    fn notes_hold_whole_lines_however_long_their_texts_are() {
        for text in ["x", &"\"".repeat(5_000), &"😀".repeat(5_000), &"\u{1}".repeat(5_000)] {
            let lines: Vec<Line> = (1..=200).map(|number| line(number, text)).collect();
            let notes = notes(&lines);
            assert!(notes.iter().all(|note| note.len() <= MAX_NOTE && note.ends_with(b"\n")));
            let journal: Vec<JournalEntry> =
                notes.into_iter().map(|note| JournalEntry { step: 0, mark: Mark::Done, note }).collect();
            assert_eq!(Tally::of_journal(&journal).entries(), 200);
        }
    }

    #[test]
    fn a_batch_ends_as_its_entries_did() {
        for (created, failed, unknown, outcome, changed) in [
            (0, 0, 0, Outcome::Succeeded, Changed::No),
            (2, 0, 0, Outcome::Succeeded, Changed::Yes),
            (2, 1, 0, Outcome::PartiallySucceeded, Changed::Yes),
            (2, 0, 1, Outcome::PartiallySucceeded, Changed::Yes),
            (0, 2, 0, Outcome::Failed, Changed::No),
            (0, 0, 2, Outcome::Unknown, Changed::Unknown),
            (0, 1, 1, Outcome::PartiallySucceeded, Changed::Unknown),
        ] {
            let tally = Tally { created, failed, unknown, ..Tally::default() };
            let conclusion = tally.conclusion();
            assert_eq!((conclusion.outcome, conclusion.changed), (outcome, changed), "{tally:?}");
        }
    }
}
