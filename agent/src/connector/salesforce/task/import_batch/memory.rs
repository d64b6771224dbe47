//! What earlier attempts journaled about a unit.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use postern_protocol::Epoch;
use serde::{Deserialize, Serialize};

use super::super::may_have_begun;
use crate::connector::{AttemptCx, JournalEntry};

/// What an intent or a memo of a unit says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super::super) struct Note {
    /// When the unit's users were looked up first, in milliseconds since 1970 by Salesforce's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<i64>,
    /// The lease of the attempt, if no other member can have had the batch until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) own: Option<Epoch>,
    /// The account that the calls are made as: another one may go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    /// The ids of users about to be renamed, by entry: afterwards their old names lead nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) renames: Vec<(u64, String)>,
    /// Entries that the policy refused, each with the rule: the unit is begun without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) refused: Vec<(u64, String)>,
    /// Entries that the policy let in and counted: from each first to each last of their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) admitted: Vec<(u64, u64)>,
    /// The password that is about to be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<Password>,
    /// A bulk job that was made: what it does, and its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<(Operation, String)>,
    /// The version of the API that it was made with: under another it may not be told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// Which entries are in it: results name users, and one may stand in several entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<Rows>,
    /// Whether the job is about to be handed over: before, it does nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hands_over: bool,
    /// The part of the unit that is about to be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempted: Option<u32>,
    /// The part of the unit in which an attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<u32>,
}

impl Note {
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(entry: &JournalEntry) -> Option<Self> {
        serde_json::from_slice(&entry.note).ok()
    }
}

/// One call for a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Password {
    /// Whose it is.
    pub(super) entry: u64,
    /// When it was changed last before the first call: a later one's view may already show the effect of an earlier.
    pub(super) before: Option<String>,
    /// How many calls there may have been with this one, wherever they were made.
    pub(super) calls: u32,
    /// The lease that it is made under.
    pub(super) lease: Epoch,
}

/// The entries of a bulk job, by their numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rows {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Those between them that are not in it, though they were to be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) but: Vec<u64>,
}

impl Rows {
    pub(super) fn have(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number) && !self.but.contains(&number)
    }
}

/// A bulk job that was made.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) operation: Operation,
    pub(super) id: String,
    pub(super) version: Option<String>,
    /// Nothing of one that was only to be given up.
    pub(super) rows: Option<Rows>,
    /// The account that made it.
    pub(super) by: Option<String>,
    pub(super) may_be_handed_over: bool,
}

/// What is done to many users at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Insert,
    Update,
}

impl Operation {
    /// As the Bulk API calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
        }
    }
}

/// Accounts, by their ids in the short form.
pub(super) type Accounts = BTreeSet<String>;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether any call may have been made.
    pub(super) may_have_acted: bool,
    /// Whether another member may have done any of it, of which nothing is known here.
    pub(super) elsewhere: bool,
    /// What was made or changed from here on by us may be this unit's doing.
    pub(super) since: Option<Timestamp>,
    /// The accounts that we may be to the org.
    pub(super) accounts: Accounts,
    pub(super) renames: HashMap<u64, String>,
    /// The rule by which the policy refused an entry; only if the unit was begun here, because then it was decided.
    pub(super) refused: HashMap<u64, String>,
    /// Whom the policy let in, by numbers from each first to each last.
    admitted: Vec<(u64, u64)>,
    /// Bulk jobs that were made, oldest first.
    pub(super) jobs: Vec<Job>,
    /// The last call for each entry's.
    pub(super) passwords: HashMap<u64, Password>,
}

impl Memory {
    /// What the journal says about unit `step`; `elsewhere` becomes [`Memory::elsewhere`].
    pub(super) fn of(cx: &AttemptCx, step: u32, elsewhere: bool) -> Self {
        let mut memory = Self { may_have_acted: cx.reconcile, elsewhere, ..Self::default() };
        let is_begun = cx.is_open(step);
        for note in cx.earlier.memos(step).filter_map(Note::decode) {
            memory.renames.extend(note.renames);
            memory.refused.extend(note.refused.into_iter().filter(|_| is_begun));
            memory.admitted.extend(note.admitted);
        }
        let Self { refused, admitted, .. } = &mut memory;
        refused.retain(|number, _| !is_in(admitted, *number));
        for entry in cx.earlier.intents(step) {
            memory.may_have_acted = true;
            let Some(note) = Note::decode(entry) else { continue };
            let since = note.since.and_then(|millis| Timestamp::from_millisecond(millis).ok());
            memory.since = memory.since.or(since);
            memory.accounts.extend(note.by.clone());
            if let Some((operation, id)) = note.job {
                match memory.jobs.iter_mut().find(|job| job.id == id) {
                    Some(job) => job.may_be_handed_over |= note.hands_over,
                    None => memory.jobs.push(Job {
                        operation,
                        id,
                        version: note.version,
                        rows: note.rows,
                        by: note.by,
                        may_be_handed_over: note.hands_over,
                    }),
                }
            }
            memory.passwords.extend(note.password.map(|it| (it.entry, it)));
        }
        if memory.may_have_acted && memory.since.is_none() {
            // An error falls on the side of what others did shortly before: it passes for this unit's, and nothing is made
            // twice.
            memory.since = may_have_begun(cx.task);
        }
        memory
    }

    /// Whether another member may have had the batch. One that comes back to its only member was had by no other, unless the
    /// numbers of its leases begin anew, because the controller was put back from a copy.
    pub(super) fn is_of_another(cx: &AttemptCx) -> bool {
        let mut own = cx.earlier.open().iter().filter_map(Note::decode).filter_map(|note| note.own);
        cx.reconcile && !own.any(|lease| cx.alone.has_been_since(lease) && cx.alone.was_kept_since(lease))
    }

    /// Whether the policy let an entry in, in an earlier attempt.
    pub(super) fn was_admitted(&self, number: u64) -> bool {
        is_in(&self.admitted, number)
    }
}

fn is_in(ranges: &[(u64, u64)], number: u64) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
}

/// Numbers in their order as ranges.
pub(super) fn ranges(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if number == last.saturating_add(1) => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    ranges
}
