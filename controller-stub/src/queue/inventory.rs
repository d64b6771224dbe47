//! Settling what the controller believes a member holds with what the member says.

use std::collections::BTreeMap;

use postern_protocol::message::v1::{HeldState, LeaseRef};
use postern_protocol::{Epoch, MemberId, TaskId};

use super::Queue;
use crate::clock::Moment;
use crate::state::record::TaskState;

/// What a member holds, by task: epoch and how far it is.
pub type Held = BTreeMap<TaskId, (Epoch, HeldState)>;

/// What the member's store is, compared with the one that took the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The same: what is not there never was or was dropped unbegun.
    Same,
    /// Another, or more than this ledger was told: what is not there may have been begun.
    Lost,
}

impl Queue {
    /// The whole inventory of a member has come. From here on it may be given tasks.
    pub fn settle(&mut self, member: MemberId, held: &Held, memory: Memory, at: Moment) {
        for (task, (epoch, _)) in held {
            self.doubt_ledger(member, LeaseRef { task: *task, epoch: *epoch });
        }
        for id in self.held_by(member) {
            let Some(entry) = self.tasks.get(&id) else { continue };
            let there = held.get(&id).copied();
            match there {
                Some((epoch, state)) if epoch == entry.record.epoch => self.confirm(id, member, state, at),
                Some((_, HeldState::Started | HeldState::Reported)) if entry.record.state.is_in_doubt() => {
                    self.shorten_doubt(id, member, at);
                }
                Some((_, HeldState::Started | HeldState::Reported)) => self.queue_again(id, true, at),
                Some((_, HeldState::Journaled)) | None => self.missing(id, member, memory, at),
            }
        }
        self.change(member, |holder| holder.settled = true);
    }

    /// It has the task under its lease. One that must not begin work gives that back by its own word: until then it may be
    /// enabled again, and begin.
    fn confirm(&mut self, id: TaskId, member: MemberId, state: HeldState, at: Moment) {
        let believed_started =
            matches!(self.state(id), Some(TaskState::Started { .. } | TaskState::InDoubt { started: true, .. }));
        if believed_started && matches!(state, HeldState::Journaled) {
            // It said that it began, and has forgotten it: its store was put back to before. A renewal on its way may have
            // let it keep the lease, under which it would begin once more.
            return self.take_one_away(id, member, at);
        }
        let begun = !matches!(state, HeldState::Journaled);
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.until = at.now + self.config.lease_ttl;
        }
        let state = if begun { TaskState::Started { holder: member } } else { TaskState::Accepted { holder: member } };
        if self.state(id) != Some(state) {
            self.move_to(id, state);
        }
    }

    fn missing(&mut self, id: TaskId, member: MemberId, memory: Memory, at: Moment) {
        match self.state(id) {
            Some(TaskState::Leased { .. } | TaskState::Accepted { .. } | TaskState::InDoubt { started: false, .. })
                if memory == Memory::Same =>
            {
                self.queue_again(id, false, at);
            }
            Some(TaskState::Leased { .. } | TaskState::Accepted { .. } | TaskState::Started { .. }) => {
                self.doubt(id, member, true, at);
            }
            // The next inventory will be of a store that has lost nothing, and must not be believed in this.
            Some(TaskState::InDoubt { started: false, .. }) => {
                self.move_to(id, TaskState::InDoubt { holder: member, started: true });
            }
            Some(
                TaskState::InDoubt { started: true, .. }
                | TaskState::Queued
                | TaskState::NeedsReseal
                | TaskState::Finished,
            )
            | None => (),
        }
    }
}
