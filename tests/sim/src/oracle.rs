//! What must hold at every step. The numbers are those of the invariants in `docs/delivery.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use postern_controller_stub::state::record::{Finish, MemberNumbers, TaskRecord};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::Report;
use postern_protocol::{Epoch, MemberId, ReportNo, SessionNo, TaskId};

use crate::agenda::Millis;
use crate::disk::ControllerRecords;
use crate::net::LinkId;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its number; 0 is liveness.
    pub invariant: u8,
    /// What was seen.
    pub seen: String,
    /// When.
    pub at: Millis,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.invariant {
            0 => write!(f, "liveness, after {} ms: {}", self.at, self.seen),
            number => write!(f, "invariant {number}, after {} ms: {}", self.at, self.seen),
        }
    }
}

/// The number of an invariant that does not hold, and what was seen.
pub type Broken = (u8, String);

/// Watches what becomes durable and what is said, and keeps the first violation.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The first violation.
    pub violation: Option<Violation>,
    /// Tasks that were ended by a report that came when its lease was over and nobody had another.
    pub ended_unheld: BTreeSet<TaskId>,
    /// Tasks that were leased, and the controllers were put back to before they ended: another member may work on them, too.
    pub forgotten: BTreeSet<TaskId>,
    outcomes: BTreeMap<TaskId, Finish>,
    order: Vec<TaskId>,
    reported: BTreeMap<(TaskId, Epoch), Vec<Report>>,
    acknowledged: BTreeMap<Incarnation, ReportNo>,
    epochs: BTreeMap<TaskId, Epoch>,
    issued: BTreeMap<MemberId, SessionNo>,
    leases: BTreeMap<(TaskId, Epoch), Millis>,
    /// The newest report of each store that was ever stored.
    stored: BTreeMap<Incarnation, ReportNo>,
    /// The newest connection when the controllers were put back: what is heard in one as old was said before.
    old_link: LinkId,
}

impl Oracle {
    /// Something is wrong.
    pub fn broken(&mut self, invariant: u8, at: Millis, seen: String) {
        self.violation.get_or_insert(Violation { invariant, seen, at });
    }

    /// The controllers' disk was put back to this.
    pub fn forgets(&mut self, copy: &ControllerRecords, newest: LinkId) {
        self.old_link = newest;
        self.outcomes.retain(|task, _| copy.tasks.get(task).is_some_and(|it| it.finish.is_some()));
        self.order.retain(|task| self.outcomes.contains_key(task));
        self.epochs = copy.tasks.iter().map(|(id, task)| (*id, task.epoch)).collect();
        self.issued = copy.numbers.iter().map(|(id, numbers)| (*id, numbers.issued)).collect();
    }

    /// How a task ended, as far as that is durable.
    pub fn outcome(&self, task: TaskId) -> Option<&Finish> {
        self.outcomes.get(&task)
    }

    /// The tasks that ended, in order.
    pub fn ended(&self) -> impl Iterator<Item = (TaskId, &Finish)> {
        self.order.iter().filter_map(|task| Some((*task, self.outcomes.get(task)?)))
    }

    /// A report is durable at a member.
    pub fn member_owes(&mut self, report: &Report) {
        self.reported.entry((report.task, report.epoch)).or_default().push(report.clone());
    }

    /// A member heard that its reports up to this one are stored.
    pub fn member_heard(
        &mut self,
        (store, link): (Incarnation, LinkId),
        upto: ReportNo,
        stored: Option<&MemberNumbers>,
        at: Millis,
    ) {
        let is_stored = stored.is_some_and(|it| it.incarnation == store && it.acked >= upto)
            // It was on its way when the controllers were put back.
            || link <= self.old_link && self.stored.get(&store).is_some_and(|it| *it >= upto);
        if !is_stored && upto > ReportNo(0) {
            self.broken(3, at, format!("reports up to {upto} were acknowledged and are not committed: {stored:?}"));
        }
        let heard = self.acknowledged.entry(store).or_default();
        *heard = upto.max(*heard);
    }

    /// A report is gone from a member's disk.
    pub fn member_deleted(&mut self, store: Incarnation, report: ReportNo, at: Millis) {
        if self.acknowledged.get(&store).copied().unwrap_or_default() < report {
            self.broken(4, at, format!("report {report} was deleted before it was acknowledged"));
        }
    }

    /// A task changed on the controllers' disk.
    pub fn task_is(&mut self, record: &TaskRecord, at: Millis) {
        let newest = self.epochs.entry(record.id).or_default();
        if record.epoch < *newest {
            let seen = format!("the epoch of {} fell from {newest} to {}", record.id, record.epoch);
            self.broken(9, at, seen);
        } else {
            *newest = record.epoch;
        }
        match (&record.finish, self.outcomes.get(&record.id)) {
            (None, None) => (),
            (Some(finish), None) => {
                self.order.push(record.id);
                self.outcomes.insert(record.id, finish.clone());
                self.equals_the_report(record, finish, at);
            }
            (now, Some(before)) => {
                if now.as_ref() != Some(before) {
                    let seen = format!("the outcome of {} changed from {before:?} to {now:?}", record.id);
                    self.broken(1, at, seen);
                }
            }
        }
    }

    fn equals_the_report(&mut self, record: &TaskRecord, finish: &Finish, at: Millis) {
        if finish.member.is_none() {
            return;
        }
        let reports = self.reported.get(&(record.id, finish.epoch)).map(Vec::as_slice).unwrap_or_default();
        let same = |report: &Report| {
            report.outcome.known() == Some(finish.outcome)
                && report.certainty.known() == Some(finish.certainty)
                && report.changed.known() == Some(finish.changed)
        };
        if !reports.iter().any(same) {
            self.broken(2, at, format!("{} ended as {finish:?}, which no member made durable", record.id));
        }
    }

    /// What is remembered of a member's sessions changed on the controllers' disk.
    pub fn numbers_are(&mut self, member: MemberId, numbers: &MemberNumbers, at: Millis) {
        let newest = self.issued.entry(member).or_default();
        if numbers.issued < *newest {
            let seen = format!("the session number of {member} fell from {newest} to {}", numbers.issued);
            self.broken(9, at, seen);
        } else {
            *newest = numbers.issued;
        }
        let stored = self.stored.entry(numbers.incarnation).or_default();
        *stored = numbers.acked.max(*stored);
    }

    /// The controller keeps a lease until then, by true time.
    pub fn lease_kept(&mut self, task: TaskId, epoch: Epoch, until: Millis) {
        self.leases.insert((task, epoch), until);
    }

    /// Until when the controller keeps a lease, by true time.
    pub fn lease_until(&self, task: TaskId, epoch: Epoch) -> Millis {
        self.leases.get(&(task, epoch)).copied().unwrap_or_default()
    }
}
