//! What is true of the tasks, whoever knows it: what was asked of Salesforce, what came of it, and after what nobody can
//! know.

use std::collections::{BTreeMap, BTreeSet};

use postern_agent_core::{JournalEntry, Limits, Mark};
use postern_controller_stub::state::record::Finish;
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::outcome::Certainty;
use postern_protocol::{MemberId, Outcome, TaskId, TaskKind};

use crate::agenda::Millis;
use crate::attempt::{Told, told_by};
use crate::oracle::Broken;
use crate::salesforce::Change;
use crate::workload::{Wish, given, key};

/// One memory of a member: a store, and how often the member's store was put back before. What was put back has
/// forgotten what it did, like another.
pub type Memory = (Incarnation, u32);

/// What became of a call, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was refused.
    Refused,
    /// It has an answer, or will have one.
    Answered,
    /// It has no answer, and never will have one.
    Lost,
}

/// A change that was asked for.
#[derive(Debug, Clone)]
pub struct Call {
    /// What.
    pub change: Change,
    /// By whom.
    pub by: Memory,
    /// What its caller hears.
    pub fate: Fate,
    /// When it was asked for.
    pub at: Millis,
    /// Whether it took effect.
    pub committed: bool,
    /// It did so when the doubt about its task may have been over, and another task at work on its user.
    pub late: bool,
}

/// What happened to a task in one memory of a member.
#[derive(Debug, Clone, Default)]
struct Trail {
    /// A process died, or a store was lost or put back, when a call was announced and what became of it was not on disk.
    cut: bool,
    /// How often a process died in an attempt that got no further.
    deaths: u32,
    /// It was there when the store was put back: deaths that it had forgotten by then may be on it.
    put_back: bool,
    /// The records of a batch that are proved to have failed, and since when.
    failed: BTreeMap<u64, Millis>,
    /// When the task was concluded there.
    concluded: Vec<Millis>,
}

/// What is true of a task.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The step that submits it.
    pub step: usize,
    /// Its id.
    pub id: TaskId,
    /// What was asked for.
    pub wish: Wish,
    /// The submitter knows that it is taken in.
    pub acknowledged: bool,
    /// It has no outcome yet.
    pub is_open: bool,
    /// The wall clock of the controllers was put forward meanwhile: one that restarts takes it for alone for longer.
    pub wall_went_on: bool,
    /// The members whose disks lost its results.
    pub lost_by: BTreeSet<MemberId>,
    /// The members that refused it by their policy, and were not there since without it.
    pub refused_by: BTreeSet<usize>,
    /// The changes that were asked for.
    pub calls: Vec<Call>,
    trails: BTreeMap<Memory, Trail>,
}

impl Truth {
    /// What is true of a task that is just being submitted.
    pub const fn new(step: usize, id: TaskId, wish: Wish) -> Self {
        Self {
            step,
            id,
            wish,
            acknowledged: false,
            is_open: true,
            wall_went_on: false,
            lost_by: BTreeSet::new(),
            refused_by: BTreeSet::new(),
            calls: Vec::new(),
            trails: BTreeMap::new(),
        }
    }

    fn trail(&mut self, memory: Memory) -> &mut Trail {
        self.trails.entry(memory).or_default()
    }

    /// The changes that took effect.
    pub fn committed(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|it| it.committed)
    }

    /// The process that held it died, or its store went, with this journal of it. What is announced there and not
    /// settled, nobody knows any more.
    pub fn is_cut<'a>(&mut self, memory: Memory, journal: impl Iterator<Item = &'a JournalEntry>) {
        if !unsettled(journal).is_empty() {
            self.trail(memory).cut = true;
        }
    }

    /// The process died in an attempt at it.
    pub fn died(&mut self, memory: Memory) {
        self.trail(memory).deaths += 1;
    }

    /// An attempt got further: the deaths before were in another step.
    pub fn got_further(&mut self, memory: Memory) {
        self.trail(memory).deaths = 0;
    }

    /// A step of a batch is proved, with what became of its records.
    pub fn proved(&mut self, memory: Memory, entry: &JournalEntry, at: Millis) {
        let failed = told_by(entry).filter(|(_, end)| *end == Told::Failed);
        self.trail(memory).failed.extend(failed.map(|(record, _)| (record, at)));
    }

    /// The task is concluded.
    pub fn concluded(&mut self, memory: Memory, at: Millis) {
        self.trail(memory).concluded.push(at);
    }

    /// Whether a record that was told as failed was made by another member after it had failed, before the one that it
    /// had failed at concluded.
    fn failed_first(&self, record: u64, made: &[&Call]) -> bool {
        self.trails.iter().any(|(memory, trail)| {
            let since = trail.failed.get(&record);
            since.is_some_and(|since| {
                let concluded = trail.concluded.last().copied().unwrap_or_default();
                made.iter().all(|it| it.by != *memory && *since <= it.at && it.at <= concluded)
            })
        })
    }

    /// Its store was put back to when it held this task.
    pub fn was_put_back(&mut self, memory: Memory) {
        self.trail(memory).put_back = true;
    }

    /// Whether any member's store was put back to when it held this task.
    pub fn was_ever_put_back(&self) -> bool {
        self.trails.values().any(|it| it.put_back)
    }

    /// Whether its calls for a password are no more than there may be (invariant 12).
    pub fn may_be_sent(&self, is_forgotten: bool) -> Result<(), Broken> {
        let task = self.id;
        let mut sent: Vec<((Memory, usize), u32)> = Vec::new();
        for call in self.calls.iter().filter(|it| it.fate != Fate::Refused) {
            match &call.change {
                Change::SetPassword { value, .. } if !self.wish.made_up && *value != given(task) => {
                    return Err((12, format!("{task} set the password `{value}`, which is not the one it was given")));
                }
                Change::SetPassword { .. } | Change::ResetPassword { .. } => (),
                Change::SetActive { .. } | Change::Create { .. } => continue,
            }
            // Who concluded it and is given it again, is as good as another.
            let ends = self.trails.get(&call.by).map(|it| it.concluded.iter().filter(|at| **at <= call.at).count());
            let sender = (call.by, ends.unwrap_or_default());
            match sent.iter_mut().find(|(by, _)| *by == sender) {
                Some((_, times)) => *times += 1,
                None => sent.push((sender, 1)),
            }
        }
        let times: Vec<u32> = sent.iter().map(|(_, times)| *times).collect();
        let Some((first, others)) = times.split_first() else { return Ok(()) };
        let (most, each) = match self.wish.kind {
            // Each that is offered it before somebody tells of it is the first.
            TaskKind::ExpirePassword if is_forgotten => (1, 1),
            _ if is_forgotten => (2, 2),
            TaskKind::ExpirePassword => (1, 0),
            // Of one that is made up, it is what took effect that is counted, at the end.
            _ if self.wish.made_up => return Ok(()),
            _ => (2, 1),
        };
        if *first > most || others.iter().any(|it| *it > each) {
            return Err((12, format!("{task} sent a password so often, by member: {times:?}")));
        }
        Ok(())
    }

    /// Of passwords that were made up one takes effect at most, and that one is handed over (invariants 12 and 14).
    pub fn hands_over(&self, finish: &Finish, report: Option<&Report>) -> Result<(), Broken> {
        let task = self.id;
        let set: BTreeSet<&str> = self
            .committed()
            .filter_map(|it| match &it.change {
                Change::SetPassword { value, .. } => Some(value.as_str()),
                _ => None,
            })
            .collect();
        if set.len() > 1 {
            return Err((12, format!("{task} set several passwords that were made up: {set:?}")));
        }
        let told: Vec<String> = report
            .into_iter()
            .flat_map(|it| it.sealed.iter())
            .map(|it| String::from_utf8_lossy(&it.ciphertext).into_owned())
            .collect();
        let is_told = told.iter().any(|it| set.contains(it.as_str()));
        if finish.outcome == Outcome::Succeeded && !is_told {
            return Err((14, format!("{task} set {set:?}, and handed {told:?} over")));
        }
        Ok(())
    }

    /// Whether what a batch told of its records is what became of them under this task (invariant 20).
    pub fn tells(&self, finish: &Finish, told: &BTreeMap<u64, Told>) -> Result<(), Broken> {
        let (task, outcome) = (self.id, finish.outcome);
        for record in 0..self.wish.records {
            let of = |it: &&Call| matches!(&it.change, Change::Create { key: made } if *made == key(task, record));
            let made: Vec<&Call> = self.committed().filter(of).collect();
            let lost = self.calls.iter().filter(of).any(|it| it.fate == Fate::Lost);
            let end = told.get(&record).copied();
            let fits = match end {
                Some(Told::Made | Told::There) => !made.is_empty(),
                Some(Told::Failed) => made.is_empty() || self.failed_first(record, &made),
                Some(Told::Unknown) => lost,
                Some(Told::TooLate) => self.wish.deadline.is_some(),
                // What no result tells of was not done, or the outcome says that it is not known.
                None if finish.member.is_some_and(|it| self.lost_by.contains(&it)) => outcome != Outcome::Succeeded,
                None => outcome != Outcome::Succeeded && (made.is_empty() || finish.certainty == Certainty::Unknown),
            };
            let is_done = matches!(end, Some(Told::Made | Told::There));
            if !fits || (outcome == Outcome::Succeeded && !is_done) || (outcome == Outcome::Failed && is_done) {
                let seen = format!(
                    "record {record} of {task} was made {} times, is told as {end:?}, and the batch as {outcome}",
                    made.len()
                );
                return Err((20, seen));
            }
        }
        match told.keys().find(|record| **record >= self.wish.records) {
            Some(record) => Err((20, format!("{task} tells of a record {record}, and has {}", self.wish.records))),
            None => Ok(()),
        }
    }

    /// What a member concludes, compared with what happened to the task in its memory (invariants 15 and 23).
    pub fn may_end_so<'a>(
        &self,
        memory: Memory,
        report: &Report,
        offer: &Offer,
        journal: impl Iterator<Item = &'a JournalEntry>,
        begun: bool,
        limits: &Limits,
    ) -> Result<(), Broken> {
        let (kind, task, outcome) = (self.wish.kind, self.id, report.outcome.known());
        let trail = self.trails.get(&memory).cloned().unwrap_or_default();
        if outcome == Some(Outcome::DeadLettered) {
            let begun = begun || offer.reconcile;
            let most = if begun && kind == TaskKind::ImportBatch { limits.import_deaths } else { limits.deaths };
            if trail.deaths < most && !trail.put_back {
                let seen = format!(
                    "{kind} {task} is dead-lettered after {} deaths of the process in its step, not {most}",
                    trail.deaths
                );
                return Err((23, seen));
            }
            return Ok(());
        }
        if report.certainty.known() == Some(Certainty::Certain) {
            return Ok(());
        }
        let lost = self.calls.iter().any(|it| it.by == memory && it.fate == Fate::Lost);
        // A unit of a batch is proved as a whole: within one, its journal does not tell what was answered.
        let within_a_unit = kind == TaskKind::ImportBatch && outcome == Some(Outcome::Unknown);
        let undecided = !unsettled(journal).is_empty() && (lost || trail.cut || within_a_unit);
        if undecided || offer.reconcile {
            return Ok(());
        }
        Err((15, format!("{kind} {task} ends as {}, {}, and all was clear", report.outcome, report.certainty)))
    }
}

/// What a journal announces and neither takes back nor proves.
fn unsettled<'a>(journal: impl Iterator<Item = &'a JournalEntry>) -> Vec<&'a JournalEntry> {
    let mut open: Vec<&JournalEntry> = Vec::new();
    for entry in journal {
        match entry.mark {
            Mark::Intent => open.push(entry),
            Mark::Done | Mark::Unchanged => open.retain(|it| it.step != entry.step),
            Mark::TakenBack => {
                if let Some(of) = open.iter().rposition(|it| (it.step, &it.note) == (entry.step, &entry.note)) {
                    open.remove(of);
                }
            }
            Mark::Memo => (),
        }
    }
    open
}
