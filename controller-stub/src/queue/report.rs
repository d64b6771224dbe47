//! How tasks end: what a report means depends on the epoch it comes under.

use postern_protocol::message::v1::LeaseRef;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Repeat;
use postern_protocol::{Epoch, MemberId, Outcome, TaskId};

use super::{MAX_OBSERVATIONS, Queue};
use crate::clock::Moment;
use crate::state::record::{Finish, ObservationRecord, TaskRecord, TaskState};

/// What a member reports.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    /// The task.
    pub task: TaskId,
    /// Under which epoch.
    pub epoch: Epoch,
    /// How it ended.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Whether the outcome is all it tells: a member that was acknowledged before remembers nothing else.
    pub bare: bool,
}

/// What a report meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the task's outcome.
    Finished,
    /// It came too late to be the outcome and is kept for whoever has the task now.
    Observed,
    /// It came too late as well, and as many are kept as may be.
    OneTooMany,
    /// There is no such unfinished task. See [`Queue::observe_finished`].
    NotOpen,
    /// The member was never given the task under that epoch, or gave it back: its word counts for nothing.
    NeverLeased,
}

impl Verdict {
    /// In a word, for who counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Observed => "observed",
            Self::OneTooMany => "one_too_many",
            Self::NotOpen => "not_open",
            Self::NeverLeased => "never_leased",
        }
    }
}

impl Queue {
    /// A member reports an outcome.
    pub fn report(&mut self, member: MemberId, report: Reported, at: Moment) -> Verdict {
        let Some(entry) = self.tasks.get(&report.task) else { return Verdict::NotOpen };
        let record = &entry.record;
        if !self.holders.get(&member).is_some_and(|it| it.was_given(record, report.epoch)) {
            self.doubt_ledger(member, LeaseRef { task: report.task, epoch: report.epoch });
            return Verdict::NeverLeased;
        }
        let in_doubt = matches!(record.state, TaskState::InDoubt { .. });
        // A lease that was taken away has an older epoch, and nobody was given the task since.
        let newest = || record.leases.last().is_some_and(|lease| lease.epoch == report.epoch);
        let current = report.epoch == record.epoch || (in_doubt && newest());
        // What was read is handed over with the report, and nobody has to read it once more: the member is told that it was
        // taken, so it must not go with the end of the task.
        let is_read = record.kind.repeat() == Repeat::Freely && !report.bare;
        // A certain success is what was asked for, whoever brought it about. A certain failure says nothing about
        // what the later holder did, and neither does it that there was nothing to do then.
        let is_sure = report.certainty == Certainty::Certain && report.outcome == Outcome::Succeeded;
        let closes = (in_doubt || is_read) && is_sure;
        let was_seen = report.certainty == Certainty::Probable && report.outcome == Outcome::Succeeded;
        // What was only seen may be what another task did that had the target since.
        let had_another = !record.target.is_empty() && record.alone.is_none() && record.state.holder().is_none();
        let is_anothers = was_seen && had_another;
        if (current || closes) && !is_anothers {
            // Whatever it said of it since was in short, too.
            let told_before = record.observations.iter().filter(|_| report.bare);
            // One that found it out anew may say the same of the outcome and less of how it came about.
            let same = |it: &&ObservationRecord| {
                (it.outcome, it.certainty, it.changed) == (report.outcome, report.certainty, report.changed)
            };
            let mut told_before = told_before.filter(|it| it.member == member && same(it));
            // What came of it was stored under the epoch under which the member told everything.
            let epoch = told_before.next().map_or(report.epoch, |it| it.epoch);
            let finish = Finish {
                outcome: report.outcome,
                certainty: report.certainty,
                changed: report.changed,
                member: Some(member),
                epoch,
                note: String::new(),
                at: at.wall,
            };
            self.finish(report.task, finish);
            return Verdict::Finished;
        }
        self.observe(member, report)
    }

    /// A report about a finished task by a member that was given it: kept beside the outcome, which never changes.
    /// Whether the record has changed.
    pub fn observe_finished(&self, record: &mut TaskRecord, member: MemberId, report: Reported) -> bool {
        let was_given = self.holders.get(&member).is_some_and(|it| it.was_given(record, report.epoch));
        let is_outcome = |it: &Finish| (it.member, it.epoch) == (Some(member), report.epoch);
        was_given && !record.finish.as_ref().is_some_and(is_outcome) && keep(record, member, report)
    }

    fn observe(&mut self, member: MemberId, report: Reported) -> Verdict {
        let Some(entry) = self.tasks.get_mut(&report.task) else { return Verdict::NotOpen };
        if keep(&mut entry.record, member, report) {
            self.changed.insert(report.task);
            // Somebody acted under an earlier lease, whatever is known of the present one.
            self.look_first(report.task);
        }
        let is_kept = self.task(report.task).is_some_and(|it| it.observations.contains(&observation(member, report)));
        if is_kept { Verdict::Observed } else { Verdict::OneTooMany }
    }
}

/// Keeps a report that came too late with its task. Whether it was news, and there was room.
fn keep(record: &mut TaskRecord, member: MemberId, report: Reported) -> bool {
    let observation = observation(member, report);
    let keeps = !record.observations.contains(&observation) && record.observations.len() < MAX_OBSERVATIONS;
    if keeps {
        record.observations.push(observation);
    }
    keeps
}

const fn observation(member: MemberId, report: Reported) -> ObservationRecord {
    ObservationRecord {
        member,
        epoch: report.epoch,
        outcome: report.outcome,
        certainty: report.certainty,
        changed: report.changed,
    }
}
