//! What a ledger holds, in numbers for people and for monitoring. Decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::task::Lane;
use postern_protocol::{SystemName, Timestamp};

use super::Ledger;
use crate::write::{Origin, TaskState};

/// What a ledger holds, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// Tasks that wait for their turn, by lane.
    pub waiting: BTreeMap<Lane, u32>,
    /// Attempts that run, by connected system.
    pub running: BTreeMap<SystemName, u32>,
    /// Tasks of the controller under a lease that holds now.
    pub leases: u32,
    /// Reports that are owed.
    pub owed: usize,
    /// Their bytes.
    pub owed_bytes: usize,
    /// When the oldest of them was written; of one that is older than the process, when that began.
    pub owed_since: Option<Timestamp>,
}

impl Ledger {
    /// What it holds now, if the process began at `started`.
    pub fn vitals(&self, started: Timestamp, now: Timestamp) -> Vitals {
        let mut vitals = Vitals {
            owed: self.outbox.len(),
            owed_bytes: self.outbox.bytes(),
            owed_since: self.outbox.oldest(started),
            ..Vitals::default()
        };
        for held in self.tasks.values() {
            if held.running {
                *vitals.running.entry(held.offer.system.clone()).or_default() += 1;
            } else if !matches!(held.state, TaskState::Concluded(_)) {
                *vitals.waiting.entry(held.lane()).or_default() += 1;
            }
            if held.origin == Origin::Controller && held.lease.covers(Duration::ZERO, now) {
                vitals.leases += 1;
            }
        }
        vitals
    }
}
