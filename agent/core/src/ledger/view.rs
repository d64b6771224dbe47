//! The ledger as people see it.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::code::Code;
use postern_protocol::task::Lane;
use postern_protocol::{SystemName, TaskId, TaskKind, Timestamp};

use super::Ledger;
use crate::outbox::bytes_of;

/// A task that is held: it has not ended, or its results wait to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub struct TaskView {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Code<TaskKind>,
    /// Its connected system.
    pub system: SystemName,
    /// The account it is about; empty if it is about none.
    pub account: String,
    /// An attempt is running.
    pub running: bool,
    /// An effect of it may exist.
    pub started: bool,
    /// It came from this machine, and has no lease.
    pub local: bool,
    /// It has ended, and its results wait to be taken by the controller.
    pub concluded: bool,
    /// Its lease is known to be lost.
    pub lost: bool,
    /// When it is tried again, if it waits for that.
    pub retry_at: Option<Timestamp>,
}

/// What is owed to the controller, with the reports that leave only behind their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxView {
    /// Reports that are not acknowledged.
    pub reports: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Since when the oldest of them waits; nothing: since before this process began, or there is none.
    pub since: Option<Timestamp>,
}

impl Ledger {
    /// The tasks held, but for those of this machine that have ended: first those that run, then in the order in which they
    /// came.
    pub fn views(&self) -> Vec<TaskView> {
        let mut held: Vec<_> =
            self.tasks.values().filter(|held| !held.is_concluded() || !held.origin.is_local()).collect();
        held.sort_by_key(|held| (!held.running, held.arrival));
        let view = |held: &super::Held| TaskView {
            task: held.offer.task,
            kind: held.offer.kind,
            system: held.offer.system.clone(),
            account: held.offer.target.to_string(),
            running: held.running,
            started: held.is_begun(),
            local: held.origin.is_local(),
            concluded: held.is_concluded(),
            lost: held.fenced.is_some(),
            retry_at: held.retry_at,
        };
        held.into_iter().map(view).collect()
    }

    /// How many attempts run on each connected system, and how many tasks wait for their turn in each lane.
    pub fn queues(&self) -> BTreeMap<SystemName, (u32, BTreeMap<Lane, u32>)> {
        let mut queues: BTreeMap<SystemName, (u32, BTreeMap<Lane, u32>)> = BTreeMap::new();
        for held in self.tasks.values().filter(|held| !held.is_concluded()) {
            let (running, waiting) = queues.entry(held.offer.system.clone()).or_default();
            *if held.running { running } else { waiting.entry(held.lane()).or_default() } += 1;
        }
        queues
    }

    /// How many tasks of the controller have a lease that holds.
    pub fn leases_held(&self, now: Timestamp) -> usize {
        let holds = |held: &&super::Held| !held.origin.is_local() && held.lease.covers(Duration::ZERO, now);
        self.tasks.values().filter(holds).count()
    }

    /// What is owed to the controller.
    pub fn outbox(&self) -> OutboxView {
        let concluded = || {
            let of_controller = self.tasks.values().filter(|held| !held.origin.is_local());
            of_controller.filter_map(|held| Some((held, held.conclusion()?)))
        };
        let oldest = (self.outbox.len() > 0).then(|| self.outbox.since());
        OutboxView {
            reports: self.outbox.len() + concluded().count(),
            bytes: self.outbox.bytes() + concluded().map(|(_, report)| bytes_of(report)).sum::<usize>(),
            // Of what the outbox has from before this process began no age is known: that is the oldest.
            since: oldest.into_iter().chain(concluded().map(|(held, _)| held.concluded_at)).min().flatten(),
        }
    }
}
