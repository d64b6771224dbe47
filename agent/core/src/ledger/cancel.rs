//! Tasks that are no longer wanted.

use postern_protocol::TaskId;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{CancelAck, CancelVerdict};

use super::{Ending, Event, Gated, Ledger};

/// Cancels that may wait for their tasks: as many as there may be tasks on the way to a member.
const MOST_PARKED: usize = 256;

impl Ledger {
    /// A task is no longer wanted.
    pub fn handle_cancel(&mut self, task: TaskId) {
        let Some(held) = self.tasks.get_mut(&task) else {
            let ended = self.outbox.find(task).is_some() || self.tombstones.get(task).is_some();
            let verdict = if ended { CancelVerdict::AlreadyDone } else { self.park_cancel(task) };
            return self.transmits.push_back(cancel_ack(task, verdict));
        };
        if held.is_concluded() {
            return self.transmits.push_back(cancel_ack(task, CancelVerdict::AlreadyDone));
        }
        held.cancelled = true;
        if held.running {
            self.events.push_back(Event::Stop(task));
            self.transmits.push_back(cancel_ack(task, CancelVerdict::Stopping));
        } else if held.is_untouched() {
            self.conclude(task, Ending::cancelled());
            self.after_writes(Gated::Transmit(cancel_ack(task, CancelVerdict::Dropped)));
        } else {
            // Another attempt only finds out what there is.
            held.retry_at = None;
            self.transmits.push_back(cancel_ack(task, CancelVerdict::Stopping));
        }
    }

    /// It overtook the task it is about. A new session settles what was said in this one.
    fn park_cancel(&mut self, task: TaskId) -> CancelVerdict {
        if let Some(session) = &mut self.session {
            session.parked_cancels.insert(task);
            while session.parked_cancels.len() > MOST_PARKED {
                // Ids of tasks begin with the time they were made: the first is the oldest.
                session.parked_cancels.pop_first();
            }
        }
        CancelVerdict::Parked
    }

    /// A task that was just taken in may have been cancelled before.
    pub(super) fn take_up_parked_cancel(&mut self, task: TaskId) {
        if self.session.as_mut().is_some_and(|session| session.parked_cancels.remove(&task)) {
            self.handle_cancel(task);
        }
    }
}

fn cancel_ack(task: TaskId, verdict: CancelVerdict) -> FromMember {
    CancelAck { task, verdict: verdict.into() }.into()
}
