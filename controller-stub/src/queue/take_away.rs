//! Taking every lease away from a member that must not go on with anything.

use postern_protocol::{MemberId, TaskId};

use super::{Entry, Queue};
use crate::clock::Moment;
use crate::state::record::TaskState;

impl Queue {
    /// The member must not go on with anything. Its tasks get a newer epoch without a lease, so that no renewal, not
    /// even after a restart of either side, gives back the right to go on; what it may have begun is in doubt.
    pub fn take_away(&mut self, member: MemberId, at: Moment) {
        for id in self.held_by(member) {
            self.take_one_away(id, member, at);
        }
    }

    /// The same behind a restart: of a turn that took them away a crash may have kept no more than that the member is disabled.
    pub fn take_away_the_rest(&mut self, member: MemberId, at: Moment) {
        for id in self.held_by(member) {
            let has_lease = |it: &Entry| it.record.leases.last().is_some_and(|lease| lease.epoch == it.record.epoch);
            if self.tasks.get(&id).is_some_and(has_lease) {
                self.take_one_away(id, member, at);
            }
        }
    }

    /// The same of one task that it holds.
    pub(super) fn take_one_away(&mut self, id: TaskId, member: MemberId, at: Moment) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.record.epoch = entry.record.epoch.next();
            self.changed.insert(id);
        }
        match self.state(id) {
            Some(TaskState::Leased { .. } | TaskState::Accepted { .. }) => self.doubt(id, member, false, at),
            Some(TaskState::Started { .. }) => self.doubt(id, member, true, at),
            Some(TaskState::InDoubt { .. } | TaskState::Queued | TaskState::NeedsReseal | TaskState::Finished)
            | None => (),
        }
    }
}
