//! Taking a task back.

use postern_protocol::{MemberId, Outcome, TaskId};

use super::{Ending, Queue};
use crate::clock::Moment;
use crate::state::record::TaskState;

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// Nobody had begun it; it is finished as cancelled.
    AtOnce,
    /// This member has it and must be told.
    Ask(MemberId),
    /// Somebody may have begun it; whoever gets it next finds out and stops there.
    Later,
    /// There is no such unfinished task.
    TooLate,
}

impl Queue {
    /// Somebody wants the task cancelled.
    pub fn cancel(&mut self, id: TaskId, at: Moment) -> Cancelled {
        let Some(entry) = self.tasks.get_mut(&id) else { return Cancelled::TooLate };
        entry.record.cancel_requested = true;
        let (state, reconcile) = (entry.record.state, entry.record.reconcile);
        self.changed.insert(id);
        if matches!(state, TaskState::NeedsReseal) {
            self.unwanted.insert(id);
        }
        match state {
            TaskState::Queued | TaskState::NeedsReseal if reconcile => Cancelled::Later,
            TaskState::Queued | TaskState::NeedsReseal => {
                let ending = Ending::NothingHappened(Outcome::Cancelled);
                self.finish_here(id, ending, "cancelled before it was given to a member", at);
                Cancelled::AtOnce
            }
            TaskState::Leased { holder }
            | TaskState::Accepted { holder }
            | TaskState::Started { holder }
            | TaskState::InDoubt { holder, .. } => Cancelled::Ask(holder),
            TaskState::Finished => Cancelled::TooLate,
        }
    }

    /// Ends a task that is to be cancelled and that nobody can have begun. Whether it did.
    pub(super) fn end_cancelled(&mut self, id: TaskId, at: Moment) -> bool {
        let ends = self.tasks.get(&id).is_some_and(|it| it.record.cancel_requested && !it.record.reconcile);
        if ends {
            let ending = Ending::NothingHappened(Outcome::Cancelled);
            self.finish_here(id, ending, "cancelled before a member began it", at);
        }
        ends
    }
}
