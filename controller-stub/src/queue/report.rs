//! How tasks end: what a report means depends on the epoch it comes under.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, MemberId, Outcome, TaskId};

use super::{MAX_OBSERVATIONS, Queue};
use crate::clock::Moment;
use crate::state::record::{Finish, ObservationRecord, TaskState};

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
}

/// What a report meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the task's outcome.
    Finished,
    /// It came too late to be the outcome and is kept for whoever has the task now.
    Observed,
    /// There is no such unfinished task.
    NotOpen,
}

impl Queue {
    /// A member reports an outcome.
    pub fn report(&mut self, member: MemberId, report: Reported, at: Moment) -> Verdict {
        let Some(entry) = self.tasks.get(&report.task) else { return Verdict::NotOpen };
        let record = &entry.record;
        // An epoch is given out with a lease: under none, nobody was asked to do anything.
        let leased = record.epoch > Epoch(0);
        let current = leased && report.epoch == record.epoch && record.state.holder().is_none_or(|it| it == member);
        let in_doubt = matches!(record.state, TaskState::InDoubt { .. });
        // A certain success is what was asked for, whoever brought it about. A certain failure says nothing about
        // what the later holder did.
        let closes = in_doubt
            && report.certainty == Certainty::Certain
            && matches!(report.outcome, Outcome::Succeeded | Outcome::AlreadySatisfied);
        if current || closes {
            let finish = Finish {
                outcome: report.outcome,
                certainty: report.certainty,
                changed: report.changed,
                member: Some(member),
                epoch: report.epoch,
                note: String::new(),
                at: at.wall,
            };
            self.finish(report.task, finish);
            return Verdict::Finished;
        }
        self.observe(member, report);
        Verdict::Observed
    }

    fn observe(&mut self, member: MemberId, report: Reported) {
        let Some(entry) = self.tasks.get_mut(&report.task) else { return };
        let observation =
            ObservationRecord { member, epoch: report.epoch, outcome: report.outcome, certainty: report.certainty };
        let observations = &mut entry.record.observations;
        if !observations.contains(&observation) && observations.len() < MAX_OBSERVATIONS {
            observations.push(observation);
            // Somebody acted under an earlier lease, whatever is known of the present one.
            entry.record.reconcile = true;
            self.changed.insert(report.task);
        }
    }
}
