//! Tasks that are no longer wanted.

use postern_protocol::TaskId;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{CancelAck, CancelVerdict};

use super::{Ending, Event, Gated, Ledger};

impl Ledger {
    /// A task is no longer wanted.
    pub fn handle_cancel(&mut self, task: TaskId) {
        let Some(held) = self.tasks.get_mut(&task) else {
            let ended = self.outbox.find(task).is_some() || self.tombstones.get(task).is_some();
            let verdict = if ended { CancelVerdict::AlreadyDone } else { CancelVerdict::NotHeld };
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
}

fn cancel_ack(task: TaskId, verdict: CancelVerdict) -> FromMember {
    CancelAck { task, verdict: verdict.into() }.into()
}
