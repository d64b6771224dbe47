//! What became of each entry: one line of JSON an entry, told at the end of a unit.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use postern_protocol::bounded::List;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::import_batch::{License, Output};
use postern_protocol::{Failure, FailureClass, Outcome};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use crate::connector::{Conclusion, Effect, Known, Proved, Shift, is_false};
use crate::redaction::redacted;

/// The longest text of a line.
const MAX_TEXT: usize = 300;

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    Created,
    Modified,
    Unchanged,
    /// Of a dry run.
    WouldCreate,
    /// Of a dry run.
    WouldModify,
    Failed,
    Unknown,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub(super) entry: u64,
    #[serde(rename = "line")]
    pub(super) at: u64,
    pub(super) column: u64,
    /// The bytes of the dataset before it, and how many it has; all the rest, if it does not say.
    pub(super) offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<u64>,
    pub(super) action: &'static str,
    pub(super) account: String,
    pub(super) outcome: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// What the account is called as the entry left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// Whether it was changed although it failed.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) partly: bool,
    /// Whether an attempt that died may have changed it, although it failed.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) perhaps: bool,
    /// Of a dry run: what would be changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Shift>,
    /// What the audit log tells of it, if it was changed or may have been.
    #[serde(skip)]
    pub(super) effect: Option<(Effect, Known)>,
}

/// The most bytes of the values in a line; of those behind, only the name is told.
const MAX_VALUES: usize = 8 * 1024;

/// The most bytes of the names in a line: more attributes than a user has, and less than a line of the audit log.
const MAX_NAMES: usize = 48 * 1024;

/// Changes with their values cut to what a line has room for. Secrets in use go first: of one that was cut, nobody would
/// know what is left.
pub(super) fn told(shifts: &[Shift]) -> Vec<Shift> {
    let cut = |value: &Option<Json>| match value {
        Some(Json::String(text)) => Some(Json::String(clipped(&redacted(text)))),
        other => other.clone(),
    };
    let size = |shift: &Shift| serde_json::to_vec(shift).map_or(MAX_NAMES, |text| text.len() + 1);
    let (mut names, mut values) = (MAX_NAMES, MAX_VALUES);
    let mut told = Vec::new();
    for shift in shifts {
        let hidden = Shift::hidden(&shift.attribute);
        let shown = Shift { old: cut(&shift.old), new: cut(&shift.new), ..hidden.clone() };
        let Some(left) = names.checked_sub(size(&hidden)) else { break };
        names = left;
        if let Some(left) = values.checked_sub(size(&shown).saturating_sub(size(&hidden))) {
            values = left;
            told.push(shown);
        } else {
            told.push(hidden);
        }
    }
    told
}

/// How an entry ended: what of a line is counted.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Counted {
    outcome: Fate,
    #[serde(default)]
    partly: bool,
    #[serde(default)]
    perhaps: bool,
    /// Whether the process died at it.
    #[serde(default, rename = "code", deserialize_with = "is_deadly")]
    deadly: bool,
}

/// The code of an entry at which the process dies.
pub(super) const DEADLY: &str = "killed_the_agent";

fn is_deadly<'de, D: Deserializer<'de>>(code: D) -> Result<bool, D::Error> {
    Ok(Option::<Cow<'de, str>>::deserialize(code)?.is_some_and(|code| code == DEADLY))
}

impl Counted {
    /// Whether anything of the account was, or may have been, changed.
    pub(super) fn may_have_changed(self) -> bool {
        self.partly || self.perhaps || matches!(self.outcome, Fate::Created | Fate::Modified | Fate::Unknown)
    }
}

impl Line {
    pub(super) fn counted(&self) -> Counted {
        let deadly = self.code.as_deref() == Some(DEADLY);
        Counted { outcome: self.outcome, partly: self.partly, perhaps: self.perhaps, deadly }
    }
}

/// A text that keeps its line short.
pub(super) fn clipped(text: &str) -> String {
    let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let mut text: String = plain.take(MAX_TEXT).collect();
    text.truncate(text.floor_char_boundary(2 * MAX_TEXT));
    text
}

/// What is proved of the entries of these lines.
pub(super) fn proved(lines: &[Line]) -> Proved {
    Proved::Entries(lines.iter().filter_map(|line| line.effect.clone()).collect())
}

/// The lines as they stand in the results.
pub(super) fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        text.extend(serde_json::to_vec(line).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// How many entries ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super::super) struct Tally {
    created: u64,
    modified: u64,
    unchanged: u64,
    failed: u64,
    unknown: u64,
    /// Of those that failed: changed all the same.
    partly: u64,
    /// Of those: an attempt that died may have changed them.
    perhaps: u64,
    /// Of those that failed or are unknown: the process died at them.
    deadly: u64,
}

impl Tally {
    /// What earlier attempts finished. Blocks.
    pub(in super::super::super) fn of_results(results: impl Read) -> io::Result<Self> {
        let mut tally = Self::default();
        let mut results = BufReader::new(results);
        let mut line = Vec::new();
        while results.read_until(b'\n', &mut line)? > 0 {
            if let Ok(end) = serde_json::from_slice(&line) {
                tally.count(end);
            }
            line.clear();
        }
        Ok(tally)
    }

    pub(super) fn count(&mut self, end: Counted) {
        self.partly += u64::from(end.partly);
        self.perhaps += u64::from(end.perhaps);
        self.deadly += u64::from(end.deadly);
        match end.outcome {
            Fate::Created | Fate::WouldCreate => self.created += 1,
            Fate::Modified | Fate::WouldModify => self.modified += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::Failed => self.failed += 1,
            Fate::Unknown => self.unknown += 1,
        }
    }

    pub(in super::super::super) fn entries(&self) -> u64 {
        self.created + self.modified + self.unchanged + self.failed + self.unknown
    }

    /// Whether an entry did not end well.
    pub(super) fn has_failures(&self) -> bool {
        self.failed + self.unknown > 0
    }

    /// At how many entries the process died.
    pub(super) fn deadly(&self) -> u64 {
        self.deadly
    }

    /// How a batch of this many entries ended.
    pub(super) fn conclusion(self, total: u64) -> Conclusion {
        let changed = match (self.created + self.modified + self.partly, self.unknown + self.perhaps) {
            (1.., _) => Changed::Yes,
            (0, 1..) => Changed::Unknown,
            (0, 0) => Changed::No,
        };
        self.ended(total, changed, None)
    }

    /// How a dry run of this many entries ended.
    pub(super) fn plan(self, total: u64, licenses: Vec<License>) -> Conclusion {
        // Nothing was sent, whatever is not known of some entries.
        Conclusion { changed: Changed::No, ..self.ended(total, Changed::No, Some(licenses)) }
    }

    /// `licenses`: of a dry run, what it would take.
    fn ended(self, total: u64, changed: Changed, licenses: Option<Vec<License>>) -> Conclusion {
        let Self { created, modified, unchanged, failed, unknown, .. } = self;
        let (entries, good) = (self.entries(), created + modified + unchanged);
        let dry_run = licenses.is_some();
        let licenses = List::clipped(licenses.unwrap_or_default());
        let output = Output { dry_run, entries: total, created, modified, unchanged, failed, unknown, licenses };
        let conclusion = if unchanged > 0 && unchanged == entries {
            Conclusion::already_satisfied(output)
        } else {
            Conclusion::succeeded(output, changed)
        };
        if entries != total {
            // Another version may have had other steps, and what it wrote of an entry may not be readable.
            let changed = if changed == Changed::Yes { Changed::Yes } else { Changed::Unknown };
            let failure = Some(incomplete(entries, total));
            return Conclusion {
                outcome: Outcome::Unknown,
                certainty: Certainty::Unknown,
                changed,
                failure,
                ..conclusion
            };
        }
        if !self.has_failures() {
            return conclusion;
        }
        let summary = format!("of {entries} entries, {failed} failed and {unknown} are unknown");
        let failure = Failure::new(FailureClass::Rejected, "entries_failed", summary).with_next_step(
            "Read the results: each entry's line says what happened and what to do. The console shows them with the task, \
             and `postern-controller task results` prints them. Mend what failed and import that again; both \
             `task results`, with the dataset in `--dataset`, and `postern exec` write it to a file with `--failed`.",
        );
        let (outcome, certainty) = match (good, unknown) {
            (1.., _) => (Outcome::PartiallySucceeded, Certainty::Certain),
            (0, 0) if self.partly > 0 => (Outcome::PartiallySucceeded, Certainty::Certain),
            (0, 0) => (Outcome::Failed, Certainty::Certain),
            (0, 1..) if failed > 0 => (Outcome::PartiallySucceeded, Certainty::Unknown),
            (0, 1..) => (Outcome::Unknown, Certainty::Unknown),
        };
        Conclusion { outcome, certainty, failure: Some(failure), ..conclusion }
    }
}

fn incomplete(entries: u64, total: u64) -> Failure {
    let summary = format!("the dataset has {total} entries, and the results can be read of {entries}");
    Failure::new(FailureClass::Internal, "results_incomplete", summary).with_next_step(
        "Compare the results with the dataset: of each entry without exactly one line, look in Salesforce what became of it, and \
         import it again if it was not done (after a rehearsal: rehearse again). The batch was gone on with by another version of the agent: tell its vendor.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::naming;
    use super::*;

    fn line(number: u64, text: &str) -> Line {
        Line {
            entry: number,
            at: number,
            column: 1,
            offset: 0,
            length: Some(1),
            action: "modify",
            account: clipped(text),
            outcome: Fate::Failed,
            id: Some("0055g00000XyZ12AAF".to_owned()),
            account_id: naming::whole(&text.chars().take(naming::MAX_NAME).collect::<String>()),
            login_id: naming::whole(text),
            code: Some(clipped(text)),
            message: Some(clipped(text)),
            partly: false,
            perhaps: false,
            changes: vec![Shift { attribute: clipped(text), old: None, new: Some(Json::from(clipped(text))) }],
            effect: None,
        }
    }

    /// Cut first, and what is left of the secret is not recognized.
    #[test]
    fn a_secret_in_use_is_taken_out_of_a_value_before_that_is_cut() {
        let secret = "s".repeat(100);
        let _in_use = crate::redaction::in_use(secret.as_bytes());
        let long = format!("{}{secret}", "x".repeat(MAX_TEXT - 50));
        let told = serde_json::to_string(&told(&[Shift::new("Title", Json::Null, long)])).unwrap();
        assert!(!told.contains("sss"), "{told}");
    }

    #[test]
    fn lines_can_be_counted_however_long_their_texts_are() {
        for text in ["x", &"\"".repeat(5_000), &"😀".repeat(5_000), &"\u{1}".repeat(5_000)] {
            let lines: Vec<Line> = (1..=200).map(|number| line(number, text)).collect();
            let text = super::text(&lines);
            assert!(text.len() <= 200 * (MAX_VALUES + 8 * MAX_TEXT + 2 * 4 * naming::MAX_NAME));
            assert_eq!(Tally::of_results(text.as_slice()).unwrap().entries(), 200);
        }
    }

    /// Stop where the room for values ends, and later attributes change without a word.
    #[test]
    fn an_attribute_whose_values_have_no_room_is_told_by_its_name() {
        let long = "x".repeat(2 * MAX_TEXT);
        let shifts = |count: usize| -> Vec<Shift> {
            let name = |number| format!("An_attribute_with_a_rather_long_name_{number}__c");
            (0..count).map(|number| Shift::new(&name(number), long.as_str(), long.as_str())).collect()
        };
        let told_of = told(&shifts(500));
        let names = |shifts: &[Shift]| shifts.iter().map(|it| it.attribute.clone()).collect::<Vec<_>>();
        assert_eq!(names(&told_of), names(&shifts(500)));
        assert!(told_of[0].new.as_ref().is_some_and(|new| new.as_str().unwrap().len() == MAX_TEXT));
        assert!(told_of[499].old.is_none() && told_of[499].new.is_none());
        let most = told(&shifts(5_000));
        assert!(serde_json::to_vec(&most).unwrap().len() <= MAX_NAMES + MAX_VALUES + 1);
    }

    /// What earlier attempts finished is counted by their lines, and a line that cannot be read counts for nothing: name anything
    /// otherwise, and a batch that is gone on with after an upgrade ends as if those entries had never been.
    #[test]
    fn lines_are_written_and_counted_as_the_first_version_wrote_them() {
        const FATES: [(Fate, &str); 7] = [
            (Fate::Created, "created"),
            (Fate::Modified, "modified"),
            (Fate::Unchanged, "unchanged"),
            (Fate::WouldCreate, "would_create"),
            (Fate::WouldModify, "would_modify"),
            (Fate::Failed, "failed"),
            (Fate::Unknown, "unknown"),
        ];
        let mut all = String::new();
        for (outcome, name) in FATES {
            let code = Some("killed_the_agent".to_owned());
            let line = Line { outcome, code, partly: true, perhaps: true, offset: 9, ..line(7, "x") };
            let written = format!(
                "{{\"entry\":7,\"line\":7,\"column\":1,\"offset\":9,\"length\":1,\"action\":\"modify\",\"account\":\"x\",\
                 \"outcome\":\"{name}\",\"id\":\"0055g00000XyZ12AAF\",\"account_id\":\"x\",\"login_id\":\"x\",\"code\":\"killed_the_agent\",\
                 \"message\":\"x\",\"partly\":true,\"perhaps\":true,\"changes\":[{{\"attribute\":\"x\",\"new\":\"x\"}}]}}\n"
            );
            assert_eq!(str::from_utf8(&text(&[line])).unwrap(), written);
            all.push_str(&written);
        }
        let tally = Tally::of_results(all.as_bytes()).unwrap();
        let told =
            Tally { created: 2, modified: 2, unchanged: 1, failed: 1, unknown: 1, partly: 7, perhaps: 7, deadly: 7 };
        assert_eq!(tally, told);
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
            let conclusion = tally.conclusion(tally.entries());
            assert_eq!((conclusion.outcome, conclusion.changed), (outcome, changed), "{tally:?}");
        }
        let perhaps = Tally { failed: 1, perhaps: 1, ..Tally::default() }.conclusion(1);
        assert_eq!((perhaps.outcome, perhaps.changed), (Outcome::Failed, Changed::Unknown));
    }

    #[test]
    fn a_batch_is_not_done_while_an_entry_has_no_line_or_two() {
        let unreadable = [text(&[line(1, "a")]), br#"{"entry":2,"outcome":"postponed"}"#.to_vec()].concat();
        let read = Tally::of_results(unreadable.as_slice()).unwrap();
        for (tally, total, changed) in [
            (Tally { created: 1, ..Tally::default() }, 2, Changed::Yes),
            (Tally { unchanged: 3, ..Tally::default() }, 2, Changed::Unknown),
            (read, 2, Changed::Unknown),
        ] {
            for conclusion in [tally.conclusion(total), tally.plan(total, Vec::new())] {
                assert_eq!(
                    (conclusion.outcome, conclusion.certainty),
                    (Outcome::Unknown, Certainty::Unknown),
                    "{tally:?}"
                );
                assert_eq!(conclusion.failure.unwrap().code.as_str(), "results_incomplete");
            }
            assert_eq!(tally.conclusion(total).changed, changed, "{tally:?}");
            assert_eq!(tally.plan(total, Vec::new()).changed, Changed::No, "{tally:?}");
        }
    }
}
