//! What the controller is told when it asks what is held.

use postern_protocol::TaskId;
use postern_protocol::bounded::List;
use postern_protocol::code::Code;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{HeldState, HeldTask, Inventory, LeaseRef};

use super::held::Held;
use super::{Gated, Ledger};
use crate::write::{Origin, TaskState};

/// Tasks in one page: the bound of the frame.
const INVENTORY_PAGE: usize = 512;

impl Ledger {
    /// The controller wants to know what is held. What is left of the answer to an earlier question is of no use to it, and
    /// many of them would be as many times all that is owed.
    pub fn handle_inventory_ask(&mut self, nonce: u64) {
        self.transmits.retain(|frame| !matches!(frame, FromMember::Inventory(_)));
        self.gated.retain(|(_, item)| !matches!(item, Gated::Transmit(FromMember::Inventory(_))));
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .filter(|(_, held)| held.origin == Origin::Controller)
            .map(|(task, held)| held_task(*task, held))
            // A task that was taken on anew is told of as it is now.
            .chain(self.outbox.iter().filter(|report| !self.tasks.contains_key(&report.task)).map(|report| HeldTask {
                lease: LeaseRef { task: report.task, epoch: report.epoch },
                state: HeldState::Reported.into(),
            }))
            .collect();
        let mut pages: Vec<Inventory> = tasks
            .chunks(INVENTORY_PAGE)
            .map(|page| Inventory { nonce, last: false, tasks: List::clipped(page.to_vec()) })
            .collect();
        if pages.is_empty() {
            pages.push(Inventory { nonce, last: false, tasks: List::default() });
        }
        if let Some(page) = pages.last_mut() {
            page.last = true;
        }
        for page in pages {
            self.after_writes(Gated::Transmit(page.into()));
        }
    }
}

fn state_of(state: &TaskState) -> Code<HeldState> {
    match state {
        TaskState::Journaled { .. } => HeldState::Journaled.into(),
        TaskState::Started { .. } => HeldState::Started.into(),
        TaskState::Concluded(_) => HeldState::Reported.into(),
    }
}

fn held_task(task: TaskId, held: &Held) -> HeldTask {
    HeldTask { lease: LeaseRef { task, epoch: held.lease.epoch }, state: state_of(&held.state) }
}
