//! What becomes durable at a member, and what has to be true of it.

use postern_agent_core::{TaskState, Write};

use super::limits;
use crate::workload::Point;
use crate::world::World;

impl World {
    /// A commit of a member is done.
    pub fn member_committed(&mut self, m: usize) {
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((mark, writes)) = process.committing.take() else { return };
        self.member_durable(m, &writes, true);
        let now = self.members[m].now(self.agenda.now());
        if let Some(process) = self.members[m].process.as_mut() {
            process.ledger.handle_durable(mark, now);
            process.under_way.retain(|_, ended| !*ended);
        }
        let offers = writes.iter().any(|it| matches!(it, Write::PutTask(..)));
        let reports = writes.iter().any(|it| matches!(it, Write::PutReport(_)));
        if offers && self.at_point(m, Point::OfferDurable) || reports && self.at_point(m, Point::ReportDurable) {
            return;
        }
        self.settle_member(m);
    }

    /// Writes are on a member's disk.
    pub(super) fn member_durable(&mut self, m: usize, writes: &[Write], whole: bool) {
        let now = self.agenda.now();
        for write in writes {
            self.check_conclusion(m, write);
            if whole && self.goes_further(m, write) {
                let memory = self.members[m].memory();
                if let Write::PutState(task, _) | Write::PutJournal(task, ..) = write {
                    self.truth(*task).got_further(memory);
                }
            }
            if let Write::PutJournal(task, _, entry) = write
                && entry.mark.is_end()
            {
                let memory = self.members[m].memory();
                self.truth(*task).proved(memory, entry, now);
            }
            match write {
                Write::PutReport(report) => {
                    self.oracle.member_owes(report);
                    let (number, task, epoch, outcome) = (report.number, report.task, report.epoch, report.outcome);
                    self.tell(|_| format!("member {m} owes report {number}: {task}, epoch {epoch}, {outcome}"));
                }
                Write::DeleteReport(number) => {
                    let store = self.members[m].disk.incarnation;
                    self.oracle.member_deleted(store, *number, now);
                }
                Write::PutSession(session) if *session < self.members[m].disk.session => {
                    self.oracle.broken(9, now, format!("member {m}'s session fell to {session}"));
                }
                _ => (),
            }
            self.members[m].disk.apply(write);
        }
    }

    /// Whether what becomes durable says that a task has begun, or got further.
    fn goes_further(&self, m: usize, write: &Write) -> bool {
        match write {
            Write::PutState(task, TaskState::Started { .. }) => !self.members[m].disk.is_begun(*task),
            Write::PutJournal(_, _, entry) => entry.mark.is_end(),
            _ => false,
        }
    }

    /// How a task ends has to follow from what happened to it at this member.
    fn check_conclusion(&mut self, m: usize, write: &Write) {
        let (Write::PutReport(report) | Write::PutState(_, TaskState::Concluded(report))) = write else { return };
        let (disk, memory) = (&self.members[m].disk, self.members[m].memory());
        // What was concluded before is only said again.
        let Some(offer) = disk.offer(report.task).filter(|_| !disk.is_concluded(report.task)) else { return };
        let Some(truth) = self.tasks.get_mut(&report.task) else { return };
        truth.concluded(memory, self.agenda.now());
        let (journal, begun) = (disk.journal(report.task), disk.is_begun(report.task));
        if let Err((invariant, seen)) = truth.may_end_so(memory, report, offer, journal, begun, &limits()) {
            self.oracle.broken(invariant, self.agenda.now(), format!("at member {m}, {seen}"));
        }
    }
}
